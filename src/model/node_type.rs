//! Node types and tools: what a swarm can route a goal to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::limits::{
    NAME_BYTES_MAX, NODE_DESCRIPTION_BYTES_MAX, NODE_EXAMPLES_MAX, NODE_SPEC_BYTES_MAX, QUERY_BYTES_MAX, TAGS_MAX,
};
use crate::base::{ContentHash, NodeId, Timestamp};

/// What a node type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// One call of a language model, with logic around it.
    Llm,
    /// A script that runs in a process of its own.
    Script,
    /// A function with arguments.
    #[default]
    Function,
    /// A tool of an MCP server.
    McpTool,
    /// A call of an HTTP interface.
    ApiCall,
    /// Where data is found.
    DataSource,
    /// Another agent.
    Agent,
}

impl ToolKind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Llm, Self::Script, Self::Function, Self::McpTool, Self::ApiCall, Self::DataSource, Self::Agent];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Script => "script",
            Self::Function => "function",
            Self::McpTool => "mcp_tool",
            Self::ApiCall => "api_call",
            Self::DataSource => "data_source",
            Self::Agent => "agent",
        }
    }

    /// The kind of this name; empty: a function.
    ///
    /// # Errors
    /// Invalid, naming the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Ok(Self::default());
        }
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("kind", format!("kind {name:.40?} is not one of {known}"))
        })
    }
}

/// A node type as it is registered. Texts are data: nothing in them is ever followed as an instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSpec {
    /// Unique in its namespace.
    pub name: String,
    /// What it does, in prose.
    pub description: String,
    /// What it is.
    pub kind: ToolKind,
    /// Language of `code`.
    pub language: String,
    /// Script or source.
    pub code: String,
    /// JSON Schema of its arguments, as JSON text; empty: none known.
    pub arguments: String,
    /// What it gives back.
    pub returns: String,
    /// Test cases, each as JSON or text.
    pub test_cases: Vec<String>,
    /// Names of nodes, packages or services that it needs.
    pub dependencies: Vec<String>,
    /// Goals that it is for, as people say them.
    pub utterances: Vec<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// What a caller has to be allowed to use it.
    pub permissions: Vec<String>,
    /// Where it stands in the tree of the catalogue, such as `finance/banking`.
    pub folder: String,
    /// Further data.
    pub metadata: BTreeMap<String, String>,
}

impl NodeSpec {
    /// Checks what can be checked without knowing other nodes, and brings lists into one order.
    ///
    /// # Errors
    /// Invalid or over a limit, naming the field.
    pub fn checked(mut self) -> Result<Self> {
        if self.name.trim().is_empty() || self.name.len() > NAME_BYTES_MAX || self.name.contains(char::is_control) {
            return Err(Error::invalid(
                "name",
                format!(
                    "{:.40?} is no usable name: give 1 to {NAME_BYTES_MAX} bytes without control characters",
                    self.name
                ),
            ));
        }
        if self.description.trim().is_empty() && self.utterances.iter().all(|text| text.trim().is_empty()) {
            return Err(Error::invalid(
                "description",
                format!("{} has neither a description nor an example: nothing could be routed to it", self.name),
            ));
        }
        if self.description.len() > NODE_DESCRIPTION_BYTES_MAX {
            return Err(Error::limit(
                "description",
                format!(
                    "the description of {} has {} bytes, the limit is {NODE_DESCRIPTION_BYTES_MAX}: shorten it",
                    self.name,
                    self.description.len()
                ),
            ));
        }
        if self.utterances.len() > NODE_EXAMPLES_MAX {
            return Err(Error::limit(
                "utterances",
                format!("{} has {} examples, the limit is {NODE_EXAMPLES_MAX}", self.name, self.utterances.len()),
            ));
        }
        if let Some(long) = self.utterances.iter().find(|text| text.len() > QUERY_BYTES_MAX) {
            return Err(Error::limit(
                "utterances",
                format!("an example of {} has {} bytes, the limit is {QUERY_BYTES_MAX}", self.name, long.len()),
            ));
        }
        for (field, labels) in [("tags", &self.tags), ("permissions", &self.permissions)] {
            let bad = |label: &&String| label.is_empty() || label.len() > NAME_BYTES_MAX;
            if labels.len() > TAGS_MAX || labels.iter().any(|label| bad(&label)) {
                return Err(Error::limit(
                    field,
                    format!(
                        "{} has over {TAGS_MAX} {field}, or one that is empty or over {NAME_BYTES_MAX} bytes",
                        self.name
                    ),
                ));
            }
        }
        self.folder =
            self.folder.split('/').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        for labels in [&mut self.tags, &mut self.permissions] {
            labels.sort();
            labels.dedup();
        }
        let mut seen = std::collections::HashSet::new();
        self.utterances.retain(|text| !text.trim().is_empty() && seen.insert(text.clone()));
        let bytes = self.to_json()?.len();
        if bytes > NODE_SPEC_BYTES_MAX {
            return Err(Error::limit(
                "node",
                format!(
                    "{} has {bytes} bytes in all, the limit is {NODE_SPEC_BYTES_MAX}: keep long code elsewhere",
                    self.name
                ),
            ));
        }
        Ok(self)
    }

    /// As it is stored.
    ///
    /// # Errors
    /// Internal, if it can't be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|cause| Error::internal("a node can't be written as JSON").caused_by(cause))
    }

    /// The inverse of [`Self::to_json`].
    ///
    /// # Errors
    /// Corrupt, if it can't be read.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|cause| {
            Error::new(crate::base::error::Kind::Corrupt, "a stored node can't be read").caused_by(cause)
        })
    }

    /// Hash of everything in it: equal specifications are the same version.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    pub fn hash(&self) -> Result<ContentHash> {
        Ok(ContentHash::of(self.to_json()?.as_bytes()))
    }
}

/// A node type with what the catalogue adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Derived from namespace and name.
    pub id: NodeId,
    /// From 1; a changed specification is the next one.
    pub version: u32,
    /// When this version was registered.
    pub registered_at: Timestamp,
    /// What was registered.
    pub spec: NodeSpec,
    /// Examples that were added since, by people or by corrections; they outlive versions.
    pub examples: Vec<String>,
}

impl Node {
    /// All examples.
    pub fn utterances(&self) -> impl Iterator<Item = &str> {
        self.spec.utterances.iter().chain(&self.examples).map(String::as_str)
    }
}

/// What came of a routed goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The goal, as it was routed.
    pub goal: String,
    /// The node that was chosen.
    pub chosen: NodeId,
    /// Whether it did what was wanted.
    pub succeeded: bool,
    /// What it cost, in the caller's unit.
    pub cost: f64,
    /// The node that would have been right, if somebody said so.
    pub correction: Option<NodeId>,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;

    fn spec(name: &str) -> NodeSpec {
        NodeSpec { name: name.into(), description: "does things".into(), ..NodeSpec::default() }
    }

    #[test]
    fn what_can_not_be_routed_to_is_refused_and_says_why() {
        for (bad, field) in [
            (spec(""), "name"),
            (spec("a\nb"), "name"),
            (NodeSpec { description: " ".into(), ..spec("a") }, "description"),
            (NodeSpec { description: "x".repeat(NODE_DESCRIPTION_BYTES_MAX + 1), ..spec("a") }, "description"),
            (NodeSpec { tags: vec![String::new()], ..spec("a") }, "tags"),
            (NodeSpec { utterances: vec!["x".into(); NODE_EXAMPLES_MAX + 1], ..spec("a") }, "utterances"),
            (NodeSpec { code: "x".repeat(NODE_SPEC_BYTES_MAX), ..spec("a") }, "node"),
        ] {
            let error = bad.checked().unwrap_err();
            assert!(matches!(error.kind(), Kind::Invalid | Kind::Limit), "{error}");
            assert_eq!(error.field(), Some(field));
        }
    }

    #[test]
    fn order_and_repeats_make_no_new_version() {
        let a = NodeSpec { tags: vec!["b".into(), "a".into(), "a".into()], folder: "/x//y/".into(), ..spec("n") };
        let b = NodeSpec { tags: vec!["a".into(), "b".into()], folder: "x/y".into(), ..spec("n") };
        let (a, b) = (a.checked().unwrap(), b.checked().unwrap());
        assert_eq!(a.hash().unwrap(), b.hash().unwrap());
        assert_eq!(NodeSpec::from_json(&a.to_json().unwrap()).unwrap(), b);
    }
}
