//! Decoding with a key-value cache, greedy or drawn: the yardstick for tests and for making the embedded student.
//!
//! A run's models are asked through the inference room; this decoder knows nothing of grammars or templates.

use super::config::DecoderConfig;
use super::error::TrainingError;
use super::lora::Adapter;
use super::ops::{
    Gate, Matrix, Rotary, add_to_rows, gated_in_place, multiply, rms_norm, rotate, soft_cap, softmax,
};
use super::weights::{self, Weights};
use crate::gym::rng::CounterRng;
use rayon::prelude::*;
use std::path::Path;

struct Layer {
    attention_norm: Vec<f32>,
    qkv: Vec<f32>,
    qkv_bias: Option<Vec<f32>>,
    /// Of every head of queries and of keys.
    head_norms: Option<(Vec<f32>, Vec<f32>)>,
    o: Vec<f32>,
    mlp_norm: Vec<f32>,
    /// Of what attention and feed-forward add.
    outer_norms: Option<(Vec<f32>, Vec<f32>)>,
    window: usize,
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
}

/// Chooses a token from logits: `(index of the prompt, place in the answer, logits)`.
type Choice<'choice> = dyn FnMut(usize, usize, &[f32]) -> u32 + 'choice;

/// A model ready to decode on the CPU in f32.
pub struct GreedyDecoder {
    config: DecoderConfig,
    embedding: Vec<f32>,
    head: Option<Vec<f32>>,
    norm: Vec<f32>,
    layers: Vec<Layer>,
}

/// One sequence in flight: per layer, its rotated keys and its values.
struct Sequence {
    index: usize,
    tokens: Vec<u32>,
    prompt: usize,
    position: usize,
    keys: Vec<Vec<f32>>,
    values: Vec<Vec<f32>>,
}

const BATCH: usize = 256;

impl GreedyDecoder {
    /// Reads a model folder and, if given, merges an adapter folder into it.
    pub fn load(folder: &Path, adapter: Option<&Path>) -> Result<Self, TrainingError> {
        let config = DecoderConfig::load(folder)?;
        let mut weights = weights::load(folder, &config)?;
        if let Some(folder) = adapter {
            let (adapter, variables) = Adapter::load(folder, &config)?;
            weights = adapter.merge(weights, &variables)?;
        }
        Self::new(&config, &weights)
    }

    pub(super) fn new(config: &DecoderConfig, weights: &Weights) -> Result<Self, TrainingError> {
        let get = |key: &str| -> Result<Vec<f32>, TrainingError> {
            let tensor = weights.get(key);
            let tensor =
                tensor.ok_or_else(|| TrainingError::tensor(Path::new("(memory)"), key, "is missing"))?;
            Ok(tensor.flatten_all()?.to_vec1::<f32>()?)
        };
        let family = config.family;
        let layers = (0..config.layers)
            .map(|layer| {
                let part = |name: &str| get(&format!("model.layers.{layer}.{name}"));
                let joined = |what: &str| -> Result<Vec<f32>, TrainingError> {
                    let parts = ["q", "k", "v"].map(|name| part(&format!("self_attn.{name}_proj.{what}")));
                    parts.into_iter().collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
                };
                let pair = |there: bool, first: &str, second: &str| -> Result<_, TrainingError> {
                    there.then(|| Ok((part(first)?, part(second)?))).transpose()
                };
                let outer = family.outer_norms();
                let mlp_norm = if outer { "pre_feedforward_layernorm" } else { "post_attention_layernorm" };
                let (after, last) = ("post_attention_layernorm.weight", "post_feedforward_layernorm.weight");
                let (q_norm, k_norm) = ("self_attn.q_norm.weight", "self_attn.k_norm.weight");
                Ok(Layer {
                    attention_norm: part("input_layernorm.weight")?,
                    qkv: joined("weight")?,
                    qkv_bias: family.biased().then(|| joined("bias")).transpose()?,
                    head_norms: pair(family.head_norms(), q_norm, k_norm)?,
                    o: part("self_attn.o_proj.weight")?,
                    mlp_norm: part(&format!("{mlp_norm}.weight"))?,
                    outer_norms: pair(outer, after, last)?,
                    gate: part("mlp.gate_proj.weight")?,
                    up: part("mlp.up_proj.weight")?,
                    down: part("mlp.down_proj.weight")?,
                    window: config.windows.get(layer).copied().flatten().unwrap_or(usize::MAX),
                })
            })
            .collect::<Result<Vec<_>, TrainingError>>()?;
        Ok(Self {
            config: config.clone(),
            embedding: get("model.embed_tokens.weight")?,
            head: if config.tied { None } else { Some(get("lm_head.weight")?) },
            norm: get("model.norm.weight")?,
            layers,
        })
    }

    /// Continues every prompt greedily until one of `ends` or `most` new tokens. Returns the new tokens, the
    /// end left out, in the order of the prompts. An empty prompt yields nothing.
    pub fn generate(&self, prompts: &[Vec<u32>], ends: &[u32], most: usize) -> Vec<Vec<u32>> {
        self.continued(prompts, ends, most, &mut |_, _, logits| best(logits.iter().copied()))
    }

    /// As [`generate`](Self::generate), with every token drawn from the distribution at `temperature`, by numbers
    /// of the seed, the index of the prompt and the place in the answer.
    pub fn draw(
        &self,
        prompts: &[Vec<u32>],
        ends: &[u32],
        most: usize,
        (temperature, seed): (f32, u64),
    ) -> Vec<Vec<u32>> {
        let rng = CounterRng::keyed(seed, "decode");
        self.continued(prompts, ends, most, &mut |index, place, logits| {
            // The largest of logits with Gumbel noise is a draw from their distribution.
            let mut rng = rng.child(index as u64).child(place as u64);
            best(logits.iter().map(|logit| logit / temperature - (-(1.0 - rng.unit()).ln()).ln() as f32))
        })
    }

    fn continued(
        &self,
        prompts: &[Vec<u32>],
        ends: &[u32],
        most: usize,
        choose: &mut Choice<'_>,
    ) -> Vec<Vec<u32>> {
        let mut order: Vec<usize> = (0..prompts.len()).filter(|&index| !prompts[index].is_empty()).collect();
        order.sort_by_key(|&index| prompts[index].len());
        let mut out = vec![Vec::new(); prompts.len()];
        for members in order.chunks(BATCH) {
            let mut active: Vec<Sequence> =
                members.iter().map(|&index| self.sequence(index, &prompts[index])).collect();
            let longest = members.iter().map(|&index| prompts[index].len()).max().unwrap_or(0) + most;
            let rotary = Rotary::new(longest, &self.config.frequencies());
            while !active.is_empty() {
                let next = self.advance(&mut active, &rotary, choose);
                for (sequence, token) in active.iter_mut().zip(next) {
                    sequence.position += 1;
                    if let Some(token) = token {
                        sequence.tokens.push(token);
                    }
                }
                active.retain_mut(|sequence| {
                    let new = sequence.tokens.get(sequence.prompt..).unwrap_or(&[]);
                    let ended = new.last().is_some_and(|token| ends.contains(token));
                    let full = new.len() >= most;
                    if ended || full {
                        let keep = new.len() - usize::from(ended);
                        if let Some(slot) = out.get_mut(sequence.index) {
                            *slot = new[..keep].to_vec();
                        }
                    }
                    !(ended || full)
                });
            }
        }
        out
    }

    /// Logits of the token after `prompt`; empty for an empty one.
    pub fn logits(&self, prompt: &[u32]) -> Vec<f32> {
        let rotary = Rotary::new(prompt.len(), &self.config.frequencies());
        let mut sequence = [self.sequence(0, prompt)];
        let mut states = Vec::new();
        for position in 0..prompt.len() {
            sequence[0].position = position;
            states = self.states(&mut sequence, &rotary);
        }
        self.head(&states)
    }

    fn sequence(&self, index: usize, prompt: &[u32]) -> Sequence {
        Sequence {
            index,
            tokens: prompt.to_vec(),
            prompt: prompt.len(),
            position: 0,
            keys: vec![Vec::new(); self.config.layers],
            values: vec![Vec::new(); self.config.layers],
        }
    }

    /// Feeds each sequence its token at `position`; the chosen next token where the prompt is through.
    fn advance(&self, active: &mut [Sequence], rotary: &Rotary, choose: &mut Choice<'_>) -> Vec<Option<u32>> {
        let states = self.states(active, rotary);
        self.next_tokens(active, &states, choose)
    }

    /// Feeds each sequence its token at `position`: [sequences, hidden] before the last norm.
    fn states(&self, active: &mut [Sequence], rotary: &Rotary) -> Vec<f32> {
        let config = &self.config;
        let (hidden, n) = (config.hidden, active.len());
        let (q_width, kv_width) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
        let mut x = Vec::with_capacity(n * hidden);
        let scale = config.embedding_scale() as f32;
        for sequence in active.iter() {
            let at = sequence.tokens[sequence.position] as usize * hidden;
            x.extend(self.embedding[at..at + hidden].iter().map(|x| x * scale));
        }
        let width = q_width + 2 * kv_width;
        let (mut normed, mut qkv) = (vec![0.0; n * hidden], vec![0.0; n * width]);
        let mut mixed = vec![0.0; n * q_width];
        let (mut gate, mut up) = (vec![0.0; n * config.intermediate], vec![0.0; n * config.intermediate]);
        let kind = if config.family.gelu() { Gate::GELU } else { Gate::SILU };
        let mut added = vec![0.0; n * hidden];
        for (index, layer) in self.layers.iter().enumerate() {
            self.norm(&x, &layer.attention_norm, &mut normed);
            product(&mut qkv, &normed, &layer.qkv, hidden);
            if let Some(bias) = &layer.qkv_bias {
                add_to_rows(&mut qkv, bias);
            }
            active
                .par_iter_mut()
                .zip(qkv.par_chunks_mut(width))
                .zip(mixed.par_chunks_mut(q_width))
                .for_each(|((sequence, qkv), out)| self.attend(sequence, index, rotary, qkv, out));
            product(&mut added, &mixed, &layer.o, q_width);
            self.add(&mut x, &added, layer.outer_norms.as_ref().map(|(norm, _)| norm), &mut normed);
            self.norm(&x, &layer.mlp_norm, &mut normed);
            product(&mut gate, &normed, &layer.gate, hidden);
            product(&mut up, &normed, &layer.up, hidden);
            gated_in_place(kind, &mut gate, &up);
            product(&mut added, &gate, &layer.down, config.intermediate);
            self.add(&mut x, &added, layer.outer_norms.as_ref().map(|(_, norm)| norm), &mut normed);
        }
        x
    }

    fn norm(&self, x: &[f32], weight: &[f32], out: &mut [f32]) {
        rms_norm(x, weight, self.config.family.norm_offset(), self.config.rms_eps as f32, out);
    }

    /// Adds to the residual stream, through a norm where there is one.
    fn add(&self, x: &mut [f32], added: &[f32], norm: Option<&Vec<f32>>, normed: &mut [f32]) {
        let added = match norm {
            Some(norm) => {
                self.norm(added, norm, normed);
                &*normed
            }
            None => added,
        };
        x.iter_mut().zip(added).for_each(|(x, y)| *x += y);
    }

    fn attend(
        &self,
        sequence: &mut Sequence,
        layer: usize,
        rotary: &Rotary,
        qkv: &mut [f32],
        out: &mut [f32],
    ) {
        let d = self.config.head_dim;
        let (q_width, kv_width) = (self.config.heads * d, self.config.kv_heads * d);
        let group = self.config.heads / self.config.kv_heads;
        let (cos, sin) = rotary.at(sequence.position);
        let (q, kv) = qkv.split_at(q_width);
        let (k, v) = kv.split_at(kv_width);
        let (keys, values) = (&mut sequence.keys[layer], &mut sequence.values[layer]);
        let norms = self.layers[layer].head_norms.as_ref();
        let (mut rotated, mut normed) = (vec![0.0; d], vec![0.0; d]);
        let mut turn = |head: &[f32], norm: Option<&Vec<f32>>, scale: f32, out: &mut [f32]| {
            let head = match norm {
                Some(norm) => {
                    self.norm(head, norm, &mut normed);
                    &normed
                }
                None => head,
            };
            rotate(head, cos, sin, 1.0, scale, out);
        };
        for k in k.chunks_exact(d) {
            turn(k, norms.map(|(_, norm)| norm), 1.0, &mut rotated);
            keys.extend_from_slice(&rotated);
        }
        values.extend_from_slice(v);
        let seen = (sequence.position + 1).min(self.layers[layer].window);
        let first = (sequence.position + 1 - seen) * kv_width;
        let mut scores = vec![0.0; seen];
        for (head, (q, out)) in q.chunks_exact(d).zip(out.chunks_exact_mut(d)).enumerate() {
            turn(q, norms.map(|(norm, _)| norm), self.config.score_scale as f32, &mut rotated);
            let at = head / group * d;
            for (score, key) in scores.iter_mut().zip(keys[first..].chunks_exact(kv_width)) {
                *score = key[at..at + d].iter().zip(&rotated).map(|(a, b)| a * b).sum();
            }
            if let Some(cap) = self.config.score_cap {
                soft_cap(&mut scores, cap as f32);
            }
            softmax(&mut scores);
            out.fill(0.0);
            for (score, value) in scores.iter().zip(values[first..].chunks_exact(kv_width)) {
                out.iter_mut().zip(&value[at..at + d]).for_each(|(out, v)| *out += score * v);
            }
        }
    }

    /// Logits of rows that have been through the layers.
    fn head(&self, rows: &[f32]) -> Vec<f32> {
        let hidden = self.config.hidden;
        let mut normed = vec![0.0; rows.len()];
        self.norm(rows, &self.norm, &mut normed);
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let mut logits = vec![0.0; rows.len() / hidden * self.config.vocabulary];
        product(&mut logits, &normed, head, hidden);
        if let Some(cap) = self.config.logit_cap {
            soft_cap(&mut logits, cap as f32);
        }
        logits
    }

    fn next_tokens(&self, active: &[Sequence], x: &[f32], choose: &mut Choice<'_>) -> Vec<Option<u32>> {
        let hidden = self.config.hidden;
        let wanted: Vec<bool> =
            active.iter().map(|sequence| sequence.position + 1 == sequence.tokens.len()).collect();
        let rows: Vec<f32> = x
            .chunks_exact(hidden)
            .zip(&wanted)
            .filter(|(_, wanted)| **wanted)
            .flat_map(|(row, _)| row.iter().copied())
            .collect();
        let logits = self.head(&rows);
        let mut rows = logits.chunks_exact(self.config.vocabulary);
        let mut chosen = |sequence: &Sequence| {
            let place = sequence.tokens.len() - sequence.prompt;
            Some(choose(sequence.index, place, rows.next()?))
        };
        wanted
            .into_iter()
            .zip(active)
            .map(|(wanted, sequence)| if wanted { chosen(sequence) } else { None })
            .collect()
    }
}

/// Index of the largest value, the first of equal ones.
fn best(row: impl Iterator<Item = f32>) -> u32 {
    let first = (0_u32, f32::NEG_INFINITY);
    row.zip(0_u32..).fold(first, |best, (x, id)| if x > best.1 { (id, x) } else { best }).0
}

/// `y = x W^T`; x has rows of `inner`.
fn product(y: &mut [f32], x: &[f32], w: &[f32], inner: usize) {
    let (rows, out) = (x.len() / inner, w.len() / inner);
    multiply(y, Matrix::new(x, rows, inner), Matrix::new(w, out, inner).t(), 1.0, false);
}
