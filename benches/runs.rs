//! What a run costs: on the server (appending to histories, reading a state back, bytes on disk, over gRPC on TCP), and in the thin
//! runtime, whose nodes here ask no model and gather no context.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hivemem_client::Client;
use hivemem_client::proto::run_event::Kind;
use hivemem_client::proto::{AcquireRunRequest, AppendEventsRequest, CompactRunRequest, CreateRunRequest, RunEvent};
use hivemem_client::swarm::{
    Backend, Blueprint, MemoryBackend, NodeTypes, Observer, Outcome, ServerBackend, Settings, Swarm, SwarmError,
};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use common::model::Model;
use common::report::{heading, line, mib};
use common::server::{Server, resident};

mod common;

/// Nodes of the large run, and children of each node that has some.
const NODES: usize = 10_000;
const FAN_OUT: usize = 10;
/// Runs that are written at once, and nodes of each.
const RUNS: usize = 100;
const RUN_NODES: usize = 20;
/// Bytes of a node's data and of its output.
const TEXT_BYTES: usize = 200;
/// Times that a state is read.
const READS: usize = 5;

fn main() {
    common::server::serve_if_asked();
    if !common::wanted("runs") || Model::find().is_none() {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = runtime.block_on(server.client());
    runtime.block_on(one_by_one(&client));
    runtime.block_on(large(&client, data.path()));
    runtime.block_on(side_by_side(&client));
    runtime.block_on(thin_runtime(&client));
}

/// Writes one run.
struct Writer {
    client: Client,
    run: String,
    fence: u64,
    next: u64,
}

impl Writer {
    async fn new(client: &Client) -> Self {
        let request = CreateRunRequest { goal: "measure".to_owned(), ..CreateRunRequest::default() };
        let run = client.create_run(request).await.expect("a run").run.expect("a run").id;
        let (holder, ttl) = ("bench".to_owned(), Some(hivemem_client::proto::Duration { seconds: 300, nanos: 0 }));
        let request = AcquireRunRequest { run: run.clone(), holder, ttl, ..AcquireRunRequest::default() };
        let fence = client.acquire_run(request).await.expect("a lease").fence;
        Self { client: client.clone(), run, fence, next: 1 }
    }

    fn event(&mut self, kind: Kind, node: &str) -> RunEvent {
        self.next += 1;
        let text = |yes: bool| if yes { format!("\"{}\"", "x".repeat(TEXT_BYTES - 2)) } else { String::new() };
        RunEvent {
            sequence: self.next - 1,
            kind: kind.into(),
            node: node.to_owned(),
            node_type: if kind == Kind::CreateNode { "write_text".to_owned() } else { String::new() },
            data: text(kind == Kind::CreateNode),
            output: text(kind == Kind::NodeOutput),
            waits: kind == Kind::NodeOutput,
            prompt_tokens: if kind == Kind::NodeOutput { 1_200 } else { 0 },
            ..RunEvent::default()
        }
    }

    async fn send(&self, events: Vec<RunEvent>) {
        let (run, fence) = (self.run.clone(), self.fence);
        let request = AppendEventsRequest { run, fence, events, ..AppendEventsRequest::default() };
        self.client.append_events(request).await.expect("an append");
    }

    /// A node's life but for its end, in two appends as a client makes them: begun, and done with its children.
    async fn node(&mut self, node: &str, children: usize) {
        let begun = vec![self.event(Kind::RunNode, node)];
        self.send(begun).await;
        let mut done = vec![self.event(Kind::NodeOutput, node)];
        for child in 0..children {
            done.push(self.event(Kind::CreateNode, &format!("{node}.{child}")));
        }
        if children == 0 {
            done.push(self.event(Kind::DeleteNode, node));
        }
        self.send(done).await;
    }
}

async fn one_by_one(client: &Client) {
    heading("appends of one event, one after the other");
    let mut writer = Writer::new(client).await;
    let root = vec![writer.event(Kind::CreateNode, "0"), writer.event(Kind::RunNode, "0")];
    writer.send(root).await;
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..500 {
        let event = vec![writer.event(Kind::RunNode, "0")];
        let began = Instant::now();
        writer.send(event).await;
        took.push(began.elapsed());
    }
    took.sort();
    let ms = |share: f64| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    line("p50, p95", &format!("{:.2} ms, {:.2} ms", ms(0.5), ms(0.95)), "");
    let mut appended = 0;
    let began = Instant::now();
    for _ in 0..20 {
        let events: Vec<RunEvent> = (0..500).map(|_| writer.event(Kind::RunNode, "0")).collect();
        appended += events.len();
        writer.send(events).await;
    }
    line("in appends of 500", &format!("{:.0} events/s", appended as f64 / began.elapsed().as_secs_f64()), "");
}

/// Bytes of the database after free space was given back.
async fn database(client: &Client, data: &Path) -> u64 {
    client.compact().await.expect("space given back");
    let files = ["catalog.sqlite", "catalog.sqlite-wal"].map(|name| data.join(name));
    files.iter().map(|file| std::fs::metadata(file).map_or(0, |file| file.len())).sum()
}

async fn large(client: &Client, data: &Path) {
    heading(&format!("one run of {NODES} nodes"));
    let before = database(client, data).await;
    let mut writer = Writer::new(client).await;
    let root = vec![writer.event(Kind::CreateNode, "0")];
    writer.send(root).await;
    let (mut made, mut due) = (1, std::collections::VecDeque::from(["0".to_owned()]));
    let began = Instant::now();
    while let Some(node) = due.pop_front() {
        let children = FAN_OUT.min(NODES - made);
        writer.node(&node, children).await;
        due.extend((0..children).map(|child| format!("{node}.{child}")));
        made += children;
    }
    let (took, events) = (began.elapsed().as_secs_f64(), (writer.next - 1) as f64);
    let node_ms = took * 1e3 / made as f64;
    line("written", &format!("{events:.0} events in {took:.1} s, {node_ms:.2} ms a node"), "");
    let bytes = database(client, data).await - before;
    let own = made * 2 * TEXT_BYTES;
    let beyond = |bytes: u64| (bytes as f64 - own as f64) / made as f64;
    line("bytes a node beyond its data", &format!("{:.0} ({:.1} MiB)", beyond(bytes), mib(bytes)), "at most 1024");
    let mut reads = Vec::new();
    for _ in 0..READS {
        let began = Instant::now();
        let state = client.read_state(&writer.run).await.expect("a state").whole().await.expect("a state");
        assert_eq!(state.nodes.len(), made);
        reads.push(began.elapsed().as_secs_f64() * 1e3);
    }
    line("reading the state", &format!("{reads:.0?} ms"), "at most 2000");
    let began = Instant::now();
    let request = CompactRunRequest { run: writer.run.clone(), ..CompactRunRequest::default() };
    let compacted = client.compact_run(request).await.expect("a compaction");
    let took = began.elapsed().as_secs_f64() * 1e3;
    let bytes = database(client, data).await - before;
    line("compacted", &format!("{} events in {took:.0} ms", compacted.events_removed), "");
    line("bytes a node beyond its data", &format!("{:.0}", beyond(bytes)), "");
}

async fn side_by_side(client: &Client) {
    heading(&format!("{RUNS} runs at once, {RUN_NODES} nodes each"));
    let began = Instant::now();
    let one = |client: Client| async move {
        let mut writer = Writer::new(&client).await;
        let root = vec![writer.event(Kind::CreateNode, "0")];
        writer.send(root).await;
        writer.node("0", RUN_NODES - 1).await;
        for child in 0..RUN_NODES - 1 {
            writer.node(&format!("0.{child}"), 0).await;
        }
        writer.next - 1
    };
    let runs: Vec<_> = (0..RUNS).map(|_| tokio::spawn(one(client.clone()))).collect();
    let mut events = 0;
    for run in runs {
        events += run.await.expect("a run");
    }
    let took = began.elapsed().as_secs_f64();
    let appends = (RUNS * RUN_NODES * 2) as f64;
    line("all", &format!("{took:.1} s, {:.0} events/s, {:.0} appends/s", events as f64 / took, appends / took), "");
}

/// Branches of the runtime's large run, and leaves of each.
const BRANCHES: usize = 100;
const LEAVES: usize = 99;

/// Tells when the last node of the large run begins, and what the process takes as the run grows.
struct Last {
    begun: Notify,
    leaves: AtomicUsize,
    /// Resident memory by leaves executed so far.
    taken: Mutex<Vec<(usize, u64)>>,
}

/// Leaves after which the memory is looked at.
const LOOK_EVERY: usize = 2_475;

impl Observer for Last {
    fn event(&self, event: &RunEvent) {
        if event.kind() != Kind::RunNode {
            return;
        }
        if event.node_type == "last" {
            self.begun.notify_one();
        }
        if event.node_type == "leaf" {
            let leaves = self.leaves.fetch_add(1, Ordering::Relaxed) + 1;
            if leaves == 1 || leaves.is_multiple_of(LOOK_EVERY) {
                self.taken.lock().expect("no panic").push((leaves, resident()));
            }
        }
    }
}

/// Nodes that only come and go. The last one of the large run does not end while it is held up.
fn types(held_up: &Arc<AtomicBool>) -> NodeTypes {
    let types = NodeTypes::empty();
    let many = |node_type: &str, count: usize| vec![Blueprint::new(node_type, json!({})); count];
    let branches: Vec<Blueprint> = many("branch", BRANCHES).into_iter().chain(many("last", 1)).collect();
    let held_up = Arc::clone(held_up);
    let last = move |_| {
        let held_up = held_up.load(Ordering::Relaxed);
        async move {
            if held_up {
                std::future::pending::<()>().await;
            }
            Ok(Outcome::Finish(json!(1)))
        }
    };
    let spawns = move |children: Vec<Blueprint>| move |_| std::future::ready(Ok(Outcome::parallel(children.clone())));
    let plans = move |_| std::future::ready(Ok(Outcome::plan(branches.clone())));
    types.add_function("leaf", "", json!({}), |_| async { Ok(Outcome::Finish(json!(1))) }).expect("a schema");
    types.add_function("last", "", json!({}), last).expect("a schema");
    types.add_function("branch", "", json!({}), spawns(many("leaf", LEAVES))).expect("a schema");
    types.add_function("few", "", json!({}), spawns(many("leaf", RUN_NODES - 1))).expect("a schema");
    types.add_function("large", "", json!({}), plans).expect("a schema");
    types
}

async fn create(swarm: &Swarm, root: &str) -> String {
    swarm.create("measure", Blueprint::new(root, json!({}))).await.expect("a run")
}

async fn thin_runtime(client: &Client) {
    heading("the thin runtime: nodes without model and context");
    let held_up = Arc::new(AtomicBool::new(false));
    let limits =
        Settings { memory: false, nodes_max: 20_000, fan_out_max: 200, lease_ms: 1_000, ..Settings::default() };
    let swarm =
        |backend: Arc<dyn Backend>| Swarm::new(backend).with_types(types(&held_up)).with_settings(limits.clone());
    let node_ms = |began: Instant, nodes: u64| format!("{:.2} ms", began.elapsed().as_secs_f64() * 1e3 / nodes as f64);

    let alone = swarm(Arc::new(MemoryBackend::default()));
    let run = create(&alone, "large").await;
    let began = Instant::now();
    let nodes = alone.resume(&run).await.expect("an end").nodes;
    line("a node, with the fake server", &node_ms(began, nodes), "at most 2 ms");

    held_up.store(true, Ordering::Relaxed);
    let last = Arc::new(Last { begun: Notify::new(), leaves: AtomicUsize::new(0), taken: Mutex::default() });
    let over = swarm(Arc::new(ServerBackend::new(client.clone())));
    let observed = over.clone().observed_by(Arc::clone(&last) as Arc<dyn Observer>);
    let run = create(&over, "large").await;
    let began = Instant::now();
    tokio::select! {
        end = observed.resume(&run) => panic!("it is held up: {end:?}"),
        () = last.begun.notified() => line("a node, over the server", &node_ms(began, nodes), "at most 2 ms"),
    }
    let taken = std::mem::take(&mut *last.taken.lock().expect("no panic"));
    let shown: Vec<String> = taken.iter().map(|(leaves, bytes)| format!("{leaves}: {:.1} MiB", mib(*bytes))).collect();
    line("memory of this process by executed leaves", &shown.join(", "), "flat");
    held_up.store(false, Ordering::Relaxed);
    let took = loop {
        let began = Instant::now();
        match over.resume(&run).await {
            Ok(end) if end.nodes == nodes => break began.elapsed(),
            // The lease of the one that is gone has to run out.
            Err(SwarmError::LeaseLost(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            other => panic!("{other:?}"),
        }
    };
    line(
        &format!("resuming {nodes} nodes, to the end"),
        &format!("{:.0} ms", took.as_secs_f64() * 1e3),
        "at most 2000",
    );

    let began = Instant::now();
    let one = |over: Swarm| async move { over.resume(&create(&over, "few").await).await.expect("an end").nodes };
    let runs: Vec<_> = (0..RUNS).map(|_| tokio::spawn(one(over.clone()))).collect();
    let mut nodes = 0;
    for run in runs {
        nodes += run.await.expect("a run");
    }
    line(&format!("{RUNS} runs at once, a node"), &node_ms(began, nodes), &format!("{nodes} nodes"));
}
