//! Tools that a swarm makes for itself.

use hivemem_client::proto::run_event::Kind;
use hivemem_client::proto::{Node, RunStatus};
use serde_json::json;

use super::endpoint::{Endpoint, prompt, says};
use super::world::World;

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
