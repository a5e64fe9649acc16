//! Reading histories and states.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::super::bulk::{Bound, Columns, for_each, json_hex, signed, while_each};
use super::super::connect::{Connections, begin_read};
use super::super::fault::unreadable;
use super::{Stored, find, places, questions};
use crate::base::error::Result;
use crate::base::{DocumentId, RunId, Timestamp};
use crate::engine::catalog::runs::{EventPage, HeldNode, StatePage};
use crate::model::Namespace;
use crate::model::run::{Event, EventKind, NodePath, NodePhase, NodeState, Question, RunStatus};

/// Columns that [`event`] reads, of `run_events AS e` with `run_texts AS t`.
macro_rules! event_columns {
    () => {
        "e.key, e.kind, e.node, e.node_type, e.attempt, e.waits, e.effect, e.status, e.prompt_tokens, \
         e.completion_tokens, e.at, coalesce(t.data, ''), coalesce(t.output, '') \
         FROM run_events AS e LEFT JOIN run_texts AS t ON t.key = e.key"
    };
}

/// Columns that [`node`] reads, of `run_nodes AS n`.
macro_rules! node_columns {
    () => {
        "n.node, n.node_type, n.phase, n.attempts, n.children, n.children_finished, n.waits, n.queued_at, n.data_at, \
         n.output_at, n.failures, n.context_at"
    };
}

/// How many columns that is.
const NODE_COLUMNS: usize = 12;

fn event(row: &SqliteRow, base: i64) -> Result<Event> {
    let status = match row.at::<&str>(7)? {
        "" => None,
        name => Some(RunStatus::parse(name).ok_or_else(|| unreadable("the status of an event"))?),
    };
    Ok(Event {
        sequence: u64::try_from(row.at::<i64>(0)? - base).map_err(|_| unreadable("the number of an event"))?,
        kind: EventKind::parse(row.at(1)?).ok_or_else(|| unreadable("the kind of an event"))?,
        node: places::decode(row.at(2)?)?,
        node_type: row.at(3)?,
        data: row.at(11)?,
        output: row.at(12)?,
        attempt: row.small(4)?,
        waits: row.at(5)?,
        key: row.at(6)?,
        status,
        prompt_tokens: row.unsigned(8)?,
        completion_tokens: row.unsigned(9)?,
        at: Timestamp(row.at(10)?),
    })
}

fn node(row: &SqliteRow) -> Result<(NodePath, NodeState)> {
    let state = NodeState {
        node_type: row.at(1)?,
        phase: NodePhase::parse(row.at(2)?).ok_or_else(|| unreadable("the phase of a node"))?,
        attempts: row.small(3)?,
        children: row.small(4)?,
        children_finished: row.small(5)?,
        waits: row.at(6)?,
        queued_at: row.unsigned(7)?,
        data_at: row.unsigned(8)?,
        output_at: row.unsigned(9)?,
        failures: row.small(10)?,
        context_at: row.unsigned(11)?,
    };
    Ok((places::place(row.at(0)?)?, state))
}

/// The stored events with numbers from `first` to `last`, both included.
pub(super) async fn between(
    connection: &mut SqliteConnection,
    stored: &Stored,
    first: u64,
    last: u64,
) -> Result<Vec<Event>> {
    let query: Bound<'_> =
        sqlx::query(concat!("SELECT ", event_columns!(), " WHERE e.key BETWEEN ?1 AND ?2 ORDER BY e.key"))
            .bind(stored.event(first)?)
            .bind(stored.event(last)?);
    let (mut events, (base, _)) = (Vec::new(), stored.events());
    for_each(connection, query, |row| {
        events.push(event(row, base)?);
        Ok(())
    })
    .await?;
    Ok(events)
}

/// See `Runs::events`.
pub(super) async fn events(
    connections: &Connections,
    namespace: &Namespace,
    run: RunId,
    from: u64,
    limit: u32,
    bytes_max: usize,
) -> Result<EventPage> {
    let mut reader = connections.reader().await?;
    let mut transaction = begin_read(&mut reader).await?;
    let stored = find(&mut transaction, namespace, run).await?;
    let (base, end) = stored.events();
    let query: Bound<'_> =
        sqlx::query(concat!("SELECT ", event_columns!(), " WHERE e.key BETWEEN ?1 AND ?2 ORDER BY e.key LIMIT ?3"))
            .bind(base.saturating_add(signed(from)?).min(end))
            .bind(end)
            .bind(i64::from(limit));
    let (mut events, mut bytes) = (Vec::new(), 0);
    while_each(&mut transaction, query, |row| {
        let event = event(row, base)?;
        bytes += event.data.len() + event.output.len();
        events.push(event);
        Ok(bytes < bytes_max)
    })
    .await?;
    let last = stored.run.tally.last_sequence;
    let next = events.last().map(|event| event.sequence + 1).filter(|next| *next <= last);
    Ok(EventPage { run: stored.run, events, next })
}

/// Those of these nodes that there are.
pub(super) async fn nodes(
    connection: &mut SqliteConnection,
    run: i64,
    wanted: &[NodePath],
) -> Result<BTreeMap<NodePath, NodeState>> {
    let wanted: Vec<Vec<u8>> = wanted.iter().map(|node| places::encode(Some(node))).collect();
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        node_columns!(),
        " FROM run_nodes AS n WHERE n.run = ?1 AND n.node IN (SELECT unhex(value) FROM json_each(?2))"
    ))
    .bind(run)
    .bind(json_hex(wanted.iter().map(Vec::as_slice)));
    let mut found = BTreeMap::new();
    for_each(connection, query, |row| {
        let (path, state) = node(row)?;
        found.insert(path, state);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// See `Runs::state`.
pub(super) async fn state(
    connections: &Connections,
    namespace: &Namespace,
    run: RunId,
    after: Option<&NodePath>,
    bytes_max: usize,
) -> Result<StatePage> {
    let mut reader = connections.reader().await?;
    let mut transaction = begin_read(&mut reader).await?;
    let stored = find(&mut transaction, namespace, run).await?;
    let (mut held, more) = held(&mut transaction, &stored, after, bytes_max).await?;
    if let (Some(first), Some(last)) = (held.first(), held.last()) {
        let (first, last) = (first.node.clone(), last.node.clone());
        let mut receipts = receipts(&mut transaction, &stored, &first, &last).await?;
        let mut asked = questions::between(&mut transaction, stored.key, &first, &last).await?;
        for one in &mut held {
            one.receipts = receipts.remove(&one.node).unwrap_or_default();
            one.question = asked.remove(&one.node).map(|asked| Question { run, node: one.node.clone(), asked });
        }
    }
    let queue = if more { None } else { Some(queue(&mut transaction, stored.key).await?) };
    Ok(StatePage { run: stored.run, nodes: held, queue })
}

/// Nodes with their texts, and whether there are more.
async fn held(
    connection: &mut SqliteConnection,
    stored: &Stored,
    after: Option<&NodePath>,
    bytes_max: usize,
) -> Result<(Vec<HeldNode>, bool)> {
    // Data, output and context are looked up by number; where there is none the number is 0, and no event has that.
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        node_columns!(),
        ", coalesce(d.data, ''), coalesce(o.output, ''), coalesce(c.data, '') FROM run_nodes AS n \
         LEFT JOIN run_texts AS d ON d.key = ?2 + n.data_at LEFT JOIN run_texts AS o ON o.key = ?2 + n.output_at \
         LEFT JOIN run_texts AS c ON c.key = ?2 + n.context_at \
         WHERE n.run = ?1 AND n.node > ?3 ORDER BY n.node"
    ))
    .bind(stored.key)
    .bind(stored.events().0)
    .bind(places::encode(after));
    let (mut held, mut bytes, mut more) = (Vec::new(), 0, false);
    while_each(connection, query, |row| {
        if bytes >= bytes_max {
            more = true;
            return Ok(false);
        }
        let (node, state) = node(row)?;
        let text = |at: usize| row.at::<String>(NODE_COLUMNS + at);
        let (data, output, context) = (text(0)?, text(1)?, text(2)?);
        bytes += data.len() + output.len() + context.len() + NODE_BYTES;
        held.push(HeldNode { node, state, data, output, context, receipts: Vec::new(), question: None });
        Ok(true)
    })
    .await?;
    Ok((held, more))
}

/// What a node takes in a message beside its texts.
const NODE_BYTES: usize = 64;

async fn receipts(
    connection: &mut SqliteConnection,
    stored: &Stored,
    first: &NodePath,
    last: &NodePath,
) -> Result<BTreeMap<NodePath, Vec<(String, String)>>> {
    let query: Bound<'_> = sqlx::query(
        "SELECT c.node, c.effect, coalesce(t.output, '') FROM run_receipts AS c \
         LEFT JOIN run_texts AS t ON t.key = ?2 + c.at WHERE c.run = ?1 AND c.node BETWEEN ?3 AND ?4",
    )
    .bind(stored.key)
    .bind(stored.events().0)
    .bind(places::encode(Some(first)))
    .bind(places::encode(Some(last)));
    let mut found: BTreeMap<NodePath, Vec<(String, String)>> = BTreeMap::new();
    for_each(connection, query, |row| {
        found.entry(places::place(row.at(0)?)?).or_default().push((row.at(1)?, row.at(2)?));
        Ok(())
    })
    .await?;
    Ok(found)
}

async fn queue(connection: &mut SqliteConnection, run: i64) -> Result<Vec<NodePath>> {
    let query: Bound<'_> =
        sqlx::query("SELECT node FROM run_nodes WHERE run = ?1 AND queued_at > 0 ORDER BY queued_at").bind(run);
    let mut queue = Vec::new();
    for_each(connection, query, |row| {
        queue.push(places::place(row.at(0)?)?);
        Ok(())
    })
    .await?;
    Ok(queue)
}

/// See `Runs::run_memories`.
pub(super) async fn memories(
    connections: &Connections,
    namespace: &Namespace,
    run: RunId,
    nodes: &[NodePath],
    limit: u32,
) -> Result<Vec<(NodePath, DocumentId)>> {
    let labels: Vec<String> = nodes.iter().map(|node| format!("node:{node}")).collect();
    let query: Bound<'_> = sqlx::query(
        "SELECT n.tag, d.id FROM json_each(?3) AS wanted CROSS JOIN tags AS n ON n.tag = wanted.value \
         CROSS JOIN tags AS r ON r.document = n.document AND r.tag = ?2 CROSS JOIN documents AS d ON d.key = n.document \
         WHERE d.namespace = (SELECT key FROM namespaces WHERE name = ?1) ORDER BY d.lsn DESC LIMIT ?4",
    )
    .bind(namespace.as_str())
    .bind(format!("run:{run}"))
    .bind(serde_json::json!(labels).to_string())
    .bind(i64::from(limit));
    let mut found = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        let node = row.at::<&str>(0)?.strip_prefix("node:").map(NodePath::parse);
        let id = DocumentId::from_slice(row.at(1)?).ok_or_else(|| unreadable("a document id"))?;
        found.push((node.ok_or_else(|| unreadable("a label"))??, id));
        Ok(())
    })
    .await?;
    Ok(found)
}
