//! Ending, compacting and removing runs.

use sqlx::SqliteConnection;

use super::super::bulk::{Bound, Columns, for_each, signed};
use super::super::connect::Connections;
use super::super::fault::Doing;
use super::{Stored, append, run_id};
use crate::base::error::Result;
use crate::base::{RunId, Timestamp};
use crate::engine::catalog::runs::{Chore, Compacted, Due};
use crate::model::Namespace;
use crate::model::run::{Event, Run, RunStatus};

/// See `Runs::cancel_run`.
pub(super) async fn cancel(connection: &mut SqliteConnection, mut stored: Stored, now: Timestamp) -> Result<Run> {
    sqlx::query("UPDATE runs SET cancel_requested = 1, updated_at = ?2 WHERE key = ?1")
        .bind(stored.key)
        .bind(now.0)
        .execute(&mut *connection)
        .await
        .doing("cancel a run")?;
    (stored.run.cancel_requested, stored.run.updated_at) = (true, now);
    if stored.run.holder_at(now).is_some() {
        return Ok(stored.run);
    }
    let end = Event::end(stored.run.tally.last_sequence + 1, RunStatus::Cancelled);
    append::extend(connection, stored, vec![end], now).await
}

/// See `Runs::compact_run`.
pub(super) async fn compact(connection: &mut SqliteConnection, stored: &Stored) -> Result<Compacted> {
    let (base, _) = stored.events();
    // The last append may come again: it has to be compared with what is here.
    let through = stored.last_append.saturating_sub(1);
    let last = stored.event(through)?;
    let row = sqlx::query(
        "SELECT count(*), coalesce(sum(length(kind) + length(node) + length(node_type) + length(effect) + 32), 0) \
         FROM run_events WHERE key BETWEEN ?1 AND ?2",
    )
    .bind(base)
    .bind(last)
    .fetch_one(&mut *connection)
    .await
    .doing("count a history")?;
    let mut compacted = Compacted { events: row.unsigned(0)?, bytes: row.unsigned(1)? };
    sqlx::query("DELETE FROM run_events WHERE key BETWEEN ?1 AND ?2")
        .bind(base)
        .bind(last)
        .execute(&mut *connection)
        .await
        .doing("compact a history")?;
    let unneeded = "key BETWEEN ?1 AND ?2 AND key NOT IN (SELECT ?1 + data_at FROM run_nodes WHERE run = ?3 \
                    UNION ALL SELECT ?1 + output_at FROM run_nodes WHERE run = ?3 \
                    UNION ALL SELECT ?1 + context_at FROM run_nodes WHERE run = ?3 \
                    UNION ALL SELECT ?1 + at FROM run_receipts WHERE run = ?3)";
    let sum =
        format!("SELECT coalesce(sum(octet_length(data) + octet_length(output)), 0) FROM run_texts WHERE {unneeded}");
    let bytes: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sum))
        .bind(base)
        .bind(last)
        .bind(stored.key)
        .fetch_one(&mut *connection)
        .await
        .doing("count a history")?;
    compacted.bytes += u64::try_from(bytes).unwrap_or_default();
    sqlx::query(sqlx::AssertSqlSafe(format!("DELETE FROM run_texts WHERE {unneeded}")))
        .bind(base)
        .bind(last)
        .bind(stored.key)
        .execute(&mut *connection)
        .await
        .doing("compact a history")?;
    sqlx::query("UPDATE runs SET compacted_through = max(compacted_through, ?2) WHERE key = ?1")
        .bind(stored.key)
        .bind(signed(through)?)
        .execute(connection)
        .await
        .doing("compact a history")?;
    Ok(compacted)
}

/// See `Runs::delete_run`.
pub(super) async fn delete(connection: &mut SqliteConnection, stored: &Stored) -> Result<u64> {
    let (base, end) = stored.events();
    for sql in
        ["DELETE FROM run_events WHERE key BETWEEN ?1 AND ?2", "DELETE FROM run_texts WHERE key BETWEEN ?1 AND ?2"]
    {
        sqlx::query(sql).bind(base).bind(end).execute(&mut *connection).await.doing("remove a run")?;
    }
    for sql in [
        "DELETE FROM run_receipts WHERE run = ?1",
        "DELETE FROM run_questions WHERE run = ?1",
        "DELETE FROM run_nodes WHERE run = ?1",
        "DELETE FROM runs WHERE key = ?1",
    ] {
        sqlx::query(sql).bind(stored.key).execute(&mut *connection).await.doing("remove a run")?;
    }
    Ok(stored.run.tally.last_sequence)
}

/// See `Runs::due_runs`.
pub(super) async fn due(connections: &Connections, due: Due, limit: u32) -> Result<Vec<(Namespace, RunId, Chore)>> {
    let (compact, remove) = (due.compact.map(|at| at.0), due.remove.map(|at| at.0));
    let mut found = Vec::new();
    let mut reader = connections.reader().await?;
    for (chore, sql) in [
        (
            Chore::End,
            "SELECT n.name, r.id FROM runs AS r JOIN namespaces AS n ON n.key = r.namespace \
             WHERE r.status = 'open' AND r.cancel_requested = 1 AND (r.holder = '' OR r.lease_until <= ?1) LIMIT ?2",
        ),
        (
            Chore::Remove,
            "SELECT n.name, r.id FROM runs AS r JOIN namespaces AS n ON n.key = r.namespace \
             WHERE r.ended_at <= ?1 ORDER BY r.ended_at LIMIT ?2",
        ),
        (
            Chore::Compact,
            "SELECT n.name, r.id FROM runs AS r JOIN namespaces AS n ON n.key = r.namespace \
             WHERE r.ended_at <= ?1 AND r.compacted_through < r.last_append - 1 ORDER BY r.ended_at LIMIT ?2",
        ),
    ] {
        let until = match chore {
            Chore::End => Some(due.now.0),
            Chore::Remove => remove,
            Chore::Compact => compact,
        };
        let query: Bound<'_> = sqlx::query(sql).bind(until).bind(i64::from(limit));
        for_each(&mut reader, query, |row| {
            found.push((Namespace::new(row.at(0)?)?, run_id(row.at(1)?)?, chore));
            Ok(())
        })
        .await?;
    }
    Ok(found)
}
