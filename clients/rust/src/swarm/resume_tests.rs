//! What a run must not lose or do twice: effects of functions, contexts, failures, tokens, approvals, its end.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tonic::Code;

use super::super::llm::{Message, Model, OnText, Reply};
use super::super::{Backend, Blueprint, NodeError, NodeResult, Outcome, Question, Step, SwarmError};
use super::super::{Usage, tree};
use super::tests::World;
use crate::proto::run_event::Kind;
use crate::proto::{NodePhase, RunEvent, RunStatus};

/// Events from number 1 on of a process that is gone.
async fn written(world: &World, run: &str, events: Vec<RunEvent>) {
    let (fence, _) = world.backend.acquire_run(run, "one that is gone", Duration::from_secs(60)).await.unwrap();
    let events = (1..).zip(events).map(|(sequence, event)| RunEvent { sequence, ..event }).collect();
    world.backend.append_events(run, fence, events).await.unwrap();
    world.backend.expire_lease(run).unwrap();
}

fn created(node_type: &str) -> RunEvent {
    RunEvent { node_type: node_type.to_owned(), data: "{}".to_owned(), ..tree::event(Kind::CreateNode, "0") }
}

#[tokio::test]
async fn functions_called_from_one_node_have_effects_of_their_own() {
    let world = World::new();
    let did = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&did);
    world.does("touch", move |step| {
        let seen = Arc::clone(&seen);
        async move {
            let touched = step.data["file"].clone();
            let receipt = step.effect("touch", |_| async move {
                seen.lock().unwrap().push(touched.clone());
                Ok(touched)
            });
            Ok(Outcome::Finish(receipt.await?))
        }
    });
    world.does("calls", |step| async move {
        let mut touched = Vec::new();
        // The order of fields is not what it is called with.
        let other = if step.attempt == 1 { json!({"file": 2, "x": 0}) } else { json!({"x": 0, "file": 2}) };
        for arguments in [json!({"file": 1}), other] {
            touched.push(step.exec_function("touch", &arguments).await?);
        }
        if step.attempt == 1 { Err(NodeError::again("once more")) } else { Ok(Outcome::Finish(json!(touched))) }
    });
    let end = world.run("calls").await;
    assert_eq!((end.output, did.lock().unwrap().clone()), (json!([1, 2]), vec![json!(1), json!(2)]));
    let plain = world.run("touch").await;
    let keys = |run| world.backend.events(run).into_iter().filter(|event| event.kind() == Kind::Receipt);
    assert_eq!(keys(&plain.run).next().unwrap().key, "touch", "runs of earlier versions go on");
    world.does(
        "oddly",
        |step| async move { step.effect("a\nb", |_| async { Ok(json!(1)) }).await.map(Outcome::Finish) },
    );
    let end = world.run("oddly").await;
    assert!(end.output.to_string().contains("can't name an effect"), "{}", end.output);
}

#[tokio::test]
async fn a_node_that_runs_out_of_time_while_its_receipt_is_written_does_nothing_twice() {
    let mut world = World::new();
    world.settings.node_timeout_ms = 50;
    let did = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&did);
    world.does("touch", move |step| {
        let counted = Arc::clone(&counted);
        async move {
            let receipt = step.effect("touch", |_| async move { Ok(json!(counted.fetch_add(1, Ordering::Relaxed))) });
            Ok(Outcome::Finish(receipt.await?))
        }
    });
    let run = world.create("touch").await;
    world.backend.break_at(3, false, Code::Unavailable);
    let swarm = world.swarm();
    let mend = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.backend.mend();
    };
    let (end, ()) = tokio::join!(swarm.resume(&run), mend);
    let end = end.unwrap();
    assert_eq!((end.status, end.output, did.load(Ordering::Relaxed)), (RunStatus::Succeeded, json!(0), 1));
    let failed = world.kinds(&run, "0").contains(&Kind::NodeError);
    assert!(failed, "it ran out of time");
}

/// Says something useless, then nothing any more.
struct Falters(AtomicU32);

#[tonic::async_trait]
impl Model for Falters {
    async fn complete(&self, _: &[Message], _: Option<&Value>, _: OnText<'_>) -> Result<Reply, NodeError> {
        if self.0.fetch_add(1, Ordering::Relaxed) > 0 {
            std::future::pending::<()>().await;
        }
        let usage = Usage { prompt_tokens: 30, completion_tokens: 12 };
        Ok(Reply { text: "no".to_owned(), usage, ..Reply::default() })
    }
}

#[tokio::test]
async fn what_a_model_has_cost_counts_when_its_node_runs_out_of_time() {
    let mut world = World::new();
    (world.settings.node_timeout_ms, world.settings.attempts_max) = (50, 1);
    let schema = json!({"type": "object"});
    world.does("asks", move |step| {
        let schema = schema.clone();
        async move { step.ask_json("", "", &schema).await.map(Outcome::Finish) }
    });
    let run = world.create("asks").await;
    let end = world.swarm().with_model(Arc::new(Falters(AtomicU32::new(0)))).resume(&run).await.unwrap();
    assert_eq!((end.status, end.tokens), (RunStatus::Failed, 42));
    assert_eq!(world.backend.run(&run).unwrap().prompt_tokens, 30);
}

#[tokio::test]
async fn a_context_stands_before_the_nodes_below_after_a_resume_too() {
    /// Says what it was given, after a child that does.
    struct Reader(bool);
    #[tonic::async_trait]
    impl crate::swarm::NodeType for Reader {
        fn description(&self) -> &str {
            "reads"
        }

        fn task(&self, _: &Value) -> Option<String> {
            Some("gather lanterns".into())
        }

        async fn execute(&self, step: &Arc<Step>) -> NodeResult {
            if step.depth() == 0 {
                return Ok(Outcome::child("read", json!({})));
            }
            if self.0 {
                std::future::pending::<()>().await;
            }
            let read: Vec<&str> = step.packs.iter().map(|pack| pack.text.trim()).collect();
            Ok(Outcome::Finish(json!(read)))
        }
    }
    let world = World::new();
    let memory = crate::proto::RememberRequest { text: "lanterns are red".into(), ..Default::default() };
    world.backend.remember(memory).await.unwrap();
    world.types.add("read", Arc::new(Reader(true))).unwrap();
    let run = world.create("read").await;
    let swarm = world.swarm();
    let begun = async {
        while !world.kinds(&run, "0.0").contains(&Kind::RunNode) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        end = swarm.resume(&run) => panic!("{end:?}"),
        () = begun => world.backend.expire_lease(&run).unwrap(),
    }
    world.types.add("read", Arc::new(Reader(false))).unwrap();
    let end = world.swarm().resume(&run).await.unwrap();
    assert_eq!(end.output, json!(["lanterns are red", ""]), "the parent's, then its own without what that holds");
}

#[tokio::test]
async fn kills_are_no_failures() {
    let mut world = World::new();
    world.settings.attempts_max = 2;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    world.does("once", move |_| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if first { Err(NodeError::again("not yet")) } else { Ok(Outcome::Finish(json!("well"))) } }
    });
    let run = world.create("once").await;
    let begun = tree::event(Kind::RunNode, "0");
    written(&world, &run, vec![created("once"), begun.clone(), begun.clone(), begun.clone(), begun]).await;
    assert_eq!(world.swarm().resume(&run).await.unwrap().output, json!("well"));

    // What failed counts across lives.
    let run = world.create("once").await;
    let failed = RunEvent { waits: true, output: r#"{"error":"no"}"#.into(), ..tree::event(Kind::NodeError, "0") };
    written(&world, &run, vec![created("once"), tree::event(Kind::RunNode, "0"), failed]).await;
    calls.store(0, Ordering::Relaxed);
    let end = world.swarm().resume(&run).await.unwrap();
    assert_eq!((end.status, end.output), (RunStatus::Failed, json!({"error": "not yet"})));
}

#[tokio::test]
async fn a_run_whose_root_was_done_is_ended() {
    let world = World::new();
    let run = world.create("gone").await;
    let output = RunEvent { output: "7".into(), ..tree::event(Kind::NodeOutput, "0") };
    let (begun, deleted) = (tree::event(Kind::RunNode, "0"), tree::event(Kind::DeleteNode, "0"));
    written(&world, &run, vec![created("gone"), begun, output, deleted]).await;
    assert_eq!(world.swarm().resume(&run).await.unwrap().output, json!(7));
    let held = world.backend.run(&run).unwrap();
    assert_eq!((held.status(), held.result.as_str()), (RunStatus::Succeeded, "7"));
}

#[tokio::test]
async fn a_resume_without_the_types_of_a_run_leaves_it_alone() {
    let world = World::new();
    let run = world.create("here").await;
    let waiting = json!({"from": 0, "base": 1, "then": [{"type": "later", "data": {}}], "keep": null}).to_string();
    let spawned = RunEvent { output: waiting, waits: true, ..tree::event(Kind::NodeOutput, "0") };
    let child = RunEvent { node: "0.0".into(), ..created("elsewhere") };
    written(&world, &run, vec![created("here"), tree::event(Kind::RunNode, "0"), spawned, child]).await;
    world.does("here", |_| async { Err(NodeError::fatal("it has been executed before")) });
    let error = world.swarm().resume(&run).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, SwarmError::Invalid(_)) && said.contains("elsewhere") && said.contains("later"), "{said}");
    assert!(!said.contains(" here ("), "{said}");
    assert_eq!(world.backend.events(&run).len(), 4, "nothing was done");
    for name in ["elsewhere", "later"] {
        world.does(name, |step| async move { Ok(Outcome::Finish(json!(step.node_type))) });
    }
    assert_eq!(world.swarm().resume(&run).await.unwrap().output, json!(["elsewhere", "later"]));
}

#[tokio::test]
async fn what_the_server_would_refuse_fails_the_node_and_not_the_run() {
    let mut world = World::new();
    world.settings.attempts_max = 2;
    let did = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&did);
    world.does("floods", move |step| {
        let counted = Arc::clone(&counted);
        async move {
            let flood = |_| async move {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok(json!("\u{1}".repeat(300_000)))
            };
            step.effect("flood", flood).await.map(|_| Outcome::Finish(json!(1)))
        }
    });
    world.does("wordy", |_| async { Ok(Outcome::Ask(Question { text: "?".repeat(1_200_000), choices: Vec::new() })) });
    world.does("chatty", |step| async move {
        (0..100).for_each(|_| step.note("n".repeat(50_000)));
        Ok(Outcome::Finish(json!(1)))
    });
    world.does("angry", |_| async { Err(NodeError::fatal("\u{1}".repeat(1_000_000))) });
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    world.types.add_function("strict", "", schema, |_| async { Ok(Outcome::Finish(json!(1))) }).unwrap();
    world.does("misfit", |_| async { Ok(Outcome::child("strict", json!({"n": "x".repeat(200_000)}))) });
    for (name, says) in [("floods", "the receipt of flood"), ("wordy", "the question"), ("angry", ""), ("misfit", "/n")]
    {
        let end = world.run(name).await;
        let error = end.output["error"].as_str().unwrap();
        assert!(end.status == RunStatus::Failed && error.contains(says), "{name}: {error:.300}");
        assert!(error.len() < 9_000, "{name}: {} bytes", error.len());
        assert_eq!(world.backend.run(&end.run).unwrap().status(), RunStatus::Failed, "{name}");
    }
    assert_eq!(did.load(Ordering::Relaxed), 1, "it would flood again");
    assert_eq!(world.run("chatty").await.status, RunStatus::Succeeded);
    let never = |_| async { Ok(Outcome::Finish(json!(1))) };
    assert!(world.types.add_function(&"x".repeat(300), "", json!({}), never).is_err());

    for change in [
        |settings: &mut super::Settings| settings.depth_max = 64,
        |settings: &mut super::Settings| settings.nodes_max = 100_001,
        |settings: &mut super::Settings| settings.fan_out_max = 1_000,
        |settings: &mut super::Settings| settings.node_bytes_max = 1024 * 1024,
    ] {
        let mut world = World::new();
        change(&mut world.settings);
        let error = world.swarm().create("a test", Blueprint::new("leaf", json!({}))).await.unwrap_err();
        assert!(matches!(&error, SwarmError::Invalid(message) if message.contains("_max is ")), "{error}");
    }
}

/// Answers each question, the next word each time; what was asked.
async fn people(world: &World, run: &str, words: &[&str]) -> Vec<String> {
    let mut asked = Vec::new();
    while asked.len() < words.len() {
        let nodes = world.backend.read_state(run).await.unwrap().nodes;
        if let Some(node) = nodes.into_iter().find(|node| node.phase() == NodePhase::Asking && !node.answered) {
            world.backend.answer_question(run, &node.node, words[asked.len()]).await.unwrap();
            asked.push(node.question);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    asked
}

#[tokio::test]
async fn people_approve_each_execution_and_a_refusal_fails_the_node_with_their_words() {
    let mut world = World::new();
    world.settings.approve = true;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    world.does("leaf", move |step| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            match &step.answer {
                _ if first => Err(NodeError::again("a repeat is not asked for")),
                Some(answer) => Ok(Outcome::Finish(json!(answer))),
                None => Ok(Outcome::Ask(Question { text: "Which?".into(), choices: Vec::new() })),
            }
        }
    });
    world.does("fork", |_| async { Ok(Outcome::child("leaf", json!({"colour": "red"}))) });
    let run = world.create("fork").await;
    let swarm = world.swarm();
    let (end, asked) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(10), swarm.resume(&run)),
        people(&world, &run, &["yes", " Yes", "blue", "ok"])
    );
    assert_eq!(end.unwrap().unwrap().output, json!("blue"));
    assert!(asked[0].contains("node 0 ") && asked[3].contains("node 0 "), "{asked:?}");
    assert!(asked[1].contains("leaf") && asked[1].contains("red"), "{asked:?}");
    assert_eq!(asked[2], "Which?");

    let run = world.create("fork").await;
    let (end, _) = tokio::join!(swarm.resume(&run), people(&world, &run, &["yes", "not in red", "yes"]));
    let error = end.unwrap().output["error"].as_str().unwrap().to_owned();
    assert!(error.contains("not approved: not in red"), "{error}");
    assert_eq!(runs.load(Ordering::Relaxed), 3, "what is refused is not executed");
}

#[tokio::test]
async fn approvals_are_remembered_and_easily_taken_away() {
    let mut world = World::new();
    world.settings.approve = true;
    world.does("leaf", |step| async move {
        assert!(step.answer.is_none(), "it asked nothing itself");
        Ok(Outcome::Finish(json!(1)))
    });
    // Approved while nobody worked on it, and not asked again.
    let run = world.create("leaf").await;
    let swarm = world.swarm();
    let asked = async {
        while world.backend.run(&run).unwrap().open_questions == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        end = swarm.resume(&run) => panic!("{end:?}"),
        () = asked => world.backend.expire_lease(&run).unwrap(),
    }
    world.backend.answer_question(&run, "0", "yes").await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), swarm.resume(&run)).await.unwrap().unwrap();
    assert_eq!(end.status, RunStatus::Succeeded);
    let questions = world.kinds(&run, "0").into_iter().filter(|kind| *kind == Kind::Question).count();
    assert_eq!(questions, 1);

    // Without approvals nobody has to answer any more, but a refusal that was said counts.
    for said in [None, Some("never")] {
        let run = world.create("leaf").await;
        let asked = async {
            while world.backend.run(&run).unwrap().open_questions == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            end = swarm.resume(&run) => panic!("{end:?}"),
            () = asked => world.backend.expire_lease(&run).unwrap(),
        }
        if let Some(said) = said {
            world.backend.answer_question(&run, "0", said).await.unwrap();
        }
        world.settings.approve = false;
        let end = tokio::time::timeout(Duration::from_secs(10), world.swarm().resume(&run)).await.unwrap().unwrap();
        world.settings.approve = true;
        let wanted = if said.is_none() { RunStatus::Succeeded } else { RunStatus::Failed };
        assert_eq!((end.status, world.backend.run(&run).unwrap().open_questions), (wanted, 0), "{said:?}");
    }
}

#[tokio::test]
async fn the_fake_takes_all_of_an_append_or_nothing() {
    let world = World::new();
    let run = world.create("leaf").await;
    let (fence, _) = world.backend.acquire_run(&run, "a test", Duration::from_secs(60)).await.unwrap();
    let at = |sequence, event: RunEvent| RunEvent { sequence, ..event };
    let begun = || tree::event(Kind::RunNode, "0");
    world.backend.append_events(&run, fence, vec![at(1, created("leaf"))]).await.unwrap();
    let before = world.backend.read_state(&run).await.unwrap();
    let child = RunEvent { node: "0.0".into(), ..created("leaf") };
    for bad in [tree::event(Kind::DeleteNode, "0.7"), RunEvent { key: "a\n".into(), ..tree::event(Kind::Receipt, "0") }]
    {
        let events = vec![at(2, begun()), at(3, child.clone()), at(4, bad)];
        world.backend.append_events(&run, fence, events).await.unwrap_err();
        let after = world.backend.read_state(&run).await.unwrap();
        assert_eq!((&after.run, &after.nodes, &after.queue), (&before.run, &before.nodes, &before.queue));
    }
    world.backend.append_events(&run, fence, vec![at(2, begun())]).await.unwrap();
}
