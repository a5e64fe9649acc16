//! Namespaces, their sources, counters and stored replies.

use sqlx::SqliteConnection;

use super::bulk::{Bound, Columns, for_each, signed};
use super::connect::Connections;
use super::fault::{Doing, unreadable};
use crate::base::error::{Error, Result};
use crate::base::{SourceId, Timestamp};
use crate::engine::catalog::{NamespaceStats, Source, Standing};
use crate::model::Namespace;

/// What a transaction changes of a namespace's counters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Delta {
    documents: i64,
    chunks: i64,
    bytes: i64,
    tokens: i64,
}

impl Delta {
    pub(super) fn give(&mut self, documents: u64, chunks: u64, bytes: u64, tokens: u64) -> Result<()> {
        self.documents += signed(documents)?;
        self.chunks += signed(chunks)?;
        self.bytes += signed(bytes)?;
        self.tokens += signed(tokens)?;
        Ok(())
    }

    pub(super) fn take(&mut self, documents: u64, chunks: u64, bytes: u64, tokens: u64) -> Result<()> {
        self.documents -= signed(documents)?;
        self.chunks -= signed(chunks)?;
        self.bytes -= signed(bytes)?;
        self.tokens -= signed(tokens)?;
        Ok(())
    }
}

/// Adds `delta` to the counters of the namespace with key `owner`.
pub(super) async fn shift_counters(connection: &mut SqliteConnection, owner: i64, delta: Delta) -> Result<()> {
    sqlx::query(
        "UPDATE namespaces SET documents = documents + ?2, chunks = chunks + ?3, bytes = bytes + ?4, \
         tokens = tokens + ?5 WHERE key = ?1",
    )
    .bind(owner)
    .bind(delta.documents)
    .bind(delta.chunks)
    .bind(delta.bytes)
    .bind(delta.tokens)
    .execute(connection)
    .await
    .doing("keep the counters")
    .map(|_| ())
}

/// The key of a namespace that has to be there.
///
/// # Errors
/// NotFound.
pub(super) async fn require_namespace(connection: &mut SqliteConnection, namespace: &Namespace) -> Result<i64> {
    let key: Option<i64> = sqlx::query_scalar("SELECT key FROM namespaces WHERE name = ?1")
        .bind(namespace.as_str())
        .fetch_optional(connection)
        .await
        .doing("read the namespaces")?;
    key.ok_or_else(|| Error::not_found(format!("there is no namespace {namespace}: create it first")))
}

/// See `Catalog::create_namespace`.
pub(super) async fn create_namespace(connections: &Connections, namespace: &Namespace, now: Timestamp) -> Result<bool> {
    let mut writer = connections.writer().await;
    sqlx::query("INSERT INTO namespaces (name, created_at) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING")
        .bind(namespace.as_str())
        .bind(now.0)
        .execute(&mut *writer)
        .await
        .doing("create a namespace")
        .map(|done| done.rows_affected() > 0)
}

/// See `Catalog::namespaces`.
pub(super) async fn namespaces(connections: &Connections) -> Result<Vec<Namespace>> {
    let query: Bound<'_> = sqlx::query("SELECT name FROM namespaces ORDER BY name");
    let mut names = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        names.push(Namespace::new(row.at(0)?)?);
        Ok(())
    })
    .await?;
    Ok(names)
}

/// See `Catalog::has_namespace`.
pub(super) async fn has_namespace(connections: &Connections, namespace: &Namespace) -> Result<bool> {
    let mut reader = connections.reader().await?;
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM namespaces WHERE name = ?1)")
        .bind(namespace.as_str())
        .fetch_one(&mut *reader)
        .await
        .doing("read the namespaces")
}

/// See `Catalog::ensure_source`.
pub(super) async fn ensure_source(
    connections: &Connections,
    namespace: &Namespace,
    uri: &str,
    now: Timestamp,
) -> Result<Source> {
    let source = Source { id: SourceId::derive(namespace.as_str(), uri), uri: uri.to_owned() };
    let mut writer = connections.writer().await;
    let owner = require_namespace(&mut writer, namespace).await?;
    sqlx::query(
        "INSERT INTO sources (id, namespace, uri, created_at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (namespace, uri) DO NOTHING",
    )
    .bind(source.id.as_bytes().as_slice())
    .bind(owner)
    .bind(uri)
    .bind(now.0)
    .execute(&mut *writer)
    .await
    .doing("register a source")?;
    Ok(source)
}

/// See `Catalog::sources`.
pub(super) async fn sources(connections: &Connections, namespace: &Namespace) -> Result<Vec<Source>> {
    let query: Bound<'_> = sqlx::query(
        "SELECT id, uri FROM sources WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) ORDER BY uri",
    )
    .bind(namespace.as_str());
    let mut sources = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        let id = SourceId::from_slice(row.at(0)?).ok_or_else(|| unreadable("a source id"))?;
        sources.push(Source { id, uri: row.at(1)? });
        Ok(())
    })
    .await?;
    Ok(sources)
}

/// See `Catalog::set_standing`.
pub(super) async fn set_standing(
    connections: &Connections,
    namespace: &Namespace,
    source: SourceId,
    (standing, options): (Standing, Option<&str>),
) -> Result<()> {
    let statement = match standing {
        Standing::Watch => "UPDATE sources SET watch = ?3 WHERE namespace = ?1 AND id = ?2",
        Standing::Sync => "UPDATE sources SET sync = ?3 WHERE namespace = ?1 AND id = ?2",
    };
    let mut writer = connections.writer().await;
    let owner = require_namespace(&mut writer, namespace).await?;
    sqlx::query(statement)
        .bind(owner)
        .bind(source.as_bytes().as_slice())
        .bind(options)
        .execute(&mut *writer)
        .await
        .doing("store what a source is synced with")
        .map(|_| ())
}

/// See `Catalog::standing`.
pub(super) async fn standing(
    connections: &Connections,
    standing: Standing,
) -> Result<Vec<(Namespace, Source, String)>> {
    let query: Bound<'_> = sqlx::query(
        "SELECT owner.name, source.id, source.uri, CASE WHEN ?1 THEN source.watch ELSE source.sync END AS options \
         FROM sources AS source JOIN namespaces AS owner ON owner.key = source.namespace \
         WHERE options IS NOT NULL ORDER BY owner.name, source.uri",
    )
    .bind(standing == Standing::Watch);
    let mut found = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        let id = SourceId::from_slice(row.at(1)?).ok_or_else(|| unreadable("a source id"))?;
        found.push((Namespace::new(row.at(0)?)?, Source { id, uri: row.at(2)? }, row.at(3)?));
        Ok(())
    })
    .await?;
    Ok(found)
}

/// See `Catalog::stats`.
pub(super) async fn stats(connections: &Connections, namespace: &Namespace, model: &str) -> Result<NamespaceStats> {
    let mut reader = connections.reader().await?;
    // The count walks two indexes in the same order (by embedding key) and reads no chunk.
    let row = sqlx::query(
        "SELECT documents, chunks, bytes, tokens, \
         (SELECT count(*) FROM chunks INDEXED BY chunks_by_embed_key WHERE namespace = owner.key AND NOT EXISTS \
         (SELECT 1 FROM embeddings WHERE embeddings.key = chunks.embed_key \
         AND model = (SELECT key FROM models WHERE name = ?2))) \
         FROM namespaces AS owner WHERE name = ?1",
    )
    .bind(namespace.as_str())
    .bind(model)
    .fetch_optional(&mut *reader)
    .await
    .doing("count a namespace")?;
    let Some(row) = row else { return Ok(NamespaceStats::default()) };
    Ok(NamespaceStats {
        documents: row.unsigned(0)?,
        chunks: row.unsigned(1)?,
        bytes: row.unsigned(2)?,
        tokens: row.unsigned(3)?,
        chunks_without_vector: row.unsigned(4)?,
    })
}

/// See `Catalog::remember_reply`.
pub(super) async fn remember_reply(
    connections: &Connections,
    namespace: &Namespace,
    key: &str,
    reply: &[u8],
    now: Timestamp,
) -> Result<Vec<u8>> {
    let mut writer = connections.writer().await;
    let owner = require_namespace(&mut writer, namespace).await?;
    sqlx::query(
        "INSERT INTO replies (namespace, key, reply, at) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (namespace, key) DO NOTHING",
    )
    .bind(owner)
    .bind(key)
    .bind(reply)
    .bind(now.0)
    .execute(&mut *writer)
    .await
    .doing("store a reply")?;
    find_reply(&mut writer, namespace, key).await?.ok_or_else(|| Error::internal("a stored reply is gone"))
}

/// See `Catalog::drop_replies`.
pub(super) async fn drop_replies(connections: &Connections, before: Timestamp) -> Result<u64> {
    let mut writer = connections.writer().await;
    sqlx::query("DELETE FROM replies WHERE at < ?1")
        .bind(before.0)
        .execute(&mut *writer)
        .await
        .doing("drop old replies")
        .map(|done| done.rows_affected())
}

/// See `Catalog::stored_reply`.
pub(super) async fn stored_reply(
    connections: &Connections,
    namespace: &Namespace,
    key: &str,
) -> Result<Option<Vec<u8>>> {
    let mut reader = connections.reader().await?;
    find_reply(&mut reader, namespace, key).await
}

async fn find_reply(connection: &mut SqliteConnection, namespace: &Namespace, key: &str) -> Result<Option<Vec<u8>>> {
    sqlx::query_scalar(
        "SELECT reply FROM replies WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) AND key = ?2",
    )
    .bind(namespace.as_str())
    .bind(key)
    .fetch_optional(connection)
    .await
    .doing("read a reply")
}
