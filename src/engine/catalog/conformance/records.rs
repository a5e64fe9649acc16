//! What is kept beside documents: replies, checkpoints, watches; and documents by address.

use super::*;

pub(super) async fn replies_and_checkpoints_are_kept(catalog: &dyn Catalog) {
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

pub(super) async fn standings_are_kept(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "standings").await;
    let other = Place::make(catalog, "standings-other").await;
    let stored = async |standing: Standing| -> Vec<(String, String, String)> {
        let all = catalog.standing(standing).await.unwrap();
        let here = all.into_iter().filter(|(namespace, ..)| namespace.as_str().starts_with("standings"));
        here.map(|(namespace, source, options)| (namespace.to_string(), source.uri, options)).collect()
    };
    for (standing, another) in [(Standing::Watch, Standing::Sync), (Standing::Sync, Standing::Watch)] {
        assert_eq!(stored(standing).await, []);
        catalog.set_standing(&place.namespace, place.source, standing, Some("{}")).await.unwrap();
        catalog.set_standing(&place.namespace, place.source, standing, Some("{\"tags\":[]}")).await.unwrap();
        catalog.set_standing(&place.namespace, other.source, standing, Some("{}")).await.unwrap();
        let expected = ("standings".to_owned(), "file:///repo".to_owned(), "{\"tags\":[]}".to_owned());
        assert_eq!(
            stored(standing).await,
            std::slice::from_ref(&expected),
            "the last options, and nothing for another namespace's source"
        );
        catalog.ensure_source(&place.namespace, "file:///repo", NOW).await.unwrap();
        catalog.set_standing(&place.namespace, place.source, another, None).await.unwrap();
        assert_eq!(stored(standing).await, [expected], "neither finding it again nor another standing changes it");
        catalog.set_standing(&place.namespace, place.source, standing, None).await.unwrap();
        assert_eq!(stored(standing).await, []);
    }
}

pub(super) async fn documents_at_some_uris_are_found(catalog: &dyn Catalog) {
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

pub(super) async fn what_was_skipped_is_noted_until_it_is_over(catalog: &dyn Catalog) {
    let place = Place::make(catalog, "skipped").await;
    let skipped = |path: &str, reason: &str| Skipped {
        uri: place.uri(path),
        bytes: 7,
        modified_at: Some(Timestamp(5)),
        mark: Some("\"m\"".to_owned()),
        looked_at: NOW,
        recipe: RECIPE.to_owned(),
        reason: reason.to_owned(),
    };
    let known = async || {
        let mut known = catalog.skipped(&place.namespace, place.source).await.unwrap();
        known.sort_by(|a, b| a.uri.cmp(&b.uri));
        known
    };
    let note = async |skipped: &[Skipped], over: &[String]| {
        catalog.note_skipped(&place.namespace, place.source, skipped, over).await.unwrap();
    };
    let all = [skipped("a.js", "minified"), skipped("b.lock", "generated"), skipped("b/c", "binary")];
    note(&all, &[]).await;
    assert_eq!(known().await, all);
    let again = Skipped { modified_at: None, mark: None, ..skipped("a.js", "generated") };
    note(std::slice::from_ref(&again), &[place.uri("a.js"), place.uri("nowhere")]).await;
    assert_eq!(known().await, [again, all[1].clone(), all[2].clone()]);
    let other = Place::make(catalog, "skipped-elsewhere").await;
    assert!(catalog.skipped(&other.namespace, place.source).await.unwrap().is_empty());
    catalog.note_skipped(&other.namespace, place.source, &all, &[]).await.unwrap();

    let forget = async |selector: Selector| catalog.remove(&place.namespace, &selector).await.unwrap();
    forget(Selector::Uri(place.uri("a.js"))).await;
    forget(Selector::UriPrefix(place.uri("b/"))).await;
    assert_eq!(known().await, [all[1].clone()], "its address is forgotten though no document had it");
    forget(Selector::Source(place.source)).await;
    assert!(known().await.is_empty());
}
