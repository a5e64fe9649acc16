//! Scripts in processes of their own.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hivemem_client::proto::RunStatus;
use hivemem_client::proto::run_event::Kind;
use hivemem_client::swarm::{Backend, Blueprint, NodeTypes, Outcome};
use serde_json::json;

use super::world::World;

#[tokio::test]
async fn a_script_with_an_effect_may_ask_first() {
    let world = World::new();
    let code = r#"echo x >> runs; case "$(cat)" in
        *'"answer":"blue"'*) echo '{"answer": "painted"}';;
        *) echo '{"question": "Which colour?"}';;
    esac"#;
    let scripts = json!({"paint": {"language": "sh", "description": "", "effect": true, "script": code}});
    world.types.add_scripts(&scripts.to_string()).unwrap();
    let swarm = world.swarm();
    let run = swarm.create("a test", Blueprint::new("paint", json!({}))).await.unwrap();
    let answer = async {
        while world.backend.answer_question(&run, "0", "blue").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let end = async { tokio::time::timeout(Duration::from_secs(20), swarm.resume(&run)).await };
    let (end, ()) = tokio::join!(end, answer);
    assert_eq!(end.unwrap().unwrap().output, json!("painted"));
    let receipts = world.backend.events(&run).into_iter().filter(|event| event.kind() == Kind::Receipt);
    assert_eq!(receipts.map(|event| event.output).collect::<Vec<_>>(), [r#"{"answer":"painted"}"#]);
}

#[tokio::test]
async fn scripts_are_nodes_and_their_output_is_data() {
    let world = World::new();
    let end = world.script("cat > input; echo '{\"answer\": '$(cat input)'}'").await;
    assert_eq!(end.output["data"]["word"], "lantern", "{}", end.output);
    assert_eq!(end.output["node"], "0");

    let spawns = json!({
        "leaf": {"language": "sh", "description": "", "script": "echo '{\"answer\": 1}'"},
        "fork": {"language": "sh", "description": "", "script": "echo '{\"children\": [{\"type\": \"leaf\"}, {\"type\": \"leaf\"}]}'"},
    });
    world.types.add_scripts(&spawns.to_string()).unwrap();
    assert_eq!(world.run(&world.swarm(), "fork", json!({})).await.output, json!([1, 1]));

    // Announced, they are found again by a swarm that was not given them, and stay what they were.
    world.swarm().announce().await.unwrap();
    let strangers = world.swarm().with_types(NodeTypes::builtin());
    assert_eq!(world.run(&strangers, "fork", json!({})).await.output, json!([1, 1]));
    let before = world.backend.registered();
    strangers.announce().await.unwrap();
    assert_eq!(world.backend.registered(), before);
    for bad in ["[]", r#"{"x": {"language": "sh"}}"#, r#"{"x": {"language": "sh", "script": 1}}"#] {
        assert!(world.types.add_scripts(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn scripts_that_misbehave_fail_their_node_and_leave_nothing() {
    let mut world = World::new();
    world.settings.attempts_max = 1;
    world.settings.scripts.output_bytes = 64 * 1024;
    for (code, says) in [
        ("echo hello", "no JSON"),
        ("exit 3", "ended with 3"),
        ("echo broken >&2; exit 1", "broken"),
        ("echo '{\"children\": [{\"type\": \"nobody_knows_it\"}]}'", "nobody_knows_it"),
        ("echo '{\"oops\": 1}'", "neither"),
        ("while :; do echo flood; done", "more than 65536 bytes"),
        ("while :; do echo flood >&2; done & sleep 0.2; kill -9 $$; exit 1", "script"),
    ] {
        let end = world.script(code).await;
        assert_eq!(end.status, RunStatus::Failed, "{code}");
        assert!(end.output.to_string().contains(says), "{code}: {}", end.output);
    }

    world.settings.scripts.wall_ms = 500;
    let mark = format!("9{}", std::process::id());
    let began = Instant::now();
    let end = world
        .script(&format!("for i in 1 2 3; do (setsid sleep {mark} &) ; sleep {mark} & done; wait; sleep {mark}"))
        .await;
    assert!(end.output.to_string().contains("longer than 500 ms"), "{}", end.output);
    assert!(began.elapsed() < Duration::from_secs(10));
    until("processes live on", || sleeping(&mark) == 0).await;
}

#[tokio::test]
async fn a_script_ends_with_a_client_that_is_killed() {
    let mark = format!("8{}", std::process::id());
    let mut client = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "scripts::client_that_is_killed", "--ignored"])
        .env(MARK, &mark)
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("the script does not begin", || sleeping(&mark) >= 2).await;
    client.kill().await.unwrap();
    until("the script lives on", || sleeping(&mark) == 0).await;
}

/// Tells the client below what its script sleeps for.
const MARK: &str = "HIVEMEM_TEST_MARK";

#[tokio::test]
#[ignore = "it is the process that the test above kills"]
async fn client_that_is_killed() {
    let mark = std::env::var(MARK).unwrap();
    World::new().script(&format!("sleep {mark} & sleep {mark}")).await;
}

async fn until(says: &str, true_now: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !true_now() {
        assert!(Instant::now() < end, "{says}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Processes that sleep for `mark` seconds.
fn sleeping(mark: &str) -> usize {
    let lines = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| *line == format!("sleep\0{mark}\0").into_bytes()).count()
}

#[tokio::test]
async fn a_script_gets_no_secrets_little_memory_and_no_network() {
    let mut world = World::new();
    world.settings.attempts_max = 1;
    let end = world.script("echo '{\"answer\": \"'$(env | cut -d= -f1 | sort | tr '\\n' ' ')'\"}'").await;
    let names: Vec<&str> = end.output.as_str().unwrap().split_whitespace().collect();
    assert!(
        names.iter().all(|name| ["HOME", "LANG", "PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)),
        "{names:?}"
    );

    let end = world.script("echo '{\"answer\": \"'$(ulimit -v) $(ulimit -t) $(ulimit -c)'\"}'").await;
    assert_eq!(end.output, json!("2097152 60 0"));

    let end = world.script("echo '{\"answer\": \"'$(tail -n +3 /proc/net/dev | cut -d: -f1)'\"}'").await;
    let said = world.backend.events(&end.run).iter().any(|event| event.data.contains("the script had the network"));
    let devices: Vec<&str> = end.output.as_str().unwrap().split_whitespace().collect();
    assert!(said || devices == ["lo"], "the network is off, or the history says that it is not: {devices:?}");
}

#[tokio::test]
async fn scripts_do_not_run_unless_somebody_allowed_them() {
    let mut world = World::new();
    world.settings.scripts.enabled = false;
    let end = world.script("touch /tmp/never; echo '{\"answer\": 1}'").await;
    assert!(end.output.to_string().contains("--allow-scripts"), "{}", end.output);
    world.settings.scripts.enabled = true;
    let end = world.run(&world.swarm(), "execute_code", json!({"language": "cobol", "code": "x"})).await;
    assert!(end.output.to_string().contains("no interpreter"), "{}", end.output);
}

#[tokio::test]
async fn code_is_saved_in_the_folder_of_the_run_and_executed_there() {
    let world = World::new();
    world
        .types
        .add_function("both", "", json!({}), |step| async move {
            let file = step.exec_function("save_code", &json!({"path": "sub/word.txt", "code": "lantern"})).await?;
            step.exec_function("save_code", &json!({"path": "other.txt", "code": "another"})).await?;
            let code = json!({"language": "sh", "code": "cat sub/word.txt; echo oops >&2; exit 4"});
            let ran = step.exec_function("execute_code", &code).await?;
            let refused = step.exec_function("save_code", &json!({"path": 3, "code": ""})).await.unwrap_err();
            Ok(Outcome::Finish(json!({"file": file, "ran": ran, "refused": refused.message})))
        })
        .unwrap();
    let end = world.run(&world.swarm(), "both", json!({})).await;
    assert_eq!(end.output["ran"], json!({"stdout": "lantern", "stderr": "oops\n", "code": 4}), "{}", end.output);
    assert!(end.output["refused"].as_str().unwrap().contains("/path"));
    for file in ["sub/word.txt", "other.txt"] {
        assert!(Path::new(&world.dir).join(&end.run).join(file).exists(), "{file}");
    }

    let web = world.run(&world.swarm(), "browse_web", json!({"url": "http://127.0.0.1:9/"})).await;
    assert!(web.output.to_string().contains("does not fetch pages"), "{}", web.output);
}
