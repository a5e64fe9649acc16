//! Appending to a history: fencing, duplicates, the next state, and storing what changed.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use super::super::bulk::{Insert, signed};
use super::super::fault::Doing;
use super::{Stored, places, questions, read};
use crate::base::Timestamp;
use crate::base::error::{Error, Kind, Result};
use crate::engine::catalog::runs::Appended;
use crate::model::run::{Event, EventKind, NodePath, Run, RunState, RunStatus};

const EVENTS: Insert = Insert {
    head: "INSERT INTO run_events (key, kind, node, node_type, attempt, waits, effect, status, prompt_tokens, \
           completion_tokens, at) VALUES",
    columns: 11,
    tail: "",
};

const TEXTS: Insert = Insert { head: "INSERT INTO run_texts (key, data, output) VALUES", columns: 3, tail: "" };

const NODES: Insert = Insert {
    head: "INSERT INTO run_nodes (run, node, node_type, phase, attempts, children, children_finished, waits, queued_at, \
           data_at, output_at, failures, context_at) VALUES",
    columns: 13,
    tail: "ON CONFLICT (run, node) DO UPDATE SET phase = excluded.phase, attempts = excluded.attempts, \
           children = excluded.children, children_finished = excluded.children_finished, waits = excluded.waits, \
           queued_at = excluded.queued_at, data_at = excluded.data_at, output_at = excluded.output_at, \
           failures = excluded.failures, context_at = excluded.context_at",
};

const RECEIPTS: Insert = Insert {
    head: "INSERT INTO run_receipts (run, node, effect, at) VALUES",
    columns: 4,
    tail: "ON CONFLICT (run, node, effect) DO UPDATE SET at = excluded.at",
};

/// See `Runs::append_events`.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    stored: Stored,
    fence: u64,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<Appended> {
    stored.fenced(fence)?;
    let last = stored.run.tally.last_sequence;
    let (known, fresh): (Vec<Event>, Vec<Event>) = events.into_iter().partition(|event| event.sequence <= last);
    let duplicates = known.len() as u64;
    compare(connection, &stored, &known).await?;
    if fresh.is_empty() {
        return Ok(Appended { run: stored.run, appended: 0, duplicates });
    }
    stored.open()?;
    stored.held()?;
    let appended = fresh.len() as u64;
    let run = extend(connection, stored, fresh, now).await?;
    Ok(Appended { run, appended, duplicates })
}

/// Refuses events that are not what is stored under their numbers.
async fn compare(connection: &mut SqliteConnection, stored: &Stored, known: &[Event]) -> Result<()> {
    let (Some(first), Some(last)) = (known.first(), known.last()) else { return Ok(()) };
    let held = read::between(connection, stored, first.sequence, last.sequence).await?;
    let mut held = held.into_iter().peekable();
    for event in known {
        while held.next_if(|held| held.sequence < event.sequence).is_some() {}
        let (number, conflict) = (event.sequence, |what: String| Err(Error::new(Kind::Conflict, what)));
        match held.peek() {
            Some(held) if held.sequence == number && held.same(event) => {}
            Some(held) if held.sequence == number => {
                return conflict(format!(
                    "event {number} is there with another content: it is a {}",
                    held.kind.as_str()
                ));
            }
            _ => return conflict(format!("event {number} was compacted away, so it can't be compared")),
        }
    }
    Ok(())
}

/// Appends events that are new, whoever wants it; gives the run after them.
pub(super) async fn extend(
    connection: &mut SqliteConnection,
    stored: Stored,
    mut fresh: Vec<Event>,
    now: Timestamp,
) -> Result<Run> {
    let mut state = load(connection, &stored, &fresh).await?;
    let before = state.questions.clone();
    for event in &mut fresh {
        event.at = now;
        state.apply(event)?;
    }
    let mut run = stored.run.clone();
    run.tally = state.tally.clone();
    run.updated_at = now;
    if let Some(end) = fresh.iter().find(|event| event.kind == EventKind::EndRun) {
        run.result.clone_from(&end.output);
        run.holder.clear();
    }
    let first = fresh.first().map_or(stored.last_append, |event| event.sequence);
    store_state(connection, stored.key, &state).await?;
    questions::store(connection, stored.key, &before, &state).await?;
    store_events(connection, &stored, fresh).await?;
    store_run(connection, stored.key, first, &run).await?;
    Ok(run)
}

/// The part of the state that `events` are about.
async fn load(connection: &mut SqliteConnection, stored: &Stored, events: &[Event]) -> Result<RunState> {
    let named: BTreeSet<&NodePath> = events.iter().filter_map(|event| event.node.as_ref()).collect();
    let parents = named.iter().filter_map(|node| node.parent());
    let places: BTreeSet<NodePath> = parents.chain(named.iter().map(|node| (*node).clone())).collect();
    let places: Vec<NodePath> = places.into_iter().collect();
    Ok(RunState {
        tally: stored.run.tally.clone(),
        nodes: read::nodes(connection, stored.key, &places).await?,
        questions: questions::of(connection, stored.key, &places).await?,
        ..RunState::default()
    })
}

async fn store_state(connection: &mut SqliteConnection, run: i64, state: &RunState) -> Result<()> {
    let nodes = state.touched.iter().filter_map(|path| Some((path, state.nodes.get(path)?)));
    NODES
        .run(connection, nodes.collect(), |args, (path, node)| {
            args.add(run)?;
            args.add(places::encode(Some(path)))?;
            args.add(node.node_type.clone())?;
            args.add(node.phase.as_str())?;
            args.add(node.attempts)?;
            args.add(node.children)?;
            args.add(node.children_finished)?;
            args.add(node.waits)?;
            args.add_unsigned(node.queued_at)?;
            args.add_unsigned(node.data_at)?;
            args.add_unsigned(node.output_at)?;
            args.add(node.failures)?;
            args.add_unsigned(node.context_at)
        })
        .await?;
    let receipts = state.receipts_touched.iter().filter_map(|key| Some((key, *state.receipts.get(key)?)));
    RECEIPTS
        .run(connection, receipts.collect(), |args, ((path, effect), at)| {
            args.add(run)?;
            args.add(places::encode(Some(path)))?;
            args.add(effect.clone())?;
            args.add_unsigned(at)
        })
        .await
}

async fn store_events(connection: &mut SqliteConnection, stored: &Stored, events: Vec<Event>) -> Result<()> {
    let mut texts = Vec::new();
    let mut rows = Vec::with_capacity(events.len());
    for mut event in events {
        let key = stored.event(event.sequence)?;
        let (data, output) = (std::mem::take(&mut event.data), std::mem::take(&mut event.output));
        if !data.is_empty() || !output.is_empty() {
            texts.push((key, data, output));
        }
        rows.push((key, event));
    }
    EVENTS
        .run(connection, rows, |args, (key, event)| {
            args.add(key)?;
            args.add(event.kind.as_str())?;
            args.add(places::encode(event.node.as_ref()))?;
            args.add(event.node_type)?;
            args.add(event.attempt)?;
            args.add(event.waits)?;
            args.add(event.key)?;
            args.add(event.status.map_or("", RunStatus::as_str))?;
            args.add_unsigned(event.prompt_tokens)?;
            args.add_unsigned(event.completion_tokens)?;
            args.add(event.at.0)
        })
        .await?;
    TEXTS
        .run(connection, texts, |args, (key, data, output)| {
            args.add(key)?;
            args.add(data)?;
            args.add(output)
        })
        .await
}

async fn store_run(connection: &mut SqliteConnection, key: i64, first: u64, run: &Run) -> Result<()> {
    let tally = &run.tally;
    let ended = (tally.status != RunStatus::Open).then_some(run.updated_at.0);
    sqlx::query(
        "UPDATE runs SET status = ?2, updated_at = ?3, ended_at = ?4, last_sequence = ?5, last_append = ?6, nodes = ?7, \
         nodes_finished = ?8, open_questions = ?9, prompt_tokens = ?10, completion_tokens = ?11, holder = ?12, \
         result = ?13 WHERE key = ?1",
    )
    .bind(key)
    .bind(tally.status.as_str())
    .bind(run.updated_at.0)
    .bind(ended)
    .bind(signed(tally.last_sequence)?)
    .bind(signed(first)?)
    .bind(signed(tally.nodes)?)
    .bind(signed(tally.nodes_finished)?)
    .bind(signed(tally.open_questions)?)
    .bind(signed(tally.prompt_tokens)?)
    .bind(signed(tally.completion_tokens)?)
    .bind(&run.holder)
    .bind(&run.result)
    .execute(connection)
    .await
    .doing("store a run")
    .map(|_| ())
}
