//! Chunks read lately with their documents, so that what is asked for again is not read again.
//!
//! This process is the only writer of its database, so the cache can be kept exact: a write that may change a document
//! says so once it is committed and before it is acknowledged ([`Recent::forget`]), and what a reader read before that
//! is not taken in after it ([`Recent::keep`]).

use std::collections::{HashMap, HashSet};

use crate::base::{ChunkId, DocumentId};
use crate::model::{Hydrated, Namespace};

/// Bytes of one of the two generations. A chunk takes about a kilobyte, so both hold some 30,000 of them.
const GENERATION_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes that a chunk takes beside its texts.
const CHUNK_BYTES: usize = 320;

/// How often something cached may have changed. Two readings with the same one saw the same state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch(u64);

/// The cache. Two generations instead of a list in order of use: what is used moves to the young one, and what was not
/// used while that filled up is dropped.
#[derive(Default)]
pub(super) struct Recent {
    epoch: Epoch,
    young: Generation,
    old: Generation,
}

#[derive(Default)]
struct Generation {
    chunks: HashMap<ChunkId, (Namespace, Hydrated)>,
    bytes: usize,
}

impl Recent {
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The chunk, if it is here and of `namespace`.
    pub(super) fn get(&mut self, namespace: &Namespace, id: ChunkId) -> Option<Hydrated> {
        if let Some((owner, found)) = self.young.chunks.get(&id) {
            return (owner == namespace).then(|| found.clone());
        }
        let (owner, found) = self.old.chunks.remove(&id)?;
        let given = (owner == *namespace).then(|| found.clone());
        self.put(owner, found);
        given
    }

    /// Takes in what was read since `epoch`, unless something changed since.
    pub(super) fn keep(&mut self, epoch: Epoch, namespace: &Namespace, read: &[Hydrated]) {
        if epoch == self.epoch {
            read.iter().for_each(|found| self.put(namespace.clone(), found.clone()));
        }
    }

    /// Drops all chunks of `documents`.
    pub(super) fn forget(&mut self, documents: &HashSet<DocumentId>) {
        self.epoch.0 += 1;
        for generation in [&mut self.young, &mut self.old] {
            generation.chunks.retain(|_, (_, found)| !documents.contains(&found.document.id));
            generation.bytes = generation.chunks.values().map(|(_, found)| bytes(found)).sum();
        }
    }

    fn put(&mut self, namespace: Namespace, found: Hydrated) {
        if self.young.bytes >= GENERATION_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += bytes(&found);
        if let Some((_, same)) = self.young.chunks.insert(found.chunk.id, (namespace, found)) {
            self.young.bytes -= bytes(&same);
        }
    }
}

/// About what a chunk takes; its share of the document is small.
fn bytes(found: &Hydrated) -> usize {
    let chunk = &found.chunk;
    let symbols: usize = chunk.symbols.iter().map(|symbol| symbol.len() + 24).sum();
    CHUNK_BYTES + chunk.text.len() + chunk.breadcrumb.len() + chunk.outline.len() + symbols
}
