//! Whether a new embedding model is good enough to answer: both models rank a labelled set, and the new one may lose only
//! so much against the old one.
//!
//! Documents of the set are cut and given headers by the code that ingests them, each model with its own tokenizer, and are
//! held in memory only. What is compared is nDCG@10 of vector search alone, exact, by the best chunk of each document: the
//! other channels are the same for both and would hide a difference. The verdict is kept in the catalogue, so a start does
//! not measure again what was measured before; the loss that is allowed is not part of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Engines;
use super::apply::Projector;
use super::put::{self, InputDocument};
use crate::base::error::{Error, Result};
use crate::base::limits::APPLY_CHUNKS_MAX;
use crate::base::{ContentHash, Lsn, SourceId};
use crate::engine::catalog::{Catalog, Source};
use crate::engine::embed::Embedder;
use crate::engine::parse::formats::apart::Reader;
use crate::engine::parse::{CHUNKER_VERSION, ChunkSizes};
use crate::model::Namespace;
use crate::rank::metrics::{K, mean_ranks, rank_documents};

/// Name of the verdict's record.
const RECORD: &str = "vector.gate";
/// Documents cut at a time: at the limit for one document, 16 of them are 64 MiB.
const CUT_DOCUMENTS: usize = 16;
/// Chunks embedded between two looks at whether the server stops.
const EMBED_CHUNKS: usize = APPLY_CHUNKS_MAX / 4;
/// Far below what one place of one question changes, far above the noise of adding up.
const ROUNDING: f64 = 1e-9;

/// A question of the set.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is asked.
    pub text: String,
    /// How relevant documents are, by URI.
    pub gains: HashMap<String, u32>,
}

/// A labelled set, and what a new model may lose on it.
#[derive(Debug)]
pub struct Gate {
    name: String,
    documents: Vec<InputDocument>,
    questions: Vec<Question>,
    loss_max: f64,
    digest: ContentHash,
}

/// What two models reach on a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// Digest of the set and of how it is cut.
    set: String,
    old: String,
    new: String,
    /// nDCG@10 of each, 0 to 1.
    old_ndcg: f64,
    new_ndcg: f64,
}

impl Gate {
    /// A gate over the documents and questions of the set `name`; `loss_max` of nDCG@10 may be lost.
    ///
    /// # Errors
    /// Invalid if a document could not be stored either; not found if no question wants a document of the set, which would
    /// let every model pass.
    pub fn new(
        name: String,
        documents: Vec<InputDocument>,
        mut questions: Vec<Question>,
        loss_max: f64,
    ) -> Result<Self> {
        documents.iter().try_for_each(put::check)?;
        let held: BTreeSet<&str> = documents.iter().map(|document| document.uri.as_str()).collect();
        questions.retain(|asked| asked.gains.iter().any(|(uri, gain)| *gain > 0 && held.contains(uri.as_str())));
        if questions.is_empty() {
            return Err(Error::not_found("no question wants a document of the corpus in qrels.tsv"));
        }
        let digest = digest(&documents, &questions);
        Ok(Self { name, documents, questions, loss_max, digest })
    }

    /// The verdict over two models, if this set was measured with them before.
    pub(super) async fn kept(
        &self,
        catalog: &dyn Catalog,
        sizes: ChunkSizes,
        old: &dyn Embedder,
        new: &dyn Embedder,
    ) -> Result<Option<Verdict>> {
        let Some((_, text)) = catalog.checkpoint(RECORD).await? else { return Ok(None) };
        // One that cannot be read is made again.
        let verdict = serde_json::from_str::<Verdict>(&text).ok();
        let (set, old, new) = (self.measured(sizes), old.model().key(), new.model().key());
        Ok(verdict.filter(|verdict| verdict.set == set && verdict.old == old && verdict.new == new))
    }

    /// The kept verdict, or a new one, which is kept.
    ///
    /// # Errors
    /// Those of the models and of the catalogue; unavailable if the server stops.
    pub(super) async fn judge(
        self: &Arc<Self>,
        engines: &Engines,
        projector: &Projector,
        old: &Arc<dyn Embedder>,
        new: &Arc<dyn Embedder>,
    ) -> Result<Verdict> {
        if let Some(verdict) = self.kept(&*engines.catalog, engines.sizes, &**old, &**new).await? {
            return Ok(verdict);
        }
        let (was, is) = (old.model().key(), new.model().key());
        tracing::info!(model = is, set = self.name, "the new model is compared with the one that answers");
        let verdict = Verdict {
            set: self.measured(engines.sizes),
            old: was,
            new: is,
            old_ndcg: self.ndcg(engines, projector, old).await?,
            new_ndcg: self.ndcg(engines, projector, new).await?,
        };
        let text = serde_json::to_string(&verdict)
            .map_err(|cause| Error::internal("cannot encode a verdict").caused_by(cause))?;
        engines.catalog.set_checkpoint(RECORD, Lsn(0), &text).await?;
        Ok(verdict)
    }

    /// Why the new model may not answer and what to do, if it may not.
    pub(super) fn refusal(&self, verdict: &Verdict) -> Option<String> {
        let Verdict { old, new, old_ndcg, new_ndcg, .. } = verdict;
        (old_ndcg - new_ndcg > self.loss_max + ROUNDING).then(|| {
            format!(
                "the model {new} is not used: nDCG@10 {new_ndcg:.3} on {}, {old_ndcg:.3} of the model {old} that \
                 answers, and {} may be lost; configure another model, or raise embedder.gate_loss_max or empty \
                 embedder.gate, and start again",
                self.name, self.loss_max
            )
        })
    }

    /// Says in the log that the new model passed.
    pub(super) fn log_passed(&self, verdict: &Verdict) {
        let Verdict { old, new, old_ndcg, new_ndcg, .. } = verdict;
        tracing::info!(old, new, old_ndcg, new_ndcg, set = self.name, "the new model is good enough to take over");
    }

    fn measured(&self, sizes: ChunkSizes) -> String {
        format!("{} chunker {CHUNKER_VERSION} {}+{}", self.digest, sizes.tokens_max, sizes.header_tokens_max)
    }

    /// nDCG@10 of searching the set by vectors of `embedder`.
    async fn ndcg(
        self: &Arc<Self>,
        engines: &Engines,
        projector: &Projector,
        embedder: &Arc<dyn Embedder>,
    ) -> Result<f64> {
        let mut asked = Vec::with_capacity(self.questions.len());
        for question in &self.questions {
            asked.push(embedder.embed_query(&question.text).await?);
            projector.check_running()?;
        }
        let asked = Arc::new(asked);
        let mut best: Vec<Vec<Found>> = vec![Vec::new(); asked.len()];
        for first in (0..self.documents.len()).step_by(CUT_DOCUMENTS) {
            let texts = self.cut(engines, first, embedder).await?;
            for texts in texts.chunks(EMBED_CHUNKS) {
                let (places, texts): (Vec<usize>, Vec<String>) = texts.iter().cloned().unzip();
                let vectors = embedder.embed(texts).await?;
                let (asked, mut lists) = (Arc::clone(&asked), std::mem::take(&mut best));
                let merged = engines.background.run(move || {
                    let vectors: Vec<(usize, Vec<f32>)> = places.into_iter().zip(vectors).collect();
                    asked.iter().zip(&mut lists).for_each(|(asked, best)| merge(asked, &vectors, best));
                    Ok(lists)
                });
                best = merged.await?;
                projector.check_running()?;
            }
        }
        let scores: Vec<_> = self
            .questions
            .iter()
            .zip(&best)
            .map(|(question, best)| {
                let ranking: Vec<&str> = best.iter().map(|found| self.documents[found.document].uri.as_str()).collect();
                rank_documents(&ranking, &question.gains)
            })
            .collect();
        Ok(mean_ranks(&scores).ndcg_10)
    }

    /// What is embedded of the documents from `first` on, each chunk with its document's place. One that can't be parsed has
    /// no chunks, as in the server.
    async fn cut(
        self: &Arc<Self>,
        engines: &Engines,
        first: usize,
        embedder: &Arc<dyn Embedder>,
    ) -> Result<Vec<(usize, String)>> {
        let (gate, counter) = (Arc::clone(self), embedder.counter());
        let (sizes, now) = (engines.sizes, engines.clock.now());
        engines
            .background
            .run(move || {
                let namespace = Namespace::new("default")?;
                let source =
                    Source { id: SourceId::derive(namespace.as_str(), put::INLINE_SOURCE), uri: String::new() };
                let mut texts = Vec::new();
                for (place, document) in gate.documents.iter().enumerate().skip(first).take(CUT_DOCUMENTS) {
                    let built =
                        put::build(document.clone(), &namespace, &source, now, (&Reader::Here, sizes), &*counter);
                    let Ok(held) = built else { continue };
                    let text = |chunk| super::build::embed_text(&held.document, chunk, sizes, &*counter);
                    texts.extend(held.chunks.iter().map(|chunk| (place, text(chunk))));
                }
                Ok(texts)
            })
            .await
    }
}

/// A document of the set, by its place in it, and the cosine of its best chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    document: usize,
    score: f32,
}

/// Takes chunks into the best [`K`] documents for a question. A document whose chunks come in two calls counts once.
fn merge(asked: &[f32], chunks: &[(usize, Vec<f32>)], best: &mut Vec<Found>) {
    let cosine = |vector: &[f32]| asked.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
    best.extend(chunks.iter().map(|(document, vector)| Found { document: *document, score: cosine(vector) }));
    best.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.document.cmp(&b.document)));
    let mut seen = BTreeSet::new();
    best.retain(|found| seen.insert(found.document));
    best.truncate(K);
}

/// Changes with anything that could change a measurement.
fn digest(documents: &[InputDocument], questions: &[Question]) -> ContentHash {
    // Lengths before texts, so that no two sets give the same bytes.
    fn put(bytes: &mut Vec<u8>, part: &[u8]) {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    let mut bytes = Vec::new();
    put(&mut bytes, &(documents.len() as u64).to_le_bytes());
    for document in documents {
        let title = document.title.as_deref().unwrap_or_default();
        [document.uri.as_bytes(), title.as_bytes(), &document.content]
            .into_iter()
            .for_each(|part| put(&mut bytes, part));
    }
    for question in questions {
        put(&mut bytes, question.text.as_bytes());
        let mut gains: Vec<(&String, &u32)> = question.gains.iter().collect();
        gains.sort();
        put(&mut bytes, &(gains.len() as u64).to_le_bytes());
        for (uri, gain) in gains {
            put(&mut bytes, uri.as_bytes());
            put(&mut bytes, &gain.to_le_bytes());
        }
    }
    ContentHash::of(&bytes)
}

#[cfg(test)]
mod tests;
