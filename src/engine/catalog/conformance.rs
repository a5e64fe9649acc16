//! What every catalogue must do: one suite against the trait, run by each backend's tests.
//!
//! A test uses namespaces and texts of its own, so that all of them can share one database.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::error::Kind;
use crate::model::{Chunk, DocumentKind, Facts, Lines, Operation, Pages, Role, Span, Trust};

mod care;
mod edges;
pub mod histories;
pub mod inventory;
mod records;
pub mod registry;
pub mod runs;

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
                    pages: (ordinal % 2 == 1).then_some(Pages { first: ordinal as u32, last: ordinal as u32 + 1 }),
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
            mark: Some("\"etag\"".to_owned()),
            indexed_at: NOW,
            tags: vec!["alpha".to_owned(), "béta".to_owned()],
            metadata: BTreeMap::from([("run".to_owned(), "r\"1".to_owned())]),
            trust: Trust::External,
            expires_at: Some(Timestamp(NOW.0 + 1)),
            repeats: Some(DocumentId::from_u128(77)),
        };
        DocumentWrite { document, chunks, facts: Facts::default() }
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
    records::replies_and_checkpoints_are_kept(catalog).await;
    records::standings_are_kept(catalog).await;
    records::documents_at_some_uris_are_found(catalog).await;
    records::what_was_skipped_is_noted_until_it_is_over(catalog).await;
    edges::unknown_namespaces_hold_nothing_and_take_nothing(catalog).await;
    edges::ugly_texts_come_back_unharmed(catalog).await;
    edges::a_refused_batch_leaves_no_trace(catalog).await;
    edges::readers_never_see_a_mix(catalog).await;
    edges::a_write_that_is_dropped_is_whole_or_not_there(catalog).await;
    care::what_is_held_is_listed(catalog).await;
    care::documents_are_logged_again_and_the_log_is_shortened(catalog).await;
    care::an_audit_finds_what_is_without_vector(catalog).await;
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

/// A version of a document whose chunks all say which version it is, and how many there are.
fn version(place: &Place, round: usize) -> DocumentWrite {
    let count = round % 5 + 1;
    let parts: Vec<_> = (0..count).map(|index| format!("{round} {count} {index}\n")).collect();
    place.document("a", &parts.iter().map(String::as_str).collect::<Vec<_>>())
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
