//! Every operation's gradients against central finite differences.

use super::{
    Attention, Gate, Gated, HeadGradients, HeadLoss, Linear, LowRank, Matrix, RmsNorm, Rotary, Thin,
    add_bias_gradient, add_to_rows, add_weight_gradient, multiply, rotate_rows,
};
use crate::gym::rng::CounterRng;

fn random(name: &str, length: usize) -> Vec<f32> {
    let mut rng = CounterRng::keyed(3, name);
    (0..length).map(|_| rng.normal() as f32 * 0.7).collect()
}

/// Fixed numbers that weigh an output, so that every element's gradient is its own.
fn weights(length: usize) -> Vec<f32> {
    let mut rng = CounterRng::keyed(9, "weights");
    (0..length).map(|_| rng.normal() as f32).collect()
}

/// `forward` gives the output of some inputs, `backward` their gradients from the output's.
fn compare(
    inputs: &[Vec<f32>],
    forward: impl Fn(&[Vec<f32>]) -> Vec<f32>,
    backward: impl Fn(&[Vec<f32>], &[f32]) -> Vec<Vec<f32>>,
) {
    let weights = weights(forward(inputs).len());
    let objective = |inputs: &[Vec<f32>]| -> f64 {
        forward(inputs).iter().zip(&weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
    };
    let gradients = backward(inputs, &weights);
    assert!(!gradients.is_empty());
    for (index, gradient) in gradients.iter().enumerate() {
        assert_eq!(gradient.len(), inputs[index].len());
        let scale = gradient.iter().fold(1e-3_f32, |max, x| max.max(x.abs()));
        let step = 1e-2_f32;
        for at in 0..gradient.len() {
            let shifted = |by: f32| {
                let mut inputs = inputs.to_vec();
                inputs[index][at] += by;
                objective(&inputs)
            };
            let numeric = (8.0 * (shifted(step) - shifted(-step))
                - (shifted(2.0 * step) - shifted(-2.0 * step)))
                / (12.0 * f64::from(step));
            let difference = (numeric - f64::from(gradient[at])).abs();
            assert!(
                difference <= 2e-4 * f64::from(scale),
                "input {index} at {at}: {numeric} against {}",
                gradient[at]
            );
        }
    }
}

#[test]
fn linear() {
    let (rows, inner, out) = (6, 5, 4);
    let inputs = [random("x", rows * inner), random("w", out * inner), random("b", out)];
    compare(
        &inputs,
        |inputs| {
            let mut y = vec![0.0; rows * out];
            Linear { weight: &inputs[1], out, inner }.forward(&inputs[0], &mut y, &mut Vec::new());
            add_to_rows(&mut y, &inputs[2]);
            y
        },
        |inputs, g| {
            let mut d: Vec<Vec<f32>> = inputs.iter().map(|input| vec![0.0; input.len()]).collect();
            Linear { weight: &inputs[1], out, inner }.input_gradient(g, &mut d[0], false);
            add_weight_gradient(&inputs[0], g, rows, &mut d[1]);
            add_bias_gradient(g, &mut d[2]);
            d
        },
    );
}

#[test]
fn a_turned_right_side_gives_the_same_product() {
    // Widths that are and are no multiples of a tile, with rows enough for turning and too few.
    for (rows, inner, out) in [(64, 33, 21), (64, 16, 48), (64, 80, 35), (70, 1, 17), (63, 33, 21)] {
        let (x, w) = (random("x", rows * inner), random("w", out * inner));
        let (mut plain, mut y) = (vec![0.0; rows * out], vec![0.0; rows * out]);
        let right = Matrix::new(&w, out, inner).t();
        multiply(&mut plain, Matrix::new(&x, rows, inner), right, 1.0, false);
        let mut room = vec![f32::NAN; 3];
        Linear { weight: &w, out, inner }.forward(&x, &mut y, &mut room);
        assert_eq!(room.len() == w.len(), rows >= 64);
        let far = y.iter().zip(&plain).fold(0.0_f32, |far, (y, x)| far.max((y - x).abs()));
        assert!(far <= 1e-6, "{far} at {rows} rows of {inner}, {out} out");
    }
}

#[test]
fn low_rank() {
    let (rows, inner, out, rank) = (7, 5, 4, 2);
    let w = random("w", out * inner);
    let inputs = [random("x", rows * inner), random("a", rank * inner), random("b", out * rank)];
    let merged = |inputs: &[Vec<f32>]| {
        let mut merged = Vec::new();
        LowRank { a: &inputs[1], b: &inputs[2], rank, scale: 1.7 }.add_to(&w, &mut merged);
        merged
    };
    compare(
        &inputs,
        |inputs| {
            let mut y = vec![0.0; rows * out];
            Linear { weight: &merged(inputs), out, inner }.forward(&inputs[0], &mut y, &mut Vec::new());
            y
        },
        |inputs, g| {
            let mut dx = vec![0.0; rows * inner];
            Linear { weight: &merged(inputs), out, inner }.input_gradient(g, &mut dx, false);
            let (mut da, mut db) = (vec![0.0; rank * inner], vec![0.0; out * rank]);
            let low = LowRank { a: &inputs[1], b: &inputs[2], rank, scale: 1.7 };
            low.add_gradients(&inputs[0], g, rows, (&mut da, &mut db), &mut Thin::default());
            vec![dx, da, db]
        },
    );
}

#[test]
fn rms_norm() {
    // More rows than one job holds, and a width that is no multiple of the lanes; one width that is more than one.
    for (rows, width) in [(70, 3), (3, 37)] {
        for offset in [0.0, 1.0] {
            let op = RmsNorm { eps: 1e-5, offset };
            compare(
                &[random("x", rows * width), random("w", width)],
                |inputs| {
                    let mut y = vec![0.0; inputs[0].len()];
                    op.forward(&inputs[0], &inputs[1], &mut y);
                    y
                },
                |inputs, g| {
                    let (mut dx, mut dw) = (vec![0.0; inputs[0].len()], vec![0.0; width]);
                    op.add_gradients(&inputs[0], &inputs[1], g, &mut dx, Some(&mut dw));
                    vec![dx, dw]
                },
            );
        }
    }
}

#[test]
fn gated() {
    for kind in [Gate::SILU, Gate::GELU] {
        compare(
            &[random("gate", 35), random("up", 35)],
            |inputs| {
                let mut y = vec![0.0; 35];
                Gated(kind).forward(&inputs[0], &inputs[1], &mut y);
                y
            },
            |inputs, g| {
                let (mut x, mut up, mut y) = (inputs[0].clone(), inputs[1].clone(), g.to_vec());
                Gated(kind).backward(&mut x, &mut up, &mut y);
                let mut again = vec![0.0; 35];
                Gated(kind).forward(&inputs[0], &inputs[1], &mut again);
                assert_eq!(y, again, "the result of the forward pass comes back");
                vec![x, up]
            },
        );
    }
}

#[test]
fn head_loss() {
    let (rows, width, vocabulary) = (4, 6, 19);
    for cap in [None, Some(1.5)] {
        let head = |inputs: &[Vec<f32>], targets: &[u32], gradients: Option<HeadGradients<'_>>| {
            let op = HeadLoss { weight: &inputs[1], vocabulary, cap };
            op.run(&inputs[0], targets, gradients, (&mut Vec::new(), &mut Vec::new()))
        };
        let targets = [3, 0, 18, 7];
        compare(
            &[random("h", rows * width), random("w", vocabulary * width)],
            |inputs| vec![head(inputs, &targets, None) as f32],
            |inputs, g| {
                let (mut hidden, mut weight) = (vec![0.0; rows * width], vec![0.0; vocabulary * width]);
                let wanted = HeadGradients { scale: g[0], hidden: &mut hidden, weight: Some(&mut weight) };
                head(inputs, &targets, Some(wanted));
                vec![hidden, weight]
            },
        );
    }
}

#[test]
fn a_large_vocabulary_goes_through_the_head_in_chunks() {
    // 150 rows of 70,000 logits: three chunks, against sums in double precision.
    let (rows, width, vocabulary) = (150, 3, 70_000);
    let (h, w) = (random("h", rows * width), random("w", vocabulary * width));
    let targets: Vec<u32> = (0..rows as u32).map(|row| row * 466).collect();
    let (mut dh, mut dw) = (vec![0.0; h.len()], vec![0.0; w.len()]);
    let wanted = HeadGradients { scale: 1.0, hidden: &mut dh, weight: Some(&mut dw) };
    let op = HeadLoss { weight: &w, vocabulary, cap: None };
    let loss = op.run(&h, &targets, Some(wanted), (&mut Vec::new(), &mut Vec::new()));
    let (mut exact_dh, mut exact_dw, mut exact) = (vec![0.0_f64; h.len()], vec![0.0_f64; w.len()], 0.0);
    for ((h, dh), target) in h.chunks(width).zip(exact_dh.chunks_mut(width)).zip(&targets) {
        let logit = |w: &[f32]| w.iter().zip(h).map(|(w, h)| f64::from(*w) * f64::from(*h)).sum::<f64>();
        let total: f64 = w.chunks(width).map(|w| logit(w).exp()).sum();
        for (token, (w, dw)) in w.chunks(width).zip(exact_dw.chunks_mut(width)).enumerate() {
            let own = f64::from(u8::from(token == *target as usize));
            exact += own * (total.ln() - logit(w));
            let g = logit(w).exp() / total - own;
            dh.iter_mut().zip(w).for_each(|(dh, w)| *dh += g * f64::from(*w));
            dw.iter_mut().zip(h).for_each(|(dw, h)| *dw += g * f64::from(*h));
        }
    }
    assert!((loss - exact).abs() < 1e-6 * exact, "{loss} against {exact}");
    for (found, exact) in [(dh, exact_dh), (dw, exact_dw)] {
        let largest = exact.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
        let far = found.iter().zip(&exact).fold(0.0_f64, |max, (x, y)| max.max((f64::from(*x) - y).abs()));
        assert!(far <= 5e-6 * largest, "{far} of {largest}");
    }
}

#[test]
fn attention() {
    let (heads, kv_heads, head_dim, length, rows) = (2, 1, 4, 9, 2);
    let (width, kv_width) = (heads * head_dim, kv_heads * head_dim);
    let rotary = Rotary::new(length, &[1.0, 0.01]);
    let starts = [0, 0, 0, 0, 4, 4, 4, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let inputs = [
        random("q", rows * length * width),
        random("k", rows * length * kv_width),
        random("v", rows * length * kv_width),
    ];
    for (window, cap) in [(usize::MAX, None), (3, None), (usize::MAX, Some(1.0)), (2, Some(2.0))] {
        let op = Attention { length, heads, kv_heads, head_dim, starts: &starts, window, scale: 0.4, cap };
        let turned = |inputs: &[Vec<f32>]| {
            let (mut q, mut k) = (inputs[0].clone(), inputs[1].clone());
            rotate_rows(&rotary, &mut q, &starts, length, 1.0);
            rotate_rows(&rotary, &mut k, &starts, length, 1.0);
            (q, k)
        };
        compare(
            &inputs,
            |inputs| {
                let ((q, k), mut out) = (turned(inputs), vec![0.0; rows * length * width]);
                op.forward([&q, &k, &inputs[2]], &mut out);
                out
            },
            |inputs, g| {
                let (q, k) = turned(inputs);
                let mut d: Vec<Vec<f32>> = inputs.iter().map(|input| vec![9.0; input.len()]).collect();
                let [dq, dk, dv] = &mut d[..] else { unreachable!() };
                op.backward([&q, &k, &inputs[2]], g, [dq, dk, dv]);
                rotate_rows(&rotary, dq, &starts, length, -1.0);
                rotate_rows(&rotary, dk, &starts, length, -1.0);
                d
            },
        );
    }
}
