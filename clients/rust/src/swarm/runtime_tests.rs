//! The loop against the strict fake: lifecycles, limits, and runs that are stopped at every event.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use tonic::Code;

use super::*;
use crate::proto::run_event::Kind;
use crate::swarm::{MemoryBackend, NodeResult, Question, Spawn, combine};

/// What nodes did to the world, by place.
type Effects = Arc<Mutex<Vec<String>>>;

pub(super) struct World {
    pub backend: Arc<MemoryBackend>,
    pub types: NodeTypes,
    pub settings: Settings,
}

impl World {
    pub fn new() -> Self {
        let settings = Settings { backoff_ms: 1, patience_ms: 2_000, ..Settings::default() };
        Self { backend: Arc::default(), types: NodeTypes::empty(), settings }
    }

    pub fn does<F, R>(&self, name: &str, function: F)
    where
        F: Fn(Arc<Step>) -> R + Send + Sync + 'static,
        R: Future<Output = NodeResult> + Send + 'static,
    {
        self.types.add_function(name, "for a test", json!({}), function).unwrap();
    }

    pub fn swarm(&self) -> Swarm {
        let backend: Arc<dyn Backend> = self.backend.clone();
        Swarm::new(backend).with_types(self.types.clone()).with_settings(self.settings.clone())
    }

    pub async fn create(&self, node_type: &str) -> String {
        self.swarm().create("a test", Blueprint::new(node_type, json!({}))).await.unwrap()
    }

    pub async fn run(&self, node_type: &str) -> RunEnd {
        let run = self.create(node_type).await;
        tokio::time::timeout(Duration::from_secs(30), self.swarm().resume(&run)).await.unwrap().unwrap()
    }

    pub fn kinds(&self, run: &str, node: &str) -> Vec<Kind> {
        self.backend.events(run).iter().filter(|event| event.node == node).map(RunEvent::kind).collect()
    }
}

fn children(node_type: &str, count: u32) -> Vec<Blueprint> {
    (0..count).map(|number| Blueprint::new(node_type, json!({"number": number}))).collect()
}

/// A run of 30 nodes: branches side by side, plans, a node that fails once, one that is reviewed by a child.
fn thirty(effects: &Effects) -> World {
    let world = World::new();
    let seen = Arc::clone(effects);
    world.does("leaf", move |step| {
        let seen = Arc::clone(&seen);
        async move {
            if step.data["number"] == 1 && step.attempt == 1 {
                return Err(NodeError::again("the first attempt fails"));
            }
            let path = step.path.clone();
            step.effect("touch", |_| async move {
                seen.lock().unwrap().push(path);
                Ok(json!(1))
            })
            .await?;
            Ok(Outcome::Finish(json!(format!("leaf {} is done", step.path))))
        }
    });
    world.does("branch", |_| async {
        let spawn = Spawn { children: children("leaf", 2), then: children("leaf", 3), keep: json!("kept") };
        Ok(Outcome::Spawn(spawn))
    });
    world.does("fork", |_| async { Ok(Outcome::parallel(children("leaf", 4))) });
    world.types.add("root", Arc::new(Root)).unwrap();
    world
}

struct Root;

#[tonic::async_trait]
impl crate::swarm::NodeType for Root {
    fn description(&self) -> &str {
        "spawns everything, then one more child, then is done"
    }

    async fn execute(&self, _: &Arc<Step>) -> NodeResult {
        let (children, then) = (children("branch", 3), children("fork", 2));
        Ok(Outcome::Spawn(Spawn { children, then, keep: json!({"asked": "for a review"}) }))
    }

    async fn resume(&self, step: &Arc<Step>) -> NodeResult {
        match step.children.len() {
            5 => Ok(Outcome::keeping("leaf", json!({"number": 9}), step.keep.clone())),
            _ if step.keep["asked"] == "for a review" => combine(step),
            _ => Err(NodeError::fatal("what was kept is lost")),
        }
    }
}

/// What a run leaves: its result, what it did, what it remembered.
fn left(world: &World, effects: &Effects, end: &RunEnd) -> (RunStatus, Value, BTreeSet<String>, BTreeSet<String>) {
    let done = effects.lock().unwrap().iter().cloned().collect();
    let memories = world.backend.memories().into_iter().map(|memory| memory.node + ": " + &memory.text).collect();
    (end.status, end.output.clone(), done, memories)
}

#[tokio::test]
async fn a_run_that_is_stopped_at_any_event_comes_to_the_same() {
    let effects = Effects::default();
    let world = thirty(&effects);
    let whole = world.run("root").await;
    assert_eq!((whole.status, whole.nodes), (RunStatus::Succeeded, 30));
    let wanted = left(&world, &effects, &whole);
    let events = world.backend.events(&whole.run).len() as u64;
    assert!(events > 30 * 4, "{events}");
    assert_eq!(effects.lock().unwrap().len(), wanted.2.len(), "nothing is done twice");

    for stored in [false, true] {
        for stop in 1..=events {
            let effects = Effects::default();
            let world = thirty(&effects);
            let run = world.create("root").await;
            world.backend.break_at(stop, stored, Code::Internal);
            let swarm = world.swarm();
            let broken = swarm.resume(&run).await;
            // With the reply to the very last append lost the run has ended, and the state says so.
            world.backend.mend();
            let end = match broken {
                Err(_) if world.backend.run(&run).unwrap().status() == RunStatus::Open => {
                    swarm.resume(&run).await.unwrap()
                }
                Err(_) => continue,
                // Retries were fewer this time, and so were events.
                Ok(end) => end,
            };
            let twice = effects.lock().unwrap().len() - wanted.2.len();
            assert!(twice <= swarm.settings.parallel, "stopped at {stop}: {twice} effects twice");
            assert_eq!(left(&world, &effects, &end), wanted, "stopped at {stop}, stored: {stored}");
        }
    }
}

#[tokio::test]
async fn a_process_that_is_killed_after_any_event_leaves_a_run_that_goes_on() {
    let effects = Effects::default();
    let whole = thirty(&effects);
    let end = whole.run("root").await;
    let wanted = left(&whole, &effects, &end);

    /// Kills by being the one who hears of an event.
    struct Killer(AtomicUsize, tokio::sync::Notify);
    impl Observer for Killer {
        fn event(&self, _: &RunEvent) {
            if self.0.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.1.notify_one();
            }
        }
    }
    let effects = Effects::default();
    let world = thirty(&effects);
    let run = world.create("root").await;
    // One run, killed again and again, each time a few events further on.
    for life in 0..1_000 {
        let killer = Arc::new(Killer(AtomicUsize::new(1 + life % 23), tokio::sync::Notify::new()));
        let swarm = world.swarm().observed_by(Arc::clone(&killer) as Arc<dyn Observer>);
        tokio::select! {
            biased;
            () = killer.1.notified() => world.backend.expire_lease(&run).unwrap(),
            end = swarm.resume(&run) => {
                match end {
                    Ok(end) => {
                        assert!(life > 10, "killed {life} times only");
                        assert_eq!(left(&world, &effects, &end), wanted);
                        return;
                    }
                    // The append that was under way when it was killed came to its end after the new lease.
                    Err(SwarmError::LeaseLost(_)) => {}
                    Err(error) => {
                        assert_eq!(world.backend.run(&run).unwrap().status(), RunStatus::Succeeded, "{error}");
                        return;
                    }
                }
            }
        }
    }
    panic!("it does not come to an end");
}

#[tokio::test]
async fn of_two_resumes_one_wins_and_the_other_is_told_who() {
    let world = World::new();
    world.does("slow", |_| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(Outcome::Finish(json!("done")))
    });
    let run = world.create("slow").await;
    let (one, other) = (world.swarm().held_by("one"), world.swarm().held_by("other"));
    let (first, second) = tokio::join!(one.resume(&run), other.resume(&run));
    assert_eq!(first.unwrap().output, json!("done"));
    let error = second.unwrap_err();
    assert!(matches!(&error, SwarmError::LeaseLost(winner) if winner.contains("held by one")), "{error}");
}

#[tokio::test]
async fn a_holder_whose_lease_was_taken_stops_and_writes_nothing_more() {
    let mut world = World::new();
    world.settings.lease_ms = 30;
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    world.does("slow", move |_| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if first {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Ok(Outcome::Finish(json!("by the second")))
        }
    });
    let run = world.create("slow").await;
    let swarm = world.swarm().held_by("the first");
    let first = tokio::spawn({
        let run = run.clone();
        async move { swarm.resume(&run).await }
    });
    while calls.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.backend.expire_lease(&run).unwrap();
    let end = world.swarm().held_by("the second").resume(&run).await.unwrap();
    assert_eq!(end.output, json!("by the second"));
    let error = tokio::time::timeout(Duration::from_secs(5), first).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(&error, SwarmError::LeaseLost(winner) if winner.contains("the second")), "{error}");
}

#[tokio::test]
async fn spawning_without_end_stops_at_the_budget() {
    let mut world = World::new();
    world.settings.nodes_max = 50;
    world.settings.depth_max = 63;
    world.does("endless", |_| async { Ok(Outcome::parallel(children("endless", 2))) });
    let end = world.run("endless").await;
    assert_eq!(end.status, RunStatus::Failed);
    assert!(end.output.to_string().contains("nodes_max"), "{}", end.output);
    assert!(end.nodes <= 50);

    let mut deep = World::new();
    deep.settings.depth_max = 5;
    deep.does("deep", |_| async { Ok(Outcome::child("deep", json!({}))) });
    let end = deep.run("deep").await;
    assert!(end.output.to_string().contains("depth_max") && end.nodes == 6, "{end:?}");

    let wide = World::new();
    wide.does("wide", |_| async { Ok(Outcome::plan(children("wide", 65))) });
    let end = wide.run("wide").await;
    assert!(end.output.to_string().contains("fan_out_max"), "{}", end.output);
}

#[tokio::test]
async fn what_can_not_be_used_fails_its_node_and_says_why() {
    let mut world = World::new();
    world.settings.node_timeout_ms = 50;
    world.settings.attempts_max = 2;
    world.does("panics", |step| async move {
        assert!(step.attempt == 0, "on purpose");
        Ok(Outcome::Finish(json!(1)))
    });
    world.does("hangs", |_| async { std::future::pending().await });
    world.does("unknown_child", |_| async { Ok(Outcome::child("nobody_knows_it", json!({}))) });
    world.does("none", |_| async { Ok(Outcome::parallel(Vec::new())) });
    world.does("large", |_| async { Ok(Outcome::Finish(json!("x".repeat(300_000)))) });
    world.does("heavy", |_| async {
        let child = Blueprint::new("heavy", json!({"text": "x".repeat(200_000)}));
        Ok(Outcome::parallel(vec![child; 12]))
    });
    world.does("silent", |_| async { Ok(Outcome::Ask(Question::default())) });
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    world.types.add_function("strict", "", schema, |_| async { Ok(Outcome::Finish(json!(1))) }).unwrap();
    world.does("misfit", |_| async { Ok(Outcome::child("strict", json!({"n": "one"}))) });
    for (name, says) in [
        ("panics", "panicked"),
        ("hangs", "node_timeout_ms"),
        ("unknown_child", "nobody_knows_it"),
        ("none", "no children"),
        ("large", "node_bytes_max"),
        ("heavy", "together"),
        ("silent", "no text"),
        ("misfit", "/n"),
        ("nothing_at_all", "no node type"),
    ] {
        let end = world.run(name).await;
        assert_eq!(end.status, RunStatus::Failed, "{name}");
        assert!(end.output["error"].as_str().unwrap().contains(says), "{name}: {}", end.output);
    }
}

#[tokio::test]
async fn an_attempt_is_repeated_and_the_history_says_so() {
    let world = World::new();
    world.does("third", |step| async move {
        if step.attempt < 3 { Err(NodeError::again("not yet")) } else { Ok(Outcome::Finish(json!(step.attempt))) }
    });
    let end = world.run("third").await;
    assert_eq!(end.output, json!(3));
    use Kind::{CreateNode, DeleteNode, NodeError as Failed, NodeOutput, RunNode};
    let wanted = [CreateNode, RunNode, Failed, RunNode, Failed, RunNode, NodeOutput, DeleteNode];
    assert_eq!(world.kinds(&end.run, "0"), wanted);

    let limited = World::new();
    limited.does("never", |_| async { Err(NodeError::again("no")) });
    let end = limited.run("never").await;
    assert_eq!(limited.kinds(&end.run, "0").iter().filter(|kind| **kind == Kind::RunNode).count(), 3);
}

#[tokio::test]
async fn a_plan_goes_on_step_by_step_and_ends_with_a_step_that_fails() {
    let world = World::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    world.does("step", move |step| {
        let seen = Arc::clone(&seen);
        async move {
            seen.lock().unwrap().push(step.path.clone());
            match step.data["number"].as_u64() {
                Some(2) => Err(NodeError::fatal("the third step can't be done")),
                _ => Ok(Outcome::Finish(step.data["number"].clone())),
            }
        }
    });
    world.does("plan", |_| async { Ok(Outcome::plan(children("step", 5))) });
    let end = world.run("plan").await;
    assert_eq!(*order.lock().unwrap(), ["0.0", "0.1", "0.2"]);
    assert!(end.status == RunStatus::Failed && end.output.to_string().contains("third step"), "{end:?}");
}

#[tokio::test]
async fn a_question_waits_for_its_answer_across_lives() {
    let world = World::new();
    let ask = |step: Arc<Step>| async move {
        match &step.answer {
            Some(answer) => Ok(Outcome::Finish(json!(answer))),
            None => Ok(Outcome::Ask(Question { text: "Which?".into(), choices: Vec::new() })),
        }
    };
    world.does("ask", ask);
    let run = world.create("ask").await;
    let asked = async {
        while world.backend.run(&run).unwrap().open_questions == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let swarm = world.swarm();
    tokio::select! {
        end = swarm.resume(&run) => panic!("nobody has answered: {end:?}"),
        () = asked => {}
    }
    // Answered while nobody works on it.
    world.backend.expire_lease(&run).unwrap();
    assert!(world.backend.answer_question(&run, "0.7", "nobody asks there").await.is_err());
    world.backend.answer_question(&run, "0", "this one").await.unwrap();
    assert_eq!(world.swarm().resume(&run).await.unwrap().output, json!("this one"));

    // Answered while it runs.
    let run = world.create("ask").await;
    let answer = async {
        while world.backend.answer_question(&run, "0", "that one").await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let swarm = world.swarm();
    let (end, ()) = tokio::join!(swarm.resume(&run), answer);
    assert_eq!(end.unwrap().output, json!("that one"));
}

#[tokio::test]
async fn a_run_ends_when_somebody_cancels_it_or_its_time_is_over() {
    let mut world = World::new();
    world.settings.lease_ms = 30;
    world.does("hangs", |_| async { std::future::pending().await });
    let run = world.create("hangs").await;
    world.backend.cancel(&run).unwrap();
    let end = world.swarm().resume(&run).await.unwrap();
    assert_eq!(end.status, RunStatus::Cancelled);
    assert_eq!(world.backend.run(&run).unwrap().status(), RunStatus::Cancelled);

    world.settings.run_timeout_ms = 30;
    let end = world.run("hangs").await;
    assert!(end.status == RunStatus::Failed && end.output.to_string().contains("run_timeout_ms"), "{end:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_for_a_while_is_waited_for() {
    let world = World::new();
    world.does("leaf", |step| async move { Ok(Outcome::Finish(json!(step.path))) });
    world.does("fork", |_| async { Ok(Outcome::parallel(children("leaf", 4))) });
    let run = world.create("fork").await;
    world.backend.break_at(4, true, Code::Unavailable);
    let swarm = world.swarm();
    let mend = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        world.backend.mend();
    };
    let (end, ()) = tokio::join!(swarm.resume(&run), mend);
    assert_eq!(end.unwrap().status, RunStatus::Succeeded);

    let mut hasty = World::new();
    hasty.settings.patience_ms = 100;
    hasty.does("leaf", |_| async { Ok(Outcome::Finish(json!(1))) });
    let run = hasty.create("leaf").await;
    hasty.backend.break_at(2, false, Code::Unavailable);
    let error = hasty.swarm().resume(&run).await.unwrap_err();
    assert!(matches!(error, SwarmError::Server(_)), "{error}");
}

#[tokio::test]
async fn a_child_gets_what_stands_before_it_once() {
    /// Asks for a context and says what it was given.
    struct Reader;
    #[tonic::async_trait]
    impl crate::swarm::NodeType for Reader {
        fn description(&self) -> &str {
            "reads"
        }

        fn task(&self, _: &Value) -> Option<String> {
            Some("gather lanterns".into())
        }

        async fn execute(&self, step: &Arc<Step>) -> NodeResult {
            let read: Vec<&str> = step.packs.iter().map(|pack| pack.text.trim()).collect();
            let read = json!(read);
            if step.depth() == 0 { Ok(Outcome::keeping("read", json!({}), read)) } else { Ok(Outcome::Finish(read)) }
        }
    }
    let world = World::new();
    world.types.add("read", Arc::new(Reader)).unwrap();
    let memory = crate::proto::RememberRequest { text: "lanterns are red".into(), ..Default::default() };
    world.backend.remember(memory).await.unwrap();
    let end = world.run("read").await;
    assert_eq!(end.output, json!(["lanterns are red", ""]), "the parent's pack, then its own without what that holds");
    let events = world.backend.events(&end.run);
    let begins = events.iter().find(|event| event.kind() == Kind::RunNode && event.node == "0").unwrap();
    assert!(begins.data.contains("memory:0"), "{}", begins.data);
    let memories = world.backend.memories();
    let output = memories.last().unwrap();
    assert_eq!((output.run.as_str(), output.node.as_str(), output.kind.as_str()), (end.run.as_str(), "0", "output"));
}

#[tokio::test]
async fn a_node_costs_little_and_a_large_run_resumes_quickly() {
    let mut world = World::new();
    world.settings.nodes_max = 20_000;
    world.settings.memory = false;
    let live = Arc::new(AtomicUsize::new(0));
    world.does("leaf", |step| async move { Ok(Outcome::Finish(json!(step.path))) });
    world.does("fork", |_| async { Ok(Outcome::plan(children("leaf", 49))) });
    world.does("forks", |_| async { Ok(Outcome::plan(children("fork", 20))) });
    world.does("root", |_| async { Ok(Outcome::plan(children("forks", 10))) });

    struct Most(Arc<AtomicUsize>);
    impl Observer for Most {
        fn live(&self, nodes: usize) {
            self.0.fetch_max(nodes, Ordering::Relaxed);
        }
    }
    let run = world.create("root").await;
    let swarm = world.swarm().observed_by(Arc::new(Most(Arc::clone(&live))));
    world.backend.break_at(39_990, false, Code::Internal);
    let began = Instant::now();
    swarm.resume(&run).await.unwrap_err();
    let per_node = began.elapsed() / 10_011;
    world.backend.mend();
    let nodes = world.backend.run(&run).unwrap().nodes;
    assert!(nodes > 9_800, "{nodes}");
    let began = Instant::now();
    let end = swarm.resume(&run).await.unwrap();
    let resumed = began.elapsed();
    assert_eq!((end.status, end.nodes), (RunStatus::Succeeded, 10_011));
    println!("{per_node:?} per node, resumed in {resumed:?}, {} live at most", live.load(Ordering::Relaxed));
    assert!(per_node < Duration::from_millis(2) && resumed < Duration::from_secs(2), "{per_node:?}, {resumed:?}");
    assert!(live.load(Ordering::Relaxed) <= 8, "finished nodes leave");
}
