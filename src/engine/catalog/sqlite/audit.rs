//! Checking the database against itself, and mending what can be computed again.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::bulk::{Bound, Columns, for_each, json_hex, signed};
use super::connect::{Connections, begin_read, begin_write, commit};
use super::fault::{Doing, unreadable};
use super::vectors;
use crate::base::error::Result;
use crate::base::{ChunkId, DocumentId, Lsn};
use crate::engine::catalog::audit::{Audit, CounterFault, LISTED_MAX};
use crate::model::{HeldChunk, Namespace};

/// Stored counters of each namespace beside what its documents add up to.
const COUNTERS: &str = "SELECT n.name, n.documents, n.chunks, n.bytes, n.tokens, count(d.key), \
    coalesce(sum(d.chunks), 0), coalesce(sum(d.bytes), 0), coalesce(sum(d.tokens), 0) \
    FROM namespaces AS n LEFT JOIN documents AS d ON d.namespace = n.key GROUP BY n.key ORDER BY n.name";

/// Documents whose chunks are not as many as they were, or lie in another namespace.
const BROKEN: &str = "SELECT n.name, d.id FROM documents AS d CROSS JOIN namespaces AS n ON n.key = d.namespace \
    WHERE d.chunks <> (SELECT count(*) FROM chunks WHERE namespace = d.namespace \
    AND key BETWEEN d.key * 1048576 AND d.key * 1048576 + 1048575) ORDER BY d.key";

const UNLOGGED: &str = "SELECT n.name, d.id FROM documents AS d CROSS JOIN namespaces AS n ON n.key = d.namespace \
    WHERE NOT EXISTS (SELECT 1 FROM oplog WHERE lsn = d.lsn AND document = d.id AND namespace = d.namespace) \
    ORDER BY d.key";

/// Chunks whose vector has to be in the cache and is not. Walks two indexes in the same order.
const WITHOUT_VECTOR: &str = "SELECT n.name, d.id, c.id, c.embed_key FROM chunks AS c INDEXED BY chunks_by_embed_key \
    CROSS JOIN documents AS d ON d.key = c.key / 1048576 CROSS JOIN namespaces AS n ON n.key = c.namespace \
    WHERE d.lsn <= ?2 AND NOT EXISTS (SELECT 1 FROM embeddings WHERE embeddings.key = c.embed_key \
    AND model = (SELECT key FROM models WHERE name = ?1))";

/// See `Catalog::audit`.
pub(super) async fn audit(connections: &Connections, model: &str, embedded: Lsn) -> Result<Audit> {
    let mut reader = connections.reader().await?;
    let mut state = begin_read(&mut reader).await?;
    let mut audit = Audit { damage: damage(&mut state).await?, ..Audit::default() };
    if !audit.damage.is_empty() {
        // What else would be found could be the damage itself.
        return Ok(audit);
    }
    audit.counters = counters(&mut state).await?;
    audit.broken = documents(&mut state, BROKEN).await?;
    audit.unlogged = documents(&mut state, UNLOGGED).await?;
    audit.stray_chunks = count(
        &mut state,
        "SELECT count(*) FROM chunks WHERE NOT EXISTS (SELECT 1 FROM documents WHERE key = chunks.key / 1048576)",
    )
    .await?;
    audit.documents = count(&mut state, "SELECT count(*) FROM documents").await?;
    audit.vectors = count(&mut state, "SELECT count(*) FROM embeddings").await?;
    audit.orphans = count(
        &mut state,
        "SELECT count(*) FROM embeddings WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE embed_key = embeddings.key) \
         AND NOT EXISTS (SELECT 1 FROM node_vectors WHERE embed_key = embeddings.key)",
    )
    .await?;
    let query: Bound<'_> = sqlx::query(WITHOUT_VECTOR).bind(model).bind(signed(embedded.0)?);
    let mut last: Option<Vec<u8>> = None;
    for_each(&mut state, query, |row| {
        // In the order of the index, so that chunks with the same text follow one another.
        let key: &[u8] = row.at(3)?;
        if last.as_deref() != Some(key) {
            audit.texts_without_vector += 1;
            last = Some(key.to_vec());
        }
        if audit.without_vector.len() < LISTED_MAX {
            let (document, chunk) = (DocumentId::from_slice(row.at(1)?), ChunkId::from_slice(row.at(2)?));
            let (Some(document), Some(chunk)) = (document, chunk) else { return Err(unreadable("an id")) };
            audit.without_vector.push((Namespace::new(row.at(0)?)?, HeldChunk { document, chunk }));
        }
        Ok(())
    })
    .await?;
    Ok(audit)
}

/// What SQLite says of its pages, indexes and references.
async fn damage(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    // The check of an FTS5 table takes its list of segments from the last check by this connection, and finds those corrupt that
    // others have merged since. A query begins with a new list.
    for sql in ["SELECT rowid FROM document_words LIMIT 1", "SELECT rowid FROM object_words LIMIT 1"] {
        sqlx::query(sql).fetch_optional(&mut *connection).await.doing("check the catalogue")?;
    }
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)")
        .fetch_all(&mut *connection)
        .await
        .doing("check the catalogue")?;
    let mut damage: Vec<String> = said.into_iter().filter(|line| line != "ok").collect();
    let loose = sqlx::query("PRAGMA foreign_key_check").fetch_all(connection).await.doing("check the catalogue")?;
    for row in loose.iter().take(20) {
        damage.push(format!("a row of {} refers to nothing in {}", row.at::<&str>(0)?, row.at::<&str>(2)?));
    }
    Ok(damage)
}

async fn counters(connection: &mut SqliteConnection) -> Result<Vec<CounterFault>> {
    let mut faults = Vec::new();
    let query: Bound<'_> = sqlx::query(COUNTERS);
    for_each(connection, query, |row| {
        for (place, counter) in ["documents", "chunks", "bytes", "tokens"].into_iter().enumerate() {
            let (stored, counted) = (row.at::<i64>(place + 1)?, row.at::<i64>(place + 5)?);
            if stored != counted {
                faults.push(CounterFault { namespace: Namespace::new(row.at(0)?)?, counter, stored, counted });
            }
        }
        Ok(())
    })
    .await?;
    Ok(faults)
}

async fn documents(connection: &mut SqliteConnection, sql: &'static str) -> Result<Vec<(Namespace, DocumentId)>> {
    let mut found = Vec::new();
    let query: Bound<'_> = sqlx::query(sql);
    for_each(connection, query, |row| {
        let id = DocumentId::from_slice(row.at(1)?).ok_or_else(|| unreadable("a document id"))?;
        found.push((Namespace::new(row.at(0)?)?, id));
        Ok(())
    })
    .await?;
    Ok(found)
}

async fn count(connection: &mut SqliteConnection, sql: &'static str) -> Result<u64> {
    let count: i64 = sqlx::query_scalar(sql).fetch_one(connection).await.doing("count the catalogue")?;
    u64::try_from(count).map_err(|_| unreadable("a negative count"))
}

/// See `Catalog::mend`.
pub(super) async fn mend(connections: &Connections) -> Result<()> {
    {
        let mut writer = connections.writer().await;
        let mut transaction = begin_write(&mut writer).await?;
        for sql in [
            "DELETE FROM chunks WHERE NOT EXISTS (SELECT 1 FROM documents WHERE key = chunks.key / 1048576)",
            "UPDATE namespaces SET (documents, chunks, bytes, tokens) = (SELECT count(*), coalesce(sum(d.chunks), 0), \
             coalesce(sum(d.bytes), 0), coalesce(sum(d.tokens), 0) FROM documents AS d WHERE d.namespace = namespaces.key)",
        ] {
            sqlx::query(sql).execute(&mut *transaction).await.doing("mend the catalogue")?;
        }
        commit(transaction).await?;
    }
    vectors::sweep(connections).await.map(|_| ())
}

/// See `Catalog::held`.
pub(super) async fn held(
    connections: &Connections,
    namespace: &Namespace,
    documents: Option<&[DocumentId]>,
) -> Result<Vec<HeldChunk>> {
    let query: Bound<'_> = match documents {
        // Document by document, in the order of the rows; the chunks' own namespace is compared, since filters use it.
        None => sqlx::query(
            "SELECT d.id, c.id FROM documents AS d CROSS JOIN chunks AS c \
             ON c.key BETWEEN d.key * 1048576 AND d.key * 1048576 + 1048575 \
             WHERE d.namespace = (SELECT key FROM namespaces WHERE name = ?1)",
        )
        .bind(namespace.as_str()),
        Some(documents) => sqlx::query(
            "SELECT d.id, c.id FROM documents AS d CROSS JOIN chunks AS c \
             ON c.key BETWEEN d.key * 1048576 AND d.key * 1048576 + 1048575 \
             WHERE d.id IN (SELECT unhex(value) FROM json_each(?2)) \
             AND +d.namespace = (SELECT key FROM namespaces WHERE name = ?1)",
        )
        .bind(namespace.as_str())
        .bind(json_hex(documents.iter().map(|id| id.as_bytes().as_slice()))),
    };
    let mut held = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        let (document, chunk) = (DocumentId::from_slice(row.at(0)?), ChunkId::from_slice(row.at(1)?));
        let (Some(document), Some(chunk)) = (document, chunk) else { return Err(unreadable("an id")) };
        held.push(HeldChunk { document, chunk });
        Ok(())
    })
    .await?;
    Ok(held)
}

/// See `Catalog::uris`.
pub(super) async fn uris(
    connections: &Connections,
    namespace: &Namespace,
    documents: &[DocumentId],
) -> Result<HashMap<DocumentId, String>> {
    let query: Bound<'_> = sqlx::query(
        "SELECT id, uri FROM documents WHERE id IN (SELECT unhex(value) FROM json_each(?2)) \
         AND +namespace = (SELECT key FROM namespaces WHERE name = ?1)",
    )
    .bind(namespace.as_str())
    .bind(json_hex(documents.iter().map(|id| id.as_bytes().as_slice())));
    let mut uris = HashMap::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        let id = DocumentId::from_slice(row.at(0)?).ok_or_else(|| unreadable("a document id"))?;
        uris.insert(id, row.at(1)?);
        Ok(())
    })
    .await?;
    Ok(uris)
}
