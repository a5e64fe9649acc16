//! The real engines over a folder, without the model: for what is measured without embedding.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hivemem::base::blocking::Door;
use hivemem::base::clock::SystemClock;
use hivemem::base::error::Result;
use hivemem::base::tokens::TokenCounter;
use hivemem::engine::catalog::sqlite::SqliteCatalog;
use hivemem::engine::catalog::{Catalog, Registry, Runs};
use hivemem::engine::embed::{Embedder, ModelInfo};
use hivemem::engine::lexical::tantivy::{TantivyIndex, TantivySettings};
use hivemem::engine::store::local::LocalStore;
use hivemem::engine::vector::edge::{EdgeIndex, EdgeSettings};
use hivemem::flow::Engines;
use hivemem::flow::rebuild::{Space, Words};
use hivemem::flow::slot::Slot;
use hivemem::flow::turns::Turns;

use super::corpus::SIZES;
use super::model::{Model, cores};

/// A model whose batches never end: what runs beside it is measured without embedding, with the real tokenizer.
struct Paused {
    info: ModelInfo,
    counter: Arc<dyn TokenCounter>,
}

#[async_trait]
impl Embedder for Paused {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.counter)
    }

    async fn embed(&self, _texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        std::future::pending().await
    }

    async fn embed_query(&self, _text: &str) -> Result<Vec<f32>> {
        std::future::pending().await
    }
}

/// Engines with their data in `dir`.
pub async fn open(dir: &Path, model: &Model) -> Engines {
    let dimension = model.info.dimension;
    let vectors = EdgeIndex::open(&dir.join("vector"), dimension, "bench", EdgeSettings::default(), Door::new(4));
    let words = TantivyIndex::open(&dir.join("lexical"), TantivySettings::default(), Door::new(4));
    let embedder: Arc<dyn Embedder> =
        Arc::new(Paused { info: model.info.clone(), counter: Arc::clone(&model.counter) });
    let catalog = Arc::new(SqliteCatalog::open(&dir.join("catalog.sqlite")).await.expect("a catalogue"));
    Engines {
        catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
        registry: Arc::clone(&catalog) as Arc<dyn Registry>,
        runs: Arc::clone(&catalog) as Arc<dyn Runs>,
        inventory: catalog,
        space: Arc::new(Slot::new(Space {
            generation: 1,
            embedder: Arc::clone(&embedder),
            vectors: Arc::new(vectors.expect("a vector index").index),
        })),
        words: Arc::new(Slot::new(Words { generation: 1, index: Arc::new(words.expect("a lexical index")) })),
        embedder,
        graphs: Arc::default(),
        counters: Arc::default(),
        rebuilding: Arc::default(),
        turns: Turns::default(),
        background: Door::background(cores()),
        store: Arc::new(LocalStore::default()),
        clock: Arc::new(SystemClock),
        door: Door::new(cores() * 4),
        reader: hivemem::engine::parse::formats::apart::Reader::Here,
        far: Door::new(4),
        sizes: *SIZES,
        lasting: false,
    }
}
