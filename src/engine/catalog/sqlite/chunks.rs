//! Reading chunks back with their documents.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::bulk::{Bound, Columns, for_each, json_hex, json_keys};
use super::connect::{Connections, begin_read};
use super::documents::{DOCUMENT_COLUMNS, document, document_columns};
use super::fault::unreadable;
use super::recent::Recent;
use super::write::CHUNKS_PER_DOCUMENT;
use crate::base::error::Result;
use crate::base::{ChunkId, DocumentId, EmbedKey, Lsn};
use crate::engine::catalog::ProjectedDocument;
use crate::model::{Chunk, Document, DocumentWrite, Facts, Hydrated, Lines, Namespace, Pages, Span};

/// Columns that [`chunk`] reads, of `chunks AS c`.
macro_rules! chunk_columns {
    () => {
        "c.key, c.id, c.embed_key, c.span_start, c.span_end, c.line_first, c.line_last, c.tokens, c.breadcrumb, \
         c.symbols, c.outline, c.text, c.page_first, c.page_last"
    };
}

/// How many columns that is.
const CHUNK_COLUMNS: usize = 14;

/// A document as stored, and where.
struct Found {
    key: i64,
    lsn: u64,
    namespace: Namespace,
    document: Arc<Document>,
}

/// The key of the document that the chunk in `row` belongs to.
fn document_key(row: &SqliteRow) -> Result<i64> {
    Ok(row.at::<i64>(0)? / CHUNKS_PER_DOCUMENT)
}

/// Reads a chunk of `document` off the columns of [`chunk_columns`].
fn chunk(row: &SqliteRow, document: DocumentId) -> Result<Chunk> {
    let ordinal = row.at::<i64>(0)? % CHUNKS_PER_DOCUMENT;
    let symbols = match row.at::<&str>(9)? {
        "" => Vec::new(),
        json => serde_json::from_str(json).map_err(|cause| unreadable("symbols").caused_by(cause))?,
    };
    let pages = row.at::<Option<u32>>(12)?.zip(row.at::<Option<u32>>(13)?);
    Ok(Chunk {
        id: ChunkId::from_slice(row.at(1)?).ok_or_else(|| unreadable("a chunk id"))?,
        document,
        ordinal: u32::try_from(ordinal).map_err(|_| unreadable("a chunk key"))?,
        span: Span { start: row.unsigned(3)?, end: row.unsigned(4)? },
        lines: Lines { first: row.small(5)?, last: row.small(6)? },
        pages: pages.map(|(first, last)| Pages { first, last }),
        tokens: row.small(7)?,
        breadcrumb: row.at(8)?,
        symbols,
        outline: row.at(10)?,
        text: row.at(11)?,
        embed_key: EmbedKey(row.at::<&[u8]>(2)?.try_into().map_err(|_| unreadable("an embedding key"))?),
    })
}

/// See `Catalog::hydrate`.
pub(super) async fn hydrate(
    connections: &Connections,
    recent: &Mutex<Recent>,
    namespace: &Namespace,
    chunks: &[ChunkId],
) -> Result<Vec<Hydrated>> {
    let mut chunks = chunks.to_vec();
    chunks.sort_unstable();
    chunks.dedup();
    let (epoch, mut found) = {
        let mut recent = lock(recent);
        let found: Vec<Hydrated> = chunks.iter().filter_map(|&id| recent.get(namespace, id)).collect();
        (recent.epoch(), found)
    };
    if found.len() == chunks.len() {
        return Ok(found);
    }
    let known: HashSet<ChunkId> = found.iter().map(|found| found.chunk.id).collect();
    let missing: Vec<ChunkId> = chunks.iter().copied().filter(|id| !known.contains(id)).collect();
    let read = read(connections, namespace, &missing).await?;
    {
        let mut recent = lock(recent);
        if recent.epoch() == epoch {
            recent.keep(epoch, namespace, &read);
            found.extend(read);
            return Ok(found);
        }
    }
    // Something was written in between: what was cached and what was read may be of two versions of one document.
    self::read(connections, namespace, &chunks).await
}

fn lock(recent: &Mutex<Recent>) -> MutexGuard<'_, Recent> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads chunks with their documents, all of one state of the database.
async fn read(connections: &Connections, namespace: &Namespace, chunks: &[ChunkId]) -> Result<Vec<Hydrated>> {
    let mut reader = connections.reader().await?;
    let mut transaction = begin_read(&mut reader).await?;
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        chunk_columns!(),
        ", d.id, d.lsn FROM chunks AS c CROSS JOIN documents AS d ON d.key = c.key / 1048576 \
         WHERE c.id IN (SELECT unhex(value) FROM json_each(?2)) \
         AND c.namespace = (SELECT key FROM namespaces WHERE name = ?1)"
    ))
    .bind(namespace.as_str())
    .bind(json_hex(chunks.iter().map(|id| id.as_bytes().as_slice())));
    let mut found = Vec::with_capacity(chunks.len());
    for_each(&mut transaction, query, |row| {
        let id = DocumentId::from_slice(row.at(CHUNK_COLUMNS)?).ok_or_else(|| unreadable("a document id"))?;
        found.push((document_key(row)?, row.unsigned(CHUNK_COLUMNS + 1)?, chunk(row, id)?));
        Ok(())
    })
    .await?;
    let keys: HashSet<i64> = found.iter().map(|(key, _, _)| *key).collect();
    let documents = documents_of(&mut transaction, keys).await?;
    let hydrated = found.into_iter().filter_map(|(key, lsn, chunk)| {
        let document = Arc::clone(documents.get(&key)?);
        Some(Hydrated { document, chunk: Arc::new(chunk), lsn: Lsn(lsn) })
    });
    Ok(hydrated.collect())
}

/// The documents with these keys.
async fn documents_of(connection: &mut SqliteConnection, keys: HashSet<i64>) -> Result<HashMap<i64, Arc<Document>>> {
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        document_columns!(),
        ", d.key FROM documents AS d CROSS JOIN sources AS s ON s.key = d.source \
         WHERE d.key IN (SELECT value FROM json_each(?1))"
    ))
    .bind(json_keys(keys));
    let mut documents = HashMap::new();
    for_each(connection, query, |row| {
        documents.insert(row.at(DOCUMENT_COLUMNS)?, Arc::new(document(row)?));
        Ok(())
    })
    .await?;
    Ok(documents)
}

/// See `Catalog::document_chunks`.
pub(super) async fn document_chunks(
    connections: &Connections,
    namespace: &Namespace,
    documents: &[DocumentId],
) -> Result<Vec<Hydrated>> {
    let mut reader = connections.reader().await?;
    let mut transaction = begin_read(&mut reader).await?;
    let mut found = find(&mut transaction, documents).await?;
    found.retain(|one| one.namespace == *namespace);
    let chunks = chunks_of(&mut transaction, &found).await?;
    Ok(found
        .into_iter()
        .zip(chunks)
        .flat_map(|(one, chunks)| {
            let lsn = Lsn(one.lsn);
            chunks.into_iter().map(move |chunk| Hydrated {
                document: Arc::clone(&one.document),
                chunk: Arc::new(chunk),
                lsn,
            })
        })
        .collect())
}

/// See `Catalog::project`.
pub(super) async fn project(connections: &Connections, documents: &[DocumentId]) -> Result<Vec<ProjectedDocument>> {
    let mut reader = connections.reader().await?;
    let mut transaction = begin_read(&mut reader).await?;
    let found = find(&mut transaction, documents).await?;
    let chunks = chunks_of(&mut transaction, &found).await?;
    Ok(found
        .into_iter()
        .zip(chunks)
        .map(|(one, chunks)| ProjectedDocument {
            namespace: one.namespace,
            write: DocumentWrite { document: Arc::unwrap_or_clone(one.document), chunks, facts: Facts::default() },
        })
        .collect())
}

/// The documents with these ids in whatever namespace, each once, in the order asked for.
async fn find(connection: &mut SqliteConnection, documents: &[DocumentId]) -> Result<Vec<Found>> {
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        document_columns!(),
        ", d.key, d.lsn, n.name FROM documents AS d CROSS JOIN sources AS s ON s.key = d.source \
         CROSS JOIN namespaces AS n ON n.key = d.namespace WHERE d.id IN (SELECT unhex(value) FROM json_each(?1))"
    ))
    .bind(json_hex(documents.iter().map(|id| id.as_bytes().as_slice())));
    let mut found = HashMap::with_capacity(documents.len());
    for_each(connection, query, |row| {
        let document = Arc::new(document(row)?);
        let (key, lsn) = (row.at(DOCUMENT_COLUMNS)?, row.unsigned(DOCUMENT_COLUMNS + 1)?);
        let namespace = Namespace::new(row.at(DOCUMENT_COLUMNS + 2)?)?;
        found.insert(document.id, Found { key, lsn, namespace, document });
        Ok(())
    })
    .await?;
    Ok(documents.iter().filter_map(|id| found.remove(id)).collect())
}

/// The chunks of each of `found`, by ordinal.
async fn chunks_of(connection: &mut SqliteConnection, found: &[Found]) -> Result<Vec<Vec<Chunk>>> {
    let places: HashMap<i64, usize> = found.iter().enumerate().map(|(place, one)| (one.key, place)).collect();
    let mut chunks: Vec<Vec<Chunk>> = found.iter().map(|_| Vec::new()).collect();
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        chunk_columns!(),
        " FROM json_each(?1) AS wanted CROSS JOIN chunks AS c \
         ON c.key BETWEEN wanted.value * 1048576 AND wanted.value * 1048576 + 1048575"
    ))
    .bind(json_keys(found.iter().map(|one| one.key)));
    for_each(connection, query, |row| {
        if let Some(place) = places.get(&document_key(row)?) {
            chunks[*place].push(chunk(row, found[*place].document.id)?);
        }
        Ok(())
    })
    .await?;
    // SQLite visits them in this order already, but only an ORDER BY, which would copy all texts, promises it.
    chunks.iter_mut().for_each(|chunks| chunks.sort_by_key(|chunk| chunk.ordinal));
    Ok(chunks)
}
