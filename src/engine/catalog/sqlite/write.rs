//! Writing new versions of documents.

use std::collections::{HashMap, HashSet};

use sqlx::SqliteConnection;

use super::bulk::{Args, Bound, Columns, Insert, for_each, json_hex, json_keys, signed};
use super::connect::{Connections, begin_write, commit};
use super::facts::encode;
use super::fault::{Doing, unreadable};
use super::log::head;
use super::names::{Delta, require_namespace, shift_counters};
use super::vectors::{drop_orphans, note_orphans};
use crate::base::error::{Error, Result};
use crate::base::{ContentHash, DocumentId, Lsn, SourceId};
use crate::engine::catalog::WriteOutcome;
use crate::model::{Chunk, Document, DocumentWrite, Namespace, Operation};

/// Chunks that one document can have, from the encoding of `chunks.key`.
pub(super) const CHUNKS_PER_DOCUMENT: i64 = 1 << 20;

const DOCUMENTS: Insert = Insert {
    head: "INSERT INTO documents (key, id, namespace, source, lsn, version, recipe, uri, path, kind, role, media_type, \
           language, title, content, bytes, modified_at, indexed_at, metadata, chunks, tokens, trust, expires_at, \
           repeats, mark) VALUES",
    columns: 25,
    tail: "ON CONFLICT (key) DO UPDATE SET source = excluded.source, lsn = excluded.lsn, \
           version = excluded.version, recipe = excluded.recipe, uri = excluded.uri, path = excluded.path, \
           kind = excluded.kind, role = excluded.role, media_type = excluded.media_type, \
           language = excluded.language, title = excluded.title, content = excluded.content, bytes = excluded.bytes, \
           modified_at = excluded.modified_at, indexed_at = excluded.indexed_at, metadata = excluded.metadata, \
           chunks = excluded.chunks, tokens = excluded.tokens, trust = excluded.trust, \
           expires_at = excluded.expires_at, repeats = excluded.repeats, mark = excluded.mark",
};

const CHUNKS: Insert = Insert {
    head: "INSERT INTO chunks (key, id, namespace, embed_key, span_start, span_end, line_first, line_last, tokens, \
           breadcrumb, symbols, outline, text, page_first, page_last) VALUES",
    columns: 15,
    tail: "",
};

const FACTS: Insert = Insert { head: "INSERT INTO facts (document, body) VALUES", columns: 2, tail: "" };

const TAGS: Insert = Insert { head: "INSERT INTO tags (document, tag) VALUES", columns: 2, tail: "" };

const LOG: Insert =
    Insert { head: "INSERT INTO oplog (lsn, namespace, document, operation) VALUES", columns: 4, tail: "" };

/// What is stored of a document that is being written again.
struct Stored {
    key: i64,
    namespace: i64,
    version: ContentHash,
    bytes: u64,
    chunks: u64,
    tokens: u64,
}

/// A version that will be written, with its place.
struct Placed {
    key: i64,
    lsn: u64,
    source: i64,
    version: ContentHash,
    write: DocumentWrite,
}

impl Placed {
    fn tokens(&self) -> u64 {
        self.write.chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum()
    }
}

/// What a batch comes down to.
struct Plan {
    placed: Vec<Placed>,
    /// Keys of the documents among them whose old chunks have to go.
    replaced: Vec<i64>,
    delta: Delta,
    outcome: WriteOutcome,
}

/// See `Catalog::write`. Of a document that comes twice in one batch the last counts.
pub(super) async fn write(
    connections: &Connections,
    namespace: &Namespace,
    recipe: &str,
    writes: Vec<DocumentWrite>,
) -> Result<WriteOutcome> {
    let writes = last_of_each(writes);
    writes.iter().try_for_each(check)?;

    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    let plan = plan(&mut transaction, namespace, owner, recipe, writes).await?;
    if plan.placed.is_empty() {
        return Ok(plan.outcome);
    }

    remove_old(&mut transaction, &plan.replaced).await?;
    insert_new(&mut transaction, owner, recipe, plan.placed).await?;
    drop_orphans(&mut transaction).await?;
    shift_counters(&mut transaction, owner, plan.delta).await?;
    commit(transaction).await?;
    Ok(plan.outcome)
}

fn last_of_each(mut writes: Vec<DocumentWrite>) -> Vec<DocumentWrite> {
    let mut seen = HashSet::with_capacity(writes.len());
    writes.reverse();
    writes.retain(|write| seen.insert(write.document.id));
    writes.reverse();
    writes
}

/// Refuses chunks that are not the document's own in order: the catalogue addresses them by document and ordinal.
fn check(write: &DocumentWrite) -> Result<()> {
    let DocumentWrite { document, chunks, .. } = write;
    if chunks.len() as i64 > CHUNKS_PER_DOCUMENT {
        return Err(Error::limit(
            "chunks",
            format!(
                "{} has {} chunks, more than the {CHUNKS_PER_DOCUMENT} that one document can have: split it",
                document.uri,
                chunks.len()
            ),
        ));
    }
    let misplaced = |(index, chunk): (usize, &Chunk)| chunk.document != document.id || chunk.ordinal as usize != index;
    if let Some(index) = chunks.iter().enumerate().position(misplaced) {
        let message = format!("chunk {index} of {} names another document or is out of order", document.uri);
        return Err(Error::invalid("chunks", message));
    }
    Ok(())
}

/// Sorts out what is new, changed and the same, and gives keys and log positions to what will be written.
async fn plan(
    connection: &mut SqliteConnection,
    namespace: &Namespace,
    owner: i64,
    recipe: &str,
    writes: Vec<DocumentWrite>,
) -> Result<Plan> {
    let mut head = head(connection).await?.0;
    let stored = stored(connection, &writes).await?;
    let sources = sources(connection, owner, &writes).await?;
    let mut key_last: i64 = sqlx::query_scalar("SELECT coalesce(max(key), 0) FROM documents")
        .fetch_one(&mut *connection)
        .await
        .doing("read the catalogue")?;
    let mut plan = Plan {
        placed: Vec::with_capacity(writes.len()),
        replaced: Vec::new(),
        delta: Delta::default(),
        outcome: WriteOutcome::default(),
    };
    for write in writes {
        let document = &write.document;
        let Some(source) = sources.get(&document.source).copied() else {
            return Err(Error::not_found(format!(
                "{} belongs to source {}, which namespace {namespace} does not have: register the source first",
                document.uri, document.source
            )));
        };
        let version = version(document, recipe);
        let key = match stored.get(&document.id) {
            Some(old) if old.namespace != owner => {
                let message = format!("the id of {} is taken in another namespace", document.uri);
                return Err(Error::invalid("document", message));
            }
            Some(old) if old.version == version => {
                plan.outcome.unchanged += 1;
                continue;
            }
            Some(old) => {
                plan.outcome.updated += 1;
                plan.delta.take(1, old.chunks, old.bytes, old.tokens)?;
                plan.replaced.push(old.key);
                old.key
            }
            None => {
                plan.outcome.added += 1;
                key_last += 1;
                key_last
            }
        };
        head += 1;
        let placed = Placed { key, lsn: head, source, version, write };
        plan.delta.give(1, placed.write.chunks.len() as u64, placed.write.document.bytes, placed.tokens())?;
        plan.placed.push(placed);
    }
    plan.outcome.lsn = Lsn(head);
    Ok(plan)
}

/// What is stored under the ids of `writes`, in whatever namespace.
async fn stored(connection: &mut SqliteConnection, writes: &[DocumentWrite]) -> Result<HashMap<DocumentId, Stored>> {
    let ids = json_hex(writes.iter().map(|write| write.document.id.as_bytes().as_slice()));
    let query: Bound<'_> = sqlx::query(
        "SELECT id, key, namespace, version, bytes, chunks, tokens FROM documents \
         WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
    )
    .bind(ids);
    let mut stored = HashMap::new();
    for_each(connection, query, |row| {
        let id = DocumentId::from_slice(row.at(0)?).ok_or_else(|| unreadable("a document id"))?;
        let version = ContentHash::from_slice(row.at(3)?).ok_or_else(|| unreadable("a version"))?;
        let (bytes, chunks, tokens) = (row.unsigned(4)?, row.unsigned(5)?, row.unsigned(6)?);
        stored.insert(id, Stored { key: row.at(1)?, namespace: row.at(2)?, version, bytes, chunks, tokens });
        Ok(())
    })
    .await?;
    Ok(stored)
}

/// Keys of the sources that `writes` name, as far as the namespace has them.
async fn sources(
    connection: &mut SqliteConnection,
    owner: i64,
    writes: &[DocumentWrite],
) -> Result<HashMap<SourceId, i64>> {
    let ids: HashSet<SourceId> = writes.iter().map(|write| write.document.source).collect();
    let query: Bound<'_> = sqlx::query(
        "SELECT id, key FROM sources WHERE +namespace = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(owner)
    .bind(json_hex(ids.iter().map(|id| id.as_bytes().as_slice())));
    let mut keys = HashMap::new();
    for_each(connection, query, |row| {
        let id = SourceId::from_slice(row.at(0)?).ok_or_else(|| unreadable("a source id"))?;
        keys.insert(id, row.at(1)?);
        Ok(())
    })
    .await?;
    Ok(keys)
}

/// A hash over everything that makes a version. Sizes and times are not in it: the same content keeps its version.
fn version(document: &Document, recipe: &str) -> ContentHash {
    let mut bytes = Vec::with_capacity(512);
    let mut part = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    part(&document.content.0);
    part(document.source.as_bytes());
    let optional = |text: &Option<String>| text.as_deref().map(|text| format!("={text}")).unwrap_or_default();
    for text in [recipe, &document.uri, &document.path, document.kind.as_str(), document.role.as_str()] {
        part(text.as_bytes());
    }
    part(document.media_type.as_bytes());
    part(optional(&document.language).as_bytes());
    part(optional(&document.title).as_bytes());
    part(&(document.tags.len() as u64).to_be_bytes());
    for tag in &document.tags {
        part(tag.as_bytes());
    }
    for (name, value) in &document.metadata {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    part(document.trust.as_str().as_bytes());
    part(&document.expires_at.map_or([0; 8], |time| time.0.to_be_bytes()));
    part(document.repeats.map(|id| id.as_bytes().to_vec()).unwrap_or_default().as_slice());
    ContentHash::of(&bytes)
}

/// Deletes chunks and tags of versions that are being replaced, noting the embedding keys that they held.
async fn remove_old(connection: &mut SqliteConnection, documents: &[i64]) -> Result<()> {
    if documents.is_empty() {
        return Ok(());
    }
    let keys = json_keys(documents.iter().copied());
    sqlx::query("INSERT INTO temp.doomed SELECT value FROM json_each(?1)")
        .bind(keys)
        .execute(&mut *connection)
        .await
        .doing("replace documents")?;
    note_orphans(connection).await?;
    remove_contents(connection).await?;
    spare(connection).await
}

/// Deletes chunks and tags of the documents in `temp.doomed`.
pub(super) async fn remove_contents(connection: &mut SqliteConnection) -> Result<()> {
    for sql in [
        "DELETE FROM chunks WHERE key IN (SELECT chunk.key FROM temp.doomed CROSS JOIN chunks AS chunk \
         ON chunk.key BETWEEN document * 1048576 AND document * 1048576 + 1048575)",
        "DELETE FROM tags WHERE document IN (SELECT document FROM temp.doomed)",
        "DELETE FROM facts WHERE document IN (SELECT document FROM temp.doomed)",
    ] {
        sqlx::query(sql).execute(&mut *connection).await.doing("remove chunks")?;
    }
    Ok(())
}

/// Empties `temp.doomed`.
pub(super) async fn spare(connection: &mut SqliteConnection) -> Result<()> {
    sqlx::query("DELETE FROM temp.doomed").execute(connection).await.doing("remove chunks").map(|_| ())
}

async fn insert_new(connection: &mut SqliteConnection, owner: i64, recipe: &str, placed: Vec<Placed>) -> Result<()> {
    let mut tags = Vec::new();
    let mut facts = Vec::with_capacity(placed.len());
    let mut chunks = Vec::new();
    let mut log = Vec::with_capacity(placed.len());
    let mut documents = Vec::with_capacity(placed.len());
    for mut one in placed {
        let tokens = one.tokens();
        facts.push((one.key, encode(&one.write)?));
        let own = std::mem::take(&mut one.write.chunks);
        tags.extend(std::mem::take(&mut one.write.document.tags).into_iter().map(|tag| (one.key, tag)));
        log.push((one.lsn, one.write.document.id));
        let first = one.key.checked_mul(CHUNKS_PER_DOCUMENT).ok_or_else(|| Error::internal("document keys ran out"))?;
        documents.push((one, own.len() as u64, tokens));
        chunks.extend(own.into_iter().map(|chunk| (first + i64::from(chunk.ordinal), chunk)));
    }
    DOCUMENTS
        .run(connection, documents, |args, (one, chunks, tokens)| {
            bind_document(args, owner, recipe, one, chunks, tokens)
        })
        .await?;
    CHUNKS.run(connection, chunks, |args, (key, chunk)| bind_chunk(args, owner, key, chunk)).await?;
    FACTS
        .run(connection, facts, |args, (document, body)| {
            args.add(document)?;
            args.add(body)
        })
        .await?;
    TAGS.run(connection, tags, |args, (document, tag)| {
        args.add(document)?;
        args.add(tag)
    })
    .await?;
    LOG.run(connection, log, |args, (lsn, document)| {
        args.add_unsigned(lsn)?;
        args.add(owner)?;
        args.add(document.as_bytes().as_slice())?;
        args.add(Operation::Put.as_str())
    })
    .await
}

/// In the order of [`DOCUMENTS`].
fn bind_document(args: &mut Args, owner: i64, recipe: &str, one: Placed, chunks: u64, tokens: u64) -> Result<()> {
    let document = one.write.document;
    let metadata = serde_json::to_string(&document.metadata)
        .map_err(|cause| Error::internal("cannot encode metadata").caused_by(cause))?;
    args.add(one.key)?;
    args.add(document.id.as_bytes().as_slice())?;
    args.add(owner)?;
    args.add(one.source)?;
    args.add_unsigned(one.lsn)?;
    args.add(one.version.0.as_slice())?;
    args.add(recipe)?;
    args.add(document.uri)?;
    args.add(document.path)?;
    args.add(document.kind.as_str())?;
    args.add(document.role.as_str())?;
    args.add(document.media_type)?;
    args.add(document.language)?;
    args.add(document.title)?;
    args.add(document.content.0.as_slice())?;
    args.add_unsigned(document.bytes)?;
    args.add(document.modified_at.map(|time| time.0))?;
    args.add(document.indexed_at.0)?;
    args.add(metadata)?;
    args.add_unsigned(chunks)?;
    args.add_unsigned(tokens)?;
    args.add(document.trust.as_str())?;
    args.add(document.expires_at.map(|time| time.0))?;
    args.add(document.repeats.map(|id| id.as_bytes().to_vec()))?;
    args.add(document.mark)
}

/// In the order of [`CHUNKS`].
fn bind_chunk(args: &mut Args, owner: i64, key: i64, chunk: Chunk) -> Result<()> {
    let symbols = if chunk.symbols.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&chunk.symbols)
            .map_err(|cause| Error::internal("cannot encode symbols").caused_by(cause))?
    };
    args.add(key)?;
    args.add(chunk.id.as_bytes().as_slice())?;
    args.add(owner)?;
    args.add(chunk.embed_key.0.as_slice())?;
    args.add(signed(chunk.span.start)?)?;
    args.add(signed(chunk.span.end)?)?;
    args.add(chunk.lines.first)?;
    args.add(chunk.lines.last)?;
    args.add(chunk.tokens)?;
    args.add(chunk.breadcrumb)?;
    args.add(symbols)?;
    args.add(chunk.outline)?;
    args.add(chunk.text)?;
    args.add(chunk.pages.map(|pages| pages.first))?;
    args.add(chunk.pages.map(|pages| pages.last))
}
