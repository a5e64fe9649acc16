//! The parts of a search without this project around them: fastembed, qdrant-edge and tantivy, called in place.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fastembed::TextEmbedding;
use hivemem::base::ContentHash;
use hivemem::engine::lexical::analyzer;
use hivemem::engine::vector::edge::beam;
use qdrant_edge::{EdgeShard, QuantizationSearchParams, SearchParams, SearchRequest};
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Index, Searcher, Term};

use super::model::{Model, cores};

/// Candidates that the server asks of each channel for ten hits.
pub const CANDIDATES: usize = hivemem::base::limits::CANDIDATES_MIN;

/// The bare engines over a copy of a served data directory.
pub struct Bare {
    session: Mutex<TextEmbedding>,
    shard: EdgeShard,
    searcher: Searcher,
    body: Field,
}

impl Bare {
    /// Opens them beside a server that serves `dir`: the words in place, the vectors, which one process holds, as a copy.
    pub fn open(dir: &Path, model: &Model) -> Self {
        let copy = dir.with_extension("vectors");
        let _ = std::fs::remove_dir_all(&copy);
        let from = shard_of_bench(&dir.join("vector/1"));
        let copied = std::process::Command::new("cp").arg("-r").args([&from, &copy]).status().expect("cp");
        assert!(copied.success(), "{} cannot be copied", from.display());
        let index = Index::open_in_dir(dir.join("lexical/1")).expect("a lexical index");
        let body = index.schema().get_field("body").expect("the field of all words");
        Self {
            session: Mutex::new(model.session(cores().min(4))),
            shard: EdgeShard::load(&copy, None).expect("a vector index"),
            searcher: index.reader().expect("a lexical index").searcher(),
            body,
        }
    }

    /// Embeds one query.
    pub fn embed(&self, query: &str) -> Vec<f32> {
        let mut session = self.session.lock().expect("no panic");
        session.embed([query], Some(1)).expect("a model that runs").pop().expect("a vector")
    }

    /// The best candidates by vector, with the beam that the server uses.
    pub fn vectors(&self, vector: Vec<f32>) -> usize {
        let params = SearchParams {
            hnsw_ef: Some(beam(CANDIDATES)),
            quantization: Some(QuantizationSearchParams {
                ignore: false,
                rescore: Some(true),
                oversampling: Some(1.5),
            }),
            ..SearchParams::default()
        };
        let request = SearchRequest {
            query: vector.into(),
            filter: None,
            params: Some(params),
            limit: CANDIDATES,
            offset: 0,
            with_payload: None,
            with_vector: None,
            score_threshold: None,
        };
        self.shard.search(request).expect("a vector index").len()
    }

    /// The best candidates by BM25 over the analysed words of `query`.
    pub fn words(&self, query: &str) -> usize {
        let mut words = analyzer::terms(query);
        words.sort_unstable();
        words.dedup();
        let clause = |word: String| -> (Occur, Box<dyn Query>) {
            let term = Term::from_field_text(self.body, &word);
            (Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)))
        };
        let query = BooleanQuery::new(words.into_iter().map(clause).collect());
        self.searcher.search(&query, &TopDocs::with_limit(CANDIDATES).order_by_score()).expect("a lexical index").len()
    }

    /// Embedding on this thread and BM25 on another at the same time.
    pub fn embed_beside_words(&self, query: &str) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.words(query));
            self.embed(query);
        });
    }

    /// Both channels at the same time, the least that a hybrid search can take.
    pub fn both_channels(&self, query: &str) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.words(query));
            self.vectors(self.embed(query));
        });
    }
}

/// The shard of the bench's namespace, beside that of the server's own documentation. Named by the namespace's hash, as the index
/// does it.
fn shard_of_bench(directory: &Path) -> PathBuf {
    let name = ContentHash::of(super::NAMESPACE.as_bytes()).to_string();
    let folder = directory.join(&name[..32]);
    assert!(folder.is_dir(), "{} is not in the vector index", folder.display());
    folder
}
