//! What checking, mending and shortening need of a catalogue.

use super::*;

pub(super) async fn what_is_held_is_listed(catalog: &dyn Catalog) {
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

pub(super) async fn documents_are_logged_again_and_the_log_is_shortened(catalog: &dyn Catalog) {
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

pub(super) async fn an_audit_finds_what_is_without_vector(catalog: &dyn Catalog) {
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
