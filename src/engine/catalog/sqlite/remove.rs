//! Removing documents.

use sqlx::SqliteConnection;

use super::bulk::{Bound, Columns, for_each, json_hex};
use super::connect::{Connections, begin_write, commit};
use super::fault::{Doing, unreadable};
use super::log::head;
use super::names::{Delta, require_namespace, shift_counters};
use super::skipped;
use super::vectors::{drop_orphans, note_orphans};
use super::write::{remove_contents, spare};
use crate::base::DocumentId;
use crate::base::error::Result;
use crate::engine::catalog::{Selector, WriteOutcome};
use crate::model::{Filter, Namespace, Operation};

/// See `Catalog::remove`; gives what was removed, in the order of URIs.
pub(super) async fn remove(
    connections: &Connections,
    namespace: &Namespace,
    selector: &Selector,
) -> Result<(WriteOutcome, Vec<Doomed>)> {
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner = require_namespace(&mut transaction, namespace).await?;
    skipped::forget(&mut transaction, owner, selector).await?;
    doom(&mut transaction, owner, selector).await?;
    let (delta, doomed) = doomed(&mut transaction).await?;
    if doomed.is_empty() {
        let lsn = head(&mut transaction).await?;
        commit(transaction).await?;
        return Ok((WriteOutcome { lsn, ..WriteOutcome::default() }, doomed));
    }

    sqlx::query(
        "INSERT INTO oplog (namespace, document, operation) SELECT ?1, id, ?2 FROM documents \
         WHERE key IN (SELECT document FROM temp.doomed) ORDER BY uri",
    )
    .bind(owner)
    .bind(Operation::Delete.as_str())
    .execute(&mut *transaction)
    .await
    .doing("log a removal")?;
    note_orphans(&mut transaction).await?;
    remove_contents(&mut transaction).await?;
    // Who used what is forgotten is forgotten too, unless it stays registered.
    sqlx::query(
        "DELETE FROM object_uses WHERE key IN (SELECT used.key FROM temp.doomed \
         CROSS JOIN documents AS d ON d.key = document \
         CROSS JOIN object_uses AS used ON used.namespace = d.namespace AND used.uri = d.uri \
         WHERE NOT EXISTS (SELECT 1 FROM objects AS o WHERE o.namespace = d.namespace AND o.uri = d.uri))",
    )
    .execute(&mut *transaction)
    .await
    .doing("forget uses")?;
    sqlx::query("DELETE FROM documents WHERE key IN (SELECT document FROM temp.doomed)")
        .execute(&mut *transaction)
        .await
        .doing("remove documents")?;
    spare(&mut transaction).await?;
    drop_orphans(&mut transaction).await?;
    shift_counters(&mut transaction, owner, delta).await?;
    let outcome =
        WriteOutcome { lsn: head(&mut transaction).await?, removed: doomed.len() as u64, ..WriteOutcome::default() };
    commit(transaction).await?;
    Ok((outcome, doomed))
}

/// Fills `temp.doomed` with the keys of what `selector` chooses.
async fn doom(connection: &mut SqliteConnection, owner: i64, selector: &Selector) -> Result<()> {
    let query = match selector {
        Selector::Documents(ids) => sqlx::query(
            "INSERT INTO temp.doomed SELECT key FROM documents \
             WHERE +namespace = ?1 AND id IN (SELECT unhex(value) FROM json_each(?2))",
        )
        .bind(owner)
        .bind(json_hex(ids.iter().map(|id| id.as_bytes().as_slice()))),
        Selector::Source(source) => sqlx::query(
            "INSERT INTO temp.doomed SELECT document.key FROM sources AS source \
             JOIN documents AS document ON document.source = source.key \
             WHERE source.namespace = ?1 AND document.namespace = ?1 AND source.id = ?2",
        )
        .bind(owner)
        .bind(source.as_bytes().as_slice()),
        Selector::Uri(uri) => {
            sqlx::query("INSERT INTO temp.doomed SELECT key FROM documents WHERE namespace = ?1 AND uri = ?2")
                .bind(owner)
                .bind(uri)
        }
        Selector::UriPrefix(prefix) => match after_prefix(prefix) {
            // A range, not LIKE: it uses the index, and `%` and `_` are letters like any other.
            Some(end) => sqlx::query(
                "INSERT INTO temp.doomed SELECT key FROM documents WHERE namespace = ?1 AND uri >= ?2 AND uri < ?3",
            )
            .bind(owner)
            .bind(prefix)
            .bind(end),
            None => sqlx::query("INSERT INTO temp.doomed SELECT key FROM documents WHERE namespace = ?1 AND uri >= ?2")
                .bind(owner)
                .bind(prefix),
        },
        Selector::Tag(tag) => sqlx::query(
            "INSERT INTO temp.doomed SELECT document.key FROM tags \
             JOIN documents AS document ON document.key = tags.document WHERE namespace = ?1 AND tag = ?2",
        )
        .bind(owner)
        .bind(tag),
        Selector::Filter(filter) => matching(owner, filter),
        Selector::ExpiredBy(now) => {
            sqlx::query("INSERT INTO temp.doomed SELECT key FROM documents WHERE namespace = ?1 AND expires_at <= ?2")
                .bind(owner)
                .bind(now.0)
        }
    };
    query.execute(connection).await.doing("choose what to remove").map(|_| ())
}

/// Chooses what passes `filter`. A list that is empty restricts nothing, as everywhere; so does a bound that is NULL.
fn matching(owner: i64, filter: &Filter) -> Bound<'static> {
    let texts = |texts: Vec<&str>| (!texts.is_empty()).then(|| serde_json::json!(texts).to_string());
    let documents = filter.documents.as_ref().map(|ids| json_hex(ids.iter().map(|id| id.as_bytes().as_slice())));
    let sources =
        (!filter.sources.is_empty()).then(|| json_hex(filter.sources.iter().map(|id| id.as_bytes().as_slice())));
    sqlx::query(
        "INSERT INTO temp.doomed SELECT key FROM documents AS d WHERE namespace = ?1 \
         AND (?2 IS NULL OR id IN (SELECT unhex(value) FROM json_each(?2))) \
         AND (?3 IS NULL OR source IN (SELECT key FROM sources WHERE id IN (SELECT unhex(value) FROM json_each(?3)))) \
         AND (?4 IS NULL OR language IN (SELECT value FROM json_each(?4))) \
         AND (?5 IS NULL OR kind IN (SELECT value FROM json_each(?5))) \
         AND (?6 IS NULL OR EXISTS (SELECT 1 FROM tags WHERE document = d.key \
         AND tag IN (SELECT value FROM json_each(?6)))) \
         AND (?7 IS NULL OR modified_at >= ?7) AND (?8 IS NULL OR modified_at < ?8)",
    )
    .bind(owner)
    .bind(documents)
    .bind(sources)
    .bind(texts(filter.languages.iter().map(String::as_str).collect()))
    .bind(texts(filter.kinds.iter().map(|kind| kind.as_str()).collect()))
    .bind(texts(filter.tags.iter().map(String::as_str).collect()))
    .bind(filter.modified_from.map(|time| time.0))
    .bind(filter.modified_until.map(|time| time.0))
}

/// The smallest text above everything that begins with `prefix`, by bytes, which for UTF-8 is by code points. `None`
/// if there is none.
pub(super) fn after_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The range steps over the surrogates, which are no characters.
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// A document that is removed.
pub(super) struct Doomed {
    pub(super) id: DocumentId,
    pub(super) uri: String,
}

/// What the removal of `temp.doomed` takes from the counters, and what it removes.
async fn doomed(connection: &mut SqliteConnection) -> Result<(Delta, Vec<Doomed>)> {
    let query: Bound<'_> = sqlx::query(
        "SELECT id, uri, chunks, bytes, tokens FROM documents WHERE key IN (SELECT document FROM temp.doomed) \
         ORDER BY uri",
    );
    let mut delta = Delta::default();
    let mut doomed = Vec::new();
    for_each(connection, query, |row| {
        let id = DocumentId::from_slice(row.at(0)?).ok_or_else(|| unreadable("a document id"))?;
        doomed.push(Doomed { id, uri: row.at(1)? });
        delta.take(1, row.unsigned(2)?, row.unsigned(3)?, row.unsigned(4)?)
    })
    .await?;
    Ok((delta, doomed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_just_above_all_it_covers() {
        assert_eq!(after_prefix("a/b").as_deref(), Some("a/c"));
        assert_eq!(after_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"), "no surrogates in between");
        assert_eq!(after_prefix("x\u{10ffff}").as_deref(), Some("y"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
        assert_eq!(after_prefix(""), None);
    }
}
