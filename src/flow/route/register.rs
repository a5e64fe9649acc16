//! Registering, showing and removing nodes, and adding examples.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::{Fresh, Routing, Space, all_texts};
use crate::base::error::{Error, Result};
use crate::base::limits::{NODE_EXAMPLES_MAX, NODES_MAX, QUERY_BYTES_MAX};
use crate::base::{EmbedKey, NodeId};
use crate::engine::catalog::registry::{NodeVersion, NodeWrite, Registered};
use crate::flow::access::Grant;
use crate::model::{Node, NodeSpec};

/// Rejected nodes that are told one by one.
const ISSUES_MAX: usize = 100;

/// What is to be registered: its name, empty where there is none, and the node, or what is wrong with it already.
pub type Offered = (String, Result<NodeSpec>);

/// What registering did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// New nodes.
    pub added: u64,
    /// New versions.
    pub updated: u64,
    /// Stored already, the same.
    pub unchanged: u64,
    /// Rejected.
    pub rejected: u64,
    /// The first of those: name, and what is wrong.
    pub issues: Vec<(String, String)>,
    seen: HashSet<String>,
}

impl Report {
    fn reject(&mut self, name: &str, reason: String) {
        self.rejected += 1;
        if self.issues.len() < ISSUES_MAX {
            self.issues.push((name.chars().take(80).collect(), reason));
        }
    }
}

/// A node with all it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// As it serves; none if it was removed.
    pub node: Option<Node>,
    /// Newest first.
    pub versions: Vec<NodeVersion>,
}

impl Routing {
    /// Registers nodes; they are routed to when this returns. A bad one is noted in `report` and the rest is kept. `report`
    /// is that of the whole stream, so that a name that comes twice in it is found.
    ///
    /// # Errors
    /// Over the limit of a namespace; those of the engines.
    pub async fn register(&self, grant: &Grant, specs: Vec<Offered>, report: &mut Report) -> Result<()> {
        let namespace = grant.namespace();
        self.engines.catalog.create_namespace(namespace, self.engines.clock.now()).await?;
        let (space, _turn) = self.turn(grant).await?;
        let good = sift(&space, specs, report)?;
        let names: Vec<String> = good.iter().map(|spec| spec.name.clone()).collect();
        let mut examples: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node in self.engines.registry.nodes(namespace, Some(&names)).await? {
            examples.insert(node.spec.name.clone(), node.examples);
        }
        let mut new_texts: Vec<String> = Vec::new();
        let writes: Vec<NodeWrite> = good
            .into_iter()
            .map(|spec| {
                let examples = examples.remove(&spec.name).unwrap_or_default();
                let texts = all_texts(&bare(&spec, examples));
                let keys = texts.iter().map(|text| EmbedKey::of(text)).collect();
                let table = space.read();
                let known = table.find(NodeId::derive(namespace.as_str(), &spec.name));
                if known.is_none_or(|entry| table.entries()[entry as usize].node.spec != spec) {
                    new_texts.extend(texts);
                }
                NodeWrite { spec, keys }
            })
            .collect();
        let (_, fresh) = self.embedded(new_texts).await?;
        let now = self.engines.clock.now();
        let done = self.engines.registry.register_nodes(namespace, writes, now).await?;
        let changed: Vec<String> = names
            .into_iter()
            .zip(&done)
            .filter(|(_, (_, what))| {
                match what {
                    Registered::Added => report.added += 1,
                    Registered::Updated => report.updated += 1,
                    Registered::Unchanged => report.unchanged += 1,
                }
                *what != Registered::Unchanged
            })
            .map(|(name, _)| name)
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.take_over(&space, &changed, fresh).await
    }

    /// Takes nodes that were stored into the table. Where that fails it is read anew: told once more, a node that is stored
    /// would count as known, and would not be in the table all the same.
    async fn take_over(&self, space: &Arc<Space>, names: &[String], fresh: Fresh) -> Result<()> {
        let taken = async {
            self.cache(fresh).await?;
            let nodes = self.engines.registry.nodes(&space.namespace, Some(names)).await?;
            let items = self.items(nodes).await?;
            self.put(space, items).await
        };
        if let Err(error) = taken.await {
            self.let_go(space);
            return Err(error);
        }
        self.changed(space);
        Ok(())
    }

    /// A node by name, with its versions.
    ///
    /// # Errors
    /// NotFound if there never was one of that name.
    pub async fn show(&self, grant: &Grant, name: &str) -> Result<Shown> {
        let versions = self.engines.registry.node_versions(grant.namespace(), name).await?;
        if versions.is_empty() {
            return Err(unknown(name));
        }
        let node = self.engines.registry.nodes(grant.namespace(), Some(&[name.to_owned()])).await?.pop();
        Ok(Shown { node, versions })
    }

    /// Removes nodes; gives how many of the names were there.
    ///
    /// # Errors
    /// Those of the engines.
    pub async fn remove(&self, grant: &Grant, names: &[String]) -> Result<u64> {
        let (space, _turn) = self.turn(grant).await?;
        let removed = self.engines.registry.remove_nodes(grant.namespace(), names).await?;
        if !removed.is_empty() {
            {
                let mut table = space.write();
                removed.iter().for_each(|id| table.remove(*id));
            }
            self.changed(&space);
        }
        Ok(removed.len() as u64)
    }

    /// Adds examples to a node; gives how many are new.
    ///
    /// # Errors
    /// NotFound for an unknown node; invalid for an empty example; over a limit.
    pub async fn add_examples(&self, grant: &Grant, name: &str, examples: &[String]) -> Result<u64> {
        let (space, _turn) = self.turn(grant).await?;
        let id = NodeId::derive(grant.namespace().as_str(), name);
        let held = {
            let table = space.read();
            let entry = table.find(id).ok_or_else(|| unknown(name))?;
            table.entries()[entry as usize].node.utterances().count()
        };
        if let Some(bad) = examples.iter().find(|text| text.trim().is_empty() || text.len() > QUERY_BYTES_MAX) {
            return Err(Error::invalid(
                "examples",
                format!("example {bad:.40?} is empty or over {QUERY_BYTES_MAX} bytes"),
            ));
        }
        if held + examples.len() > NODE_EXAMPLES_MAX {
            return Err(Error::limit("examples", format!("a node has up to {NODE_EXAMPLES_MAX} examples")));
        }
        let keyed: Vec<(String, EmbedKey)> = examples.iter().map(|text| (text.clone(), EmbedKey::of(text))).collect();
        let (namespace, now) = (grant.namespace(), self.engines.clock.now());
        let (_, fresh) = self.embedded(examples.to_vec()).await?;
        let added = self.engines.registry.add_examples(namespace, id, &keyed, now).await?;
        if added > 0 {
            self.take_over(&space, &[name.to_owned()], fresh).await?;
        }
        Ok(added)
    }
}

/// Those of `specs` that can be stored; what is wrong with the others is noted in `report`.
fn sift(space: &Space, specs: Vec<Offered>, report: &mut Report) -> Result<Vec<NodeSpec>> {
    let (namespace, table) = (&space.namespace, space.read());
    let mut good: Vec<NodeSpec> = Vec::with_capacity(specs.len());
    let mut known: HashMap<String, Vec<String>> = HashMap::new();
    for (name, spec) in specs {
        let checked = spec.and_then(NodeSpec::checked).and_then(|spec| {
            check_schema(&spec)?;
            Ok(spec)
        });
        match checked {
            Err(error) => report.reject(if name.is_empty() { "node" } else { &name }, error.to_string()),
            Ok(spec) if report.seen.contains(&spec.name) => {
                report.reject(&spec.name, format!("{} comes twice: the first one is kept", spec.name));
            }
            Ok(spec) => {
                let needs = |name: &str| {
                    known.get(name).cloned().or_else(|| {
                        let entry = table.find(NodeId::derive(namespace.as_str(), name))?;
                        Some(table.entries()[entry as usize].node.spec.dependencies.clone())
                    })
                };
                if let Some(cycle) = cycle(&spec, needs) {
                    report.reject(&spec.name, format!("its dependencies lead back to itself: {cycle}"));
                    continue;
                }
                report.seen.insert(spec.name.clone());
                known.insert(spec.name.clone(), spec.dependencies.clone());
                good.push(spec);
            }
        }
    }
    if table.live() + good.len() > NODES_MAX + known_among(&table, namespace.as_str(), &good) {
        return Err(Error::limit("nodes", format!("a namespace holds up to {NODES_MAX} nodes")));
    }
    Ok(good)
}

/// How many of `specs` are in the table already.
fn known_among(table: &super::Table, namespace: &str, specs: &[NodeSpec]) -> usize {
    specs.iter().filter(|spec| table.find(NodeId::derive(namespace, &spec.name)).is_some()).count()
}

pub(super) fn unknown(name: &str) -> Error {
    Error::not_found(format!("there is no node {name:.80?}: `hivemem nodes ls` shows what there is"))
}

fn bare(spec: &NodeSpec, examples: Vec<String>) -> Node {
    let (id, registered_at) = (NodeId::derive("", &spec.name), crate::base::Timestamp(0));
    Node { id, version: 0, registered_at, spec: spec.clone(), examples }
}

/// Refuses arguments that are no JSON Schema: a client that was handed one could not call the tool.
fn check_schema(spec: &NodeSpec) -> Result<()> {
    if spec.arguments.trim().is_empty() {
        return Ok(());
    }
    let wrong = |what: String| {
        Error::invalid("arguments", format!("the arguments of {} are no JSON Schema: {what}", spec.name))
    };
    let schema: Value = serde_json::from_str(&spec.arguments).map_err(|cause| wrong(cause.to_string()))?;
    if !schema.is_object() {
        return Err(wrong("it has to be an object".to_owned()));
    }
    jsonschema::meta::validate(&schema).map_err(|cause| wrong(cause.to_string()))
}

/// The way on which the dependencies of `spec` lead back to it, if they do.
fn cycle(spec: &NodeSpec, needs: impl Fn(&str) -> Option<Vec<String>>) -> Option<String> {
    let mut ways: Vec<Vec<String>> = spec.dependencies.iter().map(|name| vec![name.clone()]).collect();
    let mut seen: HashSet<String> = HashSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last()?.clone();
        if last == spec.name {
            return Some(format!("{} → {}", spec.name, way.join(" → ")));
        }
        if seen.insert(last.clone()) {
            for next in needs(&last).unwrap_or_default() {
                ways.push(way.iter().cloned().chain([next]).collect());
            }
        }
    }
    None
}
