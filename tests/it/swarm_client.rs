//! The thin runtime against a real server: resuming after a kill of either side, questions, two resumes, the command line.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hivemem_client::Client;
use hivemem_client::proto::{GetRunRequest, Run, RunEvent, RunStatus};
use hivemem_client::swarm::{
    Backend, Blueprint, NodeError, NodeTypes, Observer, Outcome, Question, ServerBackend, Settings, Spawn, Step, Swarm,
    SwarmError,
};
use serde_json::json;

use crate::support::Server;

fn swarm(client: &Client, types: &NodeTypes) -> Swarm {
    let backend: Arc<dyn Backend> = Arc::new(ServerBackend::new(client.clone()));
    let settings = Settings { backoff_ms: 1, memory: false, lease_ms: 1_000, ..Settings::default() };
    Swarm::new(backend).with_types(types.clone()).with_settings(settings)
}

fn leaves(count: u32) -> Vec<Blueprint> {
    (0..count).map(|number| Blueprint::new("leaf", json!({"number": number}))).collect()
}

/// Branches side by side with plans, an effect in each leaf.
fn types(effects: &Arc<Mutex<Vec<String>>>) -> NodeTypes {
    let types = NodeTypes::empty();
    let seen = Arc::clone(effects);
    let leaf = move |step: Arc<Step>| {
        let seen = Arc::clone(&seen);
        async move {
            if step.data["number"] == 1 && step.attempt == 1 {
                return Err(NodeError::again("the first attempt fails"));
            }
            let path = step.path.clone();
            let effect = |_| async move {
                seen.lock().unwrap().push(path);
                Ok(json!({"done": true}))
            };
            step.effect("touch", effect).await?;
            Ok(Outcome::Finish(json!(step.path)))
        }
    };
    types.add_function("leaf", "", json!({}), leaf).unwrap();
    let branch = |_| async { Ok(Outcome::Spawn(Spawn { children: leaves(2), then: leaves(3), keep: json!(1) })) };
    types.add_function("branch", "", json!({}), branch).unwrap();
    let root = |_| async {
        let branches = (0..5).map(|_| Blueprint::new("branch", json!({}))).collect();
        Ok(Outcome::parallel(branches))
    };
    types.add_function("root", "", json!({}), root).unwrap();
    types
}

async fn create(swarm: &Swarm, node_type: &str) -> String {
    swarm.create("a test", Blueprint::new(node_type, json!({}))).await.unwrap()
}

async fn get(client: &Client, run: &str) -> Run {
    let request = GetRunRequest { run: run.to_owned(), ..GetRunRequest::default() };
    client.get_run(request).await.unwrap().run.unwrap()
}

/// Tells after some events.
struct After(AtomicUsize, tokio::sync::Notify);

impl Observer for After {
    fn event(&self, _: &RunEvent) {
        if self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.1.notify_one();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_again_and_again_comes_to_the_same() {
    let server = Server::start().await;
    let effects = Arc::default();
    let types = types(&effects);
    let whole = swarm(&server.client, &types);
    let wanted = whole.resume(&create(&whole, "root").await).await.unwrap();
    assert_eq!((wanted.status, wanted.nodes), (RunStatus::Succeeded, 31));
    let did = {
        let mut did = std::mem::take(&mut *effects.lock().unwrap());
        did.sort();
        did
    };
    assert_eq!(did.len(), 25);

    let run = create(&whole, "root").await;
    let mut lives = 0;
    let end = loop {
        lives += 1;
        assert!(lives < 40, "it does not come to an end");
        let after = Arc::new(After(AtomicUsize::new(17 + lives), tokio::sync::Notify::new()));
        let swarm = swarm(&server.client, &types).observed_by(Arc::clone(&after) as Arc<dyn Observer>);
        tokio::select! {
            biased;
            () = after.1.notified() => {}
            end = swarm.resume(&run) => match end {
                Ok(end) => break end,
                // A killed holder's lease has to run out.
                Err(SwarmError::LeaseLost(_)) => tokio::time::sleep(Duration::from_millis(200)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    assert!(lives > 5, "{lives}");
    assert_eq!((end.status, &end.output), (RunStatus::Succeeded, &wanted.output));
    let mut again = effects.lock().unwrap().clone();
    again.sort();
    again.dedup();
    assert_eq!(again, did);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_and_a_question_in_between_keep_the_run() {
    let server = Server::start().await;
    let types = NodeTypes::builtin();
    let whole = swarm(&server.client, &types);
    let ask = Blueprint::new("ask_user_for_help", json!({"question": "Go on?", "choices": ["yes", "no"]}));
    let run = whole.create("a test", ask).await.unwrap();
    let client = server.client.clone();
    let answered = async {
        while get(&client, &run).await.open_questions == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let backend = ServerBackend::new(client.clone());
        assert!(backend.answer_question(&run, "0", "maybe").await.is_err());
        backend.answer_question(&run, "0", "yes").await.unwrap();
    };
    let (end, ()) = tokio::join!(whole.resume(&run), answered);
    assert_eq!(end.unwrap().output, json!("yes"));

    let asks = |step: Arc<Step>| async move {
        match &step.answer {
            Some(answer) => Ok(Outcome::Finish(json!(answer))),
            None => Ok(Outcome::Ask(Question { text: "Which?".into(), choices: Vec::new() })),
        }
    };
    types.add_function("asks", "", json!({}), asks).unwrap();
    let run = create(&whole, "asks").await;
    let after = Arc::new(After(AtomicUsize::new(3), tokio::sync::Notify::new()));
    let holder = whole.clone().observed_by(Arc::clone(&after) as Arc<dyn Observer>);
    tokio::select! {
        biased;
        () = after.1.notified() => {}
        end = holder.resume(&run) => panic!("{end:?}"),
    }
    drop((client, holder, whole));
    let server = server.restart().await;
    ServerBackend::new(server.client.clone()).answer_question(&run, "0", "this one").await.unwrap();
    let whole = swarm(&server.client, &types);
    let until = Instant::now() + Duration::from_secs(20);
    let end = loop {
        match whole.resume(&run).await {
            Err(SwarmError::LeaseLost(_)) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(100)).await
            }
            end => break end.unwrap(),
        }
    };
    assert_eq!(end.output, json!("this one"));
    drop(whole);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_resumes_one_wins_and_a_cancelled_run_ends() {
    let server = Server::start().await;
    let types = NodeTypes::empty();
    let slow = |_| async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Outcome::Finish(json!("done")))
    };
    types.add_function("slow", "", json!({}), slow).unwrap();
    types.add_function("hangs", "", json!({}), |_| std::future::pending()).unwrap();
    let one = swarm(&server.client, &types).held_by("the first one");
    let run = create(&one, "slow").await;
    let (first, second) = tokio::join!(one.resume(&run), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        swarm(&server.client, &types).held_by("the second one").resume(&run).await
    });
    assert_eq!(first.unwrap().output, json!("done"));
    let error = second.unwrap_err();
    assert!(matches!(&error, SwarmError::LeaseLost(winner) if winner.contains("the first one")), "{error}");

    let run = create(&one, "hangs").await;
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let request = hivemem_client::proto::CancelRunRequest { run: run.clone(), ..Default::default() };
        server.client.cancel_run(request).await.unwrap();
    };
    let (end, ()) = tokio::join!(one.resume(&run), cancel);
    assert_eq!(end.unwrap().status, RunStatus::Cancelled);
    assert_eq!(get(&server.client, &run).await.status(), RunStatus::Cancelled);
    drop(one);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_costs_little_with_a_server_in_between() {
    let server = Server::start().await;
    let types = NodeTypes::empty();
    types.add_function("leaf", "", json!({}), |_| async { Ok(Outcome::Finish(json!(1))) }).unwrap();
    types.add_function("root", "", json!({}), |_| async { Ok(Outcome::parallel(leaves(60))) }).unwrap();
    types
        .add_function("roots", "", json!({}), |_| async {
            Ok(Outcome::plan((0..8).map(|_| Blueprint::new("root", json!({}))).collect()))
        })
        .unwrap();
    let whole = swarm(&server.client, &types);
    let run = create(&whole, "roots").await;
    let began = Instant::now();
    let end = whole.resume(&run).await.unwrap();
    let per_node = began.elapsed() / u32::try_from(end.nodes).unwrap();
    println!("{} nodes, {per_node:?} each", end.nodes);
    assert!(end.status == RunStatus::Succeeded && per_node < Duration::from_millis(20), "{per_node:?}");
    drop(whole);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_questions_of_an_earlier_life_are_asked_at_the_prompt() {
    use std::process::Stdio;
    use tokio::io::{AsyncBufReadExt, BufReader};

    // More than one page of them.
    const QUESTIONS: usize = 60;
    let server = Server::start().await;
    let types = NodeTypes::builtin();
    let asks = |_| async {
        let ask = |number| Blueprint::new("ask_user_for_help", json!({"question": format!("Question {number}?")}));
        Ok(Outcome::parallel((0..QUESTIONS).map(ask).collect()))
    };
    types.add_function("break_down_goal", "", json!({}), asks).unwrap();
    let whole = swarm(&server.client, &types);
    let run = create(&whole, "break_down_goal").await;
    let asked = async {
        while get(&server.client, &run).await.open_questions < QUESTIONS as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        end = whole.resume(&run) => panic!("{end:?}"),
        () = asked => {}
    }
    drop(whole);
    let data = server.close().await;
    // The lease of the first life runs out meanwhile.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_hivemem"))
        .args(["swarm", "resume", &run, "--data-dir"])
        .arg(data.path())
        .env("HIVEMEM_SERVER", "http://127.0.0.1:1")
        .env_remove("HIVEMEM_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = std::collections::BTreeSet::new();
    let read = async {
        while told.len() < QUESTIONS {
            let line = lines.next_line().await.unwrap().expect("it waits for answers");
            told.extend(line.split_once(" asks: ").map(|(_, question)| question.to_owned()));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.unwrap();
    child.kill().await.unwrap();
}

/// An endpoint whose model says the same after a while.
async fn endpoint() -> String {
    async fn say() -> ([(&'static str, &'static str); 1], String) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let piece = json!({"choices": [{"delta": {"content": "a text about lanterns"}}]});
        ([("content-type", "text/event-stream")], format!("data: {piece}\n\ndata: [DONE]\n\n"))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let app = axum::Router::new().route("/v1/chat/completions", axum::routing::post(say));
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_goes_on_with_a_run_whose_process_was_killed() {
    use std::process::Stdio;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::process::Command;

    let (data, url) = (tempfile::tempdir().unwrap(), endpoint().await);
    let hivemem = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hivemem"));
        // Nobody listens on port 1, so the server is within the process and is killed with it.
        command.args(arguments).arg("--data-dir").arg(data.path()).env("HIVEMEM_SERVER", "http://127.0.0.1:1");
        command.env("HIVEMEM_LLM_BASE_URL", &url).env_remove("HIVEMEM_TOKEN").stdin(Stdio::null()).kill_on_drop(true);
        command
    };
    let mut child = hivemem(&["swarm", "run", "draft an e-mail"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap().unwrap();
    let run = line.split([' ', ';']).nth(1).unwrap().to_owned();
    // The model is being asked by now, or is about to be.
    tokio::time::sleep(Duration::from_secs(1)).await;
    child.kill().await.unwrap();

    let until = Instant::now() + Duration::from_secs(60);
    let output = loop {
        let output = hivemem(&["swarm", "resume", &run]).output().await.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            break output;
        }
        assert!(stderr.contains("another process works on this run: ") && Instant::now() < until, "{stderr}");
    };
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a text about lanterns\n");
    let again = hivemem(&["swarm", "resume", "--json", &run]).output().await.unwrap();
    let end: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&end["status"], &end["output"]), (&json!("succeeded"), &json!("a text about lanterns")));
}
