//! Tests of the room as a whole: gradients, packing, merging, determinism, folders and refusals.

mod embedded;
mod folders;
mod golden;
mod gradients;
mod orders;
pub(super) mod support;
