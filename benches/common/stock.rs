//! A served data directory of a given size: real texts, synthetic vectors, built once and kept in cargo's target folder.
//!
//! The texts are crate sources, chunked by this project's parser. The vectors are clustered around real embeddings and
//! put into the embedding cache, from which the server's projection takes them, so nothing is embedded.

use std::path::{Path, PathBuf};

use hivemem::base::{Clock, EmbedKey, clock::SystemClock};
use hivemem::engine::catalog::Catalog;
use hivemem::engine::catalog::sqlite::SqliteCatalog;
use hivemem::engine::parse::CHUNKER_VERSION;
use hivemem::model::{DocumentWrite, Namespace};

use super::corpus::{self, Corpus};
use super::model::{Model, cores};
use super::report::{line, mib};
use super::server::Server;

/// Real texts whose embeddings are the centres of clusters.
const CENTRES: usize = 512;
/// Share of the centre in a synthetic vector: two of one cluster have a cosine of about its square.
const CENTRE_SHARE: f32 = 0.8;
/// Documents of one transaction.
const BATCH_DOCUMENTS: usize = 256;
/// Says that a directory was built to its end.
const STAMP: &str = "bench.stamp";

/// The directory with `count` chunks, made if it is not there; `None` if there are not so many sources.
pub async fn prepared(count: usize, model: &Model) -> Option<PathBuf> {
    let key = model.info.key();
    let dir = super::data_root().join(format!("{count}-chunks"));
    let wanted = format!("{count} chunks, chunker {CHUNKER_VERSION}, {key}\n");
    if std::fs::read_to_string(dir.join(STAMP)).is_ok_and(|stamp| stamp == wanted) {
        return Some(dir);
    }
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a writable target folder");
    let began = std::time::Instant::now();
    let written = fill(&dir, count, model).await;
    if written < count {
        println!("skipped: the crates in cargo's registry folder give only {written} chunks of {count}");
        return None;
    }
    let filled = began.elapsed();
    let server = Server::start(&dir);
    server.settled(&server.client().await).await;
    let figures = format!("texts and vectors {filled:.0?}, projections {:.0?}", began.elapsed() - filled);
    line(&format!("built {count} chunks"), &figures, "");
    line("peak resident memory while building", &format!("{:.0} MiB", mib(server.memory().peak)), "<= 1.2 GB");
    drop(server);
    std::fs::write(dir.join(STAMP), wanted).expect("a writable target folder");
    Some(dir)
}

/// Writes documents with `count` chunks and their vectors to a new catalogue; how many chunks there were.
async fn fill(dir: &Path, count: usize, model: &Model) -> usize {
    let catalog = SqliteCatalog::open(&dir.join("catalog.sqlite")).await.expect("a catalogue");
    let namespace = Namespace::new(super::NAMESPACE).expect("a valid name");
    catalog.create_namespace(&namespace, SystemClock.now()).await.expect("a namespace");
    let mut session = model.session(cores());
    let mut centres = Vec::new();
    let mut written = 0;
    for root in corpus::crates() {
        if written >= count {
            break;
        }
        let corpus = Corpus::read(&root);
        catalog.ensure_source(&namespace, &corpus.uri, SystemClock.now()).await.expect("a source");
        for files in corpus.files.chunks(BATCH_DOCUMENTS) {
            let mut writes: Vec<DocumentWrite> =
                files.iter().filter_map(|file| corpus.parse(file, &*model.counter)).collect();
            writes.retain(|write| {
                let wanted = written < count;
                written += if wanted { write.chunks.len() } else { 0 };
                wanted
            });
            if centres.len() < CENTRES {
                let texts = writes.iter().flat_map(|write| &write.chunks).step_by(7).map(|chunk| chunk.text.clone());
                let texts: Vec<String> = texts.take(CENTRES - centres.len()).collect();
                centres.extend(session.embed(texts, Some(8)).expect("a model that runs"));
            }
            let keys = writes.iter().flat_map(|write| &write.chunks).map(|chunk| chunk.embed_key);
            let vectors = keys.map(|key| (key, vector(key, &centres))).collect();
            catalog.write(&namespace, "bench", writes).await.expect("a write");
            catalog.cache_vectors(&model.info.key(), vectors).await.expect("a write");
        }
    }
    catalog.close().await.expect("a catalogue");
    written
}

/// A vector of unit length near one of `centres`, the same for the same key.
fn vector(key: EmbedKey, centres: &[Vec<f32>]) -> Vec<f32> {
    let mut state = u64::from_le_bytes(key.0[..8].try_into().expect("eight bytes")) | 1;
    let mut random = move || {
        // xorshift64 (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let at = usize::from(key.0[8]) << 8 | usize::from(key.0[9]);
    let centre = &centres[at % centres.len()];
    let mut noise: Vec<f32> = centre.iter().map(|_| random()).collect();
    scale(&mut noise, (1.0 - CENTRE_SHARE * CENTRE_SHARE).sqrt());
    let mut vector: Vec<f32> = centre.iter().zip(noise).map(|(centre, noise)| CENTRE_SHARE * centre + noise).collect();
    scale(&mut vector, 1.0);
    vector
}

fn scale(vector: &mut [f32], length: f32) {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value *= length / norm);
}
