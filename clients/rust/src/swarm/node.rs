//! What nodes are made of and come to: blueprints, outcomes, errors. No logic of the loop is here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A node that is to be: its type and what it is to work on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blueprint {
    /// Name of a node type.
    #[serde(rename = "type")]
    pub node_type: String,
    /// Arguments, as the type's schema wants them.
    #[serde(default = "no_arguments")]
    pub data: Value,
}

fn no_arguments() -> Value {
    json!({})
}

impl Blueprint {
    /// A blueprint of `node_type` over `data`.
    pub fn new(node_type: impl Into<String>, data: Value) -> Self {
        Self { node_type: node_type.into(), data }
    }
}

/// What one execution of a node comes to. It is data only: the runtime decides what happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The node has its output and terminates.
    Finish(Value),
    /// Children come first. When all are done, the node's type resumes it.
    Spawn(Spawn),
    /// A person has to be asked. With the answer the node is executed again.
    Ask(Question),
}

/// Children of a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spawn {
    /// Side by side.
    pub children: Vec<Blueprint>,
    /// One after the other, each when what is before it has terminated.
    pub then: Vec<Blueprint>,
    /// What the node wants to find again when it resumes.
    pub keep: Value,
}

/// A question to people.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// In plain words.
    pub text: String,
    /// The only answers that will do; empty: any.
    #[serde(default)]
    pub choices: Vec<String>,
}

impl Outcome {
    /// One child; the node resumes when it is done.
    pub fn child(node_type: &str, data: Value) -> Self {
        Self::keeping(node_type, data, Value::Null)
    }

    /// One child, and something to find again afterwards.
    pub fn keeping(node_type: &str, data: Value, keep: Value) -> Self {
        Self::Spawn(Spawn { children: vec![Blueprint::new(node_type, data)], then: Vec::new(), keep })
    }

    /// Children side by side.
    pub fn parallel(children: Vec<Blueprint>) -> Self {
        Self::Spawn(Spawn { children, ..Spawn::default() })
    }

    /// Steps one after the other.
    pub fn plan(then: Vec<Blueprint>) -> Self {
        Self::Spawn(Spawn { then, ..Spawn::default() })
    }

    /// Reads what a script printed: `{"answer": …}`, `{"children": […], "then": […], "keep": …}` or `{"question": "…"}`.
    ///
    /// # Errors
    /// For anything else, saying what is wrong with it.
    pub fn from_json(value: Value) -> Result<Self, NodeError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            answer: Option<Value>,
            question: Option<String>,
            #[serde(default)]
            choices: Vec<String>,
            #[serde(default)]
            children: Vec<Blueprint>,
            #[serde(default)]
            then: Vec<Blueprint>,
            #[serde(default)]
            keep: Value,
        }
        // An explicit null is an answer too, which Option alone can't tell from none.
        if value.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("answer")) {
            return Ok(Self::Finish(value["answer"].clone()));
        }
        let wire: Wire = serde_json::from_value(value)
            .map_err(|cause| NodeError::again(format!("the output is neither an answer nor blueprints: {cause}")))?;
        let spawns = !wire.children.is_empty() || !wire.then.is_empty();
        match (wire.answer, wire.question, spawns) {
            (Some(answer), None, false) => Ok(Self::Finish(answer)),
            (None, Some(text), false) => Ok(Self::Ask(Question { text, choices: wire.choices })),
            (None, None, true) => Ok(Self::Spawn(Spawn { children: wire.children, then: wire.then, keep: wire.keep })),
            _ => Err(NodeError::again("the output has to be one of: an answer, a question, or children")),
        }
    }
}

/// What became of a child, as its parent sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    /// Which child, from 0 in the order of spawning.
    pub number: u32,
    /// Its type.
    pub node_type: String,
    /// Its output, or why it failed.
    pub result: Result<Value, String>,
}

impl Child {
    /// As a script or a prompt shows it.
    pub fn to_json(&self) -> Value {
        match &self.result {
            Ok(output) => json!({"number": self.number, "type": self.node_type, "output": output}),
            Err(error) => json!({"number": self.number, "type": self.node_type, "error": error}),
        }
    }
}

/// An execution that ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeError {
    /// What went wrong, for people and for the parent.
    pub message: String,
    /// Whether another attempt may help.
    pub retry: bool,
}

impl NodeError {
    /// Another attempt may help.
    pub fn again(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: true }
    }

    /// Another attempt would fail in the same way.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry: false }
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NodeError {}

/// What an execution of a node returns.
pub type NodeResult = Result<Outcome, NodeError>;

/// Tokens of model calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens that went in.
    pub prompt_tokens: u64,
    /// Tokens that came out.
    pub completion_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
    }
}

/// The node that `path` is a child of; the root has none.
pub(super) fn parent_of(path: &str) -> Option<&str> {
    path.rsplit_once('.').map(|(parent, _)| parent)
}

/// Steps from the root.
pub(super) fn depth_of(path: &str) -> usize {
    path.matches('.').count()
}

/// Most bytes of the name of a node type or an effect, by the server's rule.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// Whether the server takes it for the name of a node type or an effect.
pub(super) fn named(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control)
}

/// The bytes of `value` as it is written; `limit` names what it must not go over.
pub(super) fn fits(most: usize, limit: &str, what: &str, value: &Value) -> Result<usize, NodeError> {
    let bytes = value.to_string().len();
    if bytes <= most {
        return Ok(bytes);
    }
    Err(NodeError::again(format!("{what} has {bytes} bytes, the limit is {most} ({limit}): put it into a file")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_scripts_are_one_of_three_things() {
        let read = |text: &str| Outcome::from_json(serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"answer": null}"#), Ok(Outcome::Finish(Value::Null)));
        assert_eq!(read(r#"{"answer": [1]}"#), Ok(Outcome::Finish(json!([1]))));
        let spawn = read(r#"{"children": [{"type": "a"}], "then": [{"type": "b", "data": 1}]}"#).unwrap();
        let Outcome::Spawn(spawn) = spawn else { panic!("{spawn:?}") };
        assert_eq!((spawn.children.len(), spawn.then[0].data.clone()), (1, json!(1)));
        for bad in
            ["{}", "[]", "3", r#"{"answer": 1, "question": "?"}"#, r#"{"children": [{"data": 1}]}"#, r#"{"oops": 1}"#]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn places_know_their_parent() {
        assert_eq!((parent_of("0.2.1"), parent_of("0")), (Some("0.2"), None));
        assert_eq!((depth_of("0"), depth_of("0.2.1")), (0, 2));
    }
}
