//! (in the making)
use crate::base::error::{Error, Result};
use crate::base::tokens::TokenCounter;
use std::sync::Arc;
/// The counter for an OpenAI model or encoding name.
pub fn counter(model: &str) -> Result<Arc<dyn TokenCounter>> {
    Err(Error::invalid("model", format!("no tokenizer is known for model {model:?}")))
}
