//! Node types, their versions, examples and outcomes.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::SqliteCatalog;
use super::bulk::{Bound, Columns, Insert, for_each, json_keys};
use super::connect::{Connections, begin_write, commit};
use super::fault::{Doing, unreadable};
use super::names::require_namespace;
use super::vectors::drop_orphans;
use crate::base::error::{Error, Result};
use crate::base::{ContentHash, EmbedKey, NodeId, Timestamp};
use crate::engine::catalog::registry::{NodeVersion, NodeWrite, Registered, Registry};
use crate::model::{Namespace, Node, NodeSpec, Outcome};

const CLAIMS: Insert = Insert {
    head: "INSERT INTO node_vectors (node, embed_key) VALUES",
    columns: 2,
    tail: "ON CONFLICT (node, embed_key) DO NOTHING",
};

/// What is stored of a node that is registered again.
struct Held {
    key: i64,
    version: i64,
    live: bool,
    hash: Vec<u8>,
}

#[async_trait]
impl Registry for SqliteCatalog {
    async fn register_nodes(
        &self,
        namespace: &Namespace,
        writes: Vec<NodeWrite>,
        now: Timestamp,
    ) -> Result<Vec<(NodeId, Registered)>> {
        let namespace = namespace.clone();
        self.change(move |inner| async move { register(&inner.connections, &namespace, writes, now).await }).await
    }

    async fn nodes(&self, namespace: &Namespace, names: Option<&[String]>) -> Result<Vec<Node>> {
        nodes(&self.inner.connections, namespace, names).await
    }

    async fn node_versions(&self, namespace: &Namespace, name: &str) -> Result<Vec<NodeVersion>> {
        let query: Bound<'_> = sqlx::query(
            "SELECT v.version, v.registered_at, v.spec FROM nodes AS n JOIN node_versions AS v ON v.node = n.key \
             WHERE n.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND n.name = ?2 ORDER BY v.version DESC",
        )
        .bind(namespace.as_str())
        .bind(name);
        let mut versions = Vec::new();
        let mut reader = self.inner.connections.reader().await?;
        for_each(&mut reader, query, |row| {
            let (version, registered_at) = (row.small(0)?, Timestamp(row.at(1)?));
            versions.push(NodeVersion { version, registered_at, spec: NodeSpec::from_json(row.at(2)?)? });
            Ok(())
        })
        .await?;
        Ok(versions)
    }

    async fn remove_nodes(&self, namespace: &Namespace, names: &[String]) -> Result<Vec<NodeId>> {
        let (namespace, names) = (namespace.clone(), names.to_vec());
        self.change(move |inner| async move { remove(&inner.connections, &namespace, &names).await }).await
    }

    async fn add_examples(
        &self,
        namespace: &Namespace,
        node: NodeId,
        examples: &[(String, EmbedKey)],
        now: Timestamp,
    ) -> Result<u64> {
        let (namespace, examples) = (namespace.clone(), examples.to_vec());
        self.change(move |inner| async move {
            let mut writer = inner.connections.writer().await;
            let mut transaction = begin_write(&mut writer).await?;
            let owner = require_namespace(&mut transaction, &namespace).await?;
            let key = live_node(&mut transaction, owner, node).await?;
            let mut added = 0;
            for (text, _) in &examples {
                let done = sqlx::query(
                    "INSERT INTO node_examples (node, text, added_at) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (node, text) DO NOTHING",
                )
                .bind(key)
                .bind(text)
                .bind(now.0)
                .execute(&mut *transaction)
                .await
                .doing("add an example")?;
                added += done.rows_affected();
            }
            claim(&mut transaction, examples.iter().map(|(_, vector)| (key, *vector)).collect()).await?;
            commit(transaction).await?;
            Ok(added)
        })
        .await
    }

    async fn record_outcome(
        &self,
        namespace: &Namespace,
        outcome: &Outcome,
        vector: EmbedKey,
        kept: usize,
    ) -> Result<()> {
        let (namespace, outcome) = (namespace.clone(), outcome.clone());
        self.change(move |inner| async move {
            let mut writer = inner.connections.writer().await;
            let mut transaction = begin_write(&mut writer).await?;
            let owner = require_namespace(&mut transaction, &namespace).await?;
            let node = live_node(&mut transaction, owner, outcome.chosen).await?;
            let correction = match outcome.correction {
                Some(id) => Some(live_node(&mut transaction, owner, id).await?),
                None => None,
            };
            sqlx::query(
                "INSERT INTO node_outcomes (node, goal, succeeded, cost, correction, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .bind(node)
            .bind(&outcome.goal)
            .bind(outcome.succeeded)
            .bind(outcome.cost)
            .bind(correction)
            .bind(outcome.at.0)
            .execute(&mut *transaction)
            .await
            .doing("store an outcome")?;
            sqlx::query(
                "DELETE FROM node_outcomes WHERE node = ?1 AND key <= (SELECT key FROM node_outcomes WHERE node = ?1 \
                 ORDER BY key DESC LIMIT 1 OFFSET ?2)",
            )
            .bind(node)
            .bind(kept as i64)
            .execute(&mut *transaction)
            .await
            .doing("drop old outcomes")?;
            claim(&mut transaction, vec![(node, vector)]).await?;
            commit(transaction).await
        })
        .await
    }

    async fn outcomes(&self, namespace: &Namespace) -> Result<Vec<Outcome>> {
        let query: Bound<'_> = sqlx::query(
            "SELECT n.id, o.goal, o.succeeded, o.cost, c.id, o.at FROM node_outcomes AS o \
             JOIN nodes AS n ON n.key = o.node LEFT JOIN nodes AS c ON c.key = o.correction \
             WHERE n.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND n.live = 1 ORDER BY o.key",
        )
        .bind(namespace.as_str());
        let mut outcomes = Vec::new();
        let mut reader = self.inner.connections.reader().await?;
        for_each(&mut reader, query, |row| {
            let correction = row.at::<Option<&[u8]>>(4)?.map(node_id).transpose()?;
            outcomes.push(Outcome {
                chosen: node_id(row.at(0)?)?,
                goal: row.at(1)?,
                succeeded: row.at(2)?,
                cost: row.at(3)?,
                correction,
                at: Timestamp(row.at(5)?),
            });
            Ok(())
        })
        .await?;
        Ok(outcomes)
    }
}

fn node_id(bytes: &[u8]) -> Result<NodeId> {
    NodeId::from_slice(bytes).ok_or_else(|| unreadable("a node id"))
}

async fn live_node(connection: &mut SqliteConnection, owner: i64, node: NodeId) -> Result<i64> {
    let key: Option<i64> = sqlx::query_scalar("SELECT key FROM nodes WHERE namespace = ?1 AND id = ?2 AND live = 1")
        .bind(owner)
        .bind(node.as_bytes().as_slice())
        .fetch_optional(connection)
        .await
        .doing("find a node")?;
    key.ok_or_else(|| Error::not_found("there is no such node: register it first"))
}

async fn claim(connection: &mut SqliteConnection, claims: Vec<(i64, EmbedKey)>) -> Result<()> {
    CLAIMS
        .run(connection, claims, |args, (node, key)| {
            args.add(node)?;
            args.add(key.0.as_slice().to_vec())
        })
        .await
}

async fn register(
    connections: &Connections,
    namespace: &Namespace,
    writes: Vec<NodeWrite>,
    now: Timestamp,
) -> Result<Vec<(NodeId, Registered)>> {
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    let mut done = Vec::with_capacity(writes.len());
    let mut claims = Vec::new();
    for write in writes {
        let id = NodeId::derive(namespace.as_str(), &write.spec.name);
        let (json, hash) = (write.spec.to_json()?, write.spec.hash()?);
        let held = held(&mut transaction, owner, &write.spec.name).await?;
        let (key, what) = store(&mut transaction, owner, id, &write.spec.name, held, (&json, hash), now).await?;
        if what == Registered::Updated {
            // What only the old version needed goes; added examples and outcomes are among the keys given.
            sqlx::query("INSERT OR IGNORE INTO temp.orphans SELECT embed_key FROM node_vectors WHERE node = ?1")
                .bind(key)
                .execute(&mut *transaction)
                .await
                .doing("replace a node")?;
            sqlx::query("DELETE FROM node_vectors WHERE node = ?1")
                .bind(key)
                .execute(&mut *transaction)
                .await
                .doing("replace a node")?;
        }
        claims.extend(write.keys.into_iter().map(|vector| (key, vector)));
        done.push((id, what));
    }
    claim(&mut transaction, claims).await?;
    drop_orphans(&mut transaction).await?;
    commit(transaction).await?;
    Ok(done)
}

async fn held(connection: &mut SqliteConnection, owner: i64, name: &str) -> Result<Option<Held>> {
    let row = sqlx::query(
        "SELECT n.key, n.version, n.live, v.hash FROM nodes AS n \
         JOIN node_versions AS v ON v.node = n.key AND v.version = n.version WHERE n.namespace = ?1 AND n.name = ?2",
    )
    .bind(owner)
    .bind(name)
    .fetch_optional(connection)
    .await
    .doing("find a node")?;
    row.map(|row| Ok(Held { key: row.at(0)?, version: row.at(1)?, live: row.at(2)?, hash: row.at(3)? })).transpose()
}

async fn store(
    connection: &mut SqliteConnection,
    owner: i64,
    id: NodeId,
    name: &str,
    held: Option<Held>,
    (json, hash): (&str, ContentHash),
    now: Timestamp,
) -> Result<(i64, Registered)> {
    let (key, version, what) = match held {
        Some(held) if held.live && held.hash == hash.0 => return Ok((held.key, Registered::Unchanged)),
        Some(held) => {
            sqlx::query("UPDATE nodes SET version = ?2, live = 1 WHERE key = ?1")
                .bind(held.key)
                .bind(held.version + 1)
                .execute(&mut *connection)
                .await
                .doing("store a node")?;
            (held.key, held.version + 1, if held.live { Registered::Updated } else { Registered::Added })
        }
        None => {
            let key: i64 = sqlx::query_scalar(
                "INSERT INTO nodes (id, namespace, name, version) VALUES (?1, ?2, ?3, 1) RETURNING key",
            )
            .bind(id.as_bytes().as_slice())
            .bind(owner)
            .bind(name)
            .fetch_one(&mut *connection)
            .await
            .doing("store a node")?;
            (key, 1, Registered::Added)
        }
    };
    sqlx::query("INSERT INTO node_versions (node, version, hash, registered_at, spec) VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(key)
        .bind(version)
        .bind(hash.0.as_slice())
        .bind(now.0)
        .bind(json)
        .execute(connection)
        .await
        .doing("store a node")?;
    Ok((key, what))
}

async fn nodes(connections: &Connections, namespace: &Namespace, names: Option<&[String]>) -> Result<Vec<Node>> {
    let names = names.map(|names| serde_json::json!(names).to_string());
    let mut reader = connections.reader().await?;
    let query: Bound<'_> = sqlx::query(
        "SELECT n.key, e.text FROM nodes AS n JOIN node_examples AS e ON e.node = n.key \
         WHERE n.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND n.live = 1 \
         AND (?2 IS NULL OR n.name IN (SELECT value FROM json_each(?2))) ORDER BY e.key",
    )
    .bind(namespace.as_str())
    .bind(names.clone());
    let mut examples: HashMap<i64, Vec<String>> = HashMap::new();
    for_each(&mut reader, query, |row| {
        examples.entry(row.at(0)?).or_default().push(row.at(1)?);
        Ok(())
    })
    .await?;
    let query: Bound<'_> = sqlx::query(
        "SELECT n.key, n.id, n.version, v.registered_at, v.spec FROM nodes AS n \
         JOIN node_versions AS v ON v.node = n.key AND v.version = n.version \
         WHERE n.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND n.live = 1 \
         AND (?2 IS NULL OR n.name IN (SELECT value FROM json_each(?2))) ORDER BY n.name",
    )
    .bind(namespace.as_str())
    .bind(names);
    let mut nodes = Vec::new();
    for_each(&mut reader, query, |row| {
        nodes.push(Node {
            id: node_id(row.at(1)?)?,
            version: row.small(2)?,
            registered_at: Timestamp(row.at(3)?),
            spec: NodeSpec::from_json(row.at(4)?)?,
            examples: examples.remove(&row.at::<i64>(0)?).unwrap_or_default(),
        });
        Ok(())
    })
    .await?;
    Ok(nodes)
}

async fn remove(connections: &Connections, namespace: &Namespace, names: &[String]) -> Result<Vec<NodeId>> {
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    let names: BTreeSet<&String> = names.iter().collect();
    let query: Bound<'_> = sqlx::query(
        "SELECT key, id FROM nodes WHERE namespace = ?1 AND live = 1 AND name IN (SELECT value FROM json_each(?2)) \
         ORDER BY name",
    )
    .bind(owner)
    .bind(serde_json::json!(names).to_string());
    let (mut keys, mut ids) = (Vec::new(), Vec::new());
    for_each(&mut transaction, query, |row| {
        keys.push(row.at::<i64>(0)?);
        ids.push(node_id(row.at(1)?)?);
        Ok(())
    })
    .await?;
    let keys = json_keys(keys);
    for sql in [
        "INSERT OR IGNORE INTO temp.orphans SELECT embed_key FROM node_vectors \
         WHERE node IN (SELECT value FROM json_each(?1))",
        "DELETE FROM node_vectors WHERE node IN (SELECT value FROM json_each(?1))",
        "DELETE FROM node_examples WHERE node IN (SELECT value FROM json_each(?1))",
        "UPDATE node_outcomes SET correction = NULL WHERE correction IN (SELECT value FROM json_each(?1))",
        "DELETE FROM node_outcomes WHERE node IN (SELECT value FROM json_each(?1))",
        "UPDATE nodes SET live = 0 WHERE key IN (SELECT value FROM json_each(?1))",
    ] {
        sqlx::query(sql).bind(&keys).execute(&mut *transaction).await.doing("remove nodes")?;
    }
    drop_orphans(&mut transaction).await?;
    commit(transaction).await?;
    Ok(ids)
}
