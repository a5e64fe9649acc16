//! What is special to the qdrant-edge backend: crashes, damage, other models, its log, and recall against brute force.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::engine::vector::conformance::{DIMENSION, document, ids, namespace, open, point};

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
                for segment in std::fs::read_dir(dir.join("shard/segments")).unwrap() {
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
        let files = std::fs::read_dir(dir.path().join("shard/wal")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    for round in 0..24_u64 {
        let points = (0..3_000).map(|i| point(&ns, &doc, i, &[1., round as f32, i as f32, 0.])).collect();
        index.upsert(points).await.unwrap();
        if round % 6 == 5 {
            index.flush().await.unwrap();
            assert!(size() <= 3 * 4 * 1024 * 1024 + 4_096, "{} bytes of log after round {round}", size());
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
