//! Objects that were read and left out.

use sqlx::SqliteConnection;

use super::bulk::{Args, Bound, Columns, Insert, for_each};
use super::connect::{Connections, begin_write, commit};
use super::fault::Doing;
use super::remove::after_prefix;
use crate::base::error::{Error, Result};
use crate::base::{SourceId, Timestamp};
use crate::engine::catalog::{Selector, Skipped};
use crate::model::Namespace;

const SKIPPED: Insert = Insert {
    head: "INSERT INTO skipped (source, uri, bytes, modified_at, mark, looked_at, recipe, reason) VALUES",
    columns: 8,
    tail: "ON CONFLICT (source, uri) DO UPDATE SET bytes = excluded.bytes, modified_at = excluded.modified_at, \
           mark = excluded.mark, looked_at = excluded.looked_at, recipe = excluded.recipe, reason = excluded.reason",
};

/// See `Catalog::skipped`.
pub(super) async fn skipped(
    connections: &Connections,
    namespace: &Namespace,
    source: SourceId,
) -> Result<Vec<Skipped>> {
    let query: Bound<'_> = sqlx::query(
        "SELECT uri, bytes, modified_at, mark, looked_at, recipe, reason FROM skipped \
         WHERE source = (SELECT key FROM sources WHERE id = ?2 \
         AND namespace = (SELECT key FROM namespaces WHERE name = ?1))",
    )
    .bind(namespace.as_str())
    .bind(source.as_bytes().as_slice());
    let mut found = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        found.push(Skipped {
            uri: row.at(0)?,
            bytes: row.unsigned(1)?,
            modified_at: row.at::<Option<i64>>(2)?.map(Timestamp),
            mark: row.at(3)?,
            looked_at: Timestamp(row.at(4)?),
            recipe: row.at(5)?,
            reason: row.at(6)?,
        });
        Ok(())
    })
    .await?;
    Ok(found)
}

/// See `Catalog::note_skipped`.
pub(super) async fn note_skipped(
    connections: &Connections,
    namespace: &Namespace,
    source: SourceId,
    (skipped, over): (&[Skipped], &[String]),
) -> Result<()> {
    let over = serde_json::to_string(over).map_err(|cause| Error::internal("URIs are no JSON").caused_by(cause))?;
    let mut writer = connections.writer().await;
    let mut transaction = begin_write(&mut writer).await?;
    let owner: Option<i64> = sqlx::query_scalar(
        "SELECT key FROM sources WHERE id = ?2 AND namespace = (SELECT key FROM namespaces WHERE name = ?1)",
    )
    .bind(namespace.as_str())
    .bind(source.as_bytes().as_slice())
    .fetch_optional(&mut *transaction)
    .await
    .doing("find a source")?;
    let Some(owner) = owner else { return Ok(()) };
    sqlx::query("DELETE FROM skipped WHERE source = ?1 AND uri IN (SELECT value FROM json_each(?2))")
        .bind(owner)
        .bind(over)
        .execute(&mut *transaction)
        .await
        .doing("note what is no longer skipped")?;
    let bind = |args: &mut Args, skipped: &Skipped| {
        args.add(owner)?;
        args.add(skipped.uri.as_str())?;
        args.add_unsigned(skipped.bytes)?;
        args.add(skipped.modified_at.map(|at| at.0))?;
        args.add(skipped.mark.as_deref())?;
        args.add(skipped.looked_at.0)?;
        args.add(skipped.recipe.as_str())?;
        args.add(skipped.reason.as_str())
    };
    SKIPPED.run(&mut transaction, skipped.iter().collect(), bind).await?;
    commit(transaction).await
}

/// Forgets what was skipped of what is removed: its addresses are to be forgotten too. By the other selectors only what is
/// stored is chosen, and nothing of that is here.
pub(super) async fn forget(connection: &mut SqliteConnection, owner: i64, selector: &Selector) -> Result<()> {
    let of_namespace = "DELETE FROM skipped WHERE source IN (SELECT key FROM sources WHERE namespace = ?1)";
    let query = match selector {
        Selector::Source(source) => {
            sqlx::query("DELETE FROM skipped WHERE source = (SELECT key FROM sources WHERE namespace = ?1 AND id = ?2)")
                .bind(owner)
                .bind(source.as_bytes().to_vec())
        }
        Selector::Uri(uri) => {
            sqlx::query(sqlx::AssertSqlSafe(format!("{of_namespace} AND uri = ?2"))).bind(owner).bind(uri)
        }
        Selector::UriPrefix(prefix) => {
            sqlx::query(sqlx::AssertSqlSafe(format!("{of_namespace} AND uri >= ?2 AND uri < coalesce(?3, x'FF')")))
                .bind(owner)
                .bind(prefix)
                .bind(after_prefix(prefix))
        }
        Selector::Documents(_) | Selector::Tag(_) | Selector::Filter(_) | Selector::ExpiredBy(_) => return Ok(()),
    };
    query.execute(connection).await.doing("forget what was skipped").map(|_| ())
}
