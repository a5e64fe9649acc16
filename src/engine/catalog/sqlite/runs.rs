//! Runs: making, listing, leases, and the way to the rest.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::SqliteCatalog;
use super::bulk::{Bound, Columns, for_each, signed};
use super::connect::{begin_write, commit};
use super::fault::{Doing, unreadable};
use super::names::require_namespace;
use crate::base::error::{Error, Kind, Result};
use crate::base::{DocumentId, RunId, Timestamp};
use crate::engine::catalog::runs::{Appended, Chore, Compacted, Due, EventPage, Runs, StatePage};
use crate::model::run::{Event, NodePath, NodeState, Question, Run, RunStatus, Tally};
use crate::model::{Namespace, NewRun};

mod append;
mod places;
mod questions;
mod read;
mod retain;

/// Numbers that the history of one run may use: its events lie at `runs.key * EVENTS_PER_RUN + number`.
const EVENTS_PER_RUN: i64 = 1 << 32;

/// Columns that [`stored`] reads, of `runs AS r`.
macro_rules! run_columns {
    () => {
        "r.key, r.id, r.goal, r.settings, r.status, r.created_at, r.updated_at, r.last_sequence, r.last_append, \
         r.compacted_through, r.nodes, r.nodes_finished, r.open_questions, r.prompt_tokens, r.completion_tokens, \
         r.holder, r.lease_until, r.fence, r.cancel_requested, r.result"
    };
}

/// A run with what only the store needs.
struct Stored {
    key: i64,
    /// First number of the last append.
    last_append: u64,
    run: Run,
}

impl Stored {
    /// Key of its event with this number, which is below [`EVENTS_PER_RUN`].
    fn event(&self, sequence: u64) -> Result<i64> {
        Ok(self.key * EVENTS_PER_RUN + signed(sequence)?)
    }

    /// Keys of all its events.
    fn events(&self) -> (i64, i64) {
        (self.key * EVENTS_PER_RUN, self.key * EVENTS_PER_RUN + EVENTS_PER_RUN - 1)
    }

    /// Refuses what is done under a lease that is not the newest.
    fn fenced(&self, fence: u64) -> Result<()> {
        let run = &self.run;
        if fence == 0 || fence > run.fence {
            return Err(Error::invalid("fence", format!("run {} gave no lease the fence {fence}: acquire it", run.id)));
        }
        if fence < run.fence {
            return Err(Error::new(
                Kind::Lease,
                format!(
                    "the lease of run {} with fence {fence} is lost: {} took it with fence {}",
                    run.id,
                    if run.holder.is_empty() { "another" } else { &run.holder },
                    run.fence
                ),
            ));
        }
        Ok(())
    }

    /// Refuses what is done under a lease that was given up.
    fn held(&self) -> Result<()> {
        if self.run.holder.is_empty() {
            return Err(Error::new(
                Kind::Lease,
                format!("nobody holds run {}: its lease was released, acquire it again", self.run.id),
            ));
        }
        Ok(())
    }

    /// Refuses work on a run that has ended.
    fn open(&self) -> Result<()> {
        match self.run.tally.status {
            RunStatus::Open => Ok(()),
            status => {
                Err(Error::new(Kind::Precondition, format!("run {} has ended: {}", self.run.id, status.as_str())))
            }
        }
    }
}

fn stored(row: &SqliteRow) -> Result<Stored> {
    let status = RunStatus::parse(row.at(4)?).ok_or_else(|| unreadable("the status of a run"))?;
    let run = Run {
        id: run_id(row.at(1)?)?,
        goal: row.at(2)?,
        settings: row.at(3)?,
        created_at: Timestamp(row.at(5)?),
        updated_at: Timestamp(row.at(6)?),
        tally: Tally {
            status,
            last_sequence: row.unsigned(7)?,
            nodes: row.unsigned(10)?,
            nodes_finished: row.unsigned(11)?,
            open_questions: row.unsigned(12)?,
            prompt_tokens: row.unsigned(13)?,
            completion_tokens: row.unsigned(14)?,
        },
        holder: row.at(15)?,
        lease_until: Timestamp(row.at(16)?),
        fence: row.unsigned(17)?,
        cancel_requested: row.at(18)?,
        result: row.at(19)?,
        compacted_through: row.unsigned(9)?,
    };
    Ok(Stored { key: row.at(0)?, last_append: row.unsigned(8)?, run })
}

fn run_id(bytes: &[u8]) -> Result<RunId> {
    RunId::from_slice(bytes).ok_or_else(|| unreadable("a run id"))
}

/// The run with this id in this namespace.
async fn find(connection: &mut SqliteConnection, namespace: &Namespace, run: RunId) -> Result<Stored> {
    let row = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        " FROM runs AS r WHERE r.id = ?2 AND r.namespace = (SELECT key FROM namespaces WHERE name = ?1)"
    ))
    .bind(namespace.as_str())
    .bind(run.as_bytes().as_slice())
    .fetch_optional(connection)
    .await
    .doing("find a run")?;
    let none =
        || Error::not_found(format!("there is no run {run} in namespace {namespace}: `hivemem swarm ls` lists them"));
    row.as_ref().map(stored).transpose()?.ok_or_else(none)
}

async fn set_lease(connection: &mut SqliteConnection, key: i64, run: &Run) -> Result<()> {
    sqlx::query("UPDATE runs SET holder = ?2, lease_until = ?3, fence = ?4 WHERE key = ?1")
        .bind(key)
        .bind(&run.holder)
        .bind(run.lease_until.0)
        .bind(signed(run.fence)?)
        .execute(connection)
        .await
        .doing("store a lease")
        .map(|_| ())
}

/// Does something to a run in one transaction, to its end even if the caller goes away.
macro_rules! in_run {
    ($catalog:expr, $namespace:expr, $run:expr, |$connection:ident, $stored:ident| $work:expr) => {{
        let (namespace, run) = ($namespace.clone(), $run);
        $catalog
            .change(move |inner| async move {
                let mut writer = inner.connections.writer().await;
                let mut transaction = begin_write(&mut writer).await?;
                let $stored = find(&mut transaction, &namespace, run).await?;
                let $connection = &mut *transaction;
                let done = $work;
                commit(transaction).await?;
                Ok(done)
            })
            .await
    }};
}

#[async_trait]
impl Runs for SqliteCatalog {
    async fn create_run(&self, namespace: &Namespace, new: NewRun, open_max: u64, now: Timestamp) -> Result<Run> {
        let namespace = namespace.clone();
        self.change(move |inner| async move {
            let mut writer = inner.connections.writer().await;
            let mut transaction = begin_write(&mut writer).await?;
            let run = create(&mut transaction, &namespace, new, open_max, now).await?;
            commit(transaction).await?;
            Ok(run)
        })
        .await
    }

    async fn run(&self, namespace: &Namespace, run: RunId) -> Result<Run> {
        let mut reader = self.inner.connections.reader().await?;
        Ok(find(&mut reader, namespace, run).await?.run)
    }

    async fn runs(
        &self,
        namespace: &Namespace,
        statuses: &[RunStatus],
        after: Option<i64>,
        limit: u32,
    ) -> Result<(Vec<Run>, Option<i64>)> {
        let wanted: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
        let wanted = (!wanted.is_empty()).then(|| serde_json::json!(wanted).to_string());
        let query: Bound<'_> = sqlx::query(concat!(
            "SELECT ",
            run_columns!(),
            " FROM runs AS r WHERE r.namespace = (SELECT key FROM namespaces WHERE name = ?1) \
             AND (?2 IS NULL OR r.key < ?2) AND (?3 IS NULL OR r.status IN (SELECT value FROM json_each(?3))) \
             ORDER BY r.key DESC LIMIT ?4"
        ))
        .bind(namespace.as_str())
        .bind(after)
        .bind(wanted)
        .bind(i64::from(limit) + 1);
        let mut found = Vec::new();
        let mut reader = self.inner.connections.reader().await?;
        for_each(&mut reader, query, |row| {
            found.push(stored(row)?);
            Ok(())
        })
        .await?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).map(|last| last.key);
        Ok((found.into_iter().map(|stored| stored.run).collect(), next))
    }

    async fn acquire_run(
        &self,
        namespace: &Namespace,
        run: RunId,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Run> {
        let holder = holder.to_owned();
        in_run!(self, namespace, run, |connection, stored| {
            stored.open()?;
            let Stored { key, mut run, .. } = stored;
            if let Some(other) = run.holder_at(now) {
                let left = (run.lease_until.0 - now.0) as f64 / 1e6;
                let message = format!("run {} is held by {other} for another {left:.1} s", run.id);
                return Err(Error::new(Kind::Lease, message));
            }
            (run.holder, run.lease_until, run.fence) = (holder, until, run.fence + 1);
            set_lease(connection, key, &run).await?;
            run
        })
    }

    async fn renew_run(&self, namespace: &Namespace, run: RunId, fence: u64, until: Timestamp) -> Result<Run> {
        in_run!(self, namespace, run, |connection, stored| {
            stored.fenced(fence)?;
            stored.open()?;
            stored.held()?;
            let Stored { key, mut run, .. } = stored;
            run.lease_until = until;
            set_lease(connection, key, &run).await?;
            run
        })
    }

    async fn release_run(&self, namespace: &Namespace, run: RunId, fence: u64) -> Result<()> {
        in_run!(self, namespace, run, |connection, stored| {
            stored.fenced(fence)?;
            let Stored { key, mut run, .. } = stored;
            run.holder.clear();
            set_lease(connection, key, &run).await?;
        })
    }

    async fn append_events(
        &self,
        namespace: &Namespace,
        run: RunId,
        fence: u64,
        events: Vec<Event>,
        now: Timestamp,
    ) -> Result<Appended> {
        in_run!(self, namespace, run, |connection, stored| append::append(connection, stored, fence, events, now)
            .await?)
    }

    async fn events(
        &self,
        namespace: &Namespace,
        run: RunId,
        from: u64,
        limit: u32,
        bytes_max: usize,
    ) -> Result<EventPage> {
        read::events(&self.inner.connections, namespace, run, from, limit, bytes_max).await
    }

    async fn state(
        &self,
        namespace: &Namespace,
        run: RunId,
        after: Option<&NodePath>,
        bytes_max: usize,
    ) -> Result<StatePage> {
        read::state(&self.inner.connections, namespace, run, after, bytes_max).await
    }

    async fn run_nodes(
        &self,
        namespace: &Namespace,
        run: RunId,
        nodes: &[NodePath],
    ) -> Result<Vec<(NodePath, NodeState)>> {
        let mut reader = self.inner.connections.reader().await?;
        let stored = find(&mut reader, namespace, run).await?;
        Ok(read::nodes(&mut reader, stored.key, nodes).await?.into_iter().collect())
    }

    async fn open_questions(
        &self,
        namespace: &Namespace,
        run: Option<RunId>,
        after: i64,
        limit: u32,
    ) -> Result<(Vec<Question>, Option<i64>)> {
        questions::open(&self.inner.connections, namespace, run, after, limit).await
    }

    async fn answered_questions(&self, namespace: &Namespace, run: RunId) -> Result<Vec<Question>> {
        questions::answered(&self.inner.connections, namespace, run).await
    }

    async fn answer_question(
        &self,
        namespace: &Namespace,
        run: RunId,
        node: &NodePath,
        answer: &str,
        now: Timestamp,
    ) -> Result<Question> {
        let (node, answer) = (node.clone(), answer.to_owned());
        in_run!(self, namespace, run, |connection, stored| {
            questions::answer(connection, &stored, &node, &answer, now).await?
        })
    }

    async fn cancel_run(&self, namespace: &Namespace, run: RunId, now: Timestamp) -> Result<Run> {
        in_run!(self, namespace, run, |connection, stored| {
            match stored.run.tally.status {
                // It was asked for twice.
                RunStatus::Cancelled => stored.run,
                _ => {
                    stored.open()?;
                    retain::cancel(connection, stored, now).await?
                }
            }
        })
    }

    async fn compact_run(&self, namespace: &Namespace, run: RunId) -> Result<Compacted> {
        in_run!(self, namespace, run, |connection, stored| retain::compact(connection, &stored).await?)
    }

    async fn delete_run(&self, namespace: &Namespace, run: RunId, now: Timestamp) -> Result<u64> {
        in_run!(self, namespace, run, |connection, stored| {
            if let Some(holder) = stored.run.holder_at(now) {
                let message = format!("run {} is held by {holder}: cancel it first", stored.run.id);
                return Err(Error::new(Kind::Lease, message));
            }
            retain::delete(connection, &stored).await?
        })
    }

    async fn due_runs(&self, due: Due, limit: u32) -> Result<Vec<(Namespace, RunId, Chore)>> {
        retain::due(&self.inner.connections, due, limit).await
    }

    async fn run_memories(
        &self,
        namespace: &Namespace,
        run: RunId,
        nodes: &[NodePath],
        limit: u32,
    ) -> Result<Vec<(NodePath, DocumentId)>> {
        read::memories(&self.inner.connections, namespace, run, nodes, limit).await
    }
}

async fn create(
    connection: &mut SqliteConnection,
    namespace: &Namespace,
    new: NewRun,
    open_max: u64,
    now: Timestamp,
) -> Result<Run> {
    let owner = require_namespace(connection, namespace).await?;
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM runs WHERE namespace = ?1 AND status = 'open'")
        .bind(owner)
        .fetch_one(&mut *connection)
        .await
        .doing("count runs")?;
    if open >= signed(open_max)? {
        let what = "cancel or delete some, `hivemem swarm ls` lists them";
        let message = format!("{open} runs of namespace {namespace} have not ended, the limit is {open_max}: {what}");
        return Err(Error::limit("namespace", message));
    }
    sqlx::query(
        "INSERT INTO runs (id, namespace, goal, settings, status, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?5)",
    )
    .bind(new.id.as_bytes().as_slice())
    .bind(owner)
    .bind(new.goal)
    .bind(new.settings)
    .bind(now.0)
    .execute(&mut *connection)
    .await
    .doing("store a run")?;
    Ok(find(connection, namespace, new.id).await?.run)
}
