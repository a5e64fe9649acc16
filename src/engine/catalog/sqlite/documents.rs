//! Reading and touching documents without their chunks.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::SqliteRow;

use super::bulk::{Bound, Columns, for_each, signed, while_each};
use super::connect::{Connections, begin_write, commit};
use super::fault::{Doing, unreadable};
use super::names::require_namespace;
use crate::base::error::{Error, Result};
use crate::base::{ContentHash, DocumentId, SourceId, Timestamp};
use crate::engine::catalog::DocumentState;
use crate::model::{Document, DocumentKind, Namespace, Role, Trust};

/// Columns that [`document`] reads, of `documents AS d` joined with `sources AS s`.
macro_rules! document_columns {
    () => {
        "d.id, s.id, d.uri, d.path, d.kind, d.role, d.media_type, d.language, d.title, d.content, d.bytes, \
         d.modified_at, d.indexed_at, d.metadata, d.trust, d.expires_at, d.repeats, d.mark, \
         (SELECT json_group_array(tag) FROM tags WHERE document = d.key)"
    };
}
pub(super) use document_columns;

/// How many columns that is.
pub(super) const DOCUMENT_COLUMNS: usize = 19;

/// Reads a document off the columns of [`document_columns`].
pub(super) fn document(row: &SqliteRow) -> Result<Document> {
    let metadata: &str = row.at(13)?;
    let metadata = match metadata {
        "{}" => BTreeMap::new(),
        json => serde_json::from_str(json).map_err(|cause| unreadable("metadata").caused_by(cause))?,
    };
    let mut tags: Vec<String> = match row.at::<&str>(18)? {
        "[]" => Vec::new(),
        json => serde_json::from_str(json).map_err(|cause| unreadable("tags").caused_by(cause))?,
    };
    tags.sort_unstable();
    let uri: String = row.at(2)?;
    let trust = match row.at::<&str>(14)? {
        // Written before there was a label.
        "" => Trust::of_uri(&uri),
        label => Trust::parse(label).ok_or_else(|| unreadable("a trust label"))?,
    };
    let repeats = match row.at::<Option<&[u8]>>(16)? {
        Some(id) => Some(DocumentId::from_slice(id).ok_or_else(|| unreadable("a document id"))?),
        None => None,
    };
    Ok(Document {
        id: DocumentId::from_slice(row.at(0)?).ok_or_else(|| unreadable("a document id"))?,
        source: SourceId::from_slice(row.at(1)?).ok_or_else(|| unreadable("a source id"))?,
        uri,
        path: row.at(3)?,
        kind: DocumentKind::parse(row.at(4)?).ok_or_else(|| unreadable("a document kind"))?,
        role: Role::parse(row.at(5)?).ok_or_else(|| unreadable("a document role"))?,
        media_type: row.at(6)?,
        language: row.at(7)?,
        title: row.at(8)?,
        content: ContentHash::from_slice(row.at(9)?).ok_or_else(|| unreadable("a content hash"))?,
        bytes: row.unsigned(10)?,
        modified_at: row.at::<Option<i64>>(11)?.map(Timestamp),
        mark: row.at(17)?,
        indexed_at: Timestamp(row.at(12)?),
        tags,
        metadata,
        trust,
        expires_at: row.at::<Option<i64>>(15)?.map(Timestamp),
        repeats,
    })
}

/// See `Catalog::source_documents`.
pub(super) async fn source_documents(
    connections: &Connections,
    namespace: &Namespace,
    source: SourceId,
) -> Result<Vec<DocumentState>> {
    let query: Bound<'_> = sqlx::query(
        "SELECT id, uri, bytes, modified_at, indexed_at, content, recipe, mark FROM documents \
         WHERE source = (SELECT key FROM sources WHERE id = ?2 \
         AND namespace = (SELECT key FROM namespaces WHERE name = ?1))",
    )
    .bind(namespace.as_str())
    .bind(source.as_bytes().as_slice());
    states(connections, query).await
}

/// See `Catalog::source_documents_at`.
pub(super) async fn source_documents_at(
    connections: &Connections,
    namespace: &Namespace,
    source: SourceId,
    uris: &BTreeSet<String>,
) -> Result<Vec<DocumentState>> {
    let asked = serde_json::to_string(uris).map_err(|cause| Error::internal("URIs are no JSON").caused_by(cause))?;
    // Two searches in the index of URIs for each one asked for ('0' is what follows '/'). The plus keeps SQLite from
    // going through all documents of the source instead.
    let query: Bound<'_> = sqlx::query(
        "WITH asked (uri) AS (SELECT value FROM json_each(?3)), \
         owner (key) AS (SELECT key FROM namespaces WHERE name = ?1), \
         found (key) AS (\
         SELECT d.key FROM asked CROSS JOIN documents AS d ON d.namespace = (SELECT key FROM owner) AND d.uri = asked.uri \
         UNION \
         SELECT d.key FROM asked CROSS JOIN documents AS d ON d.namespace = (SELECT key FROM owner) \
         AND d.uri > asked.uri || '/' AND d.uri < asked.uri || '0') \
         SELECT d.id, d.uri, d.bytes, d.modified_at, d.indexed_at, d.content, d.recipe, d.mark \
         FROM found CROSS JOIN documents AS d ON d.key = found.key \
         WHERE +d.source = (SELECT key FROM sources WHERE id = ?2 AND namespace = (SELECT key FROM owner))",
    )
    .bind(namespace.as_str())
    .bind(source.as_bytes().as_slice())
    .bind(asked);
    states(connections, query).await
}

/// The rows of a query for id, uri, bytes, modified_at, indexed_at, content, recipe and mark.
async fn states(connections: &Connections, query: Bound<'_>) -> Result<Vec<DocumentState>> {
    let mut states = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        states.push(DocumentState {
            id: DocumentId::from_slice(row.at(0)?).ok_or_else(|| unreadable("a document id"))?,
            uri: row.at(1)?,
            bytes: row.unsigned(2)?,
            modified_at: row.at::<Option<i64>>(3)?.map(Timestamp),
            indexed_at: Timestamp(row.at(4)?),
            content: ContentHash::from_slice(row.at(5)?).ok_or_else(|| unreadable("a content hash"))?,
            recipe: row.at(6)?,
            mark: row.at(7)?,
        });
        Ok(())
    })
    .await?;
    Ok(states)
}

/// See `Catalog::documents_where`. Goes source by source, which visits the rows in the order they are stored in; by
/// the index of URIs it would jump from page to page and take five times as long.
pub(super) async fn documents_where(
    connections: &Connections,
    namespace: &Namespace,
    keep: &(dyn for<'a> Fn(&'a str, &'a str) -> bool + Send + Sync),
    limit: usize,
) -> Result<Vec<DocumentId>> {
    let mut kept = Vec::new();
    if limit == 0 {
        return Ok(kept);
    }
    let query: Bound<'_> = sqlx::query(
        "SELECT path, document.uri, document.id FROM sources AS source CROSS JOIN documents AS document \
         ON document.source = source.key WHERE source.namespace = (SELECT key FROM namespaces WHERE name = ?1)",
    )
    .bind(namespace.as_str());
    let mut reader = connections.reader().await?;
    while_each(&mut reader, query, |row| {
        if keep(row.at(0)?, row.at(1)?) {
            kept.push(DocumentId::from_slice(row.at(2)?).ok_or_else(|| unreadable("a document id"))?);
        }
        Ok(kept.len() < limit)
    })
    .await?;
    Ok(kept)
}

/// See `Catalog::document_by_uri`.
pub(super) async fn document_by_uri(
    connections: &Connections,
    namespace: &Namespace,
    uri: &str,
) -> Result<Option<Document>> {
    let mut reader = connections.reader().await?;
    let row = sqlx::query(concat!(
        "SELECT ",
        document_columns!(),
        " FROM documents AS d JOIN sources AS s ON s.key = d.source \
         WHERE d.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND d.uri = ?2"
    ))
    .bind(namespace.as_str())
    .bind(uri)
    .fetch_optional(&mut *reader)
    .await
    .doing("read a document")?;
    row.as_ref().map(document).transpose()
}

/// See `Catalog::touch`. A document whose content is another by now is left alone: the state is not about it.
pub(super) async fn touch(connections: &Connections, namespace: &Namespace, states: &[DocumentState]) -> Result<()> {
    let mut rows = Vec::with_capacity(states.len());
    for state in states {
        let (id, content) = (format!("{:032x}", state.id.as_u128()), state.content.to_string());
        let times = (state.modified_at.map(|time| time.0), state.indexed_at.0);
        rows.push((id, content, signed(state.bytes)?, times.0, times.1, &state.mark));
    }
    let rows =
        serde_json::to_string(&rows).map_err(|cause| Error::internal("cannot encode states").caused_by(cause))?;

    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    sqlx::query(
        "INSERT OR REPLACE INTO temp.touched SELECT old.key, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
         FROM json_each(?2) CROSS JOIN documents AS old ON old.id = unhex(value ->> 0) \
         AND old.namespace = ?1 AND old.content = unhex(value ->> 1)",
    )
    .bind(owner)
    .bind(rows)
    .execute(&mut *transaction)
    .await
    .doing("touch documents")?;
    for sql in [
        "UPDATE namespaces SET bytes = bytes + (SELECT coalesce(sum(new.bytes - old.bytes), 0) \
         FROM temp.touched AS new CROSS JOIN documents AS old ON old.key = new.document) WHERE key = ?1",
        "UPDATE documents SET (bytes, modified_at, indexed_at, mark) = \
         (SELECT bytes, modified_at, indexed_at, mark FROM temp.touched WHERE document = documents.key) \
         WHERE key IN (SELECT document FROM temp.touched)",
        "DELETE FROM temp.touched",
    ] {
        sqlx::query(sql).bind(owner).execute(&mut *transaction).await.doing("touch documents")?;
    }
    commit(transaction).await
}
