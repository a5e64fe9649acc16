//! What is special to the qdrant-edge backend: crashes, damage, other models, its log, and recall against brute force.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::engine::vector::conformance::{DIMENSION, document, ids, namespace, open, point, unit};
use crate::engine::vector::fake::FakeVectorIndex;
use crate::model::DocumentKind;

/// A way to open a directory again.
type Reopen = Box<dyn Fn(&Path) -> Opened>;

async fn filled(directory: &Path) -> EdgeIndex {
    let Opened { index, fresh } = open(directory);
    assert!(fresh);
    let ns = namespace("a");
    index.upsert(vec![point(&ns, &Arc::new(document(&ns, "a")), 0, &[1., 0., 0., 0.])]).await.unwrap();
    index.flush().await.unwrap();
    index
}

/// The directory of the namespace "a".
fn shard_of_a(directory: &Path) -> PathBuf {
    directory.join(&ContentHash::of(b"a").to_string()[..32])
}

#[tokio::test]
async fn what_was_flushed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()).await);
    for _ in 0..2 {
        let Opened { index, fresh } = open(dir.path());
        assert!(!fresh);
        assert_eq!(index.stats().await.unwrap().points, 1);
    }
}

#[tokio::test]
async fn an_index_that_was_never_flushed_is_fresh_again() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let Opened { index, fresh } = open(dir.path());
        assert!(fresh, "the caller may have crashed before it heard of it");
        let ns = namespace("a");
        index.upsert(vec![point(&ns, &Arc::new(document(&ns, "a")), 0, &[1., 0., 0., 0.])]).await.unwrap();
        // The destructor flushes; that must not count.
        drop(index);
    }
    assert_eq!(open(dir.path()).index.stats().await.unwrap().points, 0);
}

/// A crash: the files as they are in the middle of everything, seen by another process.
#[tokio::test]
async fn a_copy_taken_without_flush_opens_and_takes_a_replay() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let index = filled(dir.path()).await;
    let ns = namespace("a");
    let doc = Arc::new(document(&ns, "b"));
    let later = vec![point(&ns, &doc, 0, &[0., 1., 0., 0.]), point(&ns, &doc, 1, &[0., 0., 1., 0.])];
    index.upsert(later.clone()).await.unwrap();
    let copied =
        std::process::Command::new("cp").arg("-r").args([dir.path().join("."), copy.path().to_owned()]).status();
    assert!(copied.unwrap().success());
    let Opened { index, fresh } = open(copy.path());
    assert!(!fresh);
    index.upsert(later.clone()).await.unwrap();
    let found = index.search(later[0].vector.clone(), &Filter::all(ns), 1).await.unwrap();
    assert_eq!(ids(&found), [later[0].chunk]);
    assert_eq!(index.stats().await.unwrap().points, 3);
}

/// Making a shard may fail half-way, on a full disk say; the follower tries again in the same process.
#[tokio::test]
async fn what_a_failed_making_of_a_shard_left_does_not_stop_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path()).index;
    let ns = namespace("a");
    let left = Shard::create(&shard_of_a(dir.path()), ns.clone(), index.inner.config.clone()).unwrap();
    drop(left);
    let points = vec![point(&ns, &Arc::new(document(&ns, "a")), 0, &[1., 0., 0., 0.])];
    index.upsert(points).await.unwrap();
    index.flush().await.unwrap();
    assert_eq!(index.stats().await.unwrap().points, 1);
}

/// A kill in the middle of a flush: qdrant writes payloads and their indexes first and the ids last, so that they may be
/// of different moments. The replay has to make it good whichever of them are the newer ones.
#[tokio::test]
async fn a_flush_that_was_cut_off_between_its_files_is_made_good_by_the_replay() {
    for newer in [&["payload_index"][..], &["payload_index", "payload_storage"], &["payload_storage"]] {
        let (dir, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let copy = |what: &Path, to: &Path| {
            let copied = std::process::Command::new("cp").arg("-rT").args([what, to]).status();
            assert!(copied.unwrap().success());
        };
        let index = filled(dir.path()).await;
        let ns = namespace("a");
        let (old, new) = (document(&ns, "a"), Arc::new(document(&ns, "b")));
        let later: Vec<_> = (0..9).map(|at| point(&ns, &new, at, &[0., 1., 0., 0.])).collect();
        index.delete_documents(&ns, &[old.id]).await.unwrap();
        index.upsert(later.clone()).await.unwrap();
        copy(dir.path(), cut.path());
        index.flush().await.unwrap();
        let segments = |of: &Path| shard_of_a(of).join("segments");
        for segment in std::fs::read_dir(segments(dir.path())).unwrap() {
            let name = segment.unwrap().file_name();
            for part in newer {
                let part = Path::new(&name).join(part);
                std::fs::remove_dir_all(segments(cut.path()).join(&part)).unwrap();
                copy(&segments(dir.path()).join(&part), &segments(cut.path()).join(&part));
            }
        }
        let Opened { index, fresh } = open(cut.path());
        assert!(!fresh);
        // Meanwhile most of the second document's chunks went again.
        index.delete_documents(&ns, &[old.id, new.id]).await.unwrap();
        index.upsert(later[..2].to_vec()).await.unwrap();
        index.flush().await.unwrap();
        drop(index);
        let index = open(cut.path()).index;
        assert_eq!(index.stats().await.unwrap().points, 2, "{newer:?}");
        let of = |document: &crate::model::Document| Filter {
            sources: vec![document.source],
            documents: Some(vec![document.id]),
            ..Filter::all(ns.clone())
        };
        let found = index.search(vec![0., 1., 0., 0.], &of(&new), 20).await.unwrap();
        assert_eq!(found.len(), 2, "{newer:?}");
        assert!(index.search(vec![1., 0., 0., 0.], &of(&old), 20).await.unwrap().is_empty(), "{newer:?}");
    }
}

#[tokio::test]
async fn another_model_or_dimension_or_damage_means_fresh() {
    let reopen_as = |dimension, model: &'static str| {
        move |dir: &Path| EdgeIndex::open(dir, dimension, model, EdgeSettings::default(), Door::new(1)).unwrap()
    };
    let cases: [(&str, Reopen); 4] = [
        ("model", Box::new(reopen_as(DIMENSION, "model-2"))),
        ("dimension", Box::new(reopen_as(5, "model-1"))),
        (
            "manifest",
            Box::new(|dir: &Path| {
                std::fs::write(dir.join("manifest.json"), "{").unwrap();
                open(dir)
            }),
        ),
        (
            "segments",
            Box::new(|dir: &Path| {
                for segment in std::fs::read_dir(shard_of_a(dir).join("segments")).unwrap() {
                    std::fs::write(segment.unwrap().path().join("segment.json"), "{").unwrap();
                }
                open(dir)
            }),
        ),
    ];
    for (what, reopen) in cases {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()).await);
        let Opened { index, fresh } = reopen(dir.path());
        assert!(fresh, "{what}");
        assert_eq!(index.stats().await.unwrap().points, 0, "{what}");
    }
}

#[tokio::test]
async fn the_log_stays_short_and_goes_on_counting() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = filled(dir.path()).await;
    let ns = namespace("a");
    let doc = Arc::new(document(&ns, "b"));
    let size = || -> u64 {
        let files = std::fs::read_dir(shard_of_a(dir.path()).join("wal")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    for round in 0..24_u64 {
        let points = (0..3_000).map(|i| point(&ns, &doc, i, &[1., round as f32, i as f32, 0.])).collect();
        index.upsert(points).await.unwrap();
        if round % 6 == 5 {
            index.flush().await.unwrap();
            assert!(size() <= 3 * 1024 * 1024 + 4_096, "{} bytes of log after round {round}", size());
        }
        if round % 12 == 11 {
            drop(index);
            index = open(dir.path()).index;
        }
    }
    // Would a lost count make new operations look old, the last round's vectors would not be there.
    let vector = point(&ns, &doc, 0, &[1., 23., 0., 0.]).vector;
    let found = index.search(vector, &Filter::all(ns.clone()), 1).await.unwrap();
    assert!(found[0].score > 0.999, "{found:?}");
    assert_eq!(index.stats().await.unwrap().points, 3_001);
}

#[tokio::test]
async fn an_index_in_use_is_not_wiped_by_a_second_server() {
    let dir = tempfile::tempdir().unwrap();
    let index = filled(dir.path()).await;
    let refused = EdgeIndex::open(dir.path(), DIMENSION, "model-1", EdgeSettings::default(), Door::new(1));
    assert_eq!(refused.err().unwrap().kind(), Kind::Conflict);
    drop(index);
    assert_eq!(open(dir.path()).index.stats().await.unwrap().points, 1);
}

/// Unit vectors around centers: what embeddings of texts about different things look like.
struct Clusters {
    random: u64,
    centers: Vec<Vec<f32>>,
}

impl Clusters {
    fn new(dimension: usize, count: usize) -> Self {
        let mut clusters = Self { random: 42, centers: Vec::new() };
        clusters.centers = (0..count).map(|_| (0..dimension).map(|_| clusters.noise()).collect()).collect();
        clusters
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound
    }

    /// Roughly Gaussian.
    fn noise(&mut self) -> f32 {
        (0..4).map(|_| self.below(2_001) as f32 / 1_000.0 - 1.0).sum()
    }

    fn vector(&mut self) -> (usize, Vec<f32>) {
        let cluster = self.below(self.centers.len() as u64) as usize;
        let values: Vec<f32> =
            (0..self.centers[cluster].len()).map(|i| self.centers[cluster][i] + 0.9 * self.noise()).collect();
        (cluster, unit(&values))
    }
}

struct Corpus {
    points: Vec<VectorPoint>,
    queries: Vec<Vec<f32>>,
}

const CORPUS_DIMENSION: usize = 32;

/// 26,000 points, 24,000 of them in "a"; kind and language go together with the cluster, tags do not.
fn corpus() -> Corpus {
    let mut clusters = Clusters::new(CORPUS_DIMENSION, 120);
    let names = [namespace("a"), namespace("b")];
    let points = (0..26_000_usize).map(|i| {
        let (cluster, vector) = clusters.vector();
        let namespace = &names[usize::from(i >= 24_000)];
        let mut document = document(namespace, &format!("{i}"));
        document.kind = if cluster % 3 == 0 { DocumentKind::Code } else { DocumentKind::Text };
        document.tags =
            [10, 100, 1_000].iter().filter(|&every| i % every == 0).map(|every| format!("t{every}")).collect();
        VectorPoint { vector, ..point(namespace, &Arc::new(document), 0, &[1.0]) }
    });
    let points = points.collect();
    Corpus { points, queries: (0..40).map(|_| clusters.vector().1).collect() }
}

async fn recall(index: &EdgeIndex, oracle: &FakeVectorIndex, corpus: &Corpus, filter: &Filter, limit: usize) -> f64 {
    let (mut found, mut expected) = (0, 0);
    for query in &corpus.queries {
        let best = ids(&oracle.search(query.clone(), filter, limit).await.unwrap());
        let got = ids(&index.search(query.clone(), filter, limit).await.unwrap());
        expected += best.len();
        found += best.iter().filter(|chunk| got.contains(chunk)).count();
    }
    found as f64 / expected as f64
}

#[tokio::test]
async fn a_filter_never_costs_recall() {
    let dir = tempfile::tempdir().unwrap();
    let open = |directory: &Path| {
        EdgeIndex::open(directory, CORPUS_DIMENSION, "m", EdgeSettings::default(), Door::new(2)).unwrap().index
    };
    let (index, oracle, corpus) = (open(dir.path()), FakeVectorIndex::new(CORPUS_DIMENSION), corpus());
    for batch in corpus.points.chunks(4_000) {
        index.upsert(batch.to_vec()).await.unwrap();
        oracle.upsert(batch.to_vec()).await.unwrap();
    }
    assert!(index.optimize().await.unwrap());
    index.flush().await.unwrap();
    let stats = index.stats().await.unwrap();
    assert_eq!((stats.points, stats.indexed_points), (26_000, 24_000), "the small namespace is scanned");
    drop(index);
    let index = open(dir.path());
    let all = Filter::all(namespace("a"));
    let tagged = |tag: &str| Filter { tags: vec![tag.to_owned()], ..all.clone() };
    let filters = [
        ("unfiltered", all.clone()),
        ("10 %", tagged("t10")),
        ("1 %", tagged("t100")),
        ("0.1 %", tagged("t1000")),
        ("a third, by cluster", Filter { kinds: vec![DocumentKind::Code], ..all.clone() }),
        ("two thirds, by cluster", Filter { kinds: vec![DocumentKind::Text], ..all.clone() }),
        ("another namespace", Filter::all(namespace("b"))),
    ];
    for (what, filter) in &filters {
        let (at_10, at_100) =
            (recall(&index, &oracle, &corpus, filter, 10).await, recall(&index, &oracle, &corpus, filter, 100).await);
        println!("{what}: recall@10 {at_10:.4}, recall@100 {at_100:.4}");
        assert!(at_10 >= 0.99 && at_100 >= 0.98, "{what}: recall@10 {at_10}, recall@100 {at_100}");
    }
}
