//! The knowledge graph: loaded by namespace when it is first asked for, kept up with the log, asked by search and by people.
//!
//! It is a projection that lives in memory alone: its ground is what documents say (`facts` in the catalogue), so there is
//! nothing of it to flush, to repair or to migrate, and dropping it costs a second of loading.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use super::Engines;
use super::facts::is_prose;
use crate::base::error::Result;
use crate::base::limits::GRAPH_EDGES_MAX;
use crate::base::{DocumentId, Lsn, SourceId};
use crate::engine::catalog::StatedDocument;
use crate::engine::graph::{Graph, GraphDocument};
use crate::model::{DocumentKind, EdgeKind, Namespace, NodeKind};

mod describe;
pub mod expand;
pub mod link;
pub mod map;
#[cfg(test)]
mod reference_tests;
pub mod surround;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod walk;

pub use describe::{Edge, Node};

/// Documents read at a time while a graph is loaded.
const PAGE_DOCUMENTS: usize = 1_000;
/// Log entries applied in one step, under one lock.
const STEP_ENTRIES_MAX: usize = 256;
/// Entries that a search applies by itself rather than to answer without them.
const CATCH_UP_MAX: u64 = 64;

/// All graphs that are loaded.
#[derive(Debug)]
pub struct Graphs {
    loaded: Mutex<HashMap<Namespace, Arc<Loaded>>>,
    /// Counts the uses, to tell what was used last.
    uses: AtomicU64,
    /// Edges of all of them together.
    edges_max: usize,
}

impl Default for Graphs {
    fn default() -> Self {
        Self { loaded: Mutex::default(), uses: AtomicU64::default(), edges_max: GRAPH_EDGES_MAX }
    }
}

/// A graph and how far it is.
#[derive(Debug, Default)]
pub struct Loaded {
    graph: RwLock<Graph>,
    /// Position that it reflects; 0: it is not loaded yet.
    applied: AtomicU64,
    /// Held while it is loaded or brought up to date.
    moving: tokio::sync::Mutex<()>,
    used: AtomicU64,
}

impl Loaded {
    /// To look at. Not to be held over anything slow.
    pub fn read(&self) -> RwLockReadGuard<'_, Graph> {
        self.graph.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Position that it reflects.
    pub fn applied(&self) -> Lsn {
        Lsn(self.applied.load(Ordering::Acquire))
    }
}

impl Graphs {
    /// The graph of a namespace, loaded, and brought up to date unless it is far behind: then the follower does that.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn get(&self, engines: &Engines, namespace: &Namespace) -> Result<Arc<Loaded>> {
        let loaded = {
            let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(namespace.clone()).or_default())
        };
        loaded.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        if loaded.applied() == Lsn(0) {
            self.load(engines, namespace, &loaded).await?;
        }
        let behind = engines.catalog.head().await?.0.saturating_sub(loaded.applied().0);
        if behind > 0 && behind <= CATCH_UP_MAX {
            catch_up(engines, namespace, &loaded).await?;
        }
        Ok(loaded)
    }

    /// Brings all loaded graphs up to date. Returns whether there was anything to do.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn follow(&self, engines: &Engines) -> Result<bool> {
        let mut moved = false;
        for (namespace, loaded) in self.loaded() {
            moved |= catch_up(engines, &namespace, &loaded).await?;
            if loaded.read().is_worn() {
                let _one = loaded.moving.lock().await;
                fill(engines, &namespace, &loaded).await?;
            }
        }
        // They may have grown, here or where they were asked.
        self.make_room(None);
        Ok(moved)
    }

    /// The graphs that are loaded, by namespace.
    pub fn loaded(&self) -> Vec<(Namespace, Arc<Loaded>)> {
        let all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = all.iter().filter(|(_, loaded)| loaded.applied() != Lsn(0));
        ready.map(|(namespace, loaded)| (namespace.clone(), Arc::clone(loaded))).collect()
    }

    /// Loads all graphs anew that are loaded; the old ones answer meanwhile.
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn rebuild(&self, engines: &Engines) -> Result<()> {
        for (namespace, loaded) in self.loaded() {
            let _one = loaded.moving.lock().await;
            fill(engines, &namespace, &loaded).await?;
        }
        Ok(())
    }

    async fn load(&self, engines: &Engines, namespace: &Namespace, loaded: &Arc<Loaded>) -> Result<()> {
        let _one = loaded.moving.lock().await;
        if loaded.applied() == Lsn(0) {
            fill(engines, namespace, loaded).await?;
            self.make_room(Some(namespace));
        }
        Ok(())
    }

    /// Drops the graphs that were used longest ago until all together are within the limit. One stays whatever its size: the
    /// newest, or the one that was used last.
    fn make_room(&self, newest: Option<&Namespace>) {
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held: Vec<(u64, usize, Namespace)> = all
            .iter()
            .map(|(name, loaded)| (loaded.used.load(Ordering::Relaxed), loaded.read().edges(), name.clone()))
            .filter(|(_, edges, _)| *edges > 0)
            .collect();
        held.sort_unstable_by_key(|(used, _, namespace)| (newest == Some(namespace), *used));
        let mut edges: usize = held.iter().map(|(_, edges, _)| edges).sum();
        held.pop();
        for (_, own, namespace) in held {
            if edges <= self.edges_max {
                return;
            }
            edges -= own;
            all.remove(&namespace);
        }
    }
}

/// Loads a graph from the catalogue and puts it in its place; whoever calls holds `moving`. An old one answers meanwhile.
async fn fill(engines: &Engines, namespace: &Namespace, loaded: &Arc<Loaded>) -> Result<()> {
    // What is written while pages are read is in the log after this, and applied again.
    let head = engines.catalog.head().await?;
    let mut graph = Graph::default();
    graph.name_sources(sources(engines, namespace).await?);
    let mut after = 0;
    loop {
        let (page, last) = engines.catalog.facts_after(namespace, after, PAGE_DOCUMENTS).await?;
        if page.is_empty() {
            break;
        }
        after = last;
        graph = engines
            .door
            .run(move || {
                graph.load(page.into_iter().map(document).collect());
                Ok(graph)
            })
            .await?;
    }
    graph = engines
        .door
        .run(move || {
            graph.settle_all();
            Ok(graph)
        })
        .await?;
    tracing::debug!(%namespace, documents = graph.documents(), nodes = graph.nodes(), edges = graph.edges(), "graph loaded");
    *loaded.graph.write().unwrap_or_else(PoisonError::into_inner) = graph;
    loaded.applied.store(head.0.max(1), Ordering::Release);
    Ok(())
}

async fn sources(engines: &Engines, namespace: &Namespace) -> Result<Vec<(SourceId, String)>> {
    let sources = engines.catalog.sources(namespace).await?;
    Ok(sources.into_iter().map(|source| (source.id, source.uri)).collect())
}

/// Applies what the log says of a namespace since its graph stands where it does.
async fn catch_up(engines: &Engines, namespace: &Namespace, loaded: &Arc<Loaded>) -> Result<bool> {
    let _one = loaded.moving.lock().await;
    let mut moved = false;
    loop {
        let entries = engines.catalog.read_log(loaded.applied(), STEP_ENTRIES_MAX).await?;
        let Some(end) = entries.last().map(|entry| entry.lsn) else { return Ok(moved) };
        let named: BTreeSet<DocumentId> =
            entries.into_iter().filter(|entry| entry.namespace == *namespace).map(|entry| entry.document).collect();
        if !named.is_empty() {
            let named: Vec<DocumentId> = named.into_iter().collect();
            let found = engines.catalog.facts(namespace, &named).await?;
            let known = found.iter().all(|one| loaded.read().knows_source(one.document.source));
            let new = if known { Vec::new() } else { sources(engines, namespace).await? };
            let held = Arc::clone(loaded);
            engines
                .background
                .run(move || {
                    let gone: Vec<DocumentId> =
                        named.into_iter().filter(|id| !found.iter().any(|one| one.document.id == *id)).collect();
                    let documents = found.into_iter().map(document).collect();
                    let mut graph = held.graph.write().unwrap_or_else(PoisonError::into_inner);
                    graph.name_sources(new);
                    graph.remove(&gone);
                    graph.put(documents);
                    Ok(())
                })
                .await?;
        }
        loaded.applied.store(end.0, Ordering::Release);
        moved = true;
    }
}

/// What the graph needs of a document.
fn document(stated: StatedDocument) -> GraphDocument {
    let StatedDocument { document, chunks, facts } = stated;
    let label = |prefix: &str, kind| {
        let of = move |tag: &String| tag.strip_prefix(prefix).map(|name| (EdgeKind::MadeBy, kind, name.to_owned()));
        document.tags.iter().find_map(of)
    };
    let labels = label("run:", NodeKind::Run).into_iter().chain(label("node:", NodeKind::Task)).collect();
    let overlay = link::overlay(&document.metadata);
    GraphDocument {
        overlay,
        id: document.id,
        source: document.source,
        prose: is_prose(document.kind),
        memory: document.kind == DocumentKind::Memory,
        uri: document.uri,
        path: document.path,
        title: document.title,
        language: document.language,
        role: document.role,
        content: document.content,
        chunks,
        labels,
        facts,
    }
}
