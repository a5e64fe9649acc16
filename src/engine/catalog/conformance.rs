//! What every catalogue must do: one suite against the trait, run by each backend's tests.
//!
//! A test uses namespaces and texts of its own, so that all of them can share one database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::error::Kind;
use crate::model::{Chunk, DocumentKind, Lines, Operation, Role, Span, Trust};

pub mod histories;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const RECIPE: &str = "chunker 1";
const MODEL: &str = "model-a";

/// A namespace with one source, and makers of documents in it.
pub struct Place {
    pub namespace: Namespace,
    pub source: SourceId,
}

impl Place {
    pub async fn make(catalog: &dyn Catalog, name: &str) -> Self {
        let namespace = Namespace::new(name).unwrap();
        catalog.create_namespace(&namespace, NOW).await.unwrap();
        let source = catalog.ensure_source(&namespace, "file:///repo", NOW).await.unwrap().id;
        Self { namespace, source }
    }

    pub fn uri(&self, path: &str) -> String {
        format!("file:///repo/{path}")
    }

    pub fn id(&self, path: &str) -> DocumentId {
        DocumentId::derive(self.namespace.as_str(), &self.uri(path))
    }

    /// A document whose chunks are `parts`, one after the other.
    pub fn document(&self, path: &str, parts: &[&str]) -> DocumentWrite {
        let text = parts.concat();
        let uri = self.uri(path);
        let id = self.id(path);
        let content = ContentHash::of(text.as_bytes());
        let mut start = 0;
        let chunks = parts
            .iter()
            .enumerate()
            .map(|(ordinal, part)| {
                let end = start + part.len() as u64;
                let chunk = Chunk {
                    id: ChunkId::derive(id, &content, start, end),
                    document: id,
                    ordinal: ordinal as u32,
                    span: Span { start, end },
                    lines: Lines { first: ordinal as u32 + 1, last: ordinal as u32 + 2 },
                    tokens: part.split_whitespace().count() as u32,
                    breadcrumb: format!("{path} > {ordinal}"),
                    symbols: vec![format!("f{ordinal}"), "quo\"te".to_owned()],
                    outline: format!("fn f{ordinal}()"),
                    text: (*part).to_owned(),
                    embed_key: EmbedKey::of(part),
                };
                start = end;
                chunk
            })
            .collect();
        let document = Document {
            id,
            source: self.source,
            uri,
            path: path.to_owned(),
            kind: DocumentKind::Code,
            role: Role::Main,
            media_type: "text/x-rust".to_owned(),
            language: Some("rust".to_owned()),
            title: None,
            content,
            bytes: text.len() as u64,
            modified_at: Some(Timestamp(NOW.0 - 5)),
            indexed_at: NOW,
            tags: vec!["alpha".to_owned(), "béta".to_owned()],
            metadata: BTreeMap::from([("run".to_owned(), "r\"1".to_owned())]),
            trust: Trust::External,
            expires_at: Some(Timestamp(NOW.0 + 1)),
            repeats: Some(DocumentId::from_u128(77)),
        };
        DocumentWrite { document, chunks }
    }

    pub async fn write(&self, catalog: &dyn Catalog, writes: Vec<DocumentWrite>) -> WriteOutcome {
        catalog.write(&self.namespace, RECIPE, writes).await.unwrap()
    }

    /// Everything that the namespace holds, by URI.
    pub async fn contents(&self, catalog: &dyn Catalog) -> BTreeMap<String, DocumentWrite> {
        let ids = catalog.documents_where(&self.namespace, &|_, _| true, usize::MAX).await.unwrap();
        let found = catalog.project(&ids).await.unwrap();
        assert_eq!(found.len(), ids.len(), "every listed document can be read");
        assert!(found.iter().all(|one| one.namespace == self.namespace));
        found.into_iter().map(|one| (one.write.document.uri.clone(), one.write)).collect()
    }

    async fn stats(&self, catalog: &dyn Catalog) -> NamespaceStats {
        catalog.stats(&self.namespace, MODEL).await.unwrap()
    }
}

fn chunk_ids(write: &DocumentWrite) -> Vec<ChunkId> {
    write.chunks.iter().map(|chunk| chunk.id).collect()
}

async fn texts(catalog: &dyn Catalog, namespace: &Namespace, ids: &[ChunkId]) -> BTreeSet<String> {
    catalog.hydrate(namespace, ids).await.unwrap().into_iter().map(|found| found.chunk.text.clone()).collect()
}

async fn cached(catalog: &dyn Catalog, texts: &[&str]) -> Vec<bool> {
    let keys: Vec<_> = texts.iter().map(|text| EmbedKey::of(text)).collect();
    let found = catalog.cached_vectors(MODEL, &keys).await.unwrap();
    keys.iter().map(|key| found.contains_key(key)).collect()
}

/// Runs all of it on one catalogue.
pub async fn suite(catalog: &dyn Catalog) {
    written_is_read_back(catalog).await;
    a_new_version_replaces_the_old_one(catalog).await;
    namespaces_are_walls(catalog).await;
    the_log_has_every_change_in_order(catalog).await;
    ten_replays_change_nothing(catalog).await;
    each_selector_removes_what_it_says(catalog).await;
    vectors_stay_while_a_chunk_needs_them(catalog).await;
    touching_changes_sizes_and_times_only(catalog).await;
    replies_and_checkpoints_are_kept(catalog).await;
    watches_are_kept(catalog).await;
    documents_at_some_uris_are_found(catalog).await;
    unknown_namespaces_hold_nothing_and_take_nothing(catalog).await;
    ugly_texts_come_back_unharmed(catalog).await;
    a_refused_batch_leaves_no_trace(catalog).await;
    readers_never_see_a_mix(catalog).await;
    a_write_that_is_dropped_is_whole_or_not_there(catalog).await;
    what_is_held_is_listed(catalog).await;
    documents_are_logged_again_and_the_log_is_shortened(catalog).await;
    an_audit_finds_what_is_without_vector(catalog).await;
}

async fn what_is_held_is_listed(catalog: &dyn Catalog) {
    let (place, other) = (Place::make(catalog, "listed").await, Place::make(catalog, "listed-too").await);
    let (a, b) = (place.document("a", &["one\n", "two\n"]), place.document("b", &["three\n"]));
    let foreign = other.document("a", &["four\n"]);
    place.write(catalog, vec![a.clone(), b.clone()]).await;
    other.write(catalog, vec![foreign.clone()]).await;
    let check = async |documents: Option<&[DocumentId]>, expected: &[&DocumentWrite]| {
        let of = |write: &DocumentWrite| {
            let document = write.document.id;
            chunk_ids(write).into_iter().map(move |chunk| HeldChunk { document, chunk }).collect::<Vec<_>>()
        };
        let mut expected: Vec<HeldChunk> = expected.iter().flat_map(|write| of(write)).collect();
        let mut held = catalog.held(&place.namespace, documents).await.unwrap();
        expected.sort_unstable();
        held.sort_unstable();
        assert_eq!(held, expected);
    };
    check(None, &[&a, &b]).await;
    check(Some(&[b.document.id, foreign.document.id, DocumentId::from_u128(3)]), &[&b]).await;
    check(Some(&[]), &[]).await;
    let asked = [a.document.id, foreign.document.id, DocumentId::from_u128(3)];
    let uris = catalog.uris(&place.namespace, &asked).await.unwrap();
    assert_eq!(uris, HashMap::from([(a.document.id, a.document.uri.clone())]));
    catalog.remove(&place.namespace, &Selector::Documents(vec![a.document.id])).await.unwrap();
    check(None, &[&b]).await;
}

async fn documents_are_logged_again_and_the_log_is_shortened(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "log-again").await;
    let ids = ["a", "b", "gone"].map(|path| place.id(path));
    for text in ["old", "new"] {
        let writes = ["a", "b", "gone"].map(|path| place.document(path, &[&format!("{path} {text}")]));
        place.write(catalog, writes.to_vec()).await;
    }
    catalog.remove(&place.namespace, &Selector::Documents(vec![ids[2]])).await.unwrap();
    let before = catalog.head().await.unwrap();
    let last = catalog.relog(&place.namespace, &ids).await.unwrap();
    assert_eq!((last, catalog.head().await.unwrap()), (Lsn(before.0 + 3), last));
    let again = catalog.read_log(before, 10).await.unwrap();
    assert!(again.iter().all(|entry| entry.namespace == place.namespace));
    let expected = [(ids[0], Operation::Put), (ids[1], Operation::Put), (ids[2], Operation::Delete)];
    assert_eq!(again.iter().map(|entry| (entry.document, entry.operation)).collect::<Vec<_>>(), expected);
    let nobody = Namespace::new("log-nobody").unwrap();
    assert_eq!(catalog.relog(&nobody, &ids).await.unwrap_err().kind(), Kind::NotFound);

    let entries = async |of: DocumentId| {
        catalog.read_log(Lsn(0), usize::MAX).await.unwrap().into_iter().filter(|entry| entry.document == of).count()
    };
    assert_eq!((entries(ids[0]).await, entries(ids[2]).await), (3, 4));
    catalog.prune_log(before).await.unwrap();
    assert_eq!((entries(ids[0]).await, entries(ids[2]).await), (2, 1), "what comes after the position stays");
    assert!(catalog.prune_log(last).await.unwrap() >= 3);
    assert_eq!((entries(ids[0]).await, entries(ids[2]).await), (1, 0), "each document keeps one entry");
    let audit = catalog.audit(MODEL, Lsn(0)).await.unwrap();
    assert_eq!((audit.unlogged, catalog.head().await.unwrap()), (Vec::new(), last));
    let next = place.write(catalog, vec![place.document("a", &["newest"])]).await;
    assert_eq!(next.lsn, Lsn(last.0 + 1));
}

async fn an_audit_finds_what_is_without_vector(catalog: &dyn Catalog) {
    catalog.mend().await.unwrap();
    let place = Place::make(catalog, "audited").await;
    let before = catalog.head().await.unwrap();
    let write = place.document("a", &["has one", "has none"]);
    let outcome = place.write(catalog, vec![write.clone()]).await;
    catalog.cache_vectors(MODEL, vec![(EmbedKey::of("has one"), vec![1.0])]).await.unwrap();
    catalog.cache_vectors(MODEL, vec![(EmbedKey::of("nobody's"), vec![1.0])]).await.unwrap();
    let audit = catalog.audit(MODEL, outcome.lsn).await.unwrap();
    let lacking = HeldChunk { document: write.document.id, chunk: write.chunks[1].id };
    let mine: Vec<_> = audit.without_vector.iter().filter(|(namespace, _)| *namespace == place.namespace).collect();
    assert_eq!(
        (mine, audit.orphans),
        (vec![&(place.namespace.clone(), lacking)], 0),
        "nobody's vector was not taken in"
    );
    assert!(audit.damage.is_empty() && audit.counters.is_empty() && audit.broken.is_empty(), "{audit:?}");
    let earlier = catalog.audit(MODEL, before).await.unwrap();
    assert_eq!(earlier.texts_without_vector + 1, audit.texts_without_vector, "what is still being embedded is well");
    catalog.mend().await.unwrap();
    assert_eq!(catalog.audit(MODEL, before).await.unwrap().orphans, 0);
    assert_eq!(cached(catalog, &["has one", "nobody's"]).await, [true, false]);
}

async fn written_is_read_back(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "read-back").await;
    let mut first = place.document("src/a.rs", &["one\n", "two\n", "three\n"]);
    first.document.title = Some("A".to_owned());
    let mut second = place.document("b.md", &[]);
    second.document.language = None;
    second.document.modified_at = None;
    second.document.tags = Vec::new();
    second.document.metadata = BTreeMap::new();
    let outcome = place.write(catalog, vec![first.clone(), second.clone()]).await;
    assert_eq!((outcome.added, outcome.updated, outcome.unchanged, outcome.removed), (2, 0, 0, 0));
    assert_eq!(outcome.lsn, catalog.head().await.unwrap());

    let by_uri = catalog.document_by_uri(&place.namespace, &place.uri("src/a.rs")).await.unwrap();
    assert_eq!(by_uri.as_ref(), Some(&first.document));
    assert_eq!(catalog.document_by_uri(&place.namespace, "file:///repo/none").await.unwrap(), None);

    // Twice, since the second time may come out of a cache; and asked for twice is found once.
    for _ in 0..2 {
        let mut ids = chunk_ids(&first);
        ids.extend(chunk_ids(&first));
        let mut found = catalog.hydrate(&place.namespace, &ids).await.unwrap();
        found.sort_by_key(|one| one.chunk.ordinal);
        assert_eq!(found.iter().map(|one| (*one.chunk).clone()).collect::<Vec<_>>(), first.chunks);
        assert!(found.iter().all(|one| *one.document == first.document && one.lsn.0 == outcome.lsn.0 - 1));
    }
    assert!(catalog.hydrate(&place.namespace, &[]).await.unwrap().is_empty());

    let ids = [second.document.id, first.document.id, DocumentId::from_u128(7)];
    let chunks = catalog.document_chunks(&place.namespace, &ids).await.unwrap();
    assert_eq!(chunks.iter().map(|one| (*one.chunk).clone()).collect::<Vec<_>>(), first.chunks);
    let projected = catalog.project(&ids).await.unwrap();
    assert_eq!(projected.iter().map(|one| one.write.clone()).collect::<Vec<_>>(), [second.clone(), first.clone()]);

    let markdown = catalog.documents_where(&place.namespace, &|path, _| path.ends_with(".md"), 10).await.unwrap();
    assert_eq!(markdown, [second.document.id]);
    assert_eq!(catalog.documents_where(&place.namespace, &|_, _| true, 1).await.unwrap().len(), 1, "the limit holds");
    assert!(catalog.documents_where(&place.namespace, &|_, _| true, 0).await.unwrap().is_empty());

    let states = catalog.source_documents(&place.namespace, place.source).await.unwrap();
    let state = states.iter().find(|state| state.id == first.document.id).unwrap();
    assert_eq!(states.len(), 2);
    assert_eq!((state.bytes, state.content, state.recipe.as_str()), (14, first.document.content, RECIPE));
    assert_eq!((state.modified_at, state.indexed_at), (first.document.modified_at, NOW));

    let stats = place.stats(catalog).await;
    let expected = NamespaceStats { documents: 2, chunks: 3, bytes: 14, tokens: 3, chunks_without_vector: 3 };
    assert_eq!(stats, expected);
    let known = catalog.sources(&place.namespace).await.unwrap();
    assert_eq!(known, [Source { id: place.source, uri: "file:///repo".to_owned() }]);
    let again = catalog.ensure_source(&place.namespace, "file:///repo", Timestamp(1)).await.unwrap();
    assert_eq!(again, known[0], "a source is made once");
}

async fn a_new_version_replaces_the_old_one(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "generations").await;
    let old = place.document("a", &["old one\n", "shared\n", "old three\n"]);
    let first = place.write(catalog, vec![old.clone()]).await;
    let mut new = place.document("a", &["new one\n", "shared\n"]);
    new.document.tags = vec!["gamma".to_owned()];
    let second = place.write(catalog, vec![new.clone()]).await;
    assert_eq!((second.added, second.updated, second.unchanged), (0, 1, 0));
    assert!(second.lsn > first.lsn);

    assert!(texts(catalog, &place.namespace, &chunk_ids(&old)).await.is_empty(), "old chunks are gone");
    assert_eq!(texts(catalog, &place.namespace, &chunk_ids(&new)).await.len(), 2);
    let found = catalog.document_chunks(&place.namespace, &[old.document.id]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|one| *one.document == new.document && one.lsn == second.lsn));
    let stats = place.stats(catalog).await;
    assert_eq!((stats.documents, stats.chunks, stats.bytes, stats.tokens), (1, 2, new.document.bytes, 3));

    // Another recipe is another version, even where ids of chunks stay the same.
    let third = catalog.write(&place.namespace, "chunker 2", vec![new.clone()]).await.unwrap();
    assert_eq!((third.updated, third.unchanged), (1, 0));
    assert_eq!(catalog.hydrate(&place.namespace, &chunk_ids(&new)).await.unwrap()[0].lsn, third.lsn);

    // Of one document twice in a batch the last counts.
    let outcome = place.write(catalog, vec![old.clone(), new.clone()]).await;
    assert_eq!(outcome.updated, 1);
    assert_eq!(place.contents(catalog).await[&new.document.uri], new);
    let removed = catalog.remove(&place.namespace, &Selector::Tag("alpha".to_owned())).await.unwrap();
    assert_eq!(removed.1, Vec::<String>::new(), "tags of the old version are gone");
}

async fn namespaces_are_walls(catalog: &dyn Catalog) {
    let mine = Place::make(catalog, "wall-mine").await;
    let other = Place::make(catalog, "wall-other").await;
    let secret = mine.document("secret", &["the secret of wall-mine\n"]);
    mine.write(catalog, vec![secret.clone()]).await;
    let id = secret.document.id;

    assert!(catalog.hydrate(&other.namespace, &chunk_ids(&secret)).await.unwrap().is_empty());
    assert!(catalog.document_chunks(&other.namespace, &[id]).await.unwrap().is_empty());
    assert!(catalog.documents_where(&other.namespace, &|_, _| true, 9).await.unwrap().is_empty());
    assert_eq!(catalog.document_by_uri(&other.namespace, &secret.document.uri).await.unwrap(), None);
    assert!(catalog.source_documents(&other.namespace, mine.source).await.unwrap().is_empty());
    assert_eq!(catalog.stats(&other.namespace, MODEL).await.unwrap(), NamespaceStats::default());

    for selector in [
        Selector::Documents(vec![id]),
        Selector::Source(mine.source),
        Selector::Uri(secret.document.uri.clone()),
        Selector::UriPrefix(String::new()),
        Selector::Tag("alpha".to_owned()),
    ] {
        let (outcome, uris) = catalog.remove(&other.namespace, &selector).await.unwrap();
        assert_eq!((outcome.removed, uris.len()), (0, 0), "{selector:?} reaches over the wall");
    }

    // Neither its source nor its id can be used from the other side.
    let mut forged = other.document("x", &["x"]);
    forged.document.source = mine.source;
    assert_eq!(catalog.write(&other.namespace, RECIPE, vec![forged]).await.unwrap_err().kind(), Kind::NotFound);
    let mut forged = other.document("secret", &["overwritten"]);
    forged.document.id = id;
    forged.chunks[0].document = id;
    assert_eq!(catalog.write(&other.namespace, RECIPE, vec![forged]).await.unwrap_err().kind(), Kind::Invalid);
    let mut state = catalog.source_documents(&mine.namespace, mine.source).await.unwrap();
    state[0].bytes = 1;
    catalog.touch(&other.namespace, &state).await.unwrap();
    assert_eq!(mine.contents(catalog).await.into_values().collect::<Vec<_>>(), [secret]);
}

async fn the_log_has_every_change_in_order(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "log").await;
    let start = catalog.head().await.unwrap();
    place.write(catalog, vec![place.document("a", &["log a"]), place.document("b", &["log b"])]).await;
    place.write(catalog, vec![place.document("a", &["log a, again"])]).await;
    let (outcome, _) = catalog.remove(&place.namespace, &Selector::Documents(vec![place.id("b")])).await.unwrap();
    place.write(catalog, vec![place.document("b", &["log b"])]).await;

    let entries = catalog.read_log(start, 100).await.unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| (entry.document, entry.operation)).collect();
    let (a, b) = (place.id("a"), place.id("b"));
    let expected =
        [(a, Operation::Put), (b, Operation::Put), (a, Operation::Put), (b, Operation::Delete), (b, Operation::Put)];
    assert_eq!(seen, expected);
    assert!(entries.is_sorted_by(|one, next| one.lsn < next.lsn));
    assert!(entries.iter().all(|entry| entry.namespace == place.namespace));
    assert_eq!(entries[3].lsn, outcome.lsn);
    assert_eq!(entries[4].lsn, catalog.head().await.unwrap());
    assert_eq!(catalog.read_log(start, 2).await.unwrap(), entries[..2]);
    assert_eq!(catalog.read_log(entries[1].lsn, 2).await.unwrap(), entries[2..4]);
    assert!(catalog.read_log(entries[4].lsn, 2).await.unwrap().is_empty());
}

async fn ten_replays_change_nothing(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "replays").await;
    let writes: Vec<_> =
        (0..20).map(|index| place.document(&format!("f{index}"), &["replay\n", &format!("{index}\n")])).collect();
    let first = place.write(catalog, writes.clone()).await;
    let stats = place.stats(catalog).await;
    for round in 1..=10 {
        let mut again = writes.clone();
        for write in &mut again {
            write.document.indexed_at = Timestamp(NOW.0 + round);
            write.document.modified_at = Some(Timestamp(NOW.0 + round));
        }
        let outcome = place.write(catalog, again).await;
        assert_eq!(outcome, WriteOutcome { lsn: first.lsn, unchanged: 20, ..WriteOutcome::default() });
        assert_eq!(place.stats(catalog).await, stats);
    }
    assert!(catalog.read_log(first.lsn, 10).await.unwrap().is_empty(), "no log entry for what did not change");

    // Each of these alone makes another version.
    let changes: [fn(&mut Document); 8] = [
        |document| document.path.push('x'),
        |document| document.tags.push("zeta".to_owned()),
        |document| document.title = Some(String::new()),
        |document| drop(document.metadata.insert("run".to_owned(), "2".to_owned())),
        |document| document.kind = DocumentKind::Text,
        |document| document.role = Role::Test,
        |document| document.language = None,
        |document| document.media_type.push('x'),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut write = writes[index].clone();
        change(&mut write.document);
        let outcome = place.write(catalog, vec![write.clone()]).await;
        assert_eq!((outcome.updated, outcome.unchanged), (1, 0), "change {index} counts");
        let stored = catalog.document_by_uri(&place.namespace, &write.document.uri).await.unwrap();
        assert_eq!(stored, Some(write.document), "change {index} is stored");
    }
    assert_eq!(place.stats(catalog).await.chunks, stats.chunks);
}

async fn each_selector_removes_what_it_says(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "selectors").await;
    let other = catalog.ensure_source(&place.namespace, "file:///other", NOW).await.unwrap();
    let paths = ["a_b/1", "aXb/1", "a%b/1", "a_b/2", "a_", "z", "é/1", "tagged"];
    let mut writes: Vec<_> = paths.iter().map(|path| place.document(path, &[path, " text"])).collect();
    writes[5].document.source = other.id;
    writes[7].document.tags = vec!["special".to_owned()];
    place.write(catalog, writes).await;

    let cases: [(Selector, &[&str]); 7] = [
        (Selector::UriPrefix(place.uri("a_b/")), &["a_b/1", "a_b/2"]),
        (Selector::UriPrefix(place.uri("a%")), &["a%b/1"]),
        (Selector::Uri(place.uri("a_")), &["a_"]),
        (Selector::Documents(vec![place.id("é/1"), place.id("none")]), &["é/1"]),
        (Selector::Tag("special".to_owned()), &["tagged"]),
        (Selector::Source(other.id), &["z"]),
        (Selector::UriPrefix(String::new()), &["aXb/1"]),
    ];
    let mut left = paths.len();
    for (selector, expected) in cases {
        let (outcome, uris) = catalog.remove(&place.namespace, &selector).await.unwrap();
        let expected: Vec<_> = expected.iter().map(|path| place.uri(path)).collect();
        assert_eq!(uris, expected, "{selector:?}");
        assert_eq!(outcome.removed, expected.len() as u64);
        assert_eq!(outcome.lsn, catalog.head().await.unwrap());
        left -= expected.len();
        assert_eq!(place.contents(catalog).await.len(), left);
        let (again, uris) = catalog.remove(&place.namespace, &selector).await.unwrap();
        assert_eq!((again.removed, uris.len(), again.lsn), (0, 0, outcome.lsn), "{selector:?} again");
    }
    assert_eq!(place.stats(catalog).await, NamespaceStats::default());
    let gone: Vec<_> = paths.iter().flat_map(|path| chunk_ids(&place.document(path, &[path, " text"]))).collect();
    assert!(catalog.hydrate(&place.namespace, &gone).await.unwrap().is_empty());
    assert_eq!(catalog.sources(&place.namespace).await.unwrap().len(), 2, "sources stay registered");
}

async fn vectors_stay_while_a_chunk_needs_them(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "cache").await;
    let other = Place::make(catalog, "cache-other").await;
    place.write(catalog, vec![place.document("a", &["c1", "c2", "c3"]), place.document("b", &["c2"])]).await;
    other.write(catalog, vec![other.document("a", &["c3"])]).await;
    let vector = |seed: f32| vec![seed, -0.5, f32::MIN_POSITIVE, 1e30];
    let vectors: Vec<_> = ["c1", "c2", "c3"].iter().zip(1_u8..).collect();
    assert_eq!(place.stats(catalog).await.chunks_without_vector, 4);
    for model in [MODEL, "model-b"] {
        let vectors = vectors.iter().map(|(text, seed)| (EmbedKey::of(text), vector(f32::from(*seed)))).collect();
        catalog.cache_vectors(model, vectors).await.unwrap();
    }
    catalog.cache_vectors(MODEL, Vec::new()).await.unwrap();
    assert_eq!(place.stats(catalog).await.chunks_without_vector, 0);
    assert_eq!(catalog.stats(&place.namespace, "model-c").await.unwrap().chunks_without_vector, 4);
    let keys = [EmbedKey::of("c1"), EmbedKey::of("c3"), EmbedKey::of("c0"), EmbedKey::of("c1")];
    let found = catalog.cached_vectors(MODEL, &keys).await.unwrap();
    assert_eq!(found, HashMap::from([(keys[0], vector(1.0)), (keys[1], vector(3.0))]));
    assert!(catalog.cached_vectors("model-c", &keys).await.unwrap().is_empty());
    catalog.cache_vectors(MODEL, vec![(keys[0], vector(9.0))]).await.unwrap();
    assert_eq!(catalog.cached_vectors(MODEL, &keys).await.unwrap()[&keys[0]], vector(9.0), "the newest counts");

    // A new version drops c1, which nothing else has; c2 is still in b, c3 in the other namespace.
    place.write(catalog, vec![place.document("a", &["c4"])]).await;
    assert_eq!(cached(catalog, &["c1", "c2", "c3"]).await, [false, true, true]);
    assert_eq!(catalog.cached_vectors("model-b", &keys[..1]).await.unwrap().len(), 0, "for every model");
    catalog.remove(&other.namespace, &Selector::Source(other.source)).await.unwrap();
    assert_eq!(cached(catalog, &["c2", "c3"]).await, [true, false]);
    // A version that keeps the text keeps its vector.
    place.write(catalog, vec![place.document("b", &["c5", "c2"])]).await;
    assert_eq!(cached(catalog, &["c2"]).await, [true]);
    catalog.remove(&place.namespace, &Selector::Uri(place.uri("b"))).await.unwrap();
    assert_eq!(cached(catalog, &["c2"]).await, [false]);
}

async fn touching_changes_sizes_and_times_only(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "touch").await;
    let writes = [place.document("a", &["touch a"]), place.document("b", &["touch b"])];
    let outcome = place.write(catalog, writes.to_vec()).await;
    catalog.hydrate(&place.namespace, &chunk_ids(&writes[0])).await.unwrap();
    let mut states = catalog.source_documents(&place.namespace, place.source).await.unwrap();
    for state in &mut states {
        state.modified_at = Some(Timestamp(NOW.0 + 77));
        state.bytes += 10;
    }
    // One of them was rewritten meanwhile: its state is about another content.
    let stale = states.iter_mut().find(|state| state.id == writes[1].document.id).unwrap();
    stale.content = ContentHash::of(b"something else");
    catalog.touch(&place.namespace, &states).await.unwrap();
    catalog.touch(&place.namespace, &[]).await.unwrap();

    let found = catalog.hydrate(&place.namespace, &chunk_ids(&writes[0])).await.unwrap();
    assert_eq!(found[0].document.modified_at, Some(Timestamp(NOW.0 + 77)));
    assert_eq!(found[0].document.bytes, writes[0].document.bytes + 10);
    let contents = place.contents(catalog).await;
    assert_eq!(contents[&writes[1].document.uri], writes[1], "left alone");
    assert_eq!(catalog.head().await.unwrap(), outcome.lsn, "no log entry");
    assert_eq!(place.stats(catalog).await.bytes, 7 + 7 + 10);
    assert_eq!(place.write(catalog, writes.to_vec()).await.unchanged, 2);
}

async fn replies_and_checkpoints_are_kept(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "replies").await;
    let other = Place::make(catalog, "replies-other").await;
    assert_eq!(catalog.stored_reply(&place.namespace, "k").await.unwrap(), None);
    assert_eq!(catalog.remember_reply(&place.namespace, "k", b"first\0", NOW).await.unwrap(), b"first\0");
    assert_eq!(catalog.remember_reply(&place.namespace, "k", b"second", NOW).await.unwrap(), b"first\0");
    assert_eq!(catalog.stored_reply(&place.namespace, "k").await.unwrap().as_deref(), Some(b"first\0".as_slice()));
    assert_eq!(catalog.stored_reply(&other.namespace, "k").await.unwrap(), None, "keys are per namespace");

    assert_eq!(catalog.checkpoint("lexical-test").await.unwrap(), None);
    catalog.set_checkpoint("lexical-test", Lsn(3), "{\"format\":1}").await.unwrap();
    catalog.set_checkpoint("dense-test", Lsn(9), "").await.unwrap();
    catalog.set_checkpoint("lexical-test", Lsn(4), "{\"format\":2}").await.unwrap();
    let stored = catalog.checkpoint("lexical-test").await.unwrap();
    assert_eq!(stored, Some((Lsn(4), "{\"format\":2}".to_owned())));
    assert_eq!(catalog.checkpoint("dense-test").await.unwrap(), Some((Lsn(9), String::new())));
}

async fn watches_are_kept(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "watches").await;
    let other = Place::make(catalog, "watches-other").await;
    let watched = async || -> Vec<(String, String, String)> {
        let all = catalog.watched().await.unwrap();
        let here = all.into_iter().filter(|(namespace, ..)| namespace.as_str().starts_with("watches"));
        here.map(|(namespace, source, options)| (namespace.to_string(), source.uri, options)).collect()
    };
    assert_eq!(watched().await, []);
    catalog.set_watch(&place.namespace, place.source, Some("{}")).await.unwrap();
    catalog.set_watch(&place.namespace, place.source, Some("{\"tags\":[]}")).await.unwrap();
    catalog.set_watch(&place.namespace, other.source, Some("{}")).await.unwrap();
    let expected = ("watches".to_owned(), "file:///repo".to_owned(), "{\"tags\":[]}".to_owned());
    assert_eq!(
        watched().await,
        std::slice::from_ref(&expected),
        "the last options, and nothing for another namespace's source"
    );
    catalog.ensure_source(&place.namespace, "file:///repo", NOW).await.unwrap();
    assert_eq!(watched().await, [expected], "finding a source again leaves it watched");
    catalog.set_watch(&place.namespace, place.source, None).await.unwrap();
    assert_eq!(watched().await, []);
}

async fn documents_at_some_uris_are_found(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "at").await;
    let other = catalog.ensure_source(&place.namespace, "file:///other", NOW).await.unwrap().id;
    let paths = ["a", "a/x", "a/y/z", "a.rs", "a-b", "a0", "b%_", "b%_/1", "bxx", "c"];
    let mut writes: Vec<_> = paths.iter().map(|path| place.document(path, &[&format!("at {path}")])).collect();
    writes[9].document.source = other;
    place.write(catalog, writes).await;
    let at = async |paths: &[&str]| -> Vec<String> {
        let uris = paths.iter().map(|path| place.uri(path)).collect();
        let found = catalog.source_documents_at(&place.namespace, place.source, &uris).await.unwrap();
        let mut found: Vec<String> = found.into_iter().map(|state| state.uri).collect();
        found.sort();
        found
    };
    let uris = |paths: &[&str]| -> Vec<String> { paths.iter().map(|path| place.uri(path)).collect() };
    assert_eq!(at(&["a"]).await, uris(&["a", "a/x", "a/y/z"]), "itself and below, no neighbours");
    assert_eq!(at(&["a", "a/y", "a/y/z"]).await, uris(&["a", "a/x", "a/y/z"]), "each once");
    assert_eq!(at(&["b%_"]).await, uris(&["b%_", "b%_/1"]), "no patterns");
    assert_eq!(at(&["c", "nowhere"]).await, uris(&[]), "only of that source");
    assert_eq!(at(&[]).await, uris(&[]));
    let all = catalog.source_documents(&place.namespace, place.source).await.unwrap();
    let one = BTreeSet::from([place.uri("a.rs")]);
    let same = catalog.source_documents_at(&place.namespace, place.source, &one).await.unwrap();
    assert!(same.len() == 1 && all.contains(&same[0]), "as the whole source has it");
}

async fn unknown_namespaces_hold_nothing_and_take_nothing(catalog: &dyn Catalog) {
    let known = Place::make(catalog, "known").await;
    let place = Place { namespace: Namespace::new("unknown").unwrap(), source: known.source };
    let (namespace, write) = (&place.namespace, place.document("a", &["unknown a"]));
    assert!(!catalog.has_namespace(namespace).await.unwrap());
    assert!(catalog.has_namespace(&known.namespace).await.unwrap());
    let names = catalog.namespaces().await.unwrap();
    assert!(names.is_sorted() && names.contains(&known.namespace) && !names.contains(namespace));

    assert!(catalog.sources(namespace).await.unwrap().is_empty());
    assert!(catalog.source_documents(namespace, place.source).await.unwrap().is_empty());
    let here = BTreeSet::from([place.uri("a")]);
    assert!(catalog.source_documents_at(namespace, place.source, &here).await.unwrap().is_empty());
    assert!(catalog.hydrate(namespace, &chunk_ids(&write)).await.unwrap().is_empty());
    assert!(catalog.document_chunks(namespace, &[write.document.id]).await.unwrap().is_empty());
    assert!(catalog.documents_where(namespace, &|_, _| true, 9).await.unwrap().is_empty());
    assert_eq!(catalog.document_by_uri(namespace, "x").await.unwrap(), None);
    assert_eq!(catalog.stats(namespace, MODEL).await.unwrap(), NamespaceStats::default());
    assert_eq!(catalog.stored_reply(namespace, "k").await.unwrap(), None);

    let refused = [
        catalog.ensure_source(namespace, "file:///x", NOW).await.map(drop),
        catalog.write(namespace, RECIPE, vec![write]).await.map(drop),
        catalog.touch(namespace, &[]).await,
        catalog.set_watch(namespace, place.source, Some("{}")).await,
        catalog.remove(namespace, &Selector::UriPrefix(String::new())).await.map(drop),
        catalog.remember_reply(namespace, "k", b"", NOW).await.map(drop),
    ];
    for result in refused {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.message().contains("unknown"), "names the namespace: {error}");
    }
    assert!(!catalog.has_namespace(namespace).await.unwrap(), "nothing made it");
}

async fn ugly_texts_come_back_unharmed(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "ugly").await;
    let megabyte = "0123456789abcdef".repeat(65_536);
    let parts = [
        "nul \0 inside",
        "\0",
        "🦀 👩‍👩‍👧 \u{202e}rtl",
        "'; DROP TABLE chunks; --",
        "\r\n\t\u{1}\u{7f}",
        "",
        &megabyte,
        "e\u{301}",
    ];
    let mut write = place.document("odd ' \" % _ \\ é\0.rs", &parts);
    write.document.title = Some("\0 title\n".to_owned());
    write.document.tags = vec!["\0\"tag".to_owned(), "🦀".to_owned()];
    write.document.metadata =
        BTreeMap::from([("k\0\"".to_owned(), "v\u{1f}\\".to_owned()), (String::new(), String::new())]);
    write.chunks[0].symbols = vec!["\0".to_owned(), String::new(), "🦀\"".to_owned()];
    write.chunks[1].symbols = Vec::new();
    write.chunks[2].breadcrumb = "a\0b".to_owned();
    write.chunks[3].outline = "x\0\ny".to_owned();
    write.document.bytes = i64::MAX as u64;
    place.write(catalog, vec![write.clone()]).await;
    let id = write.document.id;
    assert_eq!(place.contents(catalog).await[&write.document.uri], write);
    let mut found = catalog.hydrate(&place.namespace, &chunk_ids(&write)).await.unwrap();
    found.sort_by_key(|one| one.chunk.ordinal);
    assert_eq!(found.into_iter().map(|one| Arc::unwrap_or_clone(one.chunk)).collect::<Vec<_>>(), write.chunks);
    assert_eq!(catalog.document_by_uri(&place.namespace, &write.document.uri).await.unwrap(), Some(write.document));
    let tag = Selector::Tag("\0\"tag".to_owned());
    assert_eq!(catalog.remove(&place.namespace, &tag).await.unwrap().0.removed, 1);
    assert!(catalog.project(&[id]).await.unwrap().is_empty());
}

async fn a_refused_batch_leaves_no_trace(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "refused").await;
    let kept = place.document("kept", &["kept"]);
    let head = place.write(catalog, vec![kept.clone()]).await.lsn;
    let stats = place.stats(catalog).await;
    let good = || place.document("good", &["good"]);

    let mut homeless = place.document("homeless", &["x"]);
    homeless.document.source = SourceId::derive("nowhere", "file:///x");
    let mut disordered = place.document("disordered", &["x", "y"]);
    disordered.chunks[1].ordinal = 5;
    let mut foreign = place.document("foreign", &["x"]);
    foreign.chunks[0].document = place.id("kept");
    let mut taken = place.document("taken", &["x"]);
    taken.chunks[0].id = good().chunks[0].id;
    let mut huge = place.document("huge", &["x"]);
    huge.document.bytes = u64::MAX;
    for (bad, kind) in [
        (homeless, Kind::NotFound),
        (disordered, Kind::Invalid),
        (foreign, Kind::Invalid),
        (taken, Kind::Conflict),
        (huge, Kind::Invalid),
    ] {
        let name = bad.document.path.clone();
        let replaced = place.document("kept", &["replaced"]);
        let error = catalog.write(&place.namespace, RECIPE, vec![good(), replaced, bad]).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {}", error.chain());
        assert_eq!(catalog.head().await.unwrap(), head, "{name}");
        assert_eq!(place.stats(catalog).await, stats, "{name}");
        assert_eq!(
            place.contents(catalog).await.into_values().collect::<Vec<_>>(),
            std::slice::from_ref(&kept),
            "{name}"
        );
    }
    let outcome = place.write(catalog, vec![good()]).await;
    assert_eq!(outcome.added, 1);
    assert_eq!(place.write(catalog, Vec::new()).await, WriteOutcome { lsn: outcome.lsn, ..WriteOutcome::default() });
}

/// A version of a document whose chunks all say which version it is, and how many there are.
fn version(place: &Place, round: usize) -> DocumentWrite {
    let count = round % 5 + 1;
    let parts: Vec<_> = (0..count).map(|index| format!("{round} {count} {index}\n")).collect();
    place.document("a", &parts.iter().map(String::as_str).collect::<Vec<_>>())
}

async fn readers_never_see_a_mix(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "mix").await;
    place.write(catalog, vec![version(&place, 0)]).await;
    let write = async {
        for round in 1..60 {
            place.write(catalog, vec![version(&place, round)]).await;
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        for round in 0..60 {
            let found = catalog.document_chunks(&place.namespace, &[place.id("a")]).await.unwrap();
            let contents: BTreeSet<_> = found.iter().map(|one| one.document.content.to_string()).collect();
            let projected = catalog.project(&[place.id("a")]).await.unwrap().remove(0).write;
            let hydrated = catalog.hydrate(&place.namespace, &chunk_ids(&projected)).await.unwrap();
            assert_eq!(contents.len(), 1, "round {round}");
            assert!(hydrated.is_empty() || hydrated.len() == projected.chunks.len(), "round {round}");
            assert!(hydrated.iter().all(|one| *one.document == projected.document), "round {round}");
            for (chunks, content) in [
                (found.iter().map(|one| one.chunk.text.as_str()).collect::<Vec<_>>(), found[0].document.content),
                (projected.chunks.iter().map(|chunk| chunk.text.as_str()).collect(), projected.document.content),
            ] {
                assert_eq!(ContentHash::of(chunks.concat().as_bytes()), content, "round {round}: {chunks:?}");
            }
        }
    };
    tokio::join!(write, read);
}

async fn a_write_that_is_dropped_is_whole_or_not_there(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "dropped").await;
    place.write(catalog, vec![version(&place, 0)]).await;
    let mut finished = 0;
    for round in 1..80 {
        let writes = vec![version(&place, round), place.document("b", &[&format!("{round}")])];
        let write = catalog.write(&place.namespace, RECIPE, writes);
        let patience = Duration::from_micros(round as u64 * 37 % 3_000);
        finished += usize::from(tokio::time::timeout(patience, write).await.is_ok());
        // A commit on its way when its caller left may still happen; the next write comes after it.
        catalog.touch(&place.namespace, &[]).await.unwrap();
        let contents = place.contents(catalog).await;
        let stats = place.stats(catalog).await;
        let chunks: usize = contents.values().map(|write| write.chunks.len()).sum();
        assert_eq!((stats.documents, stats.chunks), (contents.len() as u64, chunks as u64), "round {round}");
        let text: String = contents[&place.uri("a")].chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        assert_eq!(ContentHash::of(text.as_bytes()), contents[&place.uri("a")].document.content);
        if let Some(b) = contents.get(&place.uri("b")) {
            let written: usize = b.chunks[0].text.parse().unwrap();
            assert_eq!(contents[&place.uri("a")], version(&place, written), "both of one write or neither");
        }
    }
    // However many were dropped, the catalogue works on.
    let last = place.write(catalog, vec![version(&place, 1_000)]).await;
    assert_eq!(last.updated, 1, "after {finished} finished writes");
}

/// What [`fill`] wrote is what a catalogue opened later holds.
pub async fn is_filled(catalog: &dyn Catalog, head: Lsn) {
    let namespace = Namespace::new("durable").unwrap();
    let source = catalog.sources(&namespace).await.unwrap()[0].id;
    let place = Place { namespace, source };
    let contents = place.contents(catalog).await;
    assert_eq!(contents.into_values().collect::<Vec<_>>(), [place.document("a", &["durable a", "more"])]);
    assert_eq!(catalog.head().await.unwrap(), head);
    assert_eq!(cached(catalog, &["durable a", "durable b"]).await, [true, false]);
    assert_eq!(catalog.checkpoint("durable").await.unwrap(), Some((head, "m".to_owned())));
    assert_eq!(catalog.stored_reply(&place.namespace, "k").await.unwrap().as_deref(), Some(b"r".as_slice()));
    assert_eq!(place.stats(catalog).await.chunks_without_vector, 1);
}

/// Writes a little of everything, ending with a removal, and gives the head.
pub async fn fill(catalog: &dyn Catalog) -> Lsn {
    let place = Place::make(catalog, "durable").await;
    place.write(catalog, vec![place.document("a", &["durable a", "more"]), place.document("b", &["durable b"])]).await;
    let vectors = ["durable a", "durable b"].map(|text| (EmbedKey::of(text), vec![1.0, 2.0]));
    catalog.cache_vectors(MODEL, vectors.to_vec()).await.unwrap();
    catalog.remember_reply(&place.namespace, "k", b"r", NOW).await.unwrap();
    let (outcome, _) = catalog.remove(&place.namespace, &Selector::Uri(place.uri("b"))).await.unwrap();
    catalog.set_checkpoint("durable", outcome.lsn, "m").await.unwrap();
    outcome.lsn
}
