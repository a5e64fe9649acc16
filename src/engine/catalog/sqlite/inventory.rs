//! Registered objects, the words they are found by, and who used what.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::SqliteCatalog;
use super::bulk::{Args, Bound, Columns, Insert, for_each, json_keys, signed};
use super::connect::{Connections, begin_write, commit};
use super::fault::{Doing, unreadable};
use super::inventory_words::{Searched, WORDS, bind_words, drop_words, search};
use super::listing;
use super::names::require_namespace;
use super::remove::after_prefix;
use crate::base::error::{Error, Result};
use crate::base::{ContentHash, Timestamp};
use crate::engine::catalog::inventory::{Ingested, Inventory, Level, Page, Registration, Seen};
use crate::engine::catalog::registry::Registered;
use crate::model::data::at_or_above;
use crate::model::{CostClass, DataFilter, DataKind, DataObject, DataUse, Namespace, StoreKind};

const OBJECTS: Insert = Insert {
    head: "INSERT INTO objects (key, namespace, uri, name, kind, store, media_type, description, schema, owner, tags, \
           cost_class, credential, bytes, content, modified_at, metadata, registered_at, version) VALUES",
    columns: 19,
    tail: "ON CONFLICT (key) DO UPDATE SET name = excluded.name, kind = excluded.kind, media_type = excluded.media_type, \
           description = excluded.description, schema = excluded.schema, owner = excluded.owner, tags = excluded.tags, \
           cost_class = excluded.cost_class, credential = excluded.credential, bytes = excluded.bytes, \
           content = excluded.content, mark = NULL, seen_bytes = NULL, seen_content = NULL, seen_modified_at = NULL, \
           modified_at = excluded.modified_at, metadata = excluded.metadata, registered_at = excluded.registered_at, version = excluded.version",
};

/// Columns that [`object`] reads, of `objects AS o`.
macro_rules! object_columns {
    () => {
        "o.uri, o.name, o.kind, o.media_type, o.description, o.schema, o.owner, o.tags, o.cost_class, o.credential, \
         coalesce(o.seen_bytes, o.bytes), coalesce(o.content, o.seen_content), \
         coalesce(o.seen_modified_at, o.modified_at), o.metadata"
    };
}
pub(super) use object_columns;

/// Reads an object off the columns of [`object_columns`].
pub(super) fn object(row: &SqliteRow) -> Result<DataObject> {
    let json = |column: usize, what: &str| -> Result<serde_json::Value> {
        serde_json::from_str(row.at(column)?).map_err(|cause| unreadable(what).caused_by(cause))
    };
    let decoded = |cause: serde_json::Error| unreadable("an object").caused_by(cause);
    Ok(DataObject {
        uri: row.at(0)?,
        name: row.at(1)?,
        kind: DataKind::parse(row.at(2)?).ok_or_else(|| unreadable("a kind of data"))?,
        media_type: row.at(3)?,
        description: row.at(4)?,
        schema: row.at(5)?,
        owner: row.at(6)?,
        tags: serde_json::from_value(json(7, "tags")?).map_err(decoded)?,
        cost: CostClass::parse(row.at(8)?).ok_or_else(|| unreadable("a cost class"))?,
        credential: row.at(9)?,
        bytes: row.at::<Option<i64>>(10)?.map(i64::unsigned_abs),
        content: content(row.at(11)?)?,
        modified_at: row.at::<Option<i64>>(12)?.map(Timestamp),
        metadata: serde_json::from_value(json(13, "metadata")?).map_err(decoded)?,
    })
}

fn content(bytes: Option<&[u8]>) -> Result<Option<ContentHash>> {
    bytes.map(|bytes| ContentHash::from_slice(bytes).ok_or_else(|| unreadable("a content hash"))).transpose()
}

fn encoded<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::internal("cannot encode an object").caused_by(cause))
}

/// A hash over everything that was registered.
fn version(object: &DataObject) -> Result<ContentHash> {
    let (content, modified) = (object.content.map(|hash| hash.to_string()), object.modified_at.map(|at| at.0));
    Ok(ContentHash::of(encoded(&(object, content, modified))?.as_bytes()))
}

#[async_trait]
impl Inventory for SqliteCatalog {
    async fn register_objects(
        &self,
        namespace: &Namespace,
        objects: Vec<DataObject>,
        now: Timestamp,
    ) -> Result<Vec<Registered>> {
        let namespace = namespace.clone();
        self.change(move |inner| async move { register(&inner.connections, &namespace, objects, now).await }).await
    }

    async fn unregister_objects(&self, namespace: &Namespace, uris: &[String]) -> Result<Vec<String>> {
        let (namespace, uris) = (namespace.clone(), encoded(&uris)?);
        self.change(move |inner| async move {
            let query = sqlx::query(
                "SELECT key, uri FROM objects WHERE namespace = ?1 AND uri IN (SELECT value FROM json_each(?2)) ORDER BY uri",
            );
            unregister(&inner.connections, &namespace, |owner| query.bind(owner).bind(uris)).await
        })
        .await
    }

    async fn unregister_below(&self, namespace: &Namespace, prefix: &str, limit: usize) -> Result<Vec<String>> {
        let (namespace, prefix) = (namespace.clone(), prefix.to_owned());
        let (end, limit) = (after_prefix(&prefix), signed(limit as u64)?);
        self.change(move |inner| async move {
            let query = sqlx::query(
                "SELECT key, uri FROM objects WHERE namespace = ?1 AND uri >= ?2 AND uri < coalesce(?3, x'FF') \
                 ORDER BY uri LIMIT ?4",
            );
            unregister(&inner.connections, &namespace, |owner| query.bind(owner).bind(prefix).bind(end).bind(limit))
                .await
        })
        .await
    }

    async fn object(&self, namespace: &Namespace, uri: &str) -> Result<Option<Registration>> {
        let mut reader = self.inner.connections.reader().await?;
        let row = sqlx::query(concat!(
            "SELECT ",
            object_columns!(),
            ", o.mark, o.registered_at, o.content FROM objects AS o \
             WHERE o.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND o.uri = ?2"
        ))
        .bind(namespace.as_str())
        .bind(uri)
        .fetch_optional(&mut *reader)
        .await
        .doing("read an object")?;
        row.map(|row| {
            let (object, registered_content) = (object(&row)?, content(row.at(16)?)?);
            Ok(Registration { object, registered_content, mark: row.at(14)?, registered_at: Timestamp(row.at(15)?) })
        })
        .transpose()
    }

    async fn credential_above(&self, namespace: &Namespace, uri: &str) -> Result<Option<String>> {
        let mut reader = self.inner.connections.reader().await?;
        sqlx::query_scalar(
            "SELECT credential FROM objects WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) \
             AND uri IN (SELECT value FROM json_each(?2)) AND credential <> '' ORDER BY length(uri) DESC LIMIT 1",
        )
        .bind(namespace.as_str())
        .bind(encoded(&at_or_above(uri))?)
        .fetch_optional(&mut *reader)
        .await
        .doing("look for a credential")
    }

    async fn note_seen(&self, namespace: &Namespace, uri: &str, seen: &Seen) -> Result<()> {
        let (namespace, uri, seen) = (namespace.clone(), uri.to_owned(), seen.clone());
        let bytes = seen.bytes.map(signed).transpose()?;
        self.change(move |inner| async move {
            let mut writer = inner.connections.writer().await;
            sqlx::query(
                "UPDATE objects SET seen_bytes = coalesce(?3, seen_bytes), seen_content = coalesce(?4, seen_content), \
                 mark = ?5, seen_modified_at = coalesce(?6, seen_modified_at) \
                 WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) AND uri = ?2",
            )
            .bind(namespace.as_str())
            .bind(uri)
            .bind(bytes)
            .bind(seen.content.map(|hash| hash.0.to_vec()))
            .bind(seen.mark)
            .bind(seen.modified_at.map(|at| at.0))
            .execute(&mut *writer)
            .await
            .doing("note what was seen of an object")
            .map(|_| ())
        })
        .await
    }

    async fn list_data(
        &self,
        namespace: &Namespace,
        prefix: &str,
        filter: &DataFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page> {
        listing::list_data(&self.inner.connections, namespace, prefix, filter, after, limit).await
    }

    async fn list_level(
        &self,
        namespace: &Namespace,
        prefix: &str,
        filter: &DataFilter,
        after: Option<&str>,
        limit: usize,
        counted: u64,
    ) -> Result<Level> {
        listing::list_level(&self.inner.connections, namespace, prefix, filter, after, (limit, counted)).await
    }

    async fn search_objects(
        &self,
        namespace: &Namespace,
        words: &[String],
        limit: usize,
    ) -> Result<Vec<(DataObject, f32)>> {
        search(&self.inner.connections, namespace, words, limit, Searched::Objects).await
    }

    async fn search_documents(
        &self,
        namespace: &Namespace,
        words: &[String],
        limit: usize,
    ) -> Result<Vec<(DataObject, f32)>> {
        search(&self.inner.connections, namespace, words, limit, Searched::Documents).await
    }

    async fn ingested(&self, namespace: &Namespace, uri: &str, limit: usize) -> Result<Ingested> {
        listing::ingested(&self.inner.connections, namespace, uri, limit).await
    }

    async fn are_ingested(&self, namespace: &Namespace, uris: &[String]) -> Result<Vec<String>> {
        let sql = "SELECT uri FROM documents WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) \
                   AND uri IN (SELECT value FROM json_each(?2))";
        self.among(namespace, uris, sql).await
    }

    async fn hold_documents(&self, namespace: &Namespace, uris: &[String]) -> Result<Vec<String>> {
        // The character after the slash ends what lies below.
        let sql = "WITH owner (key) AS (SELECT key FROM namespaces WHERE name = ?1) \
                   SELECT asked.value FROM json_each(?2) AS asked WHERE \
                   EXISTS (SELECT 1 FROM documents AS d WHERE d.namespace = (SELECT key FROM owner) AND d.uri = asked.value) \
                   OR EXISTS (SELECT 1 FROM documents AS d WHERE d.namespace = (SELECT key FROM owner) \
                   AND d.uri >= rtrim(asked.value, '/') || '/' AND d.uri < rtrim(asked.value, '/') || '0') \
                   OR EXISTS (SELECT 1 FROM sources AS s CROSS JOIN documents AS d ON d.source = s.key \
                   WHERE s.namespace = (SELECT key FROM owner) AND s.uri = asked.value)";
        self.among(namespace, uris, sql).await
    }

    async fn record_use(&self, namespace: &Namespace, uri: &str, entry: &DataUse, kept: usize) -> Result<()> {
        let (namespace, uri, entry) = (namespace.clone(), uri.to_owned(), entry.clone());
        self.change(move |inner| async move { record_use(&inner.connections, &namespace, &uri, &entry, kept).await })
            .await
    }

    async fn uses(&self, namespace: &Namespace, uri: &str) -> Result<Vec<DataUse>> {
        let query: Bound<'_> = sqlx::query(
            "SELECT action, user, at, bytes FROM object_uses \
             WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) AND uri = ?2 ORDER BY key DESC",
        )
        .bind(namespace.as_str())
        .bind(uri);
        let mut uses = Vec::new();
        let mut reader = self.inner.connections.reader().await?;
        for_each(&mut reader, query, |row| {
            let (action, user, at, bytes) = (row.at(0)?, row.at(1)?, Timestamp(row.at(2)?), row.unsigned(3)?);
            uses.push(DataUse { action, user, at, bytes });
            Ok(())
        })
        .await?;
        Ok(uses)
    }
}

impl SqliteCatalog {
    /// Those of `uris` (?2, as JSON) that a query selects in a namespace (?1).
    async fn among(&self, namespace: &Namespace, uris: &[String], sql: &'static str) -> Result<Vec<String>> {
        let query: Bound<'_> = sqlx::query(sql).bind(namespace.as_str()).bind(encoded(&uris)?);
        let mut found = Vec::new();
        let mut reader = self.inner.connections.reader().await?;
        for_each(&mut reader, query, |row| {
            found.push(row.at(0)?);
            Ok(())
        })
        .await?;
        Ok(found)
    }
}

/// Of an address that comes twice in one batch the last counts, and both are told what became of it.
async fn register(
    connections: &Connections,
    namespace: &Namespace,
    objects: Vec<DataObject>,
    now: Timestamp,
) -> Result<Vec<Registered>> {
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    let held = held(&mut transaction, owner, &objects).await?;
    let mut key_last: i64 = sqlx::query_scalar("SELECT coalesce(max(key), 0) FROM objects")
        .fetch_one(&mut *transaction)
        .await
        .doing("read the objects")?;
    let last: HashMap<&str, usize> = objects.iter().enumerate().map(|(at, object)| (object.uri.as_str(), at)).collect();
    let mut what: HashMap<&str, Registered> = HashMap::new();
    let (mut rows, mut words, mut replaced, mut seen) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let counts = |at: usize, object: &DataObject| last.get(object.uri.as_str()) == Some(&at);
    for (_, object) in objects.iter().enumerate().filter(|(at, object)| counts(*at, object)) {
        let version = version(object)?;
        let (key, became) = match held.get(&object.uri) {
            Some(held) if held.version == version.0 => {
                what.insert(&object.uri, Registered::Unchanged);
                seen.extend((!held.is_as_registered(object)).then_some((held.key, object)));
                continue;
            }
            Some(held) => {
                replaced.push(held.key);
                (held.key, Registered::Updated)
            }
            None => {
                key_last += 1;
                (key_last, Registered::Added)
            }
        };
        what.insert(&object.uri, became);
        rows.push((key, object, version));
        words.push((key, object));
    }
    drop_words(&mut transaction, &replaced).await?;
    OBJECTS
        .run(&mut transaction, rows, |args, (key, object, version)| bind(args, owner, key, object, version, now))
        .await?;
    WORDS.run(&mut transaction, words, |args, (key, object)| bind_words(args, key, object)).await?;
    for (key, object) in seen {
        forget_seen(&mut transaction, key, object).await?;
    }
    commit(transaction).await?;
    let became = |object: &DataObject| what.get(object.uri.as_str()).copied().unwrap_or(Registered::Unchanged);
    Ok(objects.iter().map(became).collect())
}

/// What is registered already.
struct Held {
    key: i64,
    version: Vec<u8>,
    /// Size, hash and time as they are stored.
    said: (Option<i64>, Option<Vec<u8>>, Option<i64>),
    /// Whether anything was seen of it since.
    seen: bool,
}

impl Held {
    fn is_as_registered(&self, object: &DataObject) -> bool {
        let (bytes, content, modified_at) = &self.said;
        !self.seen
            && bytes.map(i64::unsigned_abs) == object.bytes
            && content.as_deref() == object.content.as_ref().map(|hash| hash.0.as_slice())
            && *modified_at == object.modified_at.map(|at| at.0)
    }
}

async fn held(connection: &mut SqliteConnection, owner: i64, objects: &[DataObject]) -> Result<HashMap<String, Held>> {
    let uris: HashSet<&str> = objects.iter().map(|object| object.uri.as_str()).collect();
    let query: Bound<'_> = sqlx::query(
        "SELECT uri, key, version, bytes, content, modified_at, \
         coalesce(mark, seen_bytes, seen_content, seen_modified_at) IS NOT NULL \
         FROM objects WHERE namespace = ?1 AND uri IN (SELECT value FROM json_each(?2))",
    )
    .bind(owner)
    .bind(encoded(&uris)?);
    let mut held = HashMap::new();
    for_each(connection, query, |row| {
        let said = (row.at(3)?, row.at(4)?, row.at(5)?);
        held.insert(row.at(0)?, Held { key: row.at(1)?, version: row.at(2)?, said, seen: row.at(6)? });
        Ok(())
    })
    .await?;
    Ok(held)
}

/// Lets only what was registered count again: whoever registers something anew means what is there now.
async fn forget_seen(connection: &mut SqliteConnection, key: i64, object: &DataObject) -> Result<()> {
    sqlx::query(
        "UPDATE objects SET mark = NULL, seen_bytes = NULL, seen_content = NULL, seen_modified_at = NULL, \
         bytes = ?2, content = ?3, modified_at = ?4 WHERE key = ?1",
    )
    .bind(key)
    .bind(object.bytes.map(signed).transpose()?)
    .bind(object.content.map(|hash| hash.0.to_vec()))
    .bind(object.modified_at.map(|at| at.0))
    .execute(connection)
    .await
    .doing("forget what was seen of an object")
    .map(|_| ())
}

/// In the order of [`OBJECTS`].
fn bind(
    args: &mut Args,
    owner: i64,
    key: i64,
    object: &DataObject,
    version: ContentHash,
    now: Timestamp,
) -> Result<()> {
    args.add(key)?;
    args.add(owner)?;
    for text in [&object.uri, &object.name] {
        args.add(text.clone())?;
    }
    args.add(object.kind.as_str())?;
    args.add(StoreKind::of_uri(&object.uri).as_str())?;
    for text in [&object.media_type, &object.description, &object.schema, &object.owner] {
        args.add(text.clone())?;
    }
    args.add(encoded(&object.tags)?)?;
    args.add(object.cost.as_str())?;
    args.add(object.credential.clone())?;
    args.add(object.bytes.map(signed).transpose()?)?;
    args.add(object.content.map(|hash| hash.0.to_vec()))?;
    args.add(object.modified_at.map(|at| at.0))?;
    args.add(encoded(&object.metadata)?)?;
    args.add(now.0)?;
    args.add(version.0.to_vec())
}

/// Removes what `choose` selects as (key, uri) in the namespace of the key that it is given.
async fn unregister<'q>(
    connections: &Connections,
    namespace: &Namespace,
    choose: impl FnOnce(i64) -> Bound<'q>,
) -> Result<Vec<String>> {
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    let (mut keys, mut uris) = (Vec::new(), Vec::new());
    for_each(&mut transaction, choose(owner), |row| {
        keys.push(row.at::<i64>(0)?);
        uris.push(row.at::<String>(1)?);
        Ok(())
    })
    .await?;
    drop_words(&mut transaction, &keys).await?;
    sqlx::query("DELETE FROM objects WHERE key IN (SELECT value FROM json_each(?1))")
        .bind(json_keys(keys))
        .execute(&mut *transaction)
        .await
        .doing("remove objects")?;
    sqlx::query(
        "DELETE FROM object_uses WHERE namespace = ?1 AND uri IN (SELECT value FROM json_each(?2)) \
         AND NOT EXISTS (SELECT 1 FROM documents AS d WHERE d.namespace = ?1 AND d.uri = object_uses.uri)",
    )
    .bind(owner)
    .bind(encoded(&uris)?)
    .execute(&mut *transaction)
    .await
    .doing("forget uses")?;
    commit(transaction).await?;
    Ok(uris)
}

async fn record_use(
    connections: &Connections,
    namespace: &Namespace,
    uri: &str,
    entry: &DataUse,
    kept: usize,
) -> Result<()> {
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    sqlx::query("INSERT INTO object_uses (namespace, uri, action, user, at, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(owner)
        .bind(uri)
        .bind(&entry.action)
        .bind(&entry.user)
        .bind(entry.at.0)
        .bind(signed(entry.bytes)?)
        .execute(&mut *transaction)
        .await
        .doing("note a use")?;
    sqlx::query(
        "DELETE FROM object_uses WHERE namespace = ?1 AND uri = ?2 AND key <= (SELECT key FROM object_uses \
         WHERE namespace = ?1 AND uri = ?2 ORDER BY key DESC LIMIT 1 OFFSET ?3)",
    )
    .bind(owner)
    .bind(uri)
    .bind(signed(kept as u64)?)
    .execute(&mut *transaction)
    .await
    .doing("note a use")?;
    commit(transaction).await
}
