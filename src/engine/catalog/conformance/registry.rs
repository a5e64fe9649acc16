//! What the contract of the registry says, against a backend.

use crate::base::{EmbedKey, NodeId, Timestamp};
use crate::engine::catalog::registry::{NodeWrite, Registered};
use crate::engine::catalog::{Catalog, Registry};
use crate::model::{Namespace, NodeSpec, Outcome};

const MODEL: &str = "m";

fn spec(name: &str, description: &str) -> NodeSpec {
    NodeSpec { name: name.into(), description: description.into(), ..NodeSpec::default() }
}

fn write(spec: NodeSpec) -> NodeWrite {
    NodeWrite { keys: vec![EmbedKey::of(&spec.description)], spec }
}

async fn cached<C: Catalog>(catalog: &C, texts: &[&str]) -> Vec<bool> {
    let keys: Vec<EmbedKey> = texts.iter().map(|text| EmbedKey::of(text)).collect();
    let found = catalog.cached_vectors(MODEL, &keys).await.unwrap();
    keys.iter().map(|key| found.contains_key(key)).collect()
}

/// Runs the whole suite against an empty backend.
pub async fn suite<C: Catalog + Registry>(catalog: &C) {
    let (ns, other) = (Namespace::new("ns").unwrap(), Namespace::new("other").unwrap());
    let now = Timestamp(7);
    let missing = catalog.register_nodes(&ns, vec![write(spec("a", "x"))], now).await.unwrap_err();
    assert_eq!(missing.kind(), crate::base::Kind::NotFound, "no namespace, no node");
    for namespace in [&ns, &other] {
        catalog.create_namespace(namespace, now).await.unwrap();
    }
    versions(catalog, &ns, now).await;
    walls(catalog, &ns, &other, now).await;
    vectors(catalog, &ns, &other, now).await;
    outcomes(catalog, &ns, now).await;
}

async fn versions<C: Catalog + Registry>(catalog: &C, ns: &Namespace, now: Timestamp) {
    let register = |spec: NodeSpec| catalog.register_nodes(ns, vec![write(spec)], now);
    let id = NodeId::derive("ns", "a");
    assert_eq!(register(spec("a", "one")).await.unwrap(), [(id, Registered::Added)]);
    assert_eq!(register(spec("a", "one")).await.unwrap(), [(id, Registered::Unchanged)]);
    assert_eq!(register(spec("a", "two")).await.unwrap(), [(id, Registered::Updated)]);
    let example = [("say it".to_owned(), EmbedKey::of("say it"))];
    assert_eq!(catalog.add_examples(ns, id, &example, now).await.unwrap(), 1);
    assert_eq!(catalog.add_examples(ns, id, &example, now).await.unwrap(), 0, "an example is stored once");
    let node = catalog.nodes(ns, None).await.unwrap().remove(0);
    assert_eq!((node.version, node.spec.description.as_str()), (2, "two"));
    assert_eq!(node.examples, ["say it"]);
    assert_eq!(catalog.remove_nodes(ns, &["a".into(), "b".into()]).await.unwrap(), [id]);
    assert!(catalog.nodes(ns, None).await.unwrap().is_empty());
    assert_eq!(catalog.remove_nodes(ns, &["a".into()]).await.unwrap(), []);
    assert_eq!(register(spec("a", "one")).await.unwrap(), [(id, Registered::Added)]);
    let versions = catalog.node_versions(ns, "a").await.unwrap();
    let told: Vec<_> = versions.iter().map(|held| (held.version, held.spec.description.as_str())).collect();
    assert_eq!(told, [(3, "one"), (2, "two"), (1, "one")], "numbers go on");
    assert!(catalog.nodes(ns, None).await.unwrap()[0].examples.is_empty(), "examples went with it");
}

async fn walls<C: Catalog + Registry>(catalog: &C, ns: &Namespace, other: &Namespace, now: Timestamp) {
    let id = NodeId::derive("ns", "a");
    assert!(catalog.nodes(other, None).await.unwrap().is_empty());
    assert!(catalog.node_versions(other, "a").await.unwrap().is_empty());
    assert!(catalog.remove_nodes(other, &["a".into()]).await.unwrap().is_empty());
    let example = [("x".to_owned(), EmbedKey::of("x"))];
    assert!(catalog.add_examples(other, id, &example, now).await.is_err());
    assert_eq!(catalog.nodes(ns, Some(&["a".into()])).await.unwrap().len(), 1);
    assert!(catalog.nodes(ns, Some(&["b".into()])).await.unwrap().is_empty());
}

/// A vector that a node claims outlives sweeps and goes with the last that has it.
async fn vectors<C: Catalog + Registry>(catalog: &C, ns: &Namespace, other: &Namespace, now: Timestamp) {
    catalog.register_nodes(ns, vec![write(spec("v", "claimed")), write(spec("w", "alone"))], now).await.unwrap();
    catalog.register_nodes(other, vec![write(spec("v", "claimed"))], now).await.unwrap();
    let vector = |text: &str| (EmbedKey::of(text), vec![1.0, 0.0]);
    catalog.cache_vectors(MODEL, vec![vector("claimed"), vector("alone"), vector("nobody's")]).await.unwrap();
    let texts = ["claimed", "alone", "nobody's"];
    assert_eq!(cached(catalog, &texts).await, [true, true, false], "only what is claimed is kept");
    catalog.mend().await.unwrap();
    catalog.compact().await.unwrap();
    assert_eq!(cached(catalog, &texts).await, [true, true, false]);
    assert_eq!(catalog.audit(MODEL, crate::base::Lsn(0)).await.unwrap().orphans, 0);
    catalog.remove_nodes(ns, &["v".into(), "w".into()]).await.unwrap();
    assert_eq!(cached(catalog, &texts).await, [true, false, false], "the other namespace has it still");
    catalog.register_nodes(other, vec![write(spec("v", "changed"))], now).await.unwrap();
    assert_eq!(cached(catalog, &texts).await, [false, false, false], "the new version does not need it");
}

async fn outcomes<C: Catalog + Registry>(catalog: &C, ns: &Namespace, now: Timestamp) {
    let nodes = catalog.register_nodes(ns, vec![write(spec("o", "x")), write(spec("p", "y"))], now).await.unwrap();
    let (chosen, right) = (nodes[0].0, nodes[1].0);
    let outcome = |number: i64| Outcome {
        goal: format!("goal {number}"),
        chosen,
        succeeded: number % 2 == 0,
        cost: 0.5,
        correction: (number == 3).then_some(right),
        at: Timestamp(number),
    };
    for number in 0..5 {
        let key = EmbedKey::of(&format!("goal {number}"));
        catalog.record_outcome(ns, &outcome(number), key, 3).await.unwrap();
    }
    assert_eq!(catalog.outcomes(ns).await.unwrap(), [outcome(2), outcome(3), outcome(4)], "the newest are kept");
    catalog.remove_nodes(ns, &["p".into()]).await.unwrap();
    assert_eq!(catalog.outcomes(ns).await.unwrap()[1].correction, None);
    catalog.remove_nodes(ns, &["o".into()]).await.unwrap();
    assert!(catalog.outcomes(ns).await.unwrap().is_empty());
    let gone = catalog.record_outcome(ns, &outcome(1), EmbedKey::of("x"), 3).await.unwrap_err();
    assert_eq!(gone.kind(), crate::base::Kind::NotFound);
}
