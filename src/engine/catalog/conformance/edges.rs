//! Bad input, races and callers that go away.

use super::*;

pub(super) async fn unknown_namespaces_hold_nothing_and_take_nothing(catalog: &dyn Catalog) {
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
        catalog.set_standing(namespace, place.source, Standing::Watch, Some("{}")).await,
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

pub(super) async fn ugly_texts_come_back_unharmed(catalog: &dyn Catalog) {
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

pub(super) async fn a_refused_batch_leaves_no_trace(catalog: &dyn Catalog) {
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

pub(super) async fn readers_never_see_a_mix(catalog: &dyn Catalog) {
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

pub(super) async fn a_write_that_is_dropped_is_whole_or_not_there(catalog: &dyn Catalog) {
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
