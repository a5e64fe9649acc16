//! Scoring routes for a goal: pure functions over vectors and hashed words, no input or output.
//!
//! `rows` scans vectors, `head` is the linear classifier over them, `lexicon` matches words, `fusion` joins what they say,
//! `calibration` turns that into probabilities and decides when none fits, `groups` sorts a catalogue that nobody sorted. Which texts a route has is decided in `flow::route`.

pub mod calibration;
pub mod fusion;
pub mod groups;
pub mod head;
pub mod lexicon;
pub mod rows;
