//! What is special to the tantivy backend: crashes, damage, versions, and its fast paths against a plain oracle.

use std::path::Path;

use super::*;
use crate::base::ChunkId;
use crate::engine::lexical::conformance::{entry, ids, namespace, open, query};
use crate::engine::lexical::fake::FakeLexicalIndex;

async fn filled(directory: &Path) -> TantivyIndex {
    let index = open(directory);
    index.replace(vec![entry(&namespace("a"), "a.txt", &["committed fox"])]).await.unwrap();
    index.commit(Lsn(41)).await.unwrap();
    index
}

async fn assert_empty_but_usable(directory: &Path) {
    let index = open(directory);
    assert_eq!(index.applied(), Lsn(0), "the caller is told to start over");
    assert_eq!(index.count().await.unwrap(), 0);
    drop(index);
    let index = filled(directory).await;
    assert_eq!(index.count().await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_not_committed_is_gone_after_reopening_and_the_rest_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let index = filled(dir.path()).await;
    index.replace(vec![entry(&namespace("a"), "b.txt", &["uncommitted fox"])]).await.unwrap();
    index.delete_documents(&namespace("a"), &[entry(&namespace("a"), "a.txt", &[]).document.id]).await.unwrap();
    drop(index);
    for _ in 0..2 {
        let index = open(dir.path());
        assert_eq!(index.applied(), Lsn(41));
        let found = index.search(&query("fox"), &Filter::all(namespace("a")), 10).await.unwrap();
        assert_eq!(ids(&found), [entry(&namespace("a"), "a.txt", &["committed fox"]).chunks[0].id]);
    }
}

/// A kill between the files of a commit and its `meta.json`: the replay may write files of the same names, which count
/// operations. How many lie before the commit is not ours to know, so several numbers are tried.
#[tokio::test]
async fn what_a_commit_that_was_cut_off_left_does_not_stop_its_replay() {
    // So many that the removal of a few is no reason to rewrite them.
    let all: Vec<_> = (0..20).map(|at| entry(&namespace("a"), &format!("{at}.txt"), &["a fox"])).collect();
    for removals in 1..=4 {
        let dir = tempfile::tempdir().unwrap();
        let index = open(dir.path());
        index.replace(all.clone()).await.unwrap();
        index.commit(Lsn(41)).await.unwrap();
        let meta = std::fs::read(dir.path().join("meta.json")).unwrap();
        let gone: Vec<_> = all[..removals].iter().map(|entry| entry.document.id).collect();
        index.delete_documents(&namespace("a"), &gone[..1]).await.unwrap();
        index.commit(Lsn(42)).await.unwrap();
        drop(index);
        std::fs::write(dir.path().join("meta.json"), meta).unwrap();
        let index = open(dir.path());
        assert_eq!((index.applied(), index.count().await.unwrap()), (Lsn(41), 20));
        index.delete_documents(&namespace("a"), &gone).await.unwrap();
        index.commit(Lsn(42)).await.unwrap();
        assert_eq!(index.count().await.unwrap(), 20 - removals as u64);
    }
}

#[tokio::test]
async fn an_index_of_another_version_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()).await);
    std::fs::write(dir.path().join(MANIFEST), "{\"engine\":\"tantivy 0.1\"}").unwrap();
    assert_empty_but_usable(dir.path()).await;
}

#[tokio::test]
async fn a_damaged_index_is_built_again() {
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 4] = [
        ("no manifest", |dir| std::fs::remove_file(dir.join(MANIFEST)).unwrap()),
        ("no meta", |dir| std::fs::remove_file(dir.join("meta.json")).unwrap()),
        ("half a meta", |dir| std::fs::write(dir.join("meta.json"), "{\"index_set").unwrap()),
        ("lost segments", |dir| {
            for file in std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|extension| extension == "term" || extension == "idx") {
                    std::fs::write(file, b"").unwrap();
                }
            }
        }),
    ];
    for (what, damage) in damage {
        println!("{what}");
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()).await);
        damage(dir.path());
        assert_empty_but_usable(dir.path()).await;
    }
}

#[tokio::test]
async fn an_index_in_use_is_not_wiped_by_a_second_server() {
    let dir = tempfile::tempdir().unwrap();
    let index = filled(dir.path()).await;
    let refused = TantivyIndex::open(dir.path(), TantivySettings::default(), Door::new(1)).err().unwrap();
    assert_eq!(refused.kind(), Kind::Precondition);
    assert_eq!(index.search(&query("fox"), &Filter::all(namespace("a")), 10).await.unwrap().len(), 1);
    drop(index);
    assert_eq!(open(dir.path()).applied(), Lsn(41));
}

/// Texts of a small vocabulary with a skew, several segments, deletions: what pruning, filters and ties have to survive.
async fn fill_both(index: &TantivyIndex, fake: &FakeLexicalIndex) -> Vec<LexicalDocument> {
    let mut random: u64 = 7;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut entries = Vec::new();
    for i in 0..600 {
        let texts: Vec<String> = (0..=next(3))
            .map(|_| {
                let words = 5 + next(20);
                let mut word = || next(26).min(next(26)) as u8;
                (0..words).map(|_| format!("w{} ", char::from(b'a' + word()))).collect()
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut entry = entry(&namespace(if i % 3 == 0 { "a" } else { "b" }), &format!("{i}"), &texts);
        let document = Arc::make_mut(&mut entry.document);
        document.tags = (i % 100 == 0).then(|| "rare".to_owned()).into_iter().collect();
        entries.push(entry);
    }
    for (i, batch) in entries.chunks(150).enumerate() {
        for index in [index as &dyn LexicalIndex, fake] {
            index.replace(batch.to_vec()).await.unwrap();
            let gone: Vec<DocumentId> = batch.iter().step_by(10).map(|entry| entry.document.id).collect();
            if i % 2 == 1 {
                index.delete_documents(&namespace("a"), &gone).await.unwrap();
            }
            index.commit(Lsn(i as u64 + 1)).await.unwrap();
        }
    }
    entries
}

#[tokio::test]
async fn pruning_and_filters_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (index, fake) = (open(dir.path()), FakeLexicalIndex::new());
    let entries = fill_both(&index, &fake).await;
    assert_eq!(index.count().await.unwrap(), fake.count().await.unwrap());
    let all = Filter::all(namespace("b"));
    // More documents than are looked up one by one: the unknown ones must not matter.
    let mut many: Vec<DocumentId> = (0..3_000).map(DocumentId::from_u128).collect();
    many.extend(entries.iter().step_by(2).map(|entry| entry.document.id));
    let filters = [
        all.clone(),
        Filter::all(namespace("a")),
        Filter { tags: vec!["rare".to_owned()], ..all.clone() },
        Filter { documents: Some(many), ..all.clone() },
        Filter { documents: Some(vec![entries[1].document.id, entries[2].document.id]), ..all },
    ];
    agree(&index, &fake, &filters).await;
    // What was worked out of a segment still holds once some of it is deleted, or it is merged with others.
    for (at, entry) in (10..).zip(entries.iter().skip(3).step_by(7)) {
        for index in [&index as &dyn LexicalIndex, &fake] {
            index.delete_documents(&entry.namespace, &[entry.document.id]).await.unwrap();
            index.commit(Lsn(at)).await.unwrap();
        }
    }
    agree(&index, &fake, &filters).await;
    index.compact().await.unwrap();
    agree(&index, &fake, &filters).await;
}

async fn agree(index: &TantivyIndex, fake: &FakeLexicalIndex, filters: &[Filter]) {
    for filter in filters {
        for text in ["wa", "wa wb wc", "wz wy wa wa", "wq wr ws wt wu wv", "nowhere wb"] {
            let whole = index.search(&query(text), filter, 10_000).await.unwrap();
            let mut expected: Vec<ChunkId> = ids(&fake.search(&query(text), filter, 10_000).await.unwrap());
            let mut got = ids(&whole);
            for limit in [1, 7, 50] {
                let best = index.search(&query(text), filter, limit).await.unwrap();
                assert_eq!(best.len(), limit.min(whole.len()), "{text} {limit}");
                for (pruned, plain) in best.iter().zip(&whole) {
                    // Pruning may add up a chunk's terms in another order, so the last bits can differ.
                    assert!((pruned.score - plain.score).abs() < 1e-4, "{text} {limit} {pruned:?} {plain:?}");
                }
            }
            expected.sort_unstable();
            got.sort_unstable();
            assert_eq!(got, expected, "{text}");
        }
    }
}
