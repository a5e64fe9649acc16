//! What every [`LexicalIndex`] has to do, run against each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fake::FakeLexicalIndex;
use super::tantivy::{TantivyIndex, TantivySettings};
use super::{LexicalDocument, LexicalIndex, LexicalQuery};
use crate::base::blocking::Door;
use crate::base::{ChunkId, ContentHash, DocumentId, EmbedKey, Lsn, SourceId, Timestamp};
use crate::model::{Candidate, Chunk, Document, DocumentKind, Filter, HeldChunk, Lines, Namespace, Role, Span};

pub fn namespace(name: &str) -> Namespace {
    Namespace::new(name).unwrap()
}

pub fn document(namespace: &Namespace, path: &str) -> Document {
    let uri = format!("file:///{path}");
    Document {
        id: DocumentId::derive(namespace.as_str(), &uri),
        source: SourceId::derive(namespace.as_str(), "file:///"),
        path: path.to_owned(),
        kind: DocumentKind::Text,
        role: Role::Main,
        media_type: "text/plain".to_owned(),
        language: None,
        title: None,
        content: ContentHash::of(uri.as_bytes()),
        bytes: 1,
        modified_at: None,
        mark: None,
        indexed_at: Timestamp(1),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        trust: crate::model::Trust::Local,
        expires_at: None,
        repeats: None,
        uri,
    }
}

pub fn chunk(document: &Document, ordinal: u32, text: &str) -> Chunk {
    let span = Span { start: u64::from(ordinal) * 1_000, end: u64::from(ordinal) * 1_000 + text.len() as u64 };
    Chunk {
        id: ChunkId::derive(document.id, &document.content, span.start, span.end),
        document: document.id,
        ordinal,
        span,
        lines: Lines { first: 1, last: 1 },
        pages: None,
        tokens: 1,
        breadcrumb: String::new(),
        symbols: Vec::new(),
        outline: String::new(),
        text: text.to_owned(),
        embed_key: EmbedKey::of(text),
    }
}

pub fn entry(namespace: &Namespace, path: &str, texts: &[&str]) -> LexicalDocument {
    let document = document(namespace, path);
    let chunks = texts.iter().enumerate().map(|(i, text)| chunk(&document, i as u32, text)).collect();
    LexicalDocument { namespace: namespace.clone(), document: Arc::new(document), chunks }
}

fn with(mut entry: LexicalDocument, change: impl FnOnce(&mut Document, &mut Vec<Chunk>)) -> LexicalDocument {
    change(Arc::make_mut(&mut entry.document), &mut entry.chunks);
    entry
}

pub fn query(text: &str) -> LexicalQuery {
    LexicalQuery { text: text.to_owned() }
}

pub fn ids(found: &[Candidate]) -> Vec<ChunkId> {
    found.iter().map(|candidate| candidate.chunk).collect()
}

async fn found(index: &dyn LexicalIndex, text: &str, filter: &Filter) -> Vec<ChunkId> {
    let found = index.search(&query(text), filter, 100).await.unwrap();
    let ordered = |a: &Candidate, b: &Candidate| a.score > b.score || (a.score == b.score && a.chunk < b.chunk);
    assert!(found.is_sorted_by(ordered), "{found:?}");
    ids(&found)
}

async fn changes_are_seen_at_commit(index: &dyn LexicalIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    assert_eq!(index.applied(), Lsn(0));
    let first = entry(&ns, "a.txt", &["the quick fox", "a lazy dog"]);
    index.replace(vec![first.clone()]).await.unwrap();
    assert!(found(index, "fox", &all).await.is_empty());
    assert_eq!(index.count().await.unwrap(), 0);
    index.commit(Lsn(7)).await.unwrap();
    assert_eq!(index.applied(), Lsn(7));
    assert_eq!(found(index, "foxes", &all).await, [first.chunks[0].id]);
    assert_eq!(index.count().await.unwrap(), 2);
    index.delete_documents(&ns, &[first.document.id]).await.unwrap();
    assert_eq!(found(index, "fox", &all).await.len(), 1);
    index.commit(Lsn(8)).await.unwrap();
    assert!(found(index, "fox", &all).await.is_empty());
    assert_eq!(index.count().await.unwrap(), 0);
    index.commit(Lsn(9)).await.unwrap();
    assert_eq!(index.applied(), Lsn(9), "a commit without changes moves on as well");
}

async fn replays_change_nothing(index: &dyn LexicalIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    let old = entry(&ns, "a.txt", &["one alpha", "two beta"]);
    let new = with(entry(&ns, "a.txt", &["three gamma"]), |document, chunks| {
        document.content = ContentHash::of(b"new");
        chunks[0] = chunk(document, 0, "three gamma");
    });
    for _ in 0..2 {
        index.replace(vec![old.clone()]).await.unwrap();
        index.replace(vec![new.clone(), new.clone()]).await.unwrap();
        index.commit(Lsn(3)).await.unwrap();
        assert_eq!(index.count().await.unwrap(), 1);
        assert!(found(index, "alpha beta", &all).await.is_empty());
        assert_eq!(found(index, "gamma", &all).await, [new.chunks[0].id]);
    }
    index.replace(vec![LexicalDocument { chunks: Vec::new(), ..new }]).await.unwrap();
    index.commit(Lsn(4)).await.unwrap();
    assert_eq!(index.count().await.unwrap(), 0, "an empty version removes the chunks");
}

async fn namespaces_are_walls(index: &dyn LexicalIndex) {
    let (a, b) = (namespace("a"), namespace("a/b"));
    let (in_a, in_b) = (entry(&a, "x.txt", &["shared secret"]), entry(&b, "x.txt", &["shared secret"]));
    index.replace(vec![in_a.clone(), in_b.clone()]).await.unwrap();
    index.commit(Lsn(1)).await.unwrap();
    assert_eq!(found(index, "secret", &Filter::all(a.clone())).await, [in_a.chunks[0].id]);
    assert_eq!(found(index, "secret", &Filter::all(b.clone())).await, [in_b.chunks[0].id]);
    assert!(found(index, "secret", &Filter::all(namespace("c"))).await.is_empty());
    let foreign = Filter { documents: Some(vec![in_b.document.id]), ..Filter::all(a.clone()) };
    assert!(found(index, "secret", &foreign).await.is_empty(), "naming a foreign document does not open the wall");
    index.delete_documents(&a, &[in_b.document.id]).await.unwrap();
    index.commit(Lsn(2)).await.unwrap();
    assert_eq!(found(index, "secret", &Filter::all(b.clone())).await.len(), 1, "nor does deleting it");
    index.delete_documents(&b, &[in_b.document.id]).await.unwrap();
    index.commit(Lsn(3)).await.unwrap();
    assert!(found(index, "secret", &Filter::all(b)).await.is_empty());
    assert_eq!(found(index, "secret", &Filter::all(a)).await.len(), 1);
}

async fn filters_hold(index: &dyn LexicalIndex) {
    let ns = namespace("a");
    let one = with(entry(&ns, "one.rs", &["word common"]), |document, _| {
        document.kind = DocumentKind::Code;
        document.language = Some("rust".to_owned());
        document.tags = vec!["x".to_owned(), "y".to_owned()];
        document.modified_at = Some(Timestamp(100));
    });
    let two = with(entry(&ns, "two.md", &["word common"]), |document, _| {
        document.kind = DocumentKind::Markdown;
        document.source = SourceId::derive("a", "file:///other");
        document.tags = vec!["y".to_owned()];
        document.modified_at = Some(Timestamp(-200));
    });
    let three = entry(&ns, "three.txt", &["word common"]);
    index.replace(vec![one.clone(), two.clone(), three.clone()]).await.unwrap();
    index.commit(Lsn(1)).await.unwrap();
    let all = Filter::all(ns.clone());
    let check = async |filter: Filter, expected: &[&LexicalDocument]| {
        let mut expected: Vec<ChunkId> = expected.iter().map(|entry| entry.chunks[0].id).collect();
        let mut got = found(index, "common word", &filter).await;
        expected.sort_unstable();
        got.sort_unstable();
        assert_eq!(got, expected, "{filter:?}");
    };
    check(all.clone(), &[&one, &two, &three]).await;
    check(Filter { languages: vec!["rust".into(), "go".into()], ..all.clone() }, &[&one]).await;
    check(Filter { kinds: vec![DocumentKind::Markdown, DocumentKind::Text], ..all.clone() }, &[&two, &three]).await;
    check(Filter { sources: vec![two.document.source], ..all.clone() }, &[&two]).await;
    check(Filter { tags: vec!["y".into()], ..all.clone() }, &[&one, &two]).await;
    check(Filter { tags: vec!["x".into(), "z".into()], ..all.clone() }, &[&one]).await;
    check(Filter { documents: Some(Vec::new()), ..all.clone() }, &[]).await;
    check(Filter { documents: Some(vec![three.document.id, one.document.id]), ..all.clone() }, &[&one, &three]).await;
    check(Filter { modified_from: Some(Timestamp(100)), ..all.clone() }, &[&one]).await;
    check(Filter { modified_until: Some(Timestamp(100)), ..all.clone() }, &[&two]).await;
    let empty = (Some(Timestamp(5)), Some(Timestamp(5)));
    check(Filter { modified_from: empty.0, modified_until: empty.1, ..all.clone() }, &[]).await;
    let both = Filter { tags: vec!["y".into()], kinds: vec![DocumentKind::Code], ..all.clone() };
    check(Filter { modified_from: Some(Timestamp(0)), ..both.clone() }, &[&one]).await;
    check(Filter { modified_from: Some(Timestamp(101)), ..both }, &[]).await;
}

async fn names_are_found_however_they_are_spelled(index: &dyn LexicalIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    let code =
        with(entry(&ns, "src/io/reader.rs", &["fn read_to_end(&mut self)", "fn other()"]), |document, chunks| {
            document.title = Some("Input".to_owned());
            chunks[0].symbols = vec!["Reader::read_to_end".to_owned(), "Ünit".to_owned()];
            chunks[0].breadcrumb = "impl Reader".to_owned();
            chunks[1].symbols = vec!["other".to_owned()];
        });
    let first = code.chunks[0].id;
    index.replace(vec![code.clone(), entry(&ns, "b.txt", &["nothing to see at the end"])]).await.unwrap();
    index.commit(Lsn(1)).await.unwrap();
    for text in ["readToEnd", "READ_TO_END", "readtoend", "how to use `read_to_end`?"] {
        assert_eq!(found(index, text, &all).await[0], first, "{text}");
    }
    assert_eq!(found(index, "reader.rs", &all).await.len(), 2, "the path is found");
    assert_eq!(found(index, "impl", &all).await, [first], "the breadcrumb is found");
    assert_eq!(found(index, "inputs", &all).await.len(), 2, "the title is found");
}

async fn better_matches_come_first(index: &dyn LexicalIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    let filler: Vec<LexicalDocument> =
        (0..30).map(|i| entry(&ns, &format!("filler/{i}.txt"), &["common words and nothing else here"])).collect();
    let rare = entry(&ns, "rare.txt", &["a zebra among common words"]);
    let both = entry(&ns, "both.txt", &["a zebra with stripes"]);
    index.replace(filler.clone()).await.unwrap();
    index.replace(vec![rare.clone(), both.clone()]).await.unwrap();
    index.commit(Lsn(1)).await.unwrap();
    let order = found(index, "zebra stripes common", &all).await;
    assert_eq!(order[..2], [both.chunks[0].id, rare.chunks[0].id]);
    let limited = index.search(&query("zebra stripes common"), &all, 5).await.unwrap();
    assert_eq!(ids(&limited), order[..5], "a smaller limit cuts the same list");
    let repeated = found(index, "stripes zebra common common common common common common common", &all).await;
    assert_eq!(repeated[1], rare.chunks[0].id, "a repeated word counts more, but not without bound");
    assert!(index.search(&query("zebra"), &all, 0).await.unwrap().is_empty());
}

async fn odd_queries_are_answered(index: &dyn LexicalIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    assert!(found(index, "anything", &all).await.is_empty(), "an empty index");
    let text = entry(&ns, "a.txt", &["needle 東京タワー café"]);
    index.replace(vec![text.clone()]).await.unwrap();
    index.commit(Lsn(1)).await.unwrap();
    for nothing in ["", " \n", "!?()*:\"~", "\u{0}\u{3}"] {
        assert!(found(index, nothing, &all).await.is_empty(), "{nothing:?}");
    }
    let long: String = (0..5_000).map(|i| format!("word{i} ")).chain(["needle".to_owned()]).collect();
    for text_query in [long.as_str(), "CAFE", "東京", "京タ", "(needle AND \"", "needle\u{3}"] {
        assert_eq!(found(index, text_query, &all).await, [text.chunks[0].id]);
    }
}

/// What `entries` make of a listing.
fn listing(entries: &[&LexicalDocument]) -> Vec<HeldChunk> {
    let of = |entry: &LexicalDocument| {
        let document = entry.document.id;
        entry.chunks.iter().map(|chunk| HeldChunk { document, chunk: chunk.id }).collect::<Vec<_>>()
    };
    let mut listing: Vec<HeldChunk> = entries.iter().flat_map(|entry| of(entry)).collect();
    listing.sort_unstable();
    listing
}

async fn what_is_held_is_listed(index: &dyn LexicalIndex) {
    let (a, b) = (namespace("a"), namespace("b"));
    assert!(index.namespaces().await.unwrap().is_empty());
    let (one, two) = (entry(&a, "one", &["first", "second"]), entry(&a, "two", &["third"]));
    let other = entry(&b, "one", &["foreign"]);
    index.replace(vec![one.clone(), other.clone()]).await.unwrap();
    index.commit(Lsn(1)).await.unwrap();
    index.replace(vec![two.clone()]).await.unwrap();
    assert_eq!(index.held(&a, None).await.unwrap().len(), 2, "only what can be found is listed");
    index.commit(Lsn(2)).await.unwrap();
    let check = async |namespace: &Namespace, documents: Option<&[DocumentId]>, expected: &[&LexicalDocument]| {
        let mut held = index.held(namespace, documents).await.unwrap();
        held.sort_unstable();
        assert_eq!(held, listing(expected));
    };
    assert_eq!(index.namespaces().await.unwrap(), [a.clone(), b.clone()]);
    check(&a, None, &[&one, &two]).await;
    check(&b, None, &[&other]).await;
    check(&a, Some(&[two.document.id, other.document.id, DocumentId::from_u128(3)]), &[&two]).await;
    check(&a, Some(&[]), &[]).await;
    index.delete_documents(&a, &[one.document.id]).await.unwrap();
    index.commit(Lsn(3)).await.unwrap();
    check(&a, None, &[&two]).await;
    check(&namespace("c"), None, &[]).await;
}

async fn compacting_loses_nothing(index: &dyn LexicalIndex) {
    let ns = namespace("a");
    let all = Filter::all(ns.clone());
    let entries: Vec<LexicalDocument> =
        (0..20).map(|i| entry(&ns, &format!("{i}"), &[if i == 7 { "common zebra" } else { "common" }])).collect();
    for (i, batch) in entries.chunks(5).enumerate() {
        index.replace(batch.to_vec()).await.unwrap();
        index.commit(Lsn(i as u64 + 1)).await.unwrap();
    }
    index.delete_documents(&ns, &[entries[0].document.id, entries[7].document.id]).await.unwrap();
    index.commit(Lsn(9)).await.unwrap();
    index.replace(vec![entry(&ns, "pending", &["common pending"])]).await.unwrap();
    index.compact().await.unwrap();
    assert_eq!((found(index, "common", &all).await.len(), index.applied()), (18, Lsn(9)));
    assert!(!index.compact().await.unwrap(), "the second time there is nothing to do");
    index.commit(Lsn(10)).await.unwrap();
    assert_eq!(found(index, "common", &all).await.len(), 19, "what was not committed before is not lost either");
    assert!(found(index, "zebra", &all).await.is_empty());
}

macro_rules! suite {
    ($($check:ident),+ $(,)?) => {
        mod fake {
            $(#[tokio::test]
            async fn $check() {
                super::$check(&super::FakeLexicalIndex::new()).await;
            })+
        }

        mod tantivy {
            $(#[tokio::test]
            async fn $check() {
                let dir = tempfile::tempdir().unwrap();
                super::$check(&super::open(dir.path())).await;
            })+
        }
    };
}

pub fn open(directory: &std::path::Path) -> TantivyIndex {
    TantivyIndex::open(directory, TantivySettings { writer_bytes: 15_000_000 }, Door::new(2)).unwrap()
}

suite!(
    changes_are_seen_at_commit,
    replays_change_nothing,
    namespaces_are_walls,
    filters_hold,
    names_are_found_however_they_are_spelled,
    better_matches_come_first,
    odd_queries_are_answered,
    what_is_held_is_listed,
    compacting_loses_nothing,
);
