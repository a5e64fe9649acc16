//! Questions embedded lately, so that who asks the same again does not wait for the model.
//!
//! Swarms repeat themselves: a node gathers its context, is routed, fails and is tried again with the same words, and its siblings
//! ask about the goal that they share. The model is most of what a search costs. Texts that are stored have the embedding cache of
//! the catalogue; this one is of questions, lives in memory only, and belongs to one model.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lru::LruCache;

use super::{Embedder, ModelInfo};
use crate::base::error::Result;
use crate::base::tokens::TokenCounter;

/// Calls that are remembered. With their vectors, of one text mostly, they take some two megabytes.
const CALLS_MAX: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Texts and bytes of a call beyond which it is not remembered: nobody sends such a thing twice by chance.
const TEXTS_MAX: usize = 16;
/// See [`TEXTS_MAX`].
const BYTES_MAX: usize = 4096;

/// An embedder that remembers what its queries gave.
///
/// Calls are remembered as a whole: a text embedded beside others gives a slightly other vector (see the contract), and an answer
/// must not depend on what was asked before.
pub struct RecentQueries {
    inner: Arc<dyn Embedder>,
    calls: Mutex<LruCache<Vec<String>, Vec<Vec<f32>>>>,
}

impl std::fmt::Debug for RecentQueries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecentQueries").field("model", self.inner.model()).finish_non_exhaustive()
    }
}

impl RecentQueries {
    /// Over `inner`.
    pub fn new(inner: Arc<dyn Embedder>) -> Self {
        Self { inner, calls: Mutex::new(LruCache::new(CALLS_MAX)) }
    }

    fn calls(&self) -> MutexGuard<'_, LruCache<Vec<String>, Vec<Vec<f32>>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn recall(
        &self,
        texts: &[String],
        embed: impl Future<Output = Result<Vec<Vec<f32>>>>,
    ) -> Result<Vec<Vec<f32>>> {
        if texts.len() > TEXTS_MAX || texts.iter().map(String::len).sum::<usize>() > BYTES_MAX {
            return embed.await;
        }
        if let Some(vectors) = self.calls().get(texts) {
            return Ok(vectors.clone());
        }
        let vectors = embed.await?;
        self.calls().put(texts.to_vec(), vectors.clone());
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for RecentQueries {
    fn model(&self) -> &ModelInfo {
        self.inner.model()
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        self.inner.counter()
    }

    fn fills_cores(&self) -> bool {
        self.inner.fills_cores()
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        self.inner.embed(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let embed = async { Ok(vec![self.inner.embed_query(text).await?]) };
        let vectors = self.recall(&[text.to_owned()], embed).await?;
        Ok(vectors.into_iter().next().unwrap_or_default())
    }

    async fn embed_queries(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        self.recall(texts, self.inner.embed_queries(texts)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::fake::FakeEmbedder;
    use super::*;
    use crate::base::error::Error;

    /// Counts the calls that reach the model; fails those about "broken".
    struct Counted(FakeEmbedder, AtomicUsize);

    #[async_trait]
    impl Embedder for Counted {
        fn model(&self) -> &ModelInfo {
            self.0.model()
        }

        fn counter(&self) -> Arc<dyn TokenCounter> {
            self.0.counter()
        }

        async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
            self.0.embed(texts).await
        }

        async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            if text.contains("broken") { Err(Error::internal("broken")) } else { self.0.embed_query(text).await }
        }
    }

    fn recent() -> (Arc<Counted>, RecentQueries) {
        let counted = Arc::new(Counted(FakeEmbedder::new(16), AtomicUsize::new(0)));
        (Arc::clone(&counted), RecentQueries::new(counted))
    }

    #[tokio::test]
    async fn the_same_question_reaches_the_model_once_and_gets_the_same_vector() {
        let (counted, recent) = recent();
        let first = recent.embed_query("open a file").await.unwrap();
        assert_eq!(recent.embed_query("open a file").await.unwrap(), first);
        assert_eq!(counted.0.embed_query("open a file").await.unwrap(), first);
        assert_ne!(recent.embed_query("close a file").await.unwrap(), first);
        assert_eq!(counted.1.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn several_texts_are_remembered_together_in_their_order() {
        let (counted, recent) = recent();
        let texts = ["open a file".to_owned(), "send a mail".to_owned()];
        let vectors = recent.embed_queries(&texts).await.unwrap();
        assert_eq!(recent.embed_queries(&texts).await.unwrap(), vectors);
        assert_eq!(counted.1.load(Ordering::Relaxed), 2);
        let swapped = recent.embed_queries(&[texts[1].clone(), texts[0].clone()]).await.unwrap();
        assert_eq!(swapped, [vectors[1].clone(), vectors[0].clone()]);
        assert_eq!(counted.1.load(Ordering::Relaxed), 4, "texts in another order are another call");
    }

    #[tokio::test]
    async fn failures_and_huge_questions_are_asked_again_and_the_oldest_are_dropped() {
        let (counted, recent) = recent();
        let huge = "word ".repeat(BYTES_MAX);
        for _ in 0..2 {
            assert!(recent.embed_query("broken").await.is_err());
            recent.embed_query(&huge).await.unwrap();
        }
        assert_eq!(counted.1.load(Ordering::Relaxed), 4);
        for number in 0..=CALLS_MAX.get() {
            recent.embed_query(&format!("question {number}")).await.unwrap();
        }
        let before = counted.1.load(Ordering::Relaxed);
        recent.embed_query(&format!("question {CALLS_MAX}")).await.unwrap();
        assert_eq!(counted.1.load(Ordering::Relaxed), before, "the latest is there");
        recent.embed_query("question 0").await.unwrap();
        assert_eq!(counted.1.load(Ordering::Relaxed), before + 1, "the oldest is not");
    }
}
