//! The swarm from outside: a model behind real HTTP that says what a test tells it to, and scripts that misbehave.

// Helpers of tests may panic as tests may; clippy only knows those inside `#[test]`.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hivemem_client::proto::run_event::Kind;
use hivemem_client::proto::{Node, RunStatus};
use hivemem_client::swarm::{
    Backend, Blueprint, MemoryBackend, NodeTypes, Observer, OpenAi, Outcome, RunEnd, Settings, Swarm,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the endpoint answers.
enum Reply {
    /// The model says this, in two pieces.
    Says(String),
    /// HTTP status, headers, body.
    Raw(u16, &'static str, &'static str),
    /// The connection stays open and nothing comes.
    Hangs,
}

/// A server of OpenAI's chat protocol. Requests are kept.
struct Endpoint {
    url: String,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Endpoint {
    async fn start(script: impl Fn(&Value, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (script, kept) = (Arc::new(script), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept) = (Arc::clone(&script), Arc::clone(&kept));
                tokio::spawn(async move {
                    let _ = serve(stream, &*script, &kept).await;
                });
            }
        });
        Self { url, requests }
    }

    fn model(&self) -> Arc<OpenAi> {
        Arc::new(OpenAi::new(&self.url, "scripted", "key", Duration::from_secs(10)).unwrap())
    }

    fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: &(impl Fn(&Value, usize) -> Reply + ?Sized),
    kept: &Mutex<Vec<Value>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let body = loop {
        let mut piece = [0; 8192];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if body.len() >= length.unwrap().parse().unwrap() {
            break body.to_owned();
        }
    };
    let request: Value = serde_json::from_str(&body).unwrap();
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push(request.clone());
        kept.len() - 1
    };
    let (status, headers, body) = match script(&request, number) {
        Reply::Says(text) => (200, "content-type: text/event-stream\r\n".to_owned(), streamed(&text)),
        Reply::Raw(status, headers, body) => (status, headers.to_owned(), body.to_owned()),
        Reply::Hangs => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return Ok(());
        }
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn streamed(text: &str) -> String {
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let piece = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 10}});
    format!("data: {}\n\ndata: {}\n\ndata: {usage}\n\ndata: [DONE]\n\n", piece(first), piece(second))
}

fn says(text: impl ToString) -> Reply {
    Reply::Says(text.to_string())
}

fn prompt(request: &Value) -> &str {
    request["messages"][1]["content"].as_str().unwrap()
}

struct World {
    backend: Arc<MemoryBackend>,
    types: NodeTypes,
    settings: Settings,
    dir: std::path::PathBuf,
}

impl World {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hivemem-swarm-{}-{number}", std::process::id()));
        let mut settings = Settings { backoff_ms: 1, attempts_max: 2, ..Settings::default() };
        settings.scripts.enabled = true;
        settings.scripts.work_dir = dir.clone();
        settings.scripts.wall_ms = 20_000;
        Self { backend: Arc::default(), types: NodeTypes::builtin(), settings, dir }
    }

    fn swarm(&self) -> Swarm {
        let backend: Arc<dyn Backend> = self.backend.clone();
        Swarm::new(backend).with_types(self.types.clone()).with_settings(self.settings.clone())
    }

    async fn run(&self, swarm: &Swarm, node_type: &str, data: Value) -> RunEnd {
        let run = swarm.create("a test", Blueprint::new(node_type, data)).await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), swarm.resume(&run)).await.unwrap().unwrap()
    }

    async fn register(&self, node: Node) {
        self.backend.register_nodes(vec![node], "").await.unwrap();
    }

    async fn script(&self, code: &str) -> RunEnd {
        let scripts = json!({"scripted": {"language": "sh", "description": "a test", "script": code}});
        self.types.add_scripts(&scripts.to_string()).unwrap();
        self.run(&self.swarm(), "scripted", json!({"word": "lantern"})).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn a_goal_is_routed_split_written_and_combined() {
    let endpoint = Endpoint::start(|request, _| {
        let prompt = prompt(request);
        let goal = |text: &str| prompt.contains(&format!("Goal: {text}"));
        if prompt.contains("Choose the one node type") {
            return match goal("a long report") {
                true => says(json!({"type": "break_down_goal", "data": {"goal": "a long report"}})),
                false => says(json!({"type": "write_text", "data": {"task": "write a chapter"}})),
            };
        }
        if prompt.contains("Split the goal") {
            return says(json!({"order": "parallel", "steps": ["the first chapter", "the second chapter"]}));
        }
        says(if prompt.contains("Results of the steps") { "the whole report" } else { "a chapter" })
    })
    .await;
    let world = World::new();
    let heard: Arc<Heard> = Arc::default();
    let swarm = world.swarm().with_model(endpoint.model()).observed_by(heard.clone());
    let end = swarm.run("a long report").await.unwrap();
    assert_eq!((end.status, end.output), (RunStatus::Succeeded, json!("the whole report")));
    // The root, the splitter, two goals with a text each, the one that combines.
    assert_eq!(end.nodes, 7);
    let calls = endpoint.requests().len() as u64;
    assert_eq!(end.tokens, calls * 110, "each call is counted");
    let run = world.backend.run(&end.run).unwrap();
    assert_eq!((run.prompt_tokens, run.completion_tokens), (calls * 100, calls * 10));
    assert!(heard.0.lock().unwrap().concat().contains("the whole report"), "the reply is heard while it comes");
    let learned = world.backend.outcomes();
    assert!(learned.iter().all(|outcome| outcome.succeeded) && learned.len() == 3, "{learned:?}");
    assert!(world.backend.memories().iter().any(|memory| memory.text == "a chapter" && memory.run == end.run));
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Observer for Heard {
    fn text(&self, _: &str, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

#[tokio::test]
async fn a_reply_that_is_garbage_is_asked_for_again_with_what_is_wrong() {
    let endpoint = Endpoint::start(|_, number| match number {
        0 => says("I'd love to help!"),
        1 => says(json!({"language": 3})),
        _ => says("Here:\n```json\n{\"language\": \"sh\", \"code\": \"echo 1\"}\n```"),
    })
    .await;
    let world = World::new();
    let swarm = world.swarm().with_model(endpoint.model());
    let end = world.run(&swarm, "write_code", json!({"task": "print 1"})).await;
    assert_eq!(end.output, json!({"language": "sh", "code": "echo 1"}));
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0]["response_format"]["type"], "json_schema");
    let last = requests[2]["messages"].as_array().unwrap();
    assert!(last[3]["content"].as_str().unwrap().contains("no JSON"), "{last:?}");
    assert!(last[5]["content"].as_str().unwrap().contains("code"), "{last:?}");
    assert_eq!(end.tokens, 330, "what went wrong has cost as well");

    let garbage = Endpoint::start(|_, _| says("[[[[ no")).await;
    let swarm = world.swarm().with_model(garbage.model());
    let end = world.run(&swarm, "write_code", json!({"task": "print 1"})).await;
    assert_eq!(end.status, RunStatus::Failed);
    assert_eq!(garbage.requests().len(), 6, "two attempts of three replies");
}

#[tokio::test]
async fn an_endpoint_that_is_busy_is_asked_again_when_it_says() {
    let busy = r#"{"error": {"message": "slow down", "type": "rate_limit"}}"#;
    let endpoint = Endpoint::start(move |_, number| match number {
        0 => Reply::Raw(429, "retry-after: 1\r\n", busy),
        1 => Reply::Raw(503, "", "overloaded"),
        _ => says("at last"),
    })
    .await;
    let world = World::new();
    let swarm = world.swarm().with_model(endpoint.model());
    let began = Instant::now();
    let end = world.run(&swarm, "write_text", json!({"task": "hello"})).await;
    assert_eq!(end.output, json!("at last"));
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_endpoint_without_structured_output_is_told_the_schema() {
    for refusal in [r#"{"error": {"message": "response_format is not supported"}}"#, "<html>bad request</html>"] {
        let endpoint = Endpoint::start(move |request, _| match request.get("response_format") {
            Some(_) => Reply::Raw(400, "", refusal),
            None => says(json!({"language": "sh", "code": "true"})),
        })
        .await;
        let world = World::new();
        let swarm = world.swarm().with_model(endpoint.model());
        let end = world.run(&swarm, "write_code", json!({"task": "nothing"})).await;
        assert_eq!(end.status, RunStatus::Succeeded, "{}", end.output);
        assert!(prompt(&endpoint.requests()[1]).contains("\"required\""));
    }
}

#[tokio::test]
async fn endpoints_that_hang_refuse_or_are_gone_fail_the_node() {
    let world = World::new();
    let hangs = Endpoint::start(|_, _| Reply::Hangs).await;
    let model = Arc::new(OpenAi::new(&hangs.url, "scripted", "", Duration::from_millis(200)).unwrap());
    let denied = Endpoint::start(|_, _| Reply::Raw(401, "", r#"{"error": {"message": "who are you"}}"#)).await;
    for (url, key) in [("ftp://x", ""), ("127.0.0.1:9", ""), (hangs.url.as_str(), "a\nb")] {
        assert!(OpenAi::new(url, "scripted", key, Duration::from_secs(1)).is_err(), "{url} {key:?}");
    }
    let gone = Arc::new(OpenAi::new("http://127.0.0.1:9/v1", "scripted", "", Duration::from_secs(5)).unwrap());
    for (model, says) in [(model, "did not answer"), (denied.model(), "who are you"), (gone, "scripted")] {
        let swarm = world.swarm().with_model(model);
        let end = world.run(&swarm, "write_text", json!({"task": "hello"})).await;
        assert!(end.status == RunStatus::Failed && end.output.to_string().contains(says), "{}", end.output);
    }
    assert_eq!(denied.requests().len(), 1, "a key that is wrong stays wrong");
    let end = world.run(&world.swarm(), "write_text", json!({"task": "hello"})).await;
    assert!(end.output.to_string().contains("needs a model"), "{}", end.output);
}

#[tokio::test]
async fn work_is_reviewed_by_another_node_until_it_will_do() {
    let endpoint = Endpoint::start(|request, _| {
        let prompt = prompt(request);
        match (prompt.contains("Check whether"), prompt.contains("better text")) {
            (true, false) => says(json!({"approved": false, "problems": ["too short"]})),
            (true, true) => says(json!({"approved": true, "problems": []})),
            _ if prompt.contains("too short") => says("a better text"),
            _ => says("a text"),
        }
    })
    .await;
    let mut world = World::new();
    world.settings.review = true;
    let swarm = world.swarm().with_model(endpoint.model());
    let end = world.run(&swarm, "write_text", json!({"task": "hello"})).await;
    assert_eq!((end.output, end.nodes), (json!("a better text"), 3));
}

#[tokio::test]
async fn a_tool_is_made_tested_mended_registered_and_used() {
    let good = "read -r input; echo '\"done\"'";
    let endpoint = Endpoint::start(move |request, _| {
        let prompt = prompt(request);
        let tool = |code: &str| {
            says(json!({
                "name": "say_done", "description": "Says that it is done.", "language": "sh", "code": code,
                "arguments": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
            }))
        };
        if prompt.contains("Write three to eight test cases") {
            return says(json!({"tests": [{"arguments": {"x": 1}, "expected": "done"}]}));
        }
        match (prompt.contains("fails tests"), prompt.contains("Write a tool")) {
            (true, _) => tool(good),
            (false, true) => tool("echo oops"),
            _ if prompt.contains("- say_done") => says(json!({"type": "say_done", "data": {"x": 5}})),
            _ => says(json!({"type": "create_tool", "data": {"goal": "say that it is done"}})),
        }
    })
    .await;
    let world = World::new();
    let swarm = world.swarm().with_model(endpoint.model());
    let end = swarm.run("say that it is done").await.unwrap();
    assert_eq!((end.status, &end.output), (RunStatus::Succeeded, &json!("done")), "{end:?}");
    let registered = world.backend.registered();
    assert_eq!(registered.len(), 1);
    assert!(registered[0].code == good && registered[0].test_cases.len() == 1, "{registered:?}");
    assert!(registered[0].utterances.contains(&"say that it is done".to_owned()));
    let receipts = world.backend.events(&end.run).into_iter().filter(|event| event.kind() == Kind::Receipt).count();
    assert_eq!(receipts, 1);
}

#[tokio::test]
async fn a_tool_takes_no_name_that_something_else_has() {
    let endpoint = Endpoint::start(move |request, _| {
        let prompt = prompt(request);
        if prompt.contains("Write three to eight test cases") {
            return says(json!({"tests": [{"arguments": {}, "expected": 1}]}));
        }
        let name = match (prompt.contains("write_text is taken"), prompt.contains("old_tool is taken")) {
            (false, false) => "write_text",
            (true, false) => "old_tool",
            _ => "new_tool",
        };
        says(json!({
            "name": name, "description": "Says 1.", "language": "sh", "code": "echo 1", "arguments": {"type": "object"},
        }))
    })
    .await;
    let world = World::new();
    world.register(Node { name: "old_tool".into(), code: "true".into(), ..Node::default() }).await;
    let swarm = world.swarm().with_model(endpoint.model());
    let end = world.run(&swarm, "create_tool", json!({"goal": "say 1"})).await;
    assert_eq!(end.output, json!({"tool": "new_tool"}), "each name that was taken is said once");
    let registered = world.backend.registered();
    assert_eq!(registered.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["new_tool", "old_tool"]);
    assert_eq!(registered[1].code, "true", "it is what it was");
}

#[tokio::test]
async fn tests_of_a_tool_fit_a_schema_with_references() {
    let endpoint = Endpoint::start(|_, number| match number {
        0 => says(json!({"tests": [{"arguments": {"tree": {"left": 3}}, "expected": 1}]})),
        _ => says(json!({"tests": [{"arguments": {"tree": {"left": {}}}, "expected": 1}]})),
    })
    .await;
    let tree = json!({"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}});
    let arguments =
        json!({"type": "object", "properties": {"tree": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}});
    let world = World::new();
    let swarm = world.swarm().with_model(endpoint.model());
    let data = json!({"goal": "walk", "tool": {"name": "walk", "arguments": arguments}});
    let end = world.run(&swarm, "write_tests", data).await;
    assert_eq!(end.output["tests"][0]["arguments"], json!({"tree": {"left": {}}}), "{}", end.output);
    assert_eq!(endpoint.requests().len(), 2, "the first one does not fit");
}

#[tokio::test]
async fn a_tool_whose_code_is_elsewhere_is_not_made_up() {
    let endpoint = Endpoint::start(|request, _| {
        let prompt = prompt(request);
        if !prompt.contains("Choose the one node type") {
            return says("a text");
        }
        assert!(!prompt.contains("- elsewhere"), "{prompt}");
        says(json!({"type": "write_text", "data": {"task": "find the weather"}}))
    })
    .await;
    let world = World::new();
    let swarm = world.swarm().with_model(endpoint.model());
    let schema = json!({"type": "object", "properties": {"goal": {"type": "string"}}, "required": ["goal"]});
    for (kind, language) in [("mcp_tool", ""), ("api_call", ""), ("function", "python"), ("llm", "Python"), ("", "")] {
        world
            .register(Node {
                name: "elsewhere".into(),
                kind: kind.into(),
                language: language.into(),
                arguments: schema.to_string(),
                utterances: vec!["find the weather".into()],
                ..Node::default()
            })
            .await;
        let end = world.run(&swarm, "elsewhere", json!({"goal": "x"})).await;
        let error = end.output["error"].as_str().unwrap_or_default();
        assert!(error.contains("elsewhere can't be run here"), "{kind}: {}", end.output);
        // The router has it, and it takes the goal as it is.
        let end = swarm.run("find the weather").await.unwrap();
        assert_eq!((end.output, end.nodes), (json!("a text"), 2), "{kind}");
    }
    world.register(Node { name: "prompt".into(), kind: "llm".into(), ..Node::default() }).await;
    assert_eq!(world.run(&swarm, "prompt", json!({})).await.output, json!("a text"));
}

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
async fn replies_that_are_cut_off_or_only_thoughts_are_asked_for_again() {
    let cut = concat!(
        "data: {\"choices\": [{\"delta\": {\"content\": \"half a\"}}]}\n\n",
        "data: {\"choices\": [{\"delta\": {}, \"finish_reason\": \"length\"}]}\n\ndata: [DONE]\n\n"
    );
    let stream = "content-type: text/event-stream\r\n";
    for thoughts in ["<think>What is wanted?</think>\n", "<think>What is"] {
        let endpoint = Endpoint::start(move |_, number| match number {
            0 => Reply::Raw(200, stream, cut),
            1 => says(thoughts),
            _ => says("<think>A text.</think> a whole text"),
        })
        .await;
        let mut world = World::new();
        world.settings.attempts_max = 3;
        let swarm = world.swarm().with_model(endpoint.model());
        let end = world.run(&swarm, "write_text", json!({"task": "hello"})).await;
        assert_eq!(end.output, json!("a whole text"));
        let errors = world.backend.events(&end.run).into_iter().filter(|event| event.kind() == Kind::NodeError);
        let errors: Vec<String> = errors.map(|event| event.output).collect();
        assert!(errors[0].contains("broke off") && errors[1].contains("said nothing"), "{errors:?}");
        assert!(end.tokens > 220, "what was cut off has cost, too: {}", end.tokens);
    }

    let endpoint = Endpoint::start(move |_, number| match number {
        0 => Reply::Raw(200, stream, cut),
        _ => says(json!({"language": "sh", "code": "true"})),
    })
    .await;
    let world = World::new();
    let end = world.run(&world.swarm().with_model(endpoint.model()), "write_code", json!({"task": "nothing"})).await;
    assert_eq!(end.output["code"], "true");
    let requests = endpoint.requests();
    let told = requests[1]["messages"][3]["content"].as_str().unwrap();
    assert!(told.contains("broke off"), "{told}");
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
    let until = Instant::now() + Duration::from_secs(5);
    while sleeping(&mark) > 0 {
        assert!(Instant::now() < until, "{} processes live on", sleeping(&mark));
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
