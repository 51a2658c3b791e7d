//! Images made small enough for cells. Pure: bytes in, pixels out.

use std::io::Cursor;

/// Longest side of what is kept, in pixels; a cell shows two of them.
const LONGEST: usize = 160;
/// Largest image that is decoded, in bytes of pixels.
const LARGEST: usize = 64 << 20;

/// A small image, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Decodes a PNG and shrinks it. What is transparent becomes white, as on paper.
    ///
    /// # Errors
    /// Why it cannot be shown, for a person.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(b"\x89PNG") {
            return Err("only PNG images are shown here".into());
        }
        let broken = |error: png::DecodingError| format!("the image is damaged: {error}");
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: LARGEST });
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(broken)?;
        let size = reader.output_buffer_size().filter(|size| *size <= LARGEST);
        let mut raw = vec![0; size.ok_or("the image is too large to show here")?];
        let frame = reader.next_frame(&mut raw).map_err(broken)?;
        let (width, height) = (frame.width as usize, frame.height as usize);
        let channels = frame.color_type.samples();
        let pixel = |x: usize, y: usize| {
            let at = y * frame.line_size + x * channels;
            let over =
                |c: u8, alpha: u8| (u16::from(c) * u16::from(alpha) / 255 + 255 - u16::from(alpha)) as u8;
            match *raw.get(at..at + channels).unwrap_or(&[]) {
                [g] => [g; 3],
                [g, a] => [over(g, a); 3],
                [r, g, b] => [r, g, b],
                [r, g, b, a] => [over(r, a), over(g, a), over(b, a)],
                _ => [255; 3],
            }
        };
        let scale = (width.max(height).div_ceil(LONGEST)).max(1);
        Ok(shrunk(width, height, (width.div_ceil(scale), height.div_ceil(scale)), pixel))
    }

    /// The picture in at most so many pixels, its proportions kept; never larger than it is but by whole factors.
    pub(crate) fn fitted(&self, columns: usize, rows: usize) -> Self {
        if self.width == 0 || self.height == 0 || columns == 0 || rows == 0 {
            return Self { width: 0, height: 0, pixels: Vec::new() };
        }
        let factor = (columns / self.width).min(rows / self.height).min(4);
        let size = if factor >= 1 {
            (self.width * factor, self.height * factor)
        } else {
            let share = (columns as f64 / self.width as f64).min(rows as f64 / self.height as f64);
            let side = |n: usize, most: usize| ((n as f64 * share) as usize).clamp(1, most);
            (side(self.width, columns), side(self.height, rows))
        };
        shrunk(self.width, self.height, size, |x, y| self.at(x, y))
    }

    /// A pixel; outside it is white.
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 3] {
        if x >= self.width {
            [255; 3]
        } else {
            self.pixels.get(y * self.width + x).copied().unwrap_or([255; 3])
        }
    }
}

/// Every new pixel is the mean of the old ones it covers.
fn shrunk(
    width: usize,
    height: usize,
    size: (usize, usize),
    pixel: impl Fn(usize, usize) -> [u8; 3],
) -> Picture {
    let range = |n: usize, of: usize, from: usize| {
        let start = n * from / of;
        start..((n + 1) * from / of).max(start + 1).min(from)
    };
    let mut pixels = Vec::with_capacity(size.0 * size.1);
    for y in 0..size.1 {
        for x in 0..size.0 {
            let (mut sum, mut count) = ([0_u64; 3], 0);
            for old_y in range(y, size.1, height) {
                for old_x in range(x, size.0, width) {
                    let old = pixel(old_x, old_y);
                    sum.iter_mut().zip(old).for_each(|(sum, c)| *sum += u64::from(c));
                    count += 1;
                }
            }
            pixels.push(sum.map(|sum| (sum / count.max(1)) as u8));
        }
    }
    Picture { width: size.0, height: size.1, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, colour: png::ColorType, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    #[test]
    fn pixels_come_back() {
        let picture = Picture::decode(&png(2, 1, png::ColorType::Rgb, &[255, 0, 0, 0, 0, 255])).unwrap();
        assert_eq!((picture.width, picture.at(0, 0), picture.at(1, 0)), (2, [255, 0, 0], [0, 0, 255]));
        let clear = Picture::decode(&png(1, 1, png::ColorType::Rgba, &[0, 0, 0, 0])).unwrap();
        assert_eq!(clear.at(0, 0), [255; 3]);
        let grey = Picture::decode(&png(1, 1, png::ColorType::Grayscale, &[7])).unwrap();
        assert_eq!(grey.at(0, 0), [7; 3]);
    }

    #[test]
    fn large_images_shrink_and_small_ones_grow_by_whole_factors() {
        let data = vec![9; 400 * 200];
        let picture = Picture::decode(&png(400, 200, png::ColorType::Grayscale, &data)).unwrap();
        assert_eq!((picture.width, picture.height, picture.at(99, 50)), (134, 67, [9; 3]));
        let small = picture.fitted(20, 20);
        assert_eq!((small.width, small.height), (20, 10));
        let dot = Picture::decode(&png(1, 1, png::ColorType::Grayscale, &[7])).unwrap();
        assert_eq!((dot.fitted(3, 9).width, dot.fitted(0, 9).width), (3, 0));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(Picture::decode(b"GIF89a").unwrap_err().contains("PNG"));
        let mut cut = png(2, 2, png::ColorType::Grayscale, &[1; 4]);
        cut.truncate(40);
        assert!(Picture::decode(&cut).unwrap_err().contains("damaged"));
    }
}
