//! Helpers for tests of flows.

use std::sync::Arc;

use super::Engines;
use super::rebuild::{Space, Words};
use super::slot::Slot;
use super::turns::Turns;
use crate::base::blocking::Door;
use crate::base::clock::SystemClock;
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::engine::embed::Embedder;
use crate::engine::embed::fake::FakeEmbedder;
use crate::engine::lexical::fake::FakeLexicalIndex;
use crate::engine::parse::ChunkSizes;
use crate::engine::store::local::LocalStore;
use crate::engine::vector::fake::FakeVectorIndex;

const DIMENSION: usize = 8;

/// Engines that hold everything in memory and read real files.
pub(crate) async fn engines() -> Engines {
    let embedder: Arc<dyn Embedder> = Arc::new(FakeEmbedder::new(DIMENSION));
    let vectors = Arc::new(FakeVectorIndex::new(DIMENSION));
    Engines {
        catalog: Arc::new(SqliteCatalog::in_memory().await.unwrap()),
        space: Arc::new(Slot::new(Space { generation: 1, embedder: Arc::clone(&embedder), vectors })),
        words: Arc::new(Slot::new(Words { generation: 1, index: Arc::new(FakeLexicalIndex::new()) })),
        embedder,
        turns: Turns::default(),
        rebuilding: Arc::default(),
        store: Arc::new(LocalStore::default()),
        clock: Arc::new(SystemClock),
        door: Door::new(8),
        background: Door::background(2),
        sizes: ChunkSizes { tokens_max: 100, header_tokens_max: 20 },
    }
}
