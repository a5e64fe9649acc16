//! The embedding cache: vectors by hash of the text and model, shared by all namespaces.
//!
//! A vector stays as long as any chunk or node of any namespace has its key; the transaction that takes the last of them
//! away takes the vector too.

use std::collections::HashMap;

use sqlx::SqliteConnection;

use super::bulk::{Bound, Columns, Insert, for_each, json_hex};
use super::connect::{Connections, begin_write, commit};
use super::fault::{Doing, unreadable};
use crate::base::EmbedKey;
use crate::base::error::Result;

const VECTORS: Insert = Insert {
    head: "INSERT INTO embeddings (key, model, vector) VALUES",
    columns: 3,
    tail: "ON CONFLICT (key, model) DO UPDATE SET vector = excluded.vector WHERE vector <> excluded.vector",
};

/// Vectors that come back in one row; the way to the driver's thread and back costs more than reading a vector does.
const VECTORS_PER_ROW: usize = 64;

/// One row for each array of keys in `?2`: all their vectors in one blob, each after its key and eight hexadecimal
/// digits of its length. `group_concat` and `||` join the bytes of blobs as they are.
const PACKED: &str = "\
    SELECT (SELECT CAST(group_concat(key || format('%08x', length(vector)) || vector, '') AS BLOB) FROM embeddings \
    WHERE model = (SELECT key FROM models WHERE name = ?1) AND key IN (SELECT unhex(value) FROM json_each(part.value))) \
    FROM json_each(?2) AS part";

/// See `Catalog::cached_vectors`.
pub(super) async fn cached_vectors(
    connections: &Connections,
    model: &str,
    keys: &[EmbedKey],
) -> Result<HashMap<EmbedKey, Vec<f32>>> {
    // Sorted, each row reads a stretch of the index instead of all of it.
    let mut keys: Vec<_> = keys.to_vec();
    keys.sort_unstable();
    keys.dedup();
    let parts: Vec<_> =
        keys.chunks(VECTORS_PER_ROW).map(|part| json_hex(part.iter().map(|key| key.0.as_slice()))).collect();
    let query: Bound<'_> = sqlx::query(PACKED).bind(model).bind(format!("[{}]", parts.join(",")));
    let mut vectors = HashMap::with_capacity(keys.len());
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        let mut rest: &[u8] = row.at::<Option<&[u8]>>(0)?.unwrap_or_default();
        while !rest.is_empty() {
            let (key, vector, after) = unpack(rest).ok_or_else(|| unreadable("a vector"))?;
            vectors.insert(key, vector);
            rest = after;
        }
        Ok(())
    })
    .await?;
    Ok(vectors)
}

/// Takes the first vector with its key off what [`PACKED`] gives.
fn unpack(bytes: &[u8]) -> Option<(EmbedKey, Vec<f32>, &[u8])> {
    let (key, rest) = bytes.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
    let (values, after) = rest.split_at_checked(length)?;
    let (values, odd) = values.as_chunks::<4>();
    let vector = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
    odd.is_empty().then_some((EmbedKey(*key), vector, after))
}

/// See `Catalog::cache_vectors`.
pub(super) async fn cache_vectors(
    connections: &Connections,
    model: &str,
    vectors: Vec<(EmbedKey, Vec<f32>)>,
) -> Result<()> {
    if vectors.is_empty() {
        return Ok(());
    }
    let keys = json_hex(vectors.iter().map(|(key, _)| key.0.as_slice()));
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let model: i64 = sqlx::query_scalar(
        "INSERT INTO models (name) VALUES (?1) ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING key",
    )
    .bind(model)
    .fetch_one(&mut *transaction)
    .await
    .doing("register an embedding model")?;
    VECTORS
        .run(&mut transaction, vectors, |args, (key, vector)| {
            args.add(key.0.as_slice())?;
            args.add(model)?;
            args.add(encode(&vector))
        })
        .await?;
    // A text may be removed while it is embedded; its vector must not outlive it here.
    sqlx::query(
        "DELETE FROM embeddings WHERE key IN (SELECT unhex(value) FROM json_each(?1)) \
         AND NOT EXISTS (SELECT 1 FROM chunks WHERE embed_key = embeddings.key) \
         AND NOT EXISTS (SELECT 1 FROM node_vectors WHERE embed_key = embeddings.key)",
    )
    .bind(keys)
    .execute(&mut *transaction)
    .await
    .doing("drop cached vectors")?;
    commit(transaction).await
}

/// Vectors dropped at a time, so that writers get their turn in between.
const DROPPED_AT_ONCE: usize = 4_096;

/// See `Catalog::drop_vectors`.
pub(super) async fn drop_vectors(connections: &Connections, model: &str) -> Result<()> {
    loop {
        let mut writer = connections.writer().await;
        let dropped = sqlx::query(
            "DELETE FROM embeddings WHERE row IN (SELECT row FROM embeddings \
             WHERE model = (SELECT key FROM models WHERE name = ?1) LIMIT ?2)",
        )
        .bind(model)
        .bind(DROPPED_AT_ONCE as i64)
        .execute(&mut *writer)
        .await
        .doing("drop the vectors of a model")?;
        if dropped.rows_affected() == 0 {
            return Ok(());
        }
    }
}

/// Drops vectors whose key neither a chunk nor a node has. Writes and removals do that for what they touch; what this finds was cached
/// for a text that was removed while it was being embedded.
pub(super) async fn sweep(connections: &Connections) -> Result<u64> {
    let mut writer = connections.writer().await;
    let swept = sqlx::query(
        "DELETE FROM embeddings WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE embed_key = embeddings.key) \
         AND NOT EXISTS (SELECT 1 FROM node_vectors WHERE embed_key = embeddings.key)",
    )
    .execute(&mut *writer)
    .await
    .doing("sweep the embedding cache")?;
    Ok(swept.rows_affected())
}

/// Notes in `temp.orphans` the keys held by chunks of the documents in `temp.doomed`.
pub(super) async fn note_orphans(connection: &mut SqliteConnection) -> Result<()> {
    sqlx::query(
        "INSERT OR IGNORE INTO temp.orphans SELECT chunk.embed_key FROM temp.doomed CROSS JOIN chunks AS chunk \
         ON chunk.key BETWEEN document * 1048576 AND document * 1048576 + 1048575",
    )
    .execute(connection)
    .await
    .doing("remove chunks")
    .map(|_| ())
}

/// Drops the vectors of keys in `temp.orphans` that neither a chunk nor a node has now, and empties that. To be called once the
/// transaction's own chunks are in place.
pub(super) async fn drop_orphans(connection: &mut SqliteConnection) -> Result<()> {
    for sql in [
        "DELETE FROM embeddings WHERE key IN (SELECT key FROM temp.orphans AS orphan \
         WHERE NOT EXISTS (SELECT 1 FROM chunks WHERE embed_key = orphan.key) \
         AND NOT EXISTS (SELECT 1 FROM node_vectors WHERE embed_key = orphan.key))",
        "DELETE FROM temp.orphans",
    ] {
        sqlx::query(sql).execute(&mut *connection).await.doing("drop cached vectors")?;
    }
    Ok(())
}

fn encode(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect()
}
