//! The gradients of a step: one buffer per variable, added to by every micro-batch and kept over the steps.

use super::model::Variables;
use super::ops;
use candle_core::{Error, Result, Tensor};

/// One variable's.
struct Part {
    name: String,
    sum: Vec<f32>,
    /// Whether anything was added since the last [`Gradients::clear`], zeros included.
    reached: bool,
}

/// Gradients in the order of their variables, whose index is also called their slot.
pub(super) struct Gradients {
    parts: Vec<Part>,
}

fn no_slot() -> Error {
    Error::Msg("a gradient without its variable".to_owned()).bt()
}

impl Gradients {
    /// Zeros for every variable.
    pub(super) fn of(variables: &Variables) -> Self {
        let part = |(name, variable): (&String, &candle_core::Var)| Part {
            name: name.clone(),
            sum: vec![0.0; variable.elem_count()],
            reached: false,
        };
        Self { parts: variables.iter().map(part).collect() }
    }

    /// Back to zeros.
    pub(super) fn clear(&mut self) {
        for part in &mut self.parts {
            part.sum.fill(0.0);
            part.reached = false;
        }
    }

    /// Where some variables' gradients are to be added. The slots must differ.
    pub(super) fn slots<const N: usize>(&mut self, slots: [usize; N]) -> Result<[&mut [f32]; N]> {
        let parts = self.parts.get_disjoint_mut(slots).map_err(|_| no_slot())?;
        Ok(parts.map(|part| {
            part.reached = true;
            part.sum.as_mut_slice()
        }))
    }

    /// Where a trained variable's gradient is to be added; nothing for one that is frozen.
    pub(super) fn slot(&mut self, slot: Option<usize>) -> Result<Option<&mut [f32]>> {
        slot.map(|slot| self.slots([slot]).map(|[sum]| sum)).transpose()
    }

    /// Adds a gradient that was worked out on some device.
    pub(super) fn add_tensor(&mut self, slot: usize, gradient: &Tensor, share: f64) -> Result<()> {
        let [sum] = self.slots([slot])?;
        let gradient = (gradient.flatten_all()? * share)?.to_vec1::<f32>()?;
        ops::add(sum, &gradient);
        Ok(())
    }

    /// Adds those of the same variables from another device.
    pub(super) fn add(&mut self, other: &Self) {
        for (own, other) in self.parts.iter_mut().zip(&other.parts) {
            if other.reached {
                own.reached = true;
                ops::add(&mut own.sum, &other.sum);
            }
        }
    }

    /// Every variable's name with its gradient, if it got one.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&[f32]>)> {
        self.parts.iter().map(|part| (part.name.as_str(), part.reached.then_some(part.sum.as_slice())))
    }
}
