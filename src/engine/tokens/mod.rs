//! Token counters of the models that contexts are packed for.

use std::sync::Arc;

use crate::base::error::Result;
use crate::base::tokens::TokenCounter;

pub mod openai;

/// The name of what [`counter_for`] counts with: an encoding, or the local model.
pub fn encoding_for(model: &str, local_name: &str) -> String {
    openai::encoding_name(model).unwrap_or(local_name).to_owned()
}

/// The counter for a model by name; `local` is the embedder's own, used for its name and `local`.
///
/// # Errors
/// Invalid for a name that nobody knows, listing what is known.
pub fn counter_for(model: &str, local_name: &str, local: &Arc<dyn TokenCounter>) -> Result<Arc<dyn TokenCounter>> {
    if model == local_name || model == "local" {
        return Ok(Arc::clone(local));
    }
    openai::counter(model)
}
