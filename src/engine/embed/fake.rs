//! A strict stand-in for a model: vectors from hashed words, so that texts that share words are similar. For tests and
//! for trying the server without a model; it checks what the contract says instead of forgiving it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::{Embedder, ModelInfo};
use crate::base::error::{Error, Result};
use crate::base::tokens::TokenCounter;

/// Hashes words into `dimension` buckets.
#[derive(Debug)]
pub struct FakeEmbedder {
    model: ModelInfo,
    embedded: AtomicU64,
}

impl FakeEmbedder {
    /// A fake of the given dimension.
    pub fn new(dimension: usize) -> Self {
        let model = ModelInfo { name: "fake-words".to_owned(), revision: "1".to_owned(), dimension, tokens_max: 256 };
        Self { model, embedded: AtomicU64::new(0) }
    }

    /// The same under another revision: another model, as far as anybody can tell.
    #[must_use]
    pub fn revised(mut self, revision: &str) -> Self {
        revision.clone_into(&mut self.model.revision);
        self
    }

    /// Texts embedded so far, queries left out: what cache tests count.
    pub fn embedded(&self) -> u64 {
        self.embedded.load(Ordering::Relaxed)
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0_f32; self.model.dimension];
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let mut hasher = DefaultHasher::new();
            word.to_lowercase().hash(&mut hasher);
            vector[(hasher.finish() % self.model.dimension as u64) as usize] += 1.0;
        }
        if vector.iter().all(|&x| x == 0.0) {
            vector[0] = 1.0;
        }
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
        vector
    }
}

#[async_trait]
impl Embedder for FakeEmbedder {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        Arc::new(WordCounter)
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        for text in &texts {
            if text.is_empty() {
                return Err(Error::internal("an empty text was given to the embedder"));
            }
        }
        self.embedded.fetch_add(texts.len() as u64, Ordering::Relaxed);
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        Ok(self.vector(text))
    }
}

/// Counts words and punctuation.
#[derive(Debug, Clone, Copy)]
pub struct WordCounter;

impl TokenCounter for WordCounter {
    fn count(&self, text: &str) -> usize {
        self.starts(text).len()
    }

    fn starts(&self, text: &str) -> Vec<u32> {
        let mut starts = Vec::new();
        let mut in_word = false;
        for (at, c) in text.char_indices() {
            let word = c.is_alphanumeric();
            if (word && !in_word) || (!word && !c.is_whitespace()) {
                starts.push(at as u32);
            }
            in_word = word;
        }
        starts
    }
}
