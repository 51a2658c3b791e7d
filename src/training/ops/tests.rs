//! Every operation's backward pass against central finite differences.

use super::{Attention, CrossEntropy, Linear, LoraLinear, RmsNorm, Rotary, SwiGlu};
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
    compare(&[&x, &w], || x.apply_op2(&w, RmsNorm { eps: 1e-5, weight_grad: true }));
}

#[test]
fn swiglu() {
    let (gate, up) = (random("gate", &[5, 7]), random("up", &[5, 7]));
    compare(&[&gate, &up], || gate.apply_op2(&up, SwiGlu));
}

#[test]
fn cross_entropy() {
    let logits = random("logits", &[4, 19]);
    compare(&[&logits], || logits.apply_op1(CrossEntropy::new(vec![3, 0, 18, 7])));
    assert!(logits.apply_op1(CrossEntropy::new(vec![3, 0, 19, 7])).is_err(), "a target outside");
}

#[test]
fn attention() {
    let (heads, kv_heads, half, tokens) = (4, 2, 2, 9);
    let q = random("q", &[2, tokens, heads * half * 2]);
    let (k, v) =
        (random("k", &[2, tokens, kv_heads * half * 2]), random("v", &[2, tokens, kv_heads * half * 2]));
    let starts = vec![0, 0, 0, 0, 4, 4, 4, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let op = Attention {
        rotary: Arc::new(Rotary::new(tokens, half * 2, 10_000.0)),
        heads,
        kv_heads,
        starts: Arc::new(starts),
    };
    compare(&[&q, &k, &v], || q.apply_op3(&k, &v, op.clone()));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (x, w) = (random("x", &[2, 5]), random("w", &[4, 6]));
    assert!(x.apply_op2(&w, Linear { weight_grad: true }).is_err());
    assert!(x.apply_op2(&w, SwiGlu).is_err());
}
