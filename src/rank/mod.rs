//! Ranking and packing: pure functions over plain data, no input or output.
//!
//! `weights` decides how much each channel counts, `fusion` joins them, `signals` adds what else speaks for a chunk, `packing` chooses what fits a budget, `routing` scores
//! tools for a goal, `metrics` judges a ranking against labels.

pub mod fusion;
pub mod linking;
pub mod metrics;
pub mod packing;
pub mod pagerank;
pub mod resemblance;
pub mod routing;
pub mod signals;
pub mod weights;
