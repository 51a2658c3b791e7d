//! Every operation's backward pass against central finite differences.

use super::{AddBias, Attention, Gate, Gated, HeadLoss, Linear, LoraLinear, RmsNorm, Rotary};
use crate::gym::rng::CounterRng;
use candle_core::{Device, Result, Tensor, Var};
use std::sync::Arc;

fn random(name: &str, shape: &[usize]) -> Var {
    let mut rng = CounterRng::keyed(3, name);
    let data: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal() as f32 * 0.7).collect();
    Var::from_tensor(&Tensor::from_vec(data, shape, &Device::Cpu).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Weighs the output with fixed numbers, so that every element's gradient is its own.
fn objective(out: &Tensor) -> f64 {
    let mut rng = CounterRng::keyed(9, "weights");
    values(out).iter().map(|x| f64::from(*x) * f64::from(rng.normal() as f32)).sum()
}

fn analytic(out: &Tensor) -> Tensor {
    let mut rng = CounterRng::keyed(9, "weights");
    let weights: Vec<f32> = (0..out.elem_count()).map(|_| rng.normal() as f32).collect();
    let weights = Tensor::from_vec(weights, out.shape(), &Device::Cpu).unwrap();
    (out * weights).unwrap().sum_all().unwrap()
}

fn compare(inputs: &[&Var], run: impl Fn() -> Result<Tensor>) {
    let grads = analytic(&run().unwrap()).backward().unwrap();
    for (index, input) in inputs.iter().enumerate() {
        let gradient = values(grads.get(input).expect("a gradient"));
        let scale = gradient.iter().fold(1e-3_f32, |max, x| max.max(x.abs()));
        let original = values(input);
        let step = 1e-2_f32;
        for at in 0..original.len() {
            let shifted = |by: f32| {
                let mut data = original.clone();
                data[at] += by;
                input.set(&Tensor::from_vec(data, input.shape(), &Device::Cpu).unwrap()).unwrap();
                objective(&run().unwrap())
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
        input.set(&Tensor::from_vec(original, input.shape(), &Device::Cpu).unwrap()).unwrap();
    }
}

#[test]
fn linear() {
    let (x, w) = (random("x", &[2, 3, 5]), random("w", &[4, 5]));
    compare(&[&x, &w], || x.apply_op2(&w, Linear { weight_grad: true }));
    compare(&[&x], || x.apply_op2(&w, Linear { weight_grad: false }));
    let grads = analytic(&x.apply_op2(&w, Linear { weight_grad: false }).unwrap()).backward().unwrap();
    assert!(grads.get(&w).is_none(), "a frozen weight costs no gradient");
}

#[test]
fn lora_linear() {
    let (x, w) = (random("x", &[7, 5]), random("w", &[4, 5]));
    let (a, b) = (random("a", &[2, 5]), random("b", &[4, 2]));
    compare(&[&x, &a, &b], || x.apply_op3(&a, &b, LoraLinear::new(w.as_detached_tensor(), 1.7)));
}

#[test]
fn rms_norm() {
    // More rows than one job holds, and a width that is no multiple of the lanes.
    let (x, w) = (random("x", &[70, 3]), random("w", &[3]));
    for offset in [0.0, 1.0] {
        compare(&[&x, &w], || x.apply_op2(&w, RmsNorm { eps: 1e-5, offset, weight_grad: true }));
    }
    // In parts, as heads are normalised.
    let x = random("x", &[5, 2, 6]);
    compare(&[&x, &w], || x.apply_op2(&w, RmsNorm { eps: 1e-5, offset: 0.0, weight_grad: true }));
}

#[test]
fn add_bias() {
    let (x, b) = (random("x", &[2, 33, 3]), random("b", &[3]));
    compare(&[&x, &b], || x.apply_op2(&b, AddBias { bias_grad: true }));
    let grads = analytic(&x.apply_op2(&b, AddBias { bias_grad: false }).unwrap()).backward().unwrap();
    assert!(grads.get(&b).is_none(), "a frozen bias costs no gradient");
}

#[test]
fn gated() {
    let (gate, up) = (random("gate", &[5, 7]), random("up", &[5, 7]));
    for kind in [Gate::SILU, Gate::GELU] {
        compare(&[&gate, &up], || gate.apply_op2(&up, Gated(kind)));
    }
    let ours = values(&gate.apply_op2(&gate.ones_like().unwrap(), Gated(Gate::GELU)).unwrap());
    for (ours, theirs) in ours.iter().zip(values(&gate.gelu().unwrap())) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} against {theirs}");
    }
}

#[test]
fn head_loss() {
    let (h, w) = (random("h", &[4, 6]), random("w", &[19, 6]));
    let op = |targets: &[u32], cap| HeadLoss::new(targets.to_vec(), cap, true);
    for cap in [None, Some(1.5)] {
        compare(&[&h, &w], || h.apply_op2(&w, op(&[3, 0, 18, 7], cap)));
        // A factor on the loss reaches the gradients that were worked out before it.
        compare(&[&h, &w], || h.apply_op2(&w, op(&[3, 0, 18, 7], cap))? * 3.0);
    }
    assert!(h.apply_op2(&w, op(&[3, 0, 19, 7], None)).is_err(), "a target outside");
}

#[test]
fn a_large_vocabulary_goes_through_the_head_in_chunks() {
    // 300 rows of 70,000 logits: two chunks.
    let (rows, vocabulary) = (300_u32, 70_000);
    let (h, w) = (random("h", &[rows as usize, 3]), random("w", &[vocabulary, 3]));
    let targets: Vec<u32> = (0..rows).map(|row| row * 233).collect();
    let op = HeadLoss::new(targets.clone(), None, true);
    let grads = h.apply_op2(&w, op).unwrap().backward().unwrap();
    let logits = h.matmul(&w.t().unwrap()).unwrap();
    let oracle =
        crate::training::composed::cross_entropy(&logits, &targets, None).unwrap().backward().unwrap();
    for input in [&h, &w] {
        let (ours, theirs) = (values(grads.get(input).unwrap()), values(oracle.get(input).unwrap()));
        let largest = theirs.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        let far = ours.iter().zip(&theirs).fold(0.0_f32, |max, (x, y)| max.max((x - y).abs()));
        assert!(far <= 5e-6 * largest, "{far} of {largest}");
    }
}

#[test]
fn attention() {
    let (heads, kv_heads, half, tokens) = (4, 2, 2, 9);
    let q = random("q", &[2, tokens, heads * half * 2]);
    let (k, v) =
        (random("k", &[2, tokens, kv_heads * half * 2]), random("v", &[2, tokens, kv_heads * half * 2]));
    let starts = Arc::new(vec![0, 0, 0, 0, 4, 4, 4, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (window, cap) in [(usize::MAX, None), (3, None), (usize::MAX, Some(1.0)), (1, Some(2.0))] {
        let op = Attention {
            rotary: Arc::new(Rotary::new(tokens, &[1.0, 0.01])),
            heads,
            kv_heads,
            starts: Arc::clone(&starts),
            window,
            scale: 0.4,
            cap,
        };
        compare(&[&q, &k, &v][usize::from(window == 1) * 2..], || q.apply_op3(&k, &v, op.clone()));
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (x, w) = (random("x", &[2, 5]), random("w", &[4, 6]));
    assert!(x.apply_op2(&w, Linear { weight_grad: true }).is_err());
    assert!(x.apply_op2(&w, Gated(Gate::SILU)).is_err());
}
