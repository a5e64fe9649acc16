//! Text to vectors.
//!
//! # Contract
//! - Vectors have unit length and the model's dimension, in the order of the texts.
//! - The same text gives the same vector up to the noise of quantised arithmetic (cosine ≥ .99 between batch shapes).
//! - `embed_query` is served while a batch runs; it never waits for a whole ingest.
//! - A text longer than the model reads is cut by the model; chunking keeps texts below that.

use std::sync::Arc;

use async_trait::async_trait;

use crate::base::error::Result;
use crate::base::tokens::TokenCounter;

pub mod fake;
pub mod local;
pub mod recent;
pub mod wordpiece;

/// Which model made a vector. All four parts are stored with every cache entry and in every manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name.
    pub name: String,
    /// Digest of the weights, or a version.
    pub revision: String,
    /// Length of its vectors.
    pub dimension: usize,
    /// Tokens it reads of a text, special tokens included.
    pub tokens_max: usize,
}

impl ModelInfo {
    /// One string for name and revision: the model column of the embedding cache.
    pub fn key(&self) -> String {
        format!("{}@{}", self.name, self.revision)
    }
}

/// See the module's contract.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The model.
    fn model(&self) -> &ModelInfo;

    /// Its tokenizer, for sizing chunks.
    fn counter(&self) -> Arc<dyn TokenCounter>;

    /// Whether embedding a query takes all cores: whatever runs beside it then holds it up for longer than it takes itself, because
    /// each step of the model waits for its slowest thread.
    fn fills_cores(&self) -> bool {
        false
    }

    /// Embeds many texts; best called with hundreds, which are sorted by length and batched by tokens.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>>;

    /// Embeds one query, ahead of any batch.
    async fn embed_query(&self, text: &str) -> Result<Vec<f32>>;

    /// Embeds a few short texts that somebody waits for, such as the parts of a goal, ahead of any batch.
    async fn embed_queries(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            vectors.push(self.embed_query(text).await?);
        }
        Ok(vectors)
    }
}
