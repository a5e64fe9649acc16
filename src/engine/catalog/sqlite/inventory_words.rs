//! The words that registered objects and ingested documents are called by, and finding them by these.
//!
//! Those of objects are written with them; those of documents by triggers of the schema.

use std::collections::HashSet;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::bulk::{Args, Bound, Columns, Insert, for_each, json_keys};
use super::connect::Connections;
use super::fault::{Doing, unreadable};
use super::inventory::{object, object_columns};
use crate::base::Timestamp;
use crate::base::error::Result;
use crate::model::{DataObject, Namespace};

/// Words of registered objects.
pub(super) const WORDS: Insert =
    Insert { head: "INSERT INTO object_words (rowid, name, description, schema, tags) VALUES", columns: 5, tail: "" };

/// What is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Searched {
    /// What is registered, by name, description, schema and tags.
    Objects,
    /// What is ingested and not registered, by title, path and address.
    Documents,
}

impl Searched {
    fn sql(self) -> &'static str {
        match self {
            Self::Objects => concat!(
                "WITH found (key, score) AS (SELECT o.key, bm25(object_words, 4.0, 2.0, 1.0, 2.0) FROM object_words \
                 CROSS JOIN objects AS o ON o.key = object_words.rowid WHERE object_words MATCH ?1 \
                 AND o.namespace = (SELECT key FROM namespaces WHERE name = ?2) LIMIT ?3) \
                 SELECT ",
                object_columns!(),
                ", found.score FROM (SELECT key, score FROM found ORDER BY score, key LIMIT ?4) AS found \
                 CROSS JOIN objects AS o ON o.key = found.key ORDER BY found.score, o.uri"
            ),
            Self::Documents => {
                "WITH found (key, score) AS (SELECT d.key, bm25(document_words, 2.0, 1.0) FROM document_words \
                 CROSS JOIN documents AS d ON d.key = document_words.rowid WHERE document_words MATCH ?1 \
                 AND d.namespace = (SELECT key FROM namespaces WHERE name = ?2) AND NOT EXISTS \
                 (SELECT 1 FROM objects AS o WHERE o.namespace = d.namespace AND o.uri = d.uri) LIMIT ?3) \
                 SELECT d.uri, d.media_type, d.bytes, d.modified_at, d.title, \
                 (SELECT json_group_array(tag) FROM tags WHERE document = d.key), found.score \
                 FROM (SELECT key, score FROM found ORDER BY score, key LIMIT ?4) AS found \
                 CROSS JOIN documents AS d ON d.key = found.key ORDER BY found.score, d.uri"
            }
        }
    }
}

/// Objects of one search: as many as its callers ever ask for.
const SEARCHED_MAX: i64 = 500;

/// Rows with some of the words that are scored. A word that more rows have says nothing about any of them.
const SCORED_MAX: i64 = 5_000;

/// Objects with all of the words first; where there are too few, those with some of them.
pub(super) async fn search(
    connections: &Connections,
    namespace: &Namespace,
    words: &[String],
    limit: usize,
    searched: Searched,
) -> Result<Vec<(DataObject, f32)>> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = connections.reader().await?;
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
    let mut found = scored(&mut reader, namespace, searched, quoted.join(" AND ")).await?;
    if found.len() < limit && words.len() > 1 {
        let held: HashSet<String> = found.iter().map(|(object, _)| object.uri.clone()).collect();
        // Of two with the same score the one with all words is the better answer.
        let least = found.iter().map(|(_, score)| *score).fold(f32::INFINITY, f32::min);
        let some = scored(&mut reader, namespace, searched, quoted.join(" OR ")).await?;
        let some = some.into_iter().filter(|(object, _)| !held.contains(&object.uri));
        found.extend(some.map(|(object, score)| (object, score.min(least))));
    }
    found.truncate(limit);
    Ok(found)
}

/// The best of the rows that answer to `asked`.
async fn scored(
    connection: &mut SqliteConnection,
    namespace: &Namespace,
    searched: Searched,
    asked: String,
) -> Result<Vec<(DataObject, f32)>> {
    let query: Bound<'_> =
        sqlx::query(searched.sql()).bind(asked).bind(namespace.as_str()).bind(SCORED_MAX).bind(SEARCHED_MAX);
    let mut found = Vec::new();
    for_each(connection, query, |row| {
        match searched {
            Searched::Objects => found.push((object(row)?, -row.at::<f64>(14)? as f32)),
            Searched::Documents => found.push((document(row)?, -row.at::<f64>(6)? as f32)),
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// A document as an object of which little is known.
fn document(row: &SqliteRow) -> Result<DataObject> {
    Ok(DataObject {
        media_type: row.at(1)?,
        bytes: row.at::<Option<i64>>(2)?.map(i64::unsigned_abs),
        modified_at: row.at::<Option<i64>>(3)?.map(Timestamp),
        description: row.at::<Option<String>>(4)?.unwrap_or_default(),
        tags: serde_json::from_str(row.at(5)?).map_err(|cause| unreadable("tags").caused_by(cause))?,
        ..DataObject::at(row.at(0)?)
    })
}

/// In the order of [`WORDS`]. Of the address the last parts belong to the name: they are what people remember.
pub(super) fn bind_words(args: &mut Args, key: i64, object: &DataObject) -> Result<()> {
    let place: Vec<&str> = object.uri.trim_end_matches('/').rsplit('/').take(3).collect();
    args.add(key)?;
    args.add(format!("{} {}", object.name, place.join(" ")))?;
    args.add(object.description.clone())?;
    args.add(object.schema.clone())?;
    args.add(object.tags.join(" "))
}

/// Takes out the words of objects.
pub(super) async fn drop_words(connection: &mut SqliteConnection, keys: &[i64]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM object_words WHERE rowid IN (SELECT value FROM json_each(?1))")
        .bind(json_keys(keys.iter().copied()))
        .execute(connection)
        .await
        .doing("replace objects")
        .map(|_| ())
}
