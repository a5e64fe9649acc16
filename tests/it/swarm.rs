//! Runs end to end: two that want one lease, histories that come twice or with gaps, questions, watching, and what survives a
//! restart, a compaction and a backup.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hivemem_client::proto::run_event::Kind;
use hivemem_client::proto::watch_run_response::Change;
use hivemem_client::proto::{
    AcquireRunRequest, AnswerQuestionRequest, AppendEventsRequest, AppendEventsResponse, CancelRunRequest,
    CompactRunRequest, CreateRunRequest, DeleteRunRequest, GatherContextRequest, GetRunRequest, ListQuestionsRequest,
    ListRunsRequest, NodePhase, ReadEventsRequest, ReadStateResponse, ReleaseRunRequest, RememberRequest,
    RenewRunRequest, Run, RunEvent, RunStatus, WatchRunRequest,
};
use hivemem_client::{Client, ClientError, ErrorKind, RunWatch};

use crate::support::Server;

use Kind::{CreateNode, DeleteNode, EndRun, NodeOutput, Question, Receipt, RunNode};

/// Whoever writes a run.
struct Writer {
    client: Client,
    run: String,
    fence: u64,
    next: u64,
}

async fn create(client: &Client) -> String {
    let request = CreateRunRequest { goal: "write a book".to_owned(), ..CreateRunRequest::default() };
    client.create_run(request).await.unwrap().run.unwrap().id
}

async fn acquire(client: &Client, run: &str, holder: &str) -> Result<u64, ClientError> {
    let request = AcquireRunRequest { run: run.to_owned(), holder: holder.to_owned(), ..AcquireRunRequest::default() };
    Ok(client.acquire_run(request).await?.fence)
}

async fn get(client: &Client, run: &str) -> Run {
    let request = GetRunRequest { run: run.to_owned(), ..GetRunRequest::default() };
    client.get_run(request).await.unwrap().run.unwrap()
}

async fn state(client: &Client, run: &str) -> ReadStateResponse {
    client.read_state(run).await.unwrap().whole().await.unwrap()
}

async fn compact(client: &Client, run: &str) -> u64 {
    let request = CompactRunRequest { run: run.to_owned(), ..CompactRunRequest::default() };
    client.compact_run(request).await.unwrap().events_removed
}

async fn watch(client: &Client, run: &str, from: u64) -> RunWatch {
    let request = WatchRunRequest { run: run.to_owned(), from_sequence: from, ..WatchRunRequest::default() };
    client.watch_run(request).await.unwrap()
}

async fn change(watch: &mut RunWatch) -> Option<Change> {
    let told = tokio::time::timeout(Duration::from_secs(30), watch.next_change()).await.expect("nothing is told");
    told.unwrap().map(|told| told.change.unwrap())
}

async fn sequence(watch: &mut RunWatch) -> u64 {
    match change(watch).await {
        Some(Change::Event(event)) => event.sequence,
        other => panic!("{other:?}"),
    }
}

impl Writer {
    async fn new(client: &Client) -> Self {
        let run = create(client).await;
        let fence = acquire(client, &run, "writer").await.unwrap();
        Self { client: client.clone(), run, fence, next: 1 }
    }

    fn event(&self, ahead: u64, kind: Kind, node: &str) -> RunEvent {
        let sequence = self.next + ahead;
        RunEvent {
            sequence,
            kind: kind.into(),
            node: node.to_owned(),
            node_type: "write_text".to_owned(),
            data: r#"{"text":"what now?","choices":["stop","go on"]}"#.to_owned(),
            output: format!("\"said at {sequence}\""),
            key: "save".to_owned(),
            prompt_tokens: 7,
            ..RunEvent::default()
        }
    }

    async fn send(&self, events: Vec<RunEvent>) -> Result<AppendEventsResponse, ClientError> {
        let request =
            AppendEventsRequest { run: self.run.clone(), fence: self.fence, events, ..AppendEventsRequest::default() };
        self.client.append_events(request).await
    }

    async fn append(&mut self, steps: &[(Kind, &str)]) -> Vec<RunEvent> {
        let events: Vec<RunEvent> =
            (0..).zip(steps).map(|(ahead, (kind, node))| self.event(ahead, *kind, node)).collect();
        let reply = self.send(events.clone()).await.unwrap();
        self.next += events.len() as u64;
        assert_eq!((reply.appended, reply.last_sequence), (events.len() as u64, self.next - 1));
        events
    }

    async fn end(&mut self, status: RunStatus) {
        let end = RunEvent { status: status.into(), ..self.event(0, EndRun, "") };
        self.send(vec![end]).await.unwrap();
        self.next += 1;
    }

    /// A child that does its work.
    async fn works(&mut self, child: &str) {
        self.append(&[(CreateNode, child), (RunNode, child)]).await;
        self.append(&[(NodeOutput, child), (DeleteNode, child)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_want_a_run_one_wins_and_what_the_other_appends_is_refused() {
    let server = Server::start().await;
    let run = create(&server.client).await;
    let both = tokio::join!(acquire(&server.client, &run, "a"), acquire(&server.client, &run, "b"));
    let (won, lost) = match both {
        (Ok(fence), Err(error)) | (Err(error), Ok(fence)) => (fence, error),
        other => panic!("{other:?}"),
    };
    assert_eq!((lost.kind(), lost.code()), (ErrorKind::Conflict, "ABORTED"));
    assert!(lost.message().contains(&format!("run {run} is held by ")), "{lost}");
    let held = get(&server.client, &run).await;
    assert!(held.holder == "a" || held.holder == "b" && held.lease_until.is_some(), "{held:?}");

    let stale = Writer { client: server.client.clone(), run: run.clone(), fence: won, next: 1 };
    let release = |fence| ReleaseRunRequest { run: run.clone(), fence, ..ReleaseRunRequest::default() };
    server.client.release_run(release(won)).await.unwrap();
    let fence = acquire(&server.client, &run, "c").await.unwrap();
    assert!(fence > won);
    let refused = stale.send(vec![stale.event(0, CreateNode, "0")]).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "ABORTED"), "{refused}");
    let renew = |fence| RenewRunRequest { run: run.clone(), fence, ..RenewRunRequest::default() };
    assert_eq!(server.client.renew_run(renew(won)).await.unwrap_err().code(), "ABORTED");
    assert!(server.client.renew_run(renew(fence)).await.unwrap().lease_until.is_some());
    assert_eq!(server.client.release_run(release(won)).await.unwrap_err().code(), "ABORTED");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_may_come_twice_and_nothing_else_may() {
    let server = Server::start().await;
    let mut writer = Writer::new(&server.client).await;
    let events = writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    let again = writer.send(events.clone()).await.unwrap();
    assert_eq!((again.appended, again.duplicates, again.last_sequence), (0, 2, 2));
    let other = RunEvent { output: "\"another\"".to_owned(), ..events[1].clone() };
    assert_eq!(writer.send(vec![other]).await.unwrap_err().code(), "ALREADY_EXISTS");
    let gap = writer.send(vec![writer.event(3, NodeOutput, "0")]).await.unwrap_err();
    assert!(gap.kind() == ErrorKind::Invalid && gap.message().contains("the next number is 3"), "{gap}");
    for (bad, says) in [
        (writer.event(0, CreateNode, "1"), "no place in a run"),
        (writer.event(0, Kind::Unspecified, "0"), "not known"),
        (writer.event(0, NodeOutput, "0.7"), "not created"),
        (RunEvent { data: "{".to_owned(), ..writer.event(0, NodeOutput, "0") }, "not JSON"),
    ] {
        let refused = writer.send(vec![bad]).await.unwrap_err();
        assert!(refused.kind() == ErrorKind::Invalid && refused.message().contains(says), "{refused}");
    }
    let missing = Writer { run: "6d1f0a2e-5c7b-5b0e-9f64-7a1d68697665".to_owned(), ..writer };
    assert_eq!(missing.send(Vec::new()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let nameless = Writer { run: "the run".to_owned(), ..missing };
    assert_eq!(nameless.send(Vec::new()).await.unwrap_err().kind(), ErrorKind::Invalid);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_has_one_answer_and_a_cancelled_run_ends_by_its_holder_or_at_once() {
    let server = Server::start().await;
    let client = &server.client;
    let mut writer = Writer::new(client).await;
    writer.append(&[(CreateNode, "0"), (RunNode, "0"), (Question, "0")]).await;
    let asked = client.list_questions(ListQuestionsRequest::default()).await.unwrap().questions;
    assert_eq!((asked.len(), asked[0].text.as_str(), asked[0].choices.len()), (1, "what now?", 2));
    let id = writer.run.clone();
    let answer = |node: &str, text: &str| {
        let (run, node, answer) = (id.clone(), node.to_owned(), text.to_owned());
        client.answer_question(AnswerQuestionRequest { run, node, answer, ..AnswerQuestionRequest::default() })
    };
    assert_eq!(answer("0.1", "stop").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(answer("0", "dance").await.unwrap_err().kind(), ErrorKind::Invalid);
    for _ in 0..2 {
        let question = answer("0", "go on").await.unwrap().question.unwrap();
        assert!(question.answered && question.answer == "go on", "{question:?}");
    }
    assert_eq!(answer("0", "stop").await.unwrap_err().code(), "ALREADY_EXISTS");
    let node = state(client, &writer.run).await.nodes.remove(0);
    assert_eq!((node.phase(), node.answered, node.answer.as_str()), (NodePhase::Asking, true, "go on"));

    let cancel = |run: &str| CancelRunRequest { run: run.to_owned(), ..CancelRunRequest::default() };
    let held = client.cancel_run(cancel(&writer.run)).await.unwrap().run.unwrap();
    assert_eq!((held.status(), held.cancel_requested), (RunStatus::Open, true));
    let renew = RenewRunRequest { run: writer.run.clone(), fence: writer.fence, ..RenewRunRequest::default() };
    assert!(client.renew_run(renew).await.unwrap().cancel_requested);
    writer.end(RunStatus::Cancelled).await;
    let ended = get(client, &writer.run).await;
    assert_eq!((ended.status(), ended.result.as_str()), (RunStatus::Cancelled, "\"said at 4\""));
    assert_eq!(answer("0", "go on").await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(acquire(client, &writer.run, "late").await.unwrap_err().kind(), ErrorKind::Precondition);
    let free = create(client).await;
    assert_eq!(client.cancel_run(cancel(&free)).await.unwrap().run.unwrap().status(), RunStatus::Cancelled);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_comes_back_has_seen_everything_once() {
    let server = Server::start().await;
    let client = server.client.clone();
    let mut writer = Writer::new(&client).await;
    let run = writer.run.clone();
    let mut first = watch(&client, &run, 0).await;
    writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    let mut told = vec![sequence(&mut first).await, sequence(&mut first).await];
    writer.works("0.0").await;
    told.push(sequence(&mut first).await);
    drop(first);
    writer.works("0.1").await;
    let mut second = watch(&client, &run, told.last().unwrap() + 1).await;
    writer.append(&[(Question, "0")]).await;
    for _ in 0..8 {
        told.push(sequence(&mut second).await);
    }
    let answer = AnswerQuestionRequest {
        run: run.clone(),
        node: "0".to_owned(),
        answer: "go on".to_owned(),
        ..AnswerQuestionRequest::default()
    };
    client.answer_question(answer).await.unwrap();
    match change(&mut second).await {
        Some(Change::Answered(question)) => assert_eq!(question.answer, "go on"),
        other => panic!("{other:?}"),
    }
    client.cancel_run(CancelRunRequest { run: run.clone(), ..CancelRunRequest::default() }).await.unwrap();
    assert_eq!(change(&mut second).await, Some(Change::CancelRequested(true)));
    writer.end(RunStatus::Cancelled).await;
    told.push(sequence(&mut second).await);
    assert_eq!(change(&mut second).await, None);
    assert_eq!(told, (1..=12).collect::<Vec<u64>>());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_a_compaction_and_a_backup_leave_all_that_a_run_goes_on_from() {
    let server = Server::start().await;
    let mut writer = Writer::new(&server.client).await;
    writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    writer.works("0.0").await;
    writer.append(&[(CreateNode, "0.1"), (RunNode, "0.1"), (Receipt, "0.1"), (Question, "0.1")]).await;
    let last = writer.append(&[(CreateNode, "0.2")]).await;
    let before = state(&server.client, &writer.run).await;
    let mut open = watch(&server.client, &writer.run, writer.next).await;
    let server = server.restart().await;
    let ended = open.next_change().await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Unavailable, "{ended}");
    writer.client = server.client.clone();
    assert_eq!(state(&server.client, &writer.run).await, before, "the lease included");
    assert_eq!(compact(&server.client, &writer.run).await, 10);
    let after = state(&server.client, &writer.run).await;
    assert_eq!((&after.nodes, &after.queue), (&before.nodes, &before.queue));
    assert_eq!(after.nodes[2].receipts[0].receipt, "\"said at 9\"");
    let request = ReadEventsRequest { run: writer.run.clone(), ..ReadEventsRequest::default() };
    let page = server.client.read_events(request).await.unwrap();
    assert_eq!((page.events.len(), page.compacted_through, page.next_sequence), (1, 10, 0));
    assert_eq!(writer.send(last).await.unwrap().duplicates, 1, "its reply may have been lost");
    let gone = WatchRunRequest { run: writer.run.clone(), from_sequence: 4, ..WatchRunRequest::default() };
    let mut gone = server.client.watch_run(gone).await;
    let refused = match &mut gone {
        Err(error) => error.kind(),
        Ok(watch) => watch.next_change().await.unwrap_err().kind(),
    };
    assert_eq!(refused, ErrorKind::Precondition);
    writer.append(&[(RunNode, "0.2"), (NodeOutput, "0.2"), (DeleteNode, "0.2")]).await;

    let report = server.client.fsck(true).await.unwrap();
    assert!(report.clean, "{report:?}");
    server.client.compact().await.unwrap();
    let before = state(&server.client, &writer.run).await;
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = dir.path().join("backup");
    std::fs::write(&file, server.backup().await).unwrap();
    hivemem::server::restore(&file, data.path()).await.unwrap();
    let restored = Server::open(data).await;
    assert_eq!(state(&restored.client, &writer.run).await, before);
    writer.client = restored.client.clone();
    writer.works("0.3").await;
    restored.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_runs_at_once_keep_apart() {
    let server = Server::start().await;
    let one = |client: Client| async move {
        let mut writer = Writer::new(&client).await;
        writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
        for child in ["0.0", "0.1", "0.2"] {
            writer.works(child).await;
        }
        writer.append(&[(NodeOutput, "0"), (DeleteNode, "0")]).await;
        writer.end(RunStatus::Succeeded).await;
        writer.run
    };
    let began = Instant::now();
    let runs: Vec<_> = (0..100).map(|_| tokio::spawn(one(server.client.clone()))).collect();
    let mut ids = BTreeMap::new();
    for run in runs {
        let run = run.await.unwrap();
        let held = get(&server.client, &run).await;
        assert_eq!((held.nodes, held.nodes_finished, held.last_sequence, held.prompt_tokens), (4, 4, 17, 119));
        ids.insert(run, held.status());
    }
    assert!(ids.len() == 100 && ids.values().all(|status| *status == RunStatus::Succeeded));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let (mut listed, mut token) = (0, String::new());
    loop {
        let page = ListRunsRequest { page_size: 40, page_token: token, ..ListRunsRequest::default() };
        let page = server.client.list_runs(page).await.unwrap();
        listed += page.runs.len();
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, 100);
    let other = server.client.with_namespace("other");
    let id = ids.into_keys().next().unwrap();
    let hidden = GetRunRequest { run: id.clone(), ..GetRunRequest::default() };
    assert_eq!(other.get_run(hidden).await.unwrap_err().kind(), ErrorKind::NotFound);
    let gone = DeleteRunRequest { run: id, idempotency_key: "d".to_owned(), ..DeleteRunRequest::default() };
    assert_eq!(server.client.delete_run(gone.clone()).await.unwrap().events, 17);
    assert_eq!(server.client.delete_run(gone).await.unwrap().events, 17, "the first reply again");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_holds_what_the_nodes_around_remembered_and_not_what_its_reader_has() {
    let server = Server::start().await;
    let mut writer = Writer::new(&server.client).await;
    writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    writer.works("0.0").await;
    writer.append(&[(CreateNode, "0.1"), (CreateNode, "0.2"), (RunNode, "0.1"), (RunNode, "0.2")]).await;
    for (node, text) in
        [("0", "Call the whale Ishtar."), ("0.0", "The harbour is Nantes."), ("0.2", "Unfinished idea.")]
    {
        let memory = RememberRequest {
            text: text.to_owned(),
            run: writer.run.clone(),
            node: node.to_owned(),
            ..RememberRequest::default()
        };
        server.client.remember(memory).await.unwrap();
    }
    server.put(&[("guide", "Novels have chapters, and chapters have scenes.")]).await;
    let request = GatherContextRequest {
        task: "write chapter two of the novel".to_owned(),
        run: writer.run.clone(),
        node: "0.1".to_owned(),
        ..GatherContextRequest::default()
    };
    let first = server.client.gather_context(request.clone()).await.unwrap();
    assert!(
        first.text.contains("Ishtar") && first.text.contains("Nantes") && first.text.contains("scenes"),
        "{first:?}"
    );
    let counted =
        first.trace.iter().filter(|step| step.parts.iter().any(|part| part.name == "run" && part.value > 0.0));
    assert_eq!(counted.count(), 2);
    let held: Vec<String> = first.items.iter().map(|item| item.citation.clone()).collect();
    let second = GatherContextRequest { held, ..request.clone() };
    let second = server.client.gather_context(second).await.unwrap();
    assert!(second.items.is_empty() && second.tokens == 0, "{second:?}");
    assert!(second.trace.iter().all(|step| step.decision == "held"));
    for (bad, field) in [
        (GatherContextRequest { run: String::new(), ..request.clone() }, "run"),
        (GatherContextRequest { node: "7".to_owned(), ..request.clone() }, "node"),
        (GatherContextRequest { held: vec!["page 3".to_owned()], ..request.clone() }, "held"),
        (GatherContextRequest { map: true, ..request.clone() }, "run"),
    ] {
        let refused = server.client.gather_context(bad).await.unwrap_err();
        assert_eq!((refused.kind(), refused.details()[0].subject.as_str()), (ErrorKind::Invalid, field), "{refused}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_shows_answers_and_cancels() {
    let server = Server::start().await;
    let mut writer = Writer::new(&server.client).await;
    writer.append(&[(CreateNode, "0"), (RunNode, "0")]).await;
    writer.works("0.0").await;
    writer.append(&[(Question, "0")]).await;
    let run = writer.run.clone();
    let data = server.close().await;
    let swarm = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_hivemem"))
            .arg("swarm")
            .args(arguments)
            .arg("--data-dir")
            .arg(data.path())
            .env("HIVEMEM_SERVER", "http://127.0.0.1:1")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, listed, _) = swarm(&["ls", "--status", "open"]);
    assert!(listed.contains(&run) && listed.contains("1/2 nodes") && listed.contains("1 question"), "{listed}");
    let (_, shown, note) = swarm(&["show", &run, "--events"]);
    assert!(shown.contains("\n  0.0 write_text finished") && shown.contains("node_output"), "{shown}");
    assert!(shown.contains("0 asks: what now? (stop, go on)") && note.contains("swarm answer"), "{shown}{note}");
    let (code, _, refused) = swarm(&["answer", &run, "0", "dance"]);
    assert!(code == Some(2) && refused.contains("stop, go on"), "{refused}");
    let (code, answered, _) = swarm(&["answer", &run, "0", "go on"]);
    assert!(code == Some(0) && answered.contains("what now?"), "{answered}");
    let (_, cancelled, _) = swarm(&["cancel", &run]);
    assert!(cancelled.contains("writer") || cancelled.contains("has ended"), "{cancelled}");
    let (_, json, _) = swarm(&["show", &run, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["tree"][1]["node"], &json["cancel_requested"]), (&"0.0".into(), &true.into()), "{json}");
}
