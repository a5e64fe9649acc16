//! What nodes ask people.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::super::bulk::{Bound, Columns, for_each, json_hex, signed};
use super::super::connect::Connections;
use super::super::fault::Doing;
use super::{Stored, find, places, run_id};
use crate::base::error::{Error, Result};
use crate::base::{RunId, Timestamp};
use crate::model::Namespace;
use crate::model::run::{Asked, NodePath, Question, RunState};

/// Columns that [`asked`] reads, of `run_questions AS q`.
macro_rules! question_columns {
    () => {
        "q.node, q.sequence, q.asked_at, q.data, q.answer, q.answered_at, q.taken"
    };
}

/// How many columns that is.
const QUESTION_COLUMNS: usize = 7;

fn asked(row: &SqliteRow) -> Result<(NodePath, Asked)> {
    let answer = match row.at::<Option<i64>>(5)? {
        None => None,
        Some(at) => Some((row.at(4)?, Timestamp(at))),
    };
    let asked =
        Asked { sequence: row.unsigned(1)?, at: Timestamp(row.at(2)?), data: row.at(3)?, answer, taken: row.at(6)? };
    Ok((places::place(row.at(0)?)?, asked))
}

/// The questions of these nodes.
pub(super) async fn of(
    connection: &mut SqliteConnection,
    run: i64,
    nodes: &[NodePath],
) -> Result<BTreeMap<NodePath, Asked>> {
    let nodes: Vec<Vec<u8>> = nodes.iter().map(|node| places::encode(Some(node))).collect();
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        question_columns!(),
        " FROM run_questions AS q WHERE q.run = ?1 AND q.node IN (SELECT unhex(value) FROM json_each(?2))"
    ))
    .bind(run)
    .bind(json_hex(nodes.iter().map(Vec::as_slice)));
    let mut found = BTreeMap::new();
    for_each(connection, query, |row| {
        let (node, asked) = asked(row)?;
        found.insert(node, asked);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// The questions of nodes from one place in the tree to another, both included.
pub(super) async fn between(
    connection: &mut SqliteConnection,
    run: i64,
    first: &NodePath,
    last: &NodePath,
) -> Result<BTreeMap<NodePath, Asked>> {
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        question_columns!(),
        " FROM run_questions AS q WHERE q.run = ?1 AND q.node BETWEEN ?2 AND ?3"
    ))
    .bind(run)
    .bind(places::encode(Some(first)))
    .bind(places::encode(Some(last)));
    let mut found = BTreeMap::new();
    for_each(connection, query, |row| {
        let (node, asked) = asked(row)?;
        found.insert(node, asked);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Stores what of the questions changed since `before`.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    run: i64,
    before: &BTreeMap<NodePath, Asked>,
    state: &RunState,
) -> Result<()> {
    for path in &state.touched {
        let (old, new) = (before.get(path), state.questions.get(path));
        if old == new {
            continue;
        }
        let renewed = old.map(|asked| asked.sequence) != new.map(|asked| asked.sequence);
        if old.is_some() && renewed {
            sqlx::query("DELETE FROM run_questions WHERE run = ?1 AND node = ?2")
                .bind(run)
                .bind(places::encode(Some(path)))
                .execute(&mut *connection)
                .await
                .doing("drop a question")?;
        }
        let Some(asked) = new else { continue };
        let sql = if renewed {
            "INSERT INTO run_questions (run, node, sequence, asked_at, data, answer, answered_at, taken) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        } else {
            "UPDATE run_questions SET sequence = ?3, asked_at = ?4, data = ?5, answer = ?6, answered_at = ?7, taken = ?8 \
             WHERE run = ?1 AND node = ?2"
        };
        sqlx::query(sql)
            .bind(run)
            .bind(places::encode(Some(path)))
            .bind(signed(asked.sequence)?)
            .bind(asked.at.0)
            .bind(&asked.data)
            .bind(asked.answer.as_ref().map_or("", |(text, _)| text))
            .bind(asked.answer.as_ref().map(|(_, at)| at.0))
            .bind(asked.taken)
            .execute(&mut *connection)
            .await
            .doing("store a question")?;
    }
    Ok(())
}

/// See `Runs::open_questions`.
pub(super) async fn open(
    connections: &Connections,
    namespace: &Namespace,
    run: Option<RunId>,
    after: i64,
    limit: u32,
) -> Result<(Vec<Question>, Option<i64>)> {
    let mut reader = connections.reader().await?;
    let key = match run {
        None => None,
        Some(run) => Some(find(&mut reader, namespace, run).await?.key),
    };
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        question_columns!(),
        ", r.id, q.key FROM run_questions AS q INDEXED BY run_questions_open CROSS JOIN runs AS r ON r.key = q.run \
         WHERE q.answered_at IS NULL AND q.key > ?2 AND r.status = 'open' AND (?3 IS NULL OR r.key = ?3) \
         AND r.namespace = (SELECT key FROM namespaces WHERE name = ?1) ORDER BY q.key LIMIT ?4"
    ))
    .bind(namespace.as_str())
    .bind(after)
    .bind(key)
    .bind(i64::from(limit) + 1);
    let mut found = Vec::new();
    for_each(&mut reader, query, |row| {
        let (node, asked) = asked(row)?;
        let run = run_id(row.at(QUESTION_COLUMNS)?)?;
        found.push((Question { run, node, asked }, row.at::<i64>(QUESTION_COLUMNS + 1)?));
        Ok(())
    })
    .await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|(_, key)| *key);
    Ok((found.into_iter().map(|(question, _)| question).collect(), next))
}

/// See `Runs::answered_questions`.
pub(super) async fn answered(connections: &Connections, namespace: &Namespace, run: RunId) -> Result<Vec<Question>> {
    let mut reader = connections.reader().await?;
    let stored = find(&mut reader, namespace, run).await?;
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        question_columns!(),
        " FROM run_questions AS q WHERE q.run = ?1 AND q.answered_at IS NOT NULL AND q.taken = 0 ORDER BY q.key"
    ))
    .bind(stored.key);
    let mut found = Vec::new();
    for_each(&mut reader, query, |row| {
        let (node, asked) = asked(row)?;
        found.push(Question { run, node, asked });
        Ok(())
    })
    .await?;
    Ok(found)
}

/// See `Runs::answer_question`.
pub(super) async fn answer(
    connection: &mut SqliteConnection,
    stored: &Stored,
    node: &NodePath,
    answer: &str,
    now: Timestamp,
) -> Result<Question> {
    stored.open()?;
    let run = stored.run.id;
    let asked = of(connection, stored.key, std::slice::from_ref(node)).await?.remove(node);
    let asked = asked.ok_or_else(|| {
        Error::not_found(format!("node {node} of run {run} asks nothing: ask for the open questions of the run"))
    })?;
    let mut question = Question { run, node: node.clone(), asked };
    if !question.accepts(answer)? {
        return Ok(question);
    }
    question.asked.answer = Some((answer.to_owned(), now));
    sqlx::query("UPDATE run_questions SET answer = ?3, answered_at = ?4 WHERE run = ?1 AND node = ?2")
        .bind(stored.key)
        .bind(places::encode(Some(node)))
        .bind(answer)
        .bind(now.0)
        .execute(&mut *connection)
        .await
        .doing("store an answer")?;
    sqlx::query("UPDATE runs SET open_questions = max(open_questions - 1, 0), updated_at = ?2 WHERE key = ?1")
        .bind(stored.key)
        .bind(now.0)
        .execute(connection)
        .await
        .doing("store an answer")?;
    Ok(question)
}
