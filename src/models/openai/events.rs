//! Server-sent events, as chat completions are streamed: `data:` lines, an empty line after each event.

/// Longest line and longest event, in bytes.
const LINE: usize = 256 << 10;
const EVENT: usize = 1 << 20;

/// What has arrived of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
}

impl Events {
    /// Takes a piece in and hands over the data of every event that is complete. A piece may end anywhere.
    ///
    /// # Errors
    /// A line or an event that is too long.
    pub(super) fn feed(&mut self, piece: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() > LINE {
                return Err(format!("a line of more than {LINE} bytes"));
            }
            if part.ends_with(b"\n") {
                self.end_line(sink)?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            if !data.is_empty() {
                sink(&data);
            }
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            if self.data.len() > EVENT {
                return Err(format!("an event of more than {EVENT} bytes"));
            }
        }
        // Comments, names and ids of events mean nothing here.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        for piece in pieces {
            events.feed(piece, &mut |data| found.push(String::from_utf8_lossy(data).into_owned())).unwrap();
        }
        found
    }

    #[test]
    fn events_are_data_lines_up_to_an_empty_line() {
        let stream = b": hello\r\n\r\ndata: {\"a\":1}\r\n\r\nevent: x\ndata: two\ndata: lines\n\ndata:[DONE]\n\ndata: half";
        assert_eq!(all(&[stream]), ["{\"a\":1}", "two\nlines", "[DONE]"]);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let mut events = Events::default();
        assert!(events.feed(&vec![b'x'; LINE + 1], &mut |_| {}).unwrap_err().contains("line"));
        let mut events = Events::default();
        let line = [b"data: ".as_slice(), &vec![b'x'; LINE - 100], b"\n"].concat();
        let fed: Result<(), String> = (0..9).try_for_each(|_| events.feed(&line, &mut |_| {}));
        assert!(fed.unwrap_err().contains("event"));
    }

    proptest! {
        #[test]
        fn where_the_pieces_end_does_not_matter(cuts in proptest::collection::vec(0_usize..40, 0..6)) {
            let stream = "data: ä one\n\ndata: two\r\n\r\n: c\n\n".as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= stream.len()).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            prop_assert_eq!(all(&pieces), ["ä one", "two"]);
        }
    }
}
