//! Random histories of writes, removals and cached vectors, checked step by step against a model that is too simple
//! to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{MODEL, NOW, Place, RECIPE};
use crate::base::{EmbedKey, Timestamp};
use crate::engine::catalog::{Catalog, NamespaceStats, Selector};
use crate::model::{DocumentKind, DocumentWrite, Filter, Operation};

/// A step. Small alphabets make steps meet each other.
#[derive(Debug, Clone)]
pub enum Step {
    /// In this namespace, documents by name with their chunks as letters and whether they have the tag.
    Write(usize, Vec<(u8, Vec<u8>, bool)>),
    /// In this namespace, by a selector made from the two numbers.
    Remove(usize, u8, u8),
    /// Vectors for these letters.
    Cache(Vec<u8>),
}

/// Some steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let document = (0_u8..5, vec(0_u8..6, 0..5), any::<bool>());
    vec(
        prop_oneof![
            4 => (0_usize..2, vec(document, 1..4)).prop_map(|(place, documents)| Step::Write(place, documents)),
            2 => (0_usize..2, 0_u8..7, 0_u8..5).prop_map(|(place, how, which)| Step::Remove(place, how, which)),
            2 => vec(0_u8..6, 1..4).prop_map(Step::Cache),
        ],
        1..20,
    )
}

#[derive(Default)]
struct Model {
    documents: [BTreeMap<String, DocumentWrite>; 2],
    vectors: BTreeSet<String>,
}

impl Model {
    fn texts(&self) -> BTreeSet<String> {
        let documents = self.documents.iter().flat_map(BTreeMap::values);
        documents.flat_map(|write| write.chunks.iter().map(|chunk| chunk.text.clone())).collect()
    }
}

/// Plays `steps` in two new namespaces whose names and texts contain `salt`.
pub async fn play(catalog: &dyn Catalog, salt: &str, steps: Vec<Step>) {
    let places = [
        Place::make(catalog, &format!("history-{salt}-0")).await,
        Place::make(catalog, &format!("history-{salt}-1")).await,
    ];
    let letter = |letter: u8| format!("{salt} {letter}");
    let mut model = Model::default();
    for step in steps {
        let shown = format!("{step:?}");
        let before = catalog.head().await.unwrap();
        let expected = match step {
            Step::Write(index, documents) => {
                let place = &places[index];
                let writes: Vec<_> = documents
                    .into_iter()
                    .map(|(name, letters, tagged)| {
                        let parts: Vec<_> = letters.into_iter().map(letter).collect();
                        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
                        let mut write = place.document(&format!("{}/{name}", name % 2), &parts);
                        write.document.tags.retain(|tag| tagged || tag != "alpha");
                        write
                    })
                    .collect();
                write(catalog, place, &mut model.documents[index], writes, &shown).await
            }
            Step::Remove(index, how, which) => {
                remove(catalog, &places[index], &mut model.documents[index], (how, which), &shown).await
            }
            Step::Cache(letters) => {
                let texts: BTreeSet<_> = letters.into_iter().map(letter).collect();
                let held = model.texts();
                // Vectors are cached for texts that are there.
                let texts: Vec<_> = texts.into_iter().filter(|text| held.contains(text)).collect();
                let vectors = texts.iter().map(|text| (EmbedKey::of(text), vec![1.0; 4])).collect();
                catalog.cache_vectors(MODEL, vectors).await.unwrap();
                model.vectors.extend(texts);
                BTreeSet::new()
            }
        };
        let held = model.texts();
        model.vectors.retain(|text| held.contains(text));
        let entries = catalog.read_log(before, 100).await.unwrap();
        let logged: BTreeSet<_> = entries.iter().map(|entry| (entry.document, entry.operation)).collect();
        assert_eq!(logged, expected, "{shown}");
        assert_eq!(entries.len(), expected.len(), "{shown}");
        let letters: Vec<_> = (0..6).map(letter).collect();
        compare(catalog, &places, &model, &letters, &shown).await;
    }
}

type Logged = BTreeSet<(crate::base::DocumentId, Operation)>;

async fn write(
    catalog: &dyn Catalog,
    place: &Place,
    documents: &mut BTreeMap<String, DocumentWrite>,
    writes: Vec<DocumentWrite>,
    shown: &str,
) -> Logged {
    let last: BTreeMap<_, _> = writes.iter().map(|write| (write.document.uri.clone(), write.clone())).collect();
    let outcome = catalog.write(&place.namespace, RECIPE, writes).await.unwrap();
    let (mut added, mut updated, mut unchanged) = (0, 0, 0);
    let mut logged = Logged::new();
    for (uri, write) in last {
        let id = write.document.id;
        match documents.insert(uri, write.clone()) {
            None => added += 1,
            Some(old) if old == write => {
                unchanged += 1;
                continue;
            }
            Some(_) => updated += 1,
        }
        logged.insert((id, Operation::Put));
    }
    assert_eq!((outcome.added, outcome.updated, outcome.unchanged), (added, updated, unchanged), "{shown}");
    logged
}

async fn remove(
    catalog: &dyn Catalog,
    place: &Place,
    documents: &mut BTreeMap<String, DocumentWrite>,
    (how, which): (u8, u8),
    shown: &str,
) -> Logged {
    let path = format!("{}/{which}", which % 2);
    let selector = match how {
        0 => Selector::Documents(vec![place.id(&path), place.id("0/0")]),
        1 => Selector::Source(place.source),
        2 => Selector::Uri(place.uri(&path)),
        3 => Selector::UriPrefix(place.uri(&format!("{}/", which % 2))),
        4 => Selector::Tag("alpha".to_owned()),
        5 => Selector::ExpiredBy(Timestamp(NOW.0 + i64::from(which % 2))),
        _ => Selector::Filter(Box::new(Filter {
            tags: vec!["alpha".to_owned(), "beta".to_owned()],
            documents: (which % 2 == 0).then(|| vec![place.id(&path), place.id("0/0")]),
            sources: vec![place.source],
            kinds: vec![DocumentKind::Code, DocumentKind::Text],
            languages: vec!["rust".to_owned()],
            modified_from: Some(Timestamp(i64::MIN)),
            ..Filter::all(place.namespace.clone())
        })),
    };
    let chosen = |write: &DocumentWrite| match &selector {
        Selector::Documents(ids) => ids.contains(&write.document.id),
        Selector::Source(source) => write.document.source == *source,
        Selector::Uri(uri) => write.document.uri == *uri,
        Selector::UriPrefix(prefix) => write.document.uri.starts_with(prefix),
        Selector::Tag(tag) => write.document.tags.contains(tag),
        Selector::ExpiredBy(time) => write.document.expires_at.is_some_and(|at| at <= *time),
        Selector::Filter(filter) => {
            let document = &write.document;
            filter.tags.iter().any(|tag| document.tags.contains(tag))
                && filter.documents.as_ref().is_none_or(|ids| ids.contains(&document.id))
                && filter.kinds.contains(&document.kind)
                && document.language.as_ref().is_some_and(|language| filter.languages.contains(language))
                && document.modified_at.is_some()
        }
    };
    let gone: Vec<_> = documents.extract_if(.., |_, write| chosen(write)).collect();
    let (outcome, uris) = catalog.remove(&place.namespace, &selector).await.unwrap();
    assert_eq!(uris, gone.iter().map(|(uri, _)| uri.clone()).collect::<Vec<_>>(), "{shown}");
    assert_eq!(outcome.removed, gone.len() as u64, "{shown}");
    gone.into_iter().map(|(_, write)| (write.document.id, Operation::Delete)).collect()
}

async fn compare(catalog: &dyn Catalog, places: &[Place; 2], model: &Model, letters: &[String], shown: &str) {
    let keys: Vec<_> = letters.iter().map(|text| EmbedKey::of(text)).collect();
    let vectors = catalog.cached_vectors(MODEL, &keys).await.unwrap();
    for (text, key) in letters.iter().zip(&keys) {
        assert_eq!(vectors.contains_key(key), model.vectors.contains(text), "vector of {text:?} after {shown}");
    }
    for (place, documents) in places.iter().zip(&model.documents) {
        assert_eq!(place.contents(catalog).await, *documents, "{shown}");
        let chunks: Vec<_> = documents.values().flat_map(|write| &write.chunks).collect();
        let expected = NamespaceStats {
            documents: documents.len() as u64,
            chunks: chunks.len() as u64,
            bytes: documents.values().map(|write| write.document.bytes).sum(),
            tokens: chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum(),
            chunks_without_vector: chunks.iter().filter(|chunk| !model.vectors.contains(&chunk.text)).count() as u64,
        };
        assert_eq!(catalog.stats(&place.namespace, MODEL).await.unwrap(), expected, "{shown}");
        let ids: Vec<_> = chunks.iter().map(|chunk| chunk.id).collect();
        let mut hydrated = catalog.hydrate(&place.namespace, &ids).await.unwrap();
        hydrated.sort_by_key(|one| (one.document.uri.clone(), one.chunk.ordinal));
        let hydrated: Vec<_> = hydrated.iter().map(|one| &*one.chunk).collect();
        assert_eq!(hydrated, chunks, "{shown}");
    }
}
