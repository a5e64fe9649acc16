//! A strict in-memory [`LexicalIndex`] for tests: naive BM25, and a panic for whoever breaks the contract.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{LexicalDocument, LexicalIndex, LexicalQuery, analyzer};
use crate::base::error::Result;
use crate::base::{ChunkId, DocumentId, Lsn};
use crate::model::{Candidate, Chunk, Document, Filter, HeldChunk, Namespace};

type Key = (Namespace, DocumentId);

/// See the module.
#[derive(Default)]
pub struct FakeLexicalIndex {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: Vec<Change>,
    documents: BTreeMap<Key, LexicalDocument>,
    applied: Lsn,
}

enum Change {
    Put(Box<LexicalDocument>),
    Delete(Key),
}

impl FakeLexicalIndex {
    /// An empty index at log position 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a crash leaves: everything since the last commit is gone.
    pub fn crash(&self) {
        self.state().pending.clear();
    }

    /// The chunks that can be found, sorted; one that is there twice comes twice.
    pub fn chunks(&self) -> Vec<ChunkId> {
        let state = self.state();
        let mut chunks: Vec<ChunkId> =
            state.documents.values().flat_map(|entry| entry.chunks.iter().map(|chunk| chunk.id)).collect();
        chunks.sort();
        chunks
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn passing<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = (&'a Document, &'a Chunk)> {
        self.documents
            .iter()
            .filter(|((namespace, _), entry)| *namespace == filter.namespace && filter.admits(&entry.document))
            .flat_map(|(_, entry)| entry.chunks.iter().map(|chunk| (entry.document.as_ref(), chunk)))
    }
}

fn body(document: &Document, chunk: &Chunk) -> Vec<String> {
    let mut terms = analyzer::terms(&chunk.text);
    for _ in 0..3 {
        terms.extend(analyzer::terms(&document.path));
    }
    for _ in 0..2 {
        terms.extend(analyzer::terms(&chunk.symbols.join("\n")));
    }
    terms.extend(analyzer::terms(document.title.as_deref().unwrap_or_default()));
    terms.extend(analyzer::terms(&chunk.breadcrumb));
    terms
}

fn best(mut found: Vec<Candidate>, limit: usize) -> Vec<Candidate> {
    found.retain(|candidate| candidate.score > 0.0);
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.chunk.cmp(&b.chunk)));
    found.truncate(limit);
    found
}

#[async_trait]
impl LexicalIndex for FakeLexicalIndex {
    async fn replace(&self, documents: Vec<LexicalDocument>) -> Result<()> {
        let mut state = self.state();
        for entry in documents {
            let id = entry.document.id;
            assert_eq!(
                id,
                DocumentId::derive(entry.namespace.as_str(), &entry.document.uri),
                "a document's id is derived"
            );
            let mut seen: HashSet<ChunkId> = HashSet::new();
            for chunk in &entry.chunks {
                assert_eq!(chunk.document, id, "a chunk of another document");
                assert!(seen.insert(chunk.id), "the chunk {} twice", chunk.id);
            }
            state.pending.push(Change::Put(Box::new(entry)));
        }
        Ok(())
    }

    async fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        let deleted = documents.iter().map(|&id| Change::Delete((namespace.clone(), id)));
        self.state().pending.extend(deleted);
        Ok(())
    }

    async fn commit(&self, applied: Lsn) -> Result<()> {
        let mut state = self.state();
        assert!(applied >= state.applied, "commit({applied}) after {}", state.applied);
        for change in std::mem::take(&mut state.pending) {
            match change {
                Change::Put(entry) => {
                    state.documents.insert((entry.namespace.clone(), entry.document.id), *entry);
                }
                Change::Delete(key) => {
                    state.documents.remove(&key);
                }
            }
        }
        state.applied = applied;
        Ok(())
    }

    fn applied(&self) -> Lsn {
        self.state().applied
    }

    async fn search(&self, query: &LexicalQuery, filter: &Filter, limit: usize) -> Result<Vec<Candidate>> {
        let state = self.state();
        let all: Vec<Vec<String>> =
            state.documents.values().flat_map(|entry| entry.chunks.iter().map(|c| body(&entry.document, c))).collect();
        let average = all.iter().map(Vec::len).sum::<usize>() as f32 / all.len().max(1) as f32;
        let mut counts: HashMap<String, f32> = HashMap::new();
        for term in analyzer::terms(&query.text) {
            *counts.entry(term).or_default() += 1.0;
        }
        let score = |terms: &[String]| -> f32 {
            let of_term = |(term, repeats): (&String, &f32)| {
                let frequency = terms.iter().filter(|t| *t == term).count() as f32;
                let having = all.iter().filter(|terms| terms.contains(term)).count() as f32;
                let idf = (1.0 + (all.len() as f32 - having + 0.5) / (having + 0.5)).ln();
                let norm = 1.2 * (0.25 + 0.75 * terms.len() as f32 / average);
                9.0 * repeats / (8.0 + repeats) * idf * 2.2 * frequency / (frequency + norm)
            };
            counts.iter().map(of_term).sum()
        };
        let found = state
            .passing(filter)
            .map(|(document, chunk)| Candidate { chunk: chunk.id, score: score(&body(document, chunk)) });
        Ok(best(found.collect(), limit))
    }

    async fn count(&self) -> Result<u64> {
        Ok(self.state().documents.values().map(|entry| entry.chunks.len() as u64).sum())
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        let mut namespaces: Vec<_> = self.state().documents.keys().map(|(namespace, _)| namespace.clone()).collect();
        namespaces.dedup();
        Ok(namespaces)
    }

    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>> {
        let filter = Filter { documents: documents.map(<[DocumentId]>::to_vec), ..Filter::all(namespace.clone()) };
        let state = self.state();
        let held = state.passing(&filter).map(|(document, chunk)| HeldChunk { document: document.id, chunk: chunk.id });
        Ok(held.collect())
    }

    async fn compact(&self) -> Result<bool> {
        Ok(false)
    }
}
