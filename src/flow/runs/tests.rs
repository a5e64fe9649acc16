//! Runs over a catalogue in memory and a clock that is set: leases, watching, retention, and memories of a node's family.

use super::watch::Change;
use super::*;
use crate::base::limits::CONTEXT_TOKENS_DEFAULT;
use crate::flow::context;
use crate::flow::memory::{self, Memory};
use crate::flow::recall::FilterRequest;
use crate::flow::testing::Rig;
use crate::model::{Citation, EventKind};
use crate::rank::packing::Decision;

use EventKind::{CreateNode, DeleteNode, NodeOutput, Question as Ask, RunNode};

const WAIT: Duration = Duration::from_secs(20);

struct Bench {
    rig: Rig,
    runs: Arc<Runs>,
}

impl Bench {
    async fn new() -> Self {
        let rig = Rig::new().await;
        let day = Duration::from_secs(86_400);
        let retention = Retention { compact_after: Some(day), remove_after: Some(2 * day) };
        Self { runs: Runs::new(rig.engines.clone(), retention), rig }
    }

    fn grant(&self) -> &Grant {
        &self.rig.grant
    }

    async fn run(&self) -> RunId {
        self.runs.create(self.grant(), "write a book".into(), String::new()).await.unwrap().id
    }

    async fn held(&self) -> (RunId, u64) {
        let run = self.run().await;
        (run, self.runs.acquire(self.grant(), run, "a", None).await.unwrap().fence)
    }

    async fn append(&self, run: RunId, fence: u64, steps: &[(EventKind, &str)]) -> Result<Appended> {
        let last = self.runs.get(self.grant(), run).await.unwrap().tally.last_sequence;
        let events = (last + 1..).zip(steps).map(|(number, (kind, node))| Event {
            node_type: "write_text".into(),
            data: "\"what now?\"".into(),
            ..Event::new(number, *kind, Some(NodePath::parse(node).unwrap()))
        });
        self.runs.append(self.grant(), run, fence, events.collect()).await
    }

    async fn end(&self, run: RunId, fence: u64) {
        let last = self.runs.get(self.grant(), run).await.unwrap().tally.last_sequence;
        let end = Event::end(last + 1, RunStatus::Succeeded);
        self.runs.append(self.grant(), run, fence, vec![end]).await.unwrap();
    }
}

async fn next(changes: &mut mpsc::Receiver<Result<Change>>) -> Option<Result<Change>> {
    tokio::time::timeout(WAIT, changes.recv()).await.expect("nothing is told")
}

async fn numbers(changes: &mut mpsc::Receiver<Result<Change>>, count: usize) -> Vec<u64> {
    let mut told = Vec::new();
    while told.len() < count {
        match next(changes).await {
            Some(Ok(Change::Event(event))) => told.push(event.sequence),
            other => panic!("{other:?} after {told:?}"),
        }
    }
    told
}

#[tokio::test]
async fn a_lease_is_kept_by_renewing_and_lost_when_its_time_is_over() {
    let bench = Bench::new().await;
    let (run, fence) = bench.held().await;
    bench.rig.clock.pass(Duration::from_secs(10));
    bench.runs.renew(bench.grant(), run, fence, None).await.unwrap();
    bench.rig.clock.pass(Duration::from_secs(10));
    let refused = bench.runs.acquire(bench.grant(), run, "b", None).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Lease);
    assert!(refused.message().contains("held by a for another 5.0 s"), "{refused}");
    bench.rig.clock.pass(Duration::from_secs(5));
    let second = bench.runs.acquire(bench.grant(), run, "b", None).await.unwrap();
    assert_eq!(second.fence, fence + 1);
    assert_eq!(bench.append(run, fence, &[(CreateNode, "0")]).await.unwrap_err().kind(), Kind::Lease);
    assert_eq!(bench.append(run, second.fence, &[(CreateNode, "0")]).await.unwrap().appended, 1);
}

#[tokio::test]
async fn limits_are_named() {
    let bench = Bench::new().await;
    let (run, fence) = bench.held().await;
    let grant = bench.grant();
    let long = Some(RUN_LEASE_MAX + Duration::from_secs(1));
    assert_eq!(bench.runs.renew(grant, run, fence, long).await.unwrap_err().field(), Some("ttl"));
    assert_eq!(bench.runs.renew(grant, run, fence, Some(Duration::ZERO)).await.unwrap_err().field(), Some("ttl"));
    assert_eq!(bench.runs.acquire(grant, run, " ", None).await.unwrap_err().field(), Some("holder"));
    let many = (1..=RUN_APPEND_EVENTS_MAX as u64 + 1).map(|number| Event::end(number, RunStatus::Failed)).collect();
    assert_eq!(bench.runs.append(grant, run, fence, many).await.unwrap_err().kind(), Kind::Limit);
    let apart = vec![Event::end(1, RunStatus::Failed), Event::end(3, RunStatus::Failed)];
    assert_eq!(bench.runs.append(grant, run, fence, apart).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(bench.runs.list(grant, &[], "x", 1).await.unwrap_err().field(), Some("page_token"));
    for size in [0, RUN_LIST_MAX + 1] {
        assert_eq!(bench.runs.list(grant, &[], "", size).await.unwrap_err().field(), Some("page_size"));
        assert_eq!(bench.runs.questions(grant, None, "", size).await.unwrap_err().field(), Some("page_size"));
    }
    assert_eq!(bench.runs.read(grant, run, 0, 0).await.unwrap_err().field(), Some("page_size"));
    assert_eq!(bench.runs.create(grant, " ".into(), String::new()).await.unwrap_err().field(), Some("goal"));
}

#[tokio::test]
async fn who_watches_hears_everything_once_and_in_order_though_it_comes_again() {
    let bench = Bench::new().await;
    let (run, fence) = bench.held().await;
    bench.append(run, fence, &[(CreateNode, "0"), (RunNode, "0")]).await.unwrap();
    let mut changes = bench.runs.watch(bench.grant(), run, 0).await.unwrap();
    assert_eq!(numbers(&mut changes, 2).await, [1, 2]);
    bench.append(run, fence, &[(CreateNode, "0.0"), (RunNode, "0.0"), (Ask, "0.0")]).await.unwrap();
    assert_eq!(numbers(&mut changes, 1).await, [3]);
    drop(changes);
    let mut changes = bench.runs.watch(bench.grant(), run, 4).await.unwrap();
    assert_eq!(numbers(&mut changes, 2).await, [4, 5]);
    let node = NodePath::parse("0.0").unwrap();
    for _ in 0..2 {
        bench.runs.answer(bench.grant(), run, &node, "go on").await.unwrap();
    }
    match next(&mut changes).await {
        Some(Ok(Change::Answered(question))) => assert_eq!(question.asked.answer.unwrap().0, "go on"),
        other => panic!("{other:?}"),
    }
    bench.append(run, fence, &[(EventKind::Answer, "0.0")]).await.unwrap();
    assert_eq!(numbers(&mut changes, 1).await, [6], "the answer is told once");
    bench.runs.cancel(bench.grant(), run).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().unwrap(), Change::CancelRequested);
    bench.end(run, fence).await;
    assert_eq!(numbers(&mut changes, 1).await, [7]);
    assert!(next(&mut changes).await.is_none(), "the end of the run ends the stream");
    let mut after = bench.runs.watch(bench.grant(), run, 7).await.unwrap();
    assert_eq!(numbers(&mut after, 1).await, [7]);
    assert!(next(&mut after).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_or_doubled_while_others_write() {
    let bench = Arc::new(Bench::new().await);
    let (run, fence) = bench.held().await;
    let writer = Arc::clone(&bench);
    let writing = tokio::spawn(async move {
        writer.append(run, fence, &[(CreateNode, "0"), (RunNode, "0")]).await.unwrap();
        for child in 0..150 {
            let child = format!("0.{child}");
            let steps = [(CreateNode, &*child), (RunNode, &*child), (NodeOutput, &*child), (DeleteNode, &*child)];
            writer.append(run, fence, &steps).await.unwrap();
        }
        writer.end(run, fence).await;
    });
    let (mut told, mut from) = (Vec::new(), 0);
    // Whoever watches goes away and comes back again and again.
    'all: loop {
        let mut changes = bench.runs.watch(bench.grant(), run, from).await.unwrap();
        for _ in 0..40 {
            match next(&mut changes).await {
                Some(Ok(Change::Event(event))) => told.push(event.sequence),
                None => break 'all,
                other => panic!("{other:?}"),
            }
        }
        from = told.last().unwrap() + 1;
    }
    writing.await.unwrap();
    assert_eq!(told, (1..=603).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_was_compacted_away_cannot_be_watched_and_a_stop_ends_all_watches() {
    let bench = Bench::new().await;
    let (run, fence) = bench.held().await;
    bench.append(run, fence, &[(CreateNode, "0"), (RunNode, "0")]).await.unwrap();
    bench.append(run, fence, &[(NodeOutput, "0")]).await.unwrap();
    assert_eq!(bench.runs.compact(bench.grant(), run).await.unwrap().events, 2);
    let refused = bench.runs.watch(bench.grant(), run, 2).await.unwrap_err();
    assert!(refused.kind() == Kind::Precondition && refused.message().contains("watch from 3"), "{refused}");
    let mut changes = bench.runs.watch(bench.grant(), run, 0).await.unwrap();
    assert_eq!(numbers(&mut changes, 1).await, [3]);
    bench.runs.stop();
    assert_eq!(next(&mut changes).await.unwrap().unwrap_err().kind(), Kind::Unavailable);
    assert!(next(&mut changes).await.is_none());
}

#[tokio::test]
async fn ended_runs_lose_their_history_and_then_all_and_a_run_to_be_ended_ends() {
    let bench = Bench::new().await;
    let (run, fence) = bench.held().await;
    bench.append(run, fence, &[(CreateNode, "0"), (RunNode, "0")]).await.unwrap();
    bench.end(run, fence).await;
    let (held, _) = bench.held().await;
    assert_eq!(bench.runs.cancel(bench.grant(), held).await.unwrap().tally.status, RunStatus::Open);
    assert_eq!(bench.runs.sweep().await.unwrap(), 0);
    bench.rig.clock.pass(Duration::from_secs(60));
    assert_eq!(bench.runs.sweep().await.unwrap(), 1, "its holder is gone");
    assert_eq!(bench.runs.get(bench.grant(), held).await.unwrap().tally.status, RunStatus::Cancelled);
    bench.rig.clock.pass(Duration::from_secs(86_400));
    assert_eq!(bench.runs.sweep().await.unwrap(), 1, "the other one is an end and nothing else");
    let page = bench.runs.read(bench.grant(), run, 0, 10).await.unwrap();
    assert_eq!((page.events.len(), page.run.compacted_through), (1, 2));
    assert_eq!(bench.runs.sweep().await.unwrap(), 0);
    bench.rig.clock.pass(Duration::from_secs(86_400));
    assert_eq!(bench.runs.sweep().await.unwrap(), 2);
    assert!(bench.runs.list(bench.grant(), &[], "", 10).await.unwrap().0.is_empty());
}

/// A run whose node 0.1 asks for a context, and what its nodes remembered.
async fn family(bench: &Bench) -> RunId {
    let (run, fence) = bench.held().await;
    let steps = [
        (CreateNode, "0"),
        (RunNode, "0"),
        (CreateNode, "0.0"),
        (CreateNode, "0.1"),
        (CreateNode, "0.2"),
        (RunNode, "0.0"),
        (CreateNode, "0.0.0"),
        (RunNode, "0.0.0"),
        (NodeOutput, "0.0.0"),
        (DeleteNode, "0.0.0"),
        (NodeOutput, "0.0"),
        (DeleteNode, "0.0"),
        (RunNode, "0.1"),
        (CreateNode, "0.1.0"),
        (RunNode, "0.1.0"),
        (NodeOutput, "0.1.0"),
        (DeleteNode, "0.1.0"),
        (RunNode, "0.2"),
    ];
    bench.append(run, fence, &steps).await.unwrap();
    for (node, text) in [
        ("0", "plan: three chapters about whales"),
        ("0.0", "chapter one tells of the harbour"),
        ("0.0.0", "a sketch of ropes and tar"),
        ("0.1.0", "names of the crew are Ada and Finn"),
        ("0.2", "half of chapter three"),
    ] {
        remember(bench, &run.to_string(), node, text).await;
    }
    remember(bench, "another", "0", "plan: a cookery book").await;
    bench.rig.settled().await;
    run
}

async fn remember(bench: &Bench, run: &str, node: &str, text: &str) {
    let memory = Memory { text: text.into(), run: run.into(), node: node.into(), ..Memory::default() };
    memory::remember(&bench.rig.engines, &bench.rig.projector, bench.grant(), memory).await.unwrap();
}

async fn gather(bench: &Bench, run: Option<(RunId, Option<&str>)>, held: &[String]) -> context::Gathered {
    let request = context::Request {
        task: "xylophone".into(),
        budget_tokens: CONTEXT_TOKENS_DEFAULT,
        model: String::new(),
        filter: FilterRequest { kinds: vec!["memory".into()], ..FilterRequest::default() },
        require_fresh: false,
        map: false,
        run: run.map(|(run, node)| (run, node.map(|node| NodePath::parse(node).unwrap()))),
        held: held.iter().map(|text| Citation::parse(text).unwrap()).collect(),
    };
    context::gather(&bench.rig.engines, &bench.rig.projector, bench.grant(), &request).await.unwrap()
}

/// Steps of the trace that have the run's addend, by text.
fn counted(bench: &[(&str, bool)], gathered: &context::Gathered) {
    let with_addend =
        gathered.pack.trace.iter().filter(|step| step.parts.iter().any(|part| part.name == "run")).count();
    assert_eq!(with_addend, bench.iter().filter(|(_, counts)| *counts).count(), "{:?}", gathered.pack.trace);
    for (text, counts) in bench.iter().filter(|(_, counts)| *counts) {
        assert_eq!(gathered.pack.text.contains(text), *counts, "{text}: {}", gathered.pack.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_family_of_a_node_remembered_is_evidence_and_its_siblings_internals_are_not() {
    let bench = Bench::new().await;
    let run = family(&bench).await;
    let gathered = gather(&bench, Some((run, Some("0.1"))), &[]).await;
    counted(
        &[
            ("three chapters", true),
            ("harbour", true),
            ("Ada and Finn", true),
            ("ropes and tar", false),
            ("half of chapter three", false),
            ("cookery", false),
        ],
        &gathered,
    );
    counted(&[("harbour", false)], &gather(&bench, None, &[]).await);
    // Of whoever started the run: the root has not finished.
    counted(&[("three chapters", false)], &gather(&bench, Some((run, None)), &[]).await);

    let citations: Vec<String> = gathered.pack.items.iter().map(|item| item.citation()).collect();
    let rest = gather(&bench, Some((run, Some("0.1"))), &citations).await;
    assert!(rest.pack.items.is_empty() && rest.pack.text.is_empty(), "{}", rest.pack.text);
    let held = rest.pack.trace.iter().filter(|step| step.decision == Decision::Held).count();
    assert_eq!((held, rest.pack.trace.len()), (gathered.pack.trace.len(), gathered.pack.trace.len()));
    let scores: Vec<f32> = rest.pack.trace.iter().map(|step| step.score).collect();
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "best first: {scores:?}");
}
