//! Ranking and packing: pure functions over plain data, no input or output.
//!
//! `fusion` joins the channels, `signals` adds what else speaks for a chunk, `packing` chooses what fits a budget.

pub mod fusion;
pub mod packing;
pub mod signals;
