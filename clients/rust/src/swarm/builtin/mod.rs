//! The node types that every swarm has. Each is some logic around one model call, or none; none reviews itself.

mod code;
mod goals;
mod information;
mod tools;
mod writing;

use std::sync::Arc;

use serde_json::{Value, json};

use super::kind::{NodeType, NodeTypes};

/// Adds all of them.
pub(super) fn register(types: &NodeTypes) {
    let all: [(&str, Arc<dyn NodeType>); 14] = [
        ("route_goal", Arc::new(goals::RouteGoal)),
        ("break_down_goal", Arc::new(goals::BreakDownGoal)),
        ("finish", Arc::new(goals::Finish)),
        ("write_text", Arc::new(writing::WriteText)),
        ("write_code", Arc::new(writing::WriteCode)),
        ("review", Arc::new(writing::Review)),
        ("save_code", Arc::new(code::SaveCode)),
        ("execute_code", Arc::new(code::ExecuteCode)),
        ("create_tool", Arc::new(tools::CreateTool)),
        ("write_tests", Arc::new(tools::WriteTests)),
        ("run_tests", Arc::new(tools::RunTests)),
        ("retrieve_info", Arc::new(information::RetrieveInfo)),
        ("browse_web", Arc::new(information::BrowseWeb)),
        ("ask_user_for_help", Arc::new(information::AskUser)),
    ];
    for (name, kind) in all {
        let added = types.add(name, kind);
        debug_assert!(added.is_ok(), "the schema of {name} is broken: {added:?}");
    }
}

/// A schema of texts: those that have to be there, and those that may.
fn texts(required: &[&str], optional: &[&str]) -> Value {
    let fields: serde_json::Map<String, Value> =
        required.iter().chain(optional).map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
    let mut schema = json!({"type": "object", "properties": fields, "required": required});
    for name in required {
        schema["properties"][name]["minLength"] = json!(1);
    }
    schema
}

fn said(phrases: &[&str]) -> Vec<String> {
    phrases.iter().map(|phrase| (*phrase).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_there_and_describes_itself() {
        let types = NodeTypes::empty();
        register(&types);
        let described = types.describe();
        assert!(described.len() >= 9, "{described:?}");
        for node in described {
            assert!(!node.description.is_empty() && !node.utterances.is_empty(), "{}", node.name);
        }
    }
}
