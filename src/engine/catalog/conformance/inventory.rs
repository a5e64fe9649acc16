//! What the contract of the inventory says, against a backend.

use std::collections::BTreeMap;

use super::Place;
use crate::base::{Kind, Timestamp};
use crate::engine::catalog::inventory::{Inventory, Seen};
use crate::engine::catalog::registry::Registered;
use crate::engine::catalog::{Catalog, Selector};
use crate::model::{DataFilter, DataKind, DataObject, DataUse, Namespace, StoreKind};

const NOW: Timestamp = Timestamp(7);

fn object(uri: &str) -> DataObject {
    DataObject::at(uri)
}

/// Runs the whole suite against an empty backend.
pub async fn suite<C: Catalog + Inventory>(catalog: &C) {
    let ns = Namespace::new("view").unwrap();
    let missing = catalog.register_objects(&ns, vec![object("s3://b/a")], NOW).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound, "no namespace, no object");
    registered_is_read_back(catalog).await;
    pages_join_both_and_never_depend_on_depth(catalog).await;
    levels_show_folders_and_what_lies_beside_them(catalog).await;
    filters_admit_what_they_say(catalog).await;
    words_find_what_they_are_of(catalog).await;
    uses_are_a_ring_and_go_with_what_they_are_of(catalog).await;
}

async fn registered_is_read_back<C: Catalog + Inventory>(catalog: &C) {
    let place = Place::make(catalog, "registered").await;
    let ns = &place.namespace;
    let full = DataObject {
        name: "Orders".into(),
        description: "Every order\nsince 2019".into(),
        kind: DataKind::Table,
        media_type: "text/csv".into(),
        schema: "id, at, total".into(),
        owner: "sales".into(),
        tags: vec!["a\"b".into(), "eu".into()],
        credential: "warehouse".into(),
        bytes: Some(u64::from(u32::MAX) + 1),
        content: Some(crate::base::ContentHash::of(b"x")),
        modified_at: Some(Timestamp(-5)),
        metadata: BTreeMap::from([("k".into(), "v'".into())]),
        ..object("postgres://db/shop/orders")
    };
    let register = |objects: Vec<DataObject>| catalog.register_objects(ns, objects, NOW);
    let twice = vec![object(&full.uri), object("s3://b/x"), full.clone()];
    assert_eq!(register(twice).await.unwrap(), [Registered::Added; 3]);
    assert_eq!(register(vec![full.clone()]).await.unwrap(), [Registered::Unchanged]);
    let held = catalog.object(ns, &full.uri).await.unwrap().unwrap();
    assert_eq!((held.object, held.registered_at, held.mark), (full.clone(), NOW, None));
    let seen = Seen { bytes: Some(9), mark: Some("m".into()), ..Seen::default() };
    catalog.note_seen(ns, &full.uri, &seen).await.unwrap();
    catalog.note_seen(ns, "s3://not/registered", &seen).await.unwrap();
    let held = catalog.object(ns, &full.uri).await.unwrap().unwrap();
    assert_eq!((held.object.bytes, held.object.content, held.mark.as_deref()), (Some(9), full.content, Some("m")));
    assert_eq!(register(vec![full.clone()]).await.unwrap(), [Registered::Unchanged], "seeing is not registering");
    let held = catalog.object(ns, &full.uri).await.unwrap().unwrap();
    assert_eq!((held.object, held.mark), (full.clone(), None), "what is registered anew counts as it was said");
    let read = Seen { content: Some(crate::base::ContentHash::of(b"y")), modified_at: Some(NOW), ..seen.clone() };
    catalog.note_seen(ns, &full.uri, &read).await.unwrap();
    catalog.note_seen(ns, "s3://b/x", &read).await.unwrap();
    let held = catalog.object(ns, &full.uri).await.unwrap().unwrap();
    assert_eq!((held.registered_content, held.object.content), (full.content, full.content), "the owner's hash stays");
    let held = catalog.object(ns, "s3://b/x").await.unwrap().unwrap();
    assert_eq!((held.registered_content, held.object.content), (None, read.content));
    assert_eq!(held.object.modified_at, Some(NOW));
    let credential = async |uri: &str| catalog.credential_above(ns, uri).await.unwrap();
    assert_eq!(credential("postgres://db/shop/orders/2019").await.as_deref(), Some("warehouse"));
    assert_eq!(credential(&full.uri).await.as_deref(), Some("warehouse"));
    assert_eq!(credential("postgres://db/shop/orders2").await, None);
    let changed = DataObject { owner: "finance".into(), ..full.clone() };
    assert_eq!(register(vec![changed.clone()]).await.unwrap(), [Registered::Updated]);
    assert_eq!(catalog.object(ns, &full.uri).await.unwrap().unwrap().object, changed);
    let other = Place::make(catalog, "registered-other").await.namespace;
    assert!(catalog.object(&other, &full.uri).await.unwrap().is_none());
    assert!(catalog.unregister_objects(&other, std::slice::from_ref(&full.uri)).await.unwrap().is_empty());
    assert!(catalog.list_data(&other, "", &DataFilter::default(), None, 9).await.unwrap().entries.is_empty());
    assert!(catalog.search_objects(&other, &["orders".into()], 9).await.unwrap().is_empty());
    let gone = catalog.unregister_objects(ns, &[full.uri.clone(), "s3://none".into()]).await.unwrap();
    assert_eq!(gone, std::slice::from_ref(&full.uri));
    assert!(catalog.object(ns, &full.uri).await.unwrap().is_none());
    assert!(catalog.search_objects(ns, &["orders".into()], 9).await.unwrap().is_empty());
    register((0..5).map(|n| object(&format!("s3://b/p/{n}"))).collect()).await.unwrap();
    register(vec![object("s3://b/p0")]).await.unwrap();
    assert_eq!(catalog.unregister_below(ns, "s3://b/p/", 3).await.unwrap().len(), 3);
    assert_eq!(catalog.unregister_below(ns, "s3://b/p/", 3).await.unwrap(), ["s3://b/p/3", "s3://b/p/4"]);
    assert!(catalog.unregister_below(ns, "s3://b/p/", 3).await.unwrap().is_empty());
}

/// All of a listing, page by page.
async fn all<C: Inventory>(
    catalog: &C,
    ns: &Namespace,
    prefix: &str,
    filter: &DataFilter,
    limit: usize,
) -> Vec<String> {
    let (mut uris, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = catalog.list_data(ns, prefix, filter, after.as_deref(), limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        uris.extend(page.entries.into_iter().map(|entry| entry.uri));
        pages += 1;
        assert!(pages < 1_000, "the listing does not end");
        after = page.after;
        if after.is_none() {
            return uris;
        }
    }
}

async fn pages_join_both_and_never_depend_on_depth<C: Catalog + Inventory>(catalog: &C) {
    let place = Place::make(catalog, "pages").await;
    let ns = &place.namespace;
    let card = |path: &str| {
        let mut write = place.document(path, &["card"]);
        write.document.uri = crate::model::data::card_uri(&format!("s3://b/{path}"));
        write.document.id = crate::base::DocumentId::derive(ns.as_str(), &write.document.uri);
        write.chunks.clear();
        write
    };
    let documents = ["a", "b/c", "b/d", "é"].map(|path| place.document(path, &["text"]));
    place.write(catalog, documents.into_iter().chain([card("k1"), card("k2")]).collect()).await;
    let objects = ["file:///repo/b/c", "file:///repo/a0", "s3://b/k1", "zz://x", "aa://x"].map(object);
    catalog.register_objects(ns, objects.to_vec(), NOW).await.unwrap();
    let whole = [
        "aa://x",
        "file:///repo/a",
        "file:///repo/a0",
        "file:///repo/b/c",
        "file:///repo/b/d",
        "file:///repo/é",
        "s3://b/k1",
        "zz://x",
    ];
    for limit in 1..10 {
        assert_eq!(all(catalog, ns, "", &DataFilter::default(), limit).await, whole, "{limit} a page");
    }
    let below = all(catalog, ns, "file:///repo/b", &DataFilter::default(), 1).await;
    assert_eq!(below, ["file:///repo/b/c", "file:///repo/b/d"]);
    let page = catalog.list_data(ns, "file:///repo/b/c", &DataFilter::default(), None, 9).await.unwrap();
    assert!(page.entries[0].indexed && page.entries[0].registered, "one address, one entry");
    let ingested = catalog.ingested(ns, "file:///repo/b", 1).await.unwrap();
    assert_eq!((ingested.documents, ingested.documents_total), (vec!["file:///repo/b/c".to_owned()], 2));
    let ingested = catalog.ingested(ns, "file:///repo/a", 9).await.unwrap();
    assert_eq!((ingested.source.as_deref(), ingested.chunks, ingested.documents_total), (Some("file:///repo"), 1, 1));
    let asked = ["file:///repo", "file:///repo/b/", "file:///repo/a", "file:///rep", "s3://b"].map(str::to_owned);
    assert_eq!(catalog.hold_documents(ns, &asked).await.unwrap(), asked[..3]);
    let asked = ["file:///repo/a".to_owned(), "s3://b/k1".to_owned()];
    assert_eq!(catalog.are_ingested(ns, &asked).await.unwrap(), [asked[0].clone()]);
}

async fn levels_show_folders_and_what_lies_beside_them<C: Catalog + Inventory>(catalog: &C) {
    let place = Place::make(catalog, "levels").await;
    let ns = &place.namespace;
    place.write(catalog, vec![place.document("a", &["x"]), place.document("b/c", &["x"])]).await;
    let mut objects: Vec<DataObject> = (0..7).map(|n| object(&format!("s3://b/deep/{n}/x"))).collect();
    objects.extend(["s3://b/top", "s3://b/", "s3://b/deep.txt", "s3://c/x", "memory:1"].map(object));
    catalog.register_objects(ns, objects, NOW).await.unwrap();
    let level = async |prefix: &str, limit: usize| {
        let (mut folders, mut entries, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let level =
                catalog.list_level(ns, prefix, &DataFilter::default(), after.as_deref(), limit, 5).await.unwrap();
            folders.extend(level.folders.into_iter().map(|folder| (folder.uri, folder.objects, folder.at_least)));
            entries.extend(level.page.entries.into_iter().map(|entry| entry.uri));
            after = level.page.after;
            if after.is_none() {
                return (folders, entries);
            }
        }
    };
    let folder = |uri: &str, objects: u64, at_least: bool| (uri.to_owned(), objects, at_least);
    for limit in [1, 2, 3, 50] {
        let (folders, entries) = level("", limit).await;
        assert_eq!(folders, [folder("file://", 2, false), folder("memory:", 1, false), folder("s3://", 5, true)]);
        assert!(entries.is_empty());
        let (folders, entries) = level("s3://", limit).await;
        assert_eq!(folders, [folder("s3://b/", 5, true), folder("s3://c/", 1, false)]);
        assert_eq!(entries, ["s3://b/"], "a folder that is registered itself");
        let (folders, entries) = level("s3://b/", limit).await;
        assert_eq!(folders, [folder("s3://b/deep/", 5, true)]);
        assert_eq!(entries, ["s3://b/deep.txt", "s3://b/top"]);
        let (folders, entries) = level("file:///repo/", limit).await;
        assert_eq!((folders, entries), (vec![folder("file:///repo/b/", 1, false)], vec!["file:///repo/a".to_owned()]));
        assert_eq!(level("s3://none/", limit).await, (Vec::new(), Vec::new()));
    }
}

async fn filters_admit_what_they_say<C: Catalog + Inventory>(catalog: &C) {
    let place = Place::make(catalog, "filters").await;
    let ns = &place.namespace;
    place.write(catalog, vec![place.document("a", &["x"])]).await;
    let mut objects: Vec<DataObject> = (0..50).map(|n| object(&format!("s3://b/{n:02}"))).collect();
    objects[7].owner = "me".into();
    objects[9].kind = DataKind::Table;
    objects[11].tags = vec!["eu".into()];
    catalog.register_objects(ns, objects, NOW).await.unwrap();
    let list = async |filter: DataFilter| all(catalog, ns, "", &filter, 3).await;
    assert_eq!(list(DataFilter { owners: vec!["me".into()], ..Default::default() }).await, ["s3://b/07"]);
    assert_eq!(list(DataFilter { kinds: vec![DataKind::Table], ..Default::default() }).await, ["s3://b/09"]);
    assert_eq!(list(DataFilter { tags: vec!["eu".into(), "us".into()], ..Default::default() }).await, ["s3://b/11"]);
    assert_eq!(list(DataFilter { tags: vec!["béta".into()], ..Default::default() }).await, ["file:///repo/a"]);
    assert_eq!(list(DataFilter { indexed: Some(true), ..Default::default() }).await, ["file:///repo/a"]);
    assert_eq!(list(DataFilter { stores: vec![StoreKind::S3], ..Default::default() }).await.len(), 50);
    assert!(
        list(DataFilter { tags: vec!["eu".into()], owners: vec!["me".into()], ..Default::default() }).await.is_empty()
    );
}

async fn words_find_what_they_are_of<C: Catalog + Inventory>(catalog: &C) {
    let place = Place::make(catalog, "words").await;
    let ns = &place.namespace;
    let described = |uri: &str, text: &str| DataObject { description: text.into(), ..object(uri) };
    let objects = vec![
        described("s3://lake/orders_2024.parquet", "Rows of the shop"),
        described("s3://lake/visits.parquet", "Visits, with the orders that came of them"),
        described("s3://lake/other", "Nothing of the kind"),
    ];
    catalog.register_objects(ns, objects, NOW).await.unwrap();
    let find = async |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let found = catalog.search_objects(ns, &words, 5).await.unwrap();
        assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1), "best first");
        found.into_iter().map(|(object, _)| object.uri).collect::<Vec<_>>()
    };
    assert_eq!(find(&["order"]).await, ["s3://lake/orders_2024.parquet", "s3://lake/visits.parquet"]);
    assert_eq!(find(&["2024", "nowhere"]).await, ["s3://lake/orders_2024.parquet"]);
    for odd in ["\"", "a\"b OR c", "wall : x", "*", "NEAR("] {
        find(&[odd]).await;
    }
    assert!(find(&[]).await.is_empty());
    let again = described("s3://lake/visits.parquet", "Sessions");
    catalog.register_objects(ns, vec![again], NOW).await.unwrap();
    assert_eq!(find(&["orders"]).await, ["s3://lake/orders_2024.parquet"], "old words are gone");
}

async fn uses_are_a_ring_and_go_with_what_they_are_of<C: Catalog + Inventory>(catalog: &C) {
    let place = Place::make(catalog, "uses").await;
    let ns = &place.namespace;
    place.write(catalog, vec![place.document("a", &["x"]), place.document("b", &["x"])]).await;
    let (a, b) = (place.uri("a"), place.uri("b"));
    catalog.register_objects(ns, vec![object(&b)], NOW).await.unwrap();
    let entry = |n: i64| DataUse { action: "fetch".into(), user: "run/node".into(), at: Timestamp(n), bytes: 3 };
    for n in 0..5 {
        for uri in [&a, &b] {
            catalog.record_use(ns, uri, &entry(n), 3).await.unwrap();
        }
    }
    assert_eq!(catalog.uses(ns, &a).await.unwrap(), [entry(4), entry(3), entry(2)]);
    for uri in [&a, &b] {
        catalog.remove(ns, &Selector::Uri(uri.clone())).await.unwrap();
    }
    assert!(catalog.uses(ns, &a).await.unwrap().is_empty(), "what is forgotten was used by nobody");
    assert_eq!(catalog.uses(ns, &b).await.unwrap().len(), 3, "what stays registered keeps its uses");
    catalog.unregister_objects(ns, std::slice::from_ref(&b)).await.unwrap();
    assert!(catalog.uses(ns, &b).await.unwrap().is_empty());
}
