//! The operation log, and how far each projection has followed it.

use sqlx::SqliteConnection;

use super::bulk::{Bound, Columns, for_each, json_hex, signed};
use super::connect::{Connections, begin_write, commit};
use super::fault::{Doing, unreadable};
use super::names::require_namespace;
use crate::base::error::Result;
use crate::base::{DocumentId, Lsn};
use crate::model::{LogEntry, Namespace, Operation};

/// The newest position, or 0. Read from SQLite's own counter, which stays when entries are deleted.
pub(super) async fn head(connection: &mut SqliteConnection) -> Result<Lsn> {
    let head: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'oplog'")
        .fetch_optional(connection)
        .await
        .doing("read the log")?;
    u64::try_from(head.unwrap_or(0)).map(Lsn).map_err(|_| unreadable("a negative log position"))
}

/// See `Catalog::read_log`.
pub(super) async fn read_log(connections: &Connections, after: Lsn, limit: usize) -> Result<Vec<LogEntry>> {
    let query: Bound<'_> = sqlx::query(
        "SELECT lsn, name, document, operation FROM oplog JOIN namespaces ON namespaces.key = oplog.namespace \
         WHERE lsn > ?1 ORDER BY lsn LIMIT ?2",
    )
    .bind(signed(after.0)?)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut entries = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        entries.push(LogEntry {
            lsn: Lsn(row.unsigned(0)?),
            namespace: Namespace::new(row.at(1)?)?,
            document: DocumentId::from_slice(row.at(2)?).ok_or_else(|| unreadable("a document id"))?,
            operation: Operation::parse(row.at(3)?).ok_or_else(|| unreadable("an operation"))?,
        });
        Ok(())
    })
    .await?;
    Ok(entries)
}

/// See `Catalog::checkpoint`.
pub(super) async fn checkpoint(connections: &Connections, name: &str) -> Result<Option<(Lsn, String)>> {
    let mut reader = connections.reader().await?;
    let row = sqlx::query("SELECT applied, manifest FROM projections WHERE name = ?1")
        .bind(name)
        .fetch_optional(&mut *reader)
        .await
        .doing("read a checkpoint")?;
    row.map(|row| Ok((Lsn(row.unsigned(0)?), row.at(1)?))).transpose()
}

/// See `Catalog::set_checkpoint`.
pub(super) async fn set_checkpoint(connections: &Connections, name: &str, applied: Lsn, manifest: &str) -> Result<()> {
    let mut writer = connections.writer().await;
    sqlx::query(
        "INSERT INTO projections (name, applied, manifest) VALUES (?1, ?2, ?3) \
         ON CONFLICT (name) DO UPDATE SET applied = excluded.applied, manifest = excluded.manifest",
    )
    .bind(name)
    .bind(signed(applied.0)?)
    .bind(manifest)
    .execute(&mut *writer)
    .await
    .doing("record a checkpoint")
    .map(|_| ())
}

/// See `Catalog::drop_checkpoint`.
pub(super) async fn drop_checkpoint(connections: &Connections, name: &str) -> Result<()> {
    let mut writer = connections.writer().await;
    sqlx::query("DELETE FROM projections WHERE name = ?1")
        .bind(name)
        .execute(&mut *writer)
        .await
        .doing("drop a checkpoint")
        .map(|_| ())
}

/// See `Catalog::relog`. A version whose own entry is gone gets the new one for its own.
pub(super) async fn relog(connections: &Connections, namespace: &Namespace, documents: &[DocumentId]) -> Result<Lsn> {
    let ids = json_hex(documents.iter().map(|id| id.as_bytes().as_slice()));
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    let before = head(&mut transaction).await?;
    sqlx::query(
        "INSERT INTO oplog (namespace, document, operation) SELECT ?1, unhex(value), \
         iif(EXISTS (SELECT 1 FROM documents WHERE id = unhex(value) AND namespace = ?1), ?3, ?4) FROM json_each(?2)",
    )
    .bind(owner)
    .bind(&ids)
    .bind(Operation::Put.as_str())
    .bind(Operation::Delete.as_str())
    .execute(&mut *transaction)
    .await
    .doing("log documents again")?;
    sqlx::query(
        "UPDATE documents SET lsn = (SELECT max(lsn) FROM oplog WHERE lsn > ?3 AND document = documents.id) \
         WHERE id IN (SELECT unhex(value) FROM json_each(?2)) AND +namespace = ?1 \
         AND NOT EXISTS (SELECT 1 FROM oplog WHERE lsn = documents.lsn AND document = documents.id)",
    )
    .bind(owner)
    .bind(&ids)
    .bind(signed(before.0)?)
    .execute(&mut *transaction)
    .await
    .doing("log documents again")?;
    let lsn = head(&mut transaction).await?;
    commit(transaction).await?;
    Ok(lsn)
}

/// See `Catalog::prune_log`.
pub(super) async fn prune_log(connections: &Connections, applied: Lsn) -> Result<u64> {
    let mut writer = connections.writer().await;
    let pruned = sqlx::query(
        "DELETE FROM oplog WHERE lsn <= ?1 \
         AND NOT EXISTS (SELECT 1 FROM documents WHERE id = oplog.document AND lsn = oplog.lsn)",
    )
    .bind(signed(applied.0)?)
    .execute(&mut *writer)
    .await
    .doing("shorten the log")?;
    Ok(pruned.rows_affected())
}
