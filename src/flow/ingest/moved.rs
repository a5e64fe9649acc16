//! Files that were moved or renamed keep their vectors.
//!
//! What is embedded of a chunk names its path, so for the cache alone a moved file is a new text, and a renamed folder would be
//! embedded whole. A path says little beside the text below it: the vectors made under the old one serve.

use std::collections::HashMap;

use super::super::Engines;
use crate::base::error::Result;
use crate::base::{ContentHash, DocumentId, EmbedKey};
use crate::engine::catalog::DocumentState;
use crate::model::{Chunk, DocumentWrite, Namespace};

/// Documents of a source that a listing did not name, by what is in them.
pub(super) struct Moved {
    gone: HashMap<ContentHash, DocumentId>,
}

impl Moved {
    /// Among what is stored and was not listed.
    pub fn among(stored: &HashMap<String, DocumentState>) -> Self {
        Self { gone: stored.values().map(|state| (state.content, state.id)).collect() }
    }

    /// Vectors for the chunks of those `writes` that have the content of one that is gone, as far as `model` made them. To be
    /// cached once the chunks are stored: the cache takes nothing that no chunk has.
    pub async fn vectors(
        &self,
        engines: &Engines,
        namespace: &Namespace,
        model: &str,
        writes: &[DocumentWrite],
    ) -> Result<Vec<(EmbedKey, Vec<f32>)>> {
        let came = |write: &DocumentWrite| self.gone.get(&write.document.content).copied();
        let before: Vec<DocumentId> = writes.iter().filter_map(came).collect();
        if before.is_empty() {
            return Ok(Vec::new());
        }
        let held = engines.catalog.document_chunks(namespace, &before).await?;
        let held: HashMap<(DocumentId, u32), &Chunk> =
            held.iter().map(|held| ((held.document.id, held.chunk.ordinal), &*held.chunk)).collect();
        let mut pairs: Vec<(EmbedKey, EmbedKey)> = Vec::new();
        for (write, id) in writes.iter().filter_map(|write| Some((write, came(write)?))) {
            for chunk in &write.chunks {
                let same = held.get(&(id, chunk.ordinal)).filter(|before| before.text == chunk.text);
                pairs.extend(same.map(|before| (before.embed_key, chunk.embed_key)));
            }
        }
        let keys = |of: fn(&(EmbedKey, EmbedKey)) -> EmbedKey| pairs.iter().map(of).collect::<Vec<_>>();
        let known = engines.catalog.cached_vectors(model, &keys(|pair| pair.0)).await?;
        let made = engines.catalog.cached_vectors(model, &keys(|pair| pair.1)).await?;
        let vectors = pairs.iter().filter(|(_, after)| !made.contains_key(after));
        Ok(vectors.filter_map(|(before, after)| Some((*after, known.get(before)?.clone()))).collect())
    }
}

/// Puts what [`Moved::vectors`] found into the cache. Where that fails, the chunks are embedded like any others: they are stored
/// already, and vectors are made whenever they are missing.
pub(super) async fn keep(engines: &Engines, model: &str, vectors: Result<Vec<(EmbedKey, Vec<f32>)>>) {
    let kept = match vectors {
        Ok(vectors) if vectors.is_empty() => Ok(()),
        Ok(vectors) => engines.catalog.cache_vectors(model, vectors).await,
        Err(error) => Err(error),
    };
    if let Err(error) = kept {
        tracing::warn!(error = %error.chain(), "files that were moved are embedded again");
    }
}
