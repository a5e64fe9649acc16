//! Nodes that ask the model, and what it may answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hivemem_client::proto::RunStatus;
use hivemem_client::proto::run_event::Kind;
use hivemem_client::swarm::{Observer, OpenAi};
use serde_json::json;

use super::endpoint::{Endpoint, Reply, prompt, says};
use super::world::World;

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
