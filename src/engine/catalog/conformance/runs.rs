//! What the contract of runs says, against a backend.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::base::{Kind, RunId, Timestamp};
use crate::engine::catalog::runs::{Chore, Due, HeldNode};
use crate::engine::catalog::{Catalog, Runs};
use crate::model::run::{Event, EventKind, NodePath, NodePhase, NodeState, Run, RunState, RunStatus};
use crate::model::{Namespace, NewRun};

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(2_000_000);
const MUCH_LATER: Timestamp = Timestamp(3_000_000);

/// One run that is being written.
struct Writer<'a, C> {
    catalog: &'a C,
    namespace: Namespace,
    run: RunId,
    fence: u64,
    /// Number of the last event.
    last: u64,
}

impl<'a, C: Catalog + Runs> Writer<'a, C> {
    async fn new(catalog: &'a C, namespace: &str, serial: u64) -> Self {
        let namespace = Namespace::new(namespace).unwrap();
        catalog.create_namespace(&namespace, NOW).await.unwrap();
        let run = RunId::derive(namespace.as_str(), NOW, serial);
        catalog.create_run(&namespace, new(run), 10_000, NOW).await.unwrap();
        let held = catalog.acquire_run(&namespace, run, "writer", NOW, LATER).await.unwrap();
        Self { catalog, namespace, run, fence: held.fence, last: 0 }
    }

    fn event(&self, ahead: u64, kind: EventKind, node: &str) -> Event {
        Event {
            node_type: "write_text".into(),
            data: format!(r#"{{"at":{}}}"#, self.last + ahead),
            output: format!("\"output {}\"", self.last + ahead),
            key: "save".into(),
            prompt_tokens: 3,
            completion_tokens: 2,
            ..Event::new(self.last + ahead, kind, Some(NodePath::parse(node).unwrap()))
        }
    }

    async fn try_append(&mut self, events: Vec<Event>) -> crate::base::Result<(u64, u64)> {
        let done = self.catalog.append_events(&self.namespace, self.run, self.fence, events, NOW).await?;
        self.last = done.run.tally.last_sequence;
        Ok((done.appended, done.duplicates))
    }

    async fn append(&mut self, steps: &[(EventKind, &str)]) -> Vec<Event> {
        let events = (1..).zip(steps).map(|(ahead, (kind, node))| self.event(ahead, *kind, node));
        let events: Vec<Event> = events.collect();
        assert_eq!(self.try_append(events.clone()).await.unwrap(), (events.len() as u64, 0));
        events
    }

    async fn read(&self) -> Run {
        self.catalog.run(&self.namespace, self.run).await.unwrap()
    }

    /// All nodes, read in pieces of one node.
    async fn state(&self) -> (Vec<HeldNode>, Vec<NodePath>) {
        let (mut nodes, mut after): (Vec<HeldNode>, Option<NodePath>) = (Vec::new(), None);
        loop {
            let page = self.catalog.state(&self.namespace, self.run, after.as_ref(), 1).await.unwrap();
            nodes.extend(page.nodes);
            after = nodes.last().map(|last| last.node.clone());
            if let Some(queue) = page.queue {
                return (nodes, queue);
            }
        }
    }
}

fn new(run: RunId) -> NewRun {
    NewRun::new(run, "write a book".into(), r#"{"nodes_max":9}"#.into()).unwrap()
}

use EventKind::{Answer, CreateNode, DeleteNode, NodeOutput, Question, Receipt, RunNode};

/// Runs the whole suite against an empty backend.
pub async fn suite<C: Catalog + Runs>(catalog: &C) {
    leases(catalog).await;
    appends(catalog).await;
    walls(catalog).await;
    states(catalog).await;
    questions(catalog).await;
    endings(catalog).await;
    chores(catalog).await;
    lists(catalog).await;
}

async fn leases<C: Catalog + Runs>(catalog: &C) {
    let mut first = Writer::new(catalog, "leases", 1).await;
    let (namespace, run) = (first.namespace.clone(), first.run);
    let acquire = |holder: &'static str, now| catalog.acquire_run(&namespace, run, holder, now, MUCH_LATER);
    let refused = acquire("second", NOW).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Lease);
    assert!(refused.message().contains("held by writer for another 1.0 s"), "{refused}");
    catalog.renew_run(&namespace, run, 1, LATER).await.unwrap();
    first.append(&[(CreateNode, "0")]).await;
    // It ran out; until somebody takes it, it is still good.
    let second = acquire("second", LATER).await.unwrap();
    assert_eq!((second.fence, second.holder.as_str()), (2, "second"));
    let stale = vec![first.event(1, RunNode, "0")];
    assert_eq!(first.try_append(stale).await.unwrap_err().kind(), Kind::Lease);
    for fence in [1, 0, 3] {
        let kind = if fence == 1 { Kind::Lease } else { Kind::Invalid };
        assert_eq!(catalog.renew_run(&namespace, run, fence, MUCH_LATER).await.unwrap_err().kind(), kind);
        assert_eq!(catalog.release_run(&namespace, run, fence).await.unwrap_err().kind(), kind);
    }
    catalog.release_run(&namespace, run, 2).await.unwrap();
    catalog.release_run(&namespace, run, 2).await.unwrap();
    assert_eq!(catalog.renew_run(&namespace, run, 2, MUCH_LATER).await.unwrap_err().kind(), Kind::Lease);
    assert_eq!(acquire("third", NOW).await.unwrap().fence, 3);
}

async fn appends<C: Catalog + Runs>(catalog: &C) {
    let mut writer = Writer::new(catalog, "appends", 1).await;
    let events = writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    let again = writer.try_append(events.clone()).await.unwrap();
    assert_eq!(again, (0, 2), "what is there already is counted");
    let mut more = events.clone();
    more.push(writer.event(1, NodeOutput, "0"));
    assert_eq!(writer.try_append(more).await.unwrap(), (1, 2), "the known part of an append may be known");
    let other = Event { output: "\"other\"".into(), ..events[1].clone() };
    assert_eq!(writer.try_append(vec![other]).await.unwrap_err().kind(), Kind::Conflict);
    let gap = writer.event(2, DeleteNode, "0");
    assert_eq!(writer.try_append(vec![gap]).await.unwrap_err().kind(), Kind::Invalid);
    // All or none: the second one is not allowed, so the first one is not there.
    let half = vec![writer.event(1, CreateNode, "0.0"), writer.event(2, CreateNode, "0.0")];
    assert_eq!(writer.try_append(half).await.unwrap_err().kind(), Kind::Invalid);
    let run = writer.read().await;
    assert_eq!((run.tally.last_sequence, run.tally.nodes, run.tally.prompt_tokens), (3, 1, 9));
    let page = catalog.events(&writer.namespace, writer.run, 2, 1, usize::MAX).await.unwrap();
    assert_eq!((page.events.len(), page.next), (1, Some(3)));
    assert!(page.events[0].same(&events[1]) && page.events[0].at == NOW);
    let page = catalog.events(&writer.namespace, writer.run, 0, 100, 1).await.unwrap();
    assert_eq!((page.events.len(), page.next), (1, Some(2)), "bytes end a page too");
    let page = catalog.events(&writer.namespace, writer.run, 4, 100, 1).await.unwrap();
    assert_eq!((page.events.len(), page.next), (0, None));
}

async fn walls<C: Catalog + Runs>(catalog: &C) {
    let writer = Writer::new(catalog, "walls", 1).await;
    let other = Writer::new(catalog, "beyond", 2).await.namespace;
    let (run, node) = (writer.run, NodePath::root());
    let kinds = [
        catalog.run(&other, run).await.unwrap_err().kind(),
        catalog.acquire_run(&other, run, "x", NOW, LATER).await.unwrap_err().kind(),
        catalog.renew_run(&other, run, 1, LATER).await.unwrap_err().kind(),
        catalog.release_run(&other, run, 1).await.unwrap_err().kind(),
        catalog.append_events(&other, run, 1, Vec::new(), NOW).await.unwrap_err().kind(),
        catalog.events(&other, run, 0, 1, 1).await.unwrap_err().kind(),
        catalog.state(&other, run, None, 1).await.unwrap_err().kind(),
        catalog.run_nodes(&other, run, &[]).await.unwrap_err().kind(),
        catalog.open_questions(&other, Some(run), 0, 1).await.unwrap_err().kind(),
        catalog.answered_questions(&other, run).await.unwrap_err().kind(),
        catalog.answer_question(&other, run, &node, "x", NOW).await.unwrap_err().kind(),
        catalog.cancel_run(&other, run, NOW).await.unwrap_err().kind(),
        catalog.compact_run(&other, run).await.unwrap_err().kind(),
        catalog.delete_run(&other, run, NOW).await.unwrap_err().kind(),
    ];
    assert!(kinds.iter().all(|kind| *kind == Kind::NotFound), "{kinds:?}");
    let nowhere = Namespace::new("nowhere").unwrap();
    assert_eq!(catalog.create_run(&nowhere, new(run), 1, NOW).await.unwrap_err().kind(), Kind::NotFound);
    assert!(catalog.runs(&nowhere, &[], None, 10).await.unwrap().0.is_empty());
}

async fn states<C: Catalog + Runs>(catalog: &C) {
    let mut writer = Writer::new(catalog, "states", 1).await;
    writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    let waits = vec![Event { waits: true, ..writer.event(1, NodeOutput, "0") }];
    writer.try_append(waits).await.unwrap();
    let steps: Vec<(EventKind, String)> = (0..12).map(|child| (CreateNode, format!("0.{child}"))).collect();
    let steps: Vec<(EventKind, &str)> = steps.iter().map(|(kind, node)| (*kind, node.as_str())).collect();
    writer.append(&steps).await;
    writer.append(&[(RunNode, "0.10"), (Receipt, "0.10"), (NodeOutput, "0.10"), (DeleteNode, "0.10")]).await;
    let before = writer.state().await;
    let order: Vec<String> = before.0.iter().map(|held| held.node.to_string()).collect();
    assert_eq!((order[0].as_str(), order[3].as_str(), order[12].as_str()), ("0", "0.2", "0.11"));
    let done = &before.0[11];
    assert_eq!((done.state.phase, done.data.as_str()), (NodePhase::Finished, r#"{"at":14}"#));
    assert_eq!(done.output, "\"output 19\"", "the last word");
    assert_eq!(done.receipts, [("save".to_owned(), "\"output 17\"".to_owned())]);
    assert_eq!((before.1.len(), before.1[0].to_string().as_str()), (11, "0.0"));
    let wanted = [NodePath::parse("0.10").unwrap(), NodePath::parse("0.77").unwrap()];
    let found = catalog.run_nodes(&writer.namespace, writer.run, &wanted).await.unwrap();
    assert_eq!(found, [(wanted[0].clone(), done.state.clone())]);

    let compacted = catalog.compact_run(&writer.namespace, writer.run).await.unwrap();
    assert!(compacted.events == 15 && compacted.bytes > 500, "{compacted:?}");
    assert_eq!(writer.state().await, before, "the state is what it was");
    let page = catalog.events(&writer.namespace, writer.run, 0, 100, usize::MAX).await.unwrap();
    assert_eq!((page.events[0].sequence, page.events.len(), page.run.compacted_through), (16, 4, 15));
    let again = page.events.clone();
    assert_eq!(writer.try_append(again).await.unwrap(), (0, 4), "the last append may come again");
    let gone = Event { sequence: 3, ..page.events[0].clone() };
    assert_eq!(writer.try_append(vec![gone]).await.unwrap_err().kind(), Kind::Conflict);
    writer.append(&[(RunNode, "0.0")]).await;
    writer.append(&[(RunNode, "0.1")]).await;
    assert_eq!(catalog.compact_run(&writer.namespace, writer.run).await.unwrap().events, 5);
    let held = writer.state().await.0;
    assert_eq!((held[1].context.as_str(), held[2].context.as_str()), (r#"{"at":20}"#, r#"{"at":21}"#), "still there");
    assert!(held[11].context.is_empty(), "nobody goes on with a node that is over");
}

async fn questions<C: Catalog + Runs>(catalog: &C) {
    let mut writer = Writer::new(catalog, "questions", 1).await;
    let (namespace, run) = (writer.namespace.clone(), writer.run);
    let node = NodePath::root();
    let answer = |text: &'static str| catalog.answer_question(&namespace, run, &node, text, LATER);
    assert_eq!(answer("yes").await.unwrap_err().kind(), Kind::NotFound, "nobody asks");
    writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    let ask = |writer: &Writer<'_, C>| Event {
        data: r#"{"text":"go on?","choices":["yes","no"]}"#.into(),
        ..writer.event(1, Question, "0")
    };
    let asked = ask(&writer);
    writer.try_append(vec![asked]).await.unwrap();
    let (open, more) = catalog.open_questions(&namespace, None, 0, 10).await.unwrap();
    assert_eq!((open.len(), more, open[0].asked.at), (1, None, NOW));
    assert_eq!(answer("perhaps").await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(answer("yes").await.unwrap().asked.answer, Some(("yes".to_owned(), LATER)));
    assert_eq!(answer("yes").await.unwrap().asked.answer, Some(("yes".to_owned(), LATER)));
    assert_eq!(answer("no").await.unwrap_err().kind(), Kind::Conflict);
    assert!(catalog.open_questions(&namespace, Some(run), 0, 10).await.unwrap().0.is_empty());
    assert_eq!(writer.read().await.tally.open_questions, 0);
    assert_eq!(catalog.answered_questions(&namespace, run).await.unwrap().len(), 1);
    // Killed and begun again: the same question finds its answer.
    let begun = writer.event(1, RunNode, "0");
    writer.try_append(vec![begun]).await.unwrap();
    let asked = ask(&writer);
    writer.try_append(vec![asked]).await.unwrap();
    let held = writer.state().await.0.remove(0);
    assert_eq!(held.question.unwrap().asked.answer.unwrap().0, "yes");
    writer.append(&[(Answer, "0")]).await;
    assert!(catalog.answered_questions(&namespace, run).await.unwrap().is_empty(), "it has reached the node");
    let asked = ask(&writer);
    writer.try_append(vec![asked]).await.unwrap();
    assert_eq!(writer.read().await.tally.open_questions, 1, "asked anew");
    writer.append(&[(DeleteNode, "0")]).await;
    assert_eq!(writer.read().await.tally.open_questions, 0);
    assert_eq!(answer("yes").await.unwrap_err().kind(), Kind::NotFound, "it went with its node");

    let mut pages = Writer::new(catalog, "questions", 2).await;
    pages
        .append(&[(CreateNode, "0"), (RunNode, "0"), (CreateNode, "0.0"), (CreateNode, "0.1"), (CreateNode, "0.2")])
        .await;
    for child in ["0.2", "0.0", "0.1"] {
        pages.append(&[(RunNode, child), (Question, child)]).await;
    }
    let (mut told, mut after) = (Vec::new(), 0);
    loop {
        let (page, next) = catalog.open_questions(&namespace, Some(pages.run), after, 1).await.unwrap();
        told.extend(page.into_iter().map(|question| question.node.to_string()));
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(told, ["0.2", "0.0", "0.1"], "oldest first");
}

async fn endings<C: Catalog + Runs>(catalog: &C) {
    let mut writer = Writer::new(catalog, "endings", 1).await;
    let namespace = writer.namespace.clone();
    writer.append(&[(CreateNode, "0")]).await;
    assert_eq!(catalog.delete_run(&namespace, writer.run, NOW).await.unwrap_err().kind(), Kind::Lease);
    let asked = catalog.cancel_run(&namespace, writer.run, NOW).await.unwrap();
    assert!(asked.cancel_requested && asked.tally.status == RunStatus::Open, "the holder ends it");
    let end = Event { output: "\"stopped\"".into(), ..Event::end(2, RunStatus::Cancelled) };
    writer.try_append(vec![end.clone()]).await.unwrap();
    let run = writer.read().await;
    assert_eq!((run.tally.status, run.result.as_str(), run.holder.as_str()), (RunStatus::Cancelled, "\"stopped\"", ""));
    assert_eq!(writer.try_append(vec![end]).await.unwrap(), (0, 1), "its reply was lost");
    let late = writer.event(1, RunNode, "0");
    assert_eq!(writer.try_append(vec![late]).await.unwrap_err().kind(), Kind::Precondition);
    let refused = catalog.acquire_run(&namespace, writer.run, "x", MUCH_LATER, MUCH_LATER).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Precondition);
    catalog.cancel_run(&namespace, writer.run, NOW).await.unwrap();
    assert_eq!(catalog.delete_run(&namespace, writer.run, NOW).await.unwrap(), 2);
    assert_eq!(catalog.run(&namespace, writer.run).await.unwrap_err().kind(), Kind::NotFound);

    let free = Writer::new(catalog, "endings", 2).await;
    let ended = catalog.cancel_run(&namespace, free.run, LATER).await.unwrap();
    assert_eq!((ended.tally.status, ended.tally.last_sequence), (RunStatus::Cancelled, 1), "nobody held it any more");
    let page = catalog.events(&namespace, free.run, 0, 10, usize::MAX).await.unwrap();
    assert_eq!(page.events[0].kind, EventKind::EndRun);
}

async fn chores<C: Catalog + Runs>(catalog: &C) {
    let mut ended = Writer::new(catalog, "chores", 1).await;
    ended.append(&[(CreateNode, "0")]).await;
    ended.try_append(vec![Event::end(2, RunStatus::Succeeded)]).await.unwrap();
    let gone = Writer::new(catalog, "chores", 2).await;
    catalog.cancel_run(&gone.namespace, gone.run, NOW).await.unwrap();
    let due = async |now, compact, remove| {
        let found = catalog.due_runs(Due { now, compact, remove }, 100).await.unwrap();
        let here = found.into_iter().filter(|(namespace, ..)| namespace.as_str() == "chores");
        here.map(|(_, run, chore)| (run, chore)).collect::<Vec<_>>()
    };
    assert!(due(NOW, None, None).await.is_empty());
    assert!(due(NOW, Some(Timestamp(NOW.0 - 1)), Some(Timestamp(NOW.0 - 1))).await.is_empty());
    assert_eq!(due(LATER, Some(NOW), None).await, [(gone.run, Chore::End), (ended.run, Chore::Compact)]);
    catalog.compact_run(&ended.namespace, ended.run).await.unwrap();
    assert_eq!(due(NOW, Some(NOW), Some(NOW)).await, [(ended.run, Chore::Remove)], "it is compact");
}

async fn lists<C: Catalog + Runs>(catalog: &C) {
    let mut ids = Vec::new();
    for serial in 0..5 {
        let writer = Writer::new(catalog, "lists", serial).await;
        if serial == 2 {
            catalog.cancel_run(&writer.namespace, writer.run, LATER).await.unwrap();
        }
        ids.push(writer.run);
    }
    ids.reverse();
    let namespace = Namespace::new("lists").unwrap();
    let list = async |statuses: &[RunStatus]| {
        let (mut told, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = catalog.runs(&namespace, statuses, after, 2).await.unwrap();
            told.extend(page.into_iter().map(|run| run.id));
            after = next;
            if next.is_none() {
                return told;
            }
        }
    };
    assert_eq!(list(&[]).await, ids);
    assert_eq!(list(&[RunStatus::Cancelled, RunStatus::Failed]).await, [ids[2]]);
    assert_eq!(list(&[RunStatus::Open]).await.len(), 4);
    let full = catalog.create_run(&namespace, new(RunId::derive("lists", NOW, 9)), 4, NOW).await.unwrap_err();
    assert_eq!(full.kind(), Kind::Limit);
}

/// One step of a random history: what, where, whether it waits, and whether it ends an append.
pub type Step = (EventKind, &'static str, bool, bool);

/// Random histories.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = prop::sample::select(vec![
        CreateNode,
        CreateNode,
        RunNode,
        RunNode,
        NodeOutput,
        EventKind::NodeError,
        DeleteNode,
        Question,
        Answer,
        Receipt,
    ]);
    let nodes = prop::sample::select(vec!["0", "0.0", "0.1", "0.0.0", "0.0.1"]);
    prop::collection::vec((kinds, nodes, any::<bool>(), prop::bool::weighted(0.4)), 1..60)
}

/// Appends what the fold allows, in appends of random length, compacting now and then: the stored state is that of the history.
pub async fn play<C: Catalog + Runs>(catalog: &C, serial: u64, steps: Vec<Step>) {
    let mut writer = Writer::new(catalog, "histories", serial).await;
    let (mut model, mut texts) = (RunState::default(), BTreeMap::new());
    let mut batch = Vec::new();
    for (kind, node, waits, flush) in steps {
        let event = Event { waits, at: NOW, ..writer.event(batch.len() as u64 + 1, kind, node) };
        if model.apply(&event).is_ok() {
            texts.insert(event.sequence, (event.data.clone(), event.output.clone()));
            batch.push(event);
        }
        if flush && !batch.is_empty() {
            let count = batch.len() as u64;
            assert_eq!(writer.try_append(std::mem::take(&mut batch)).await.unwrap(), (count, 0));
            if waits {
                catalog.compact_run(&writer.namespace, writer.run).await.unwrap();
            }
        }
    }
    if !batch.is_empty() {
        writer.try_append(batch).await.unwrap();
    }
    let (held, queue) = writer.state().await;
    let nodes: BTreeMap<NodePath, NodeState> =
        held.iter().map(|held| (held.node.clone(), held.state.clone())).collect();
    assert_eq!((&nodes, &queue), (&model.nodes, &model.queue()));
    assert_eq!(writer.read().await.tally, model.tally);
    for held in held {
        let text = |at: u64| texts.get(&at).cloned().unwrap_or_default();
        assert_eq!((held.data, held.output), (text(held.state.data_at).0, text(held.state.output_at).1));
        assert_eq!(held.context, text(held.state.context_at).0);
        assert_eq!(held.question.map(|question| question.asked), model.questions.get(&held.node).cloned());
        let receipt = model.receipts.get(&(held.node, "save".to_owned())).map(|at| ("save".to_owned(), text(*at).1));
        assert_eq!(held.receipts, receipt.into_iter().collect::<Vec<_>>());
    }
}
