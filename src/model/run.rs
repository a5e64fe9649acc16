//! Runs of a swarm: their history, and what it comes down to.
//!
//! A history is events in the order of their numbers. [`fold::RunState`] says which event may follow which, and what the run
//! looks like after it; nothing else does. No clock and no store is known here.

use serde::de::IgnoredAny;

use super::document::named_enum;
use crate::base::error::{Error, Result};
use crate::base::limits::{
    RUN_ANSWER_BYTES_MAX, RUN_EVENT_BYTES_MAX, RUN_GOAL_BYTES_MAX, RUN_NAME_BYTES_MAX, RUN_SETTINGS_BYTES_MAX,
};
use crate::base::{RunId, Timestamp};

pub mod fold;
pub mod place;

pub use fold::{Asked, NodeState, RunState, Tally};
pub use place::NodePath;

named_enum!(
    /// How a run stands.
    RunStatus {
        /// It has work left, whether somebody holds it or not.
        Open = "open",
        /// It did what was wanted.
        Succeeded = "succeeded",
        /// It did not.
        Failed = "failed",
        /// Somebody ended it.
        Cancelled = "cancelled",
    }
);

named_enum!(
    /// What an entry of a history says.
    EventKind {
        /// A blueprint was spawned; it enters the queue.
        CreateNode = "create_node",
        /// An execution begins.
        RunNode = "run_node",
        /// An execution ended well.
        NodeOutput = "node_output",
        /// An execution ended badly.
        NodeError = "node_error",
        /// The node terminated and signals its parent.
        DeleteNode = "delete_node",
        /// The node asks people.
        Question = "question",
        /// The answer has reached the node.
        Answer = "answer",
        /// An effect was carried out.
        Receipt = "receipt",
        /// The run has ended.
        EndRun = "end_run",
    }
);

named_enum!(
    /// How a node stands.
    NodePhase {
        /// In the queue.
        Queued = "queued",
        /// An execution has begun and not ended.
        Running = "running",
        /// It has an output and goes on when its children are done, or is about to be deleted.
        Waiting = "waiting",
        /// It has asked, and has not taken up an answer.
        Asking = "asking",
        /// It terminated.
        Finished = "finished",
        /// It ended badly and is not tried again.
        Failed = "failed",
    }
);

impl NodePhase {
    /// Whether nothing more is done with it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed)
    }
}

/// One entry of a history. Which fields count depends on the kind; the others are kept and mean nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// 1, 2, 3 … without a gap.
    pub sequence: u64,
    /// What it says.
    pub kind: EventKind,
    /// The node that it is about; only the end of a run is about none.
    pub node: Option<NodePath>,
    /// Type of a node that is created.
    pub node_type: String,
    /// JSON, or empty.
    pub data: String,
    /// JSON, or empty.
    pub output: String,
    /// Which execution, as the client counts.
    pub attempt: u32,
    /// The node goes on later: when its children are done, or by another attempt.
    pub waits: bool,
    /// Names an effect under its node.
    pub key: String,
    /// How a run ended.
    pub status: Option<RunStatus>,
    /// Tokens that went to models.
    pub prompt_tokens: u64,
    /// Tokens that came from them.
    pub completion_tokens: u64,
    /// When it was appended, by the server's clock.
    pub at: Timestamp,
}

impl Event {
    /// An event of `kind` about `node` with nothing else in it.
    pub fn new(sequence: u64, kind: EventKind, node: Option<NodePath>) -> Self {
        Self {
            sequence,
            kind,
            node,
            node_type: String::new(),
            data: String::new(),
            output: String::new(),
            attempt: 0,
            waits: false,
            key: String::new(),
            status: None,
            prompt_tokens: 0,
            completion_tokens: 0,
            at: Timestamp::default(),
        }
    }

    /// The end of a run.
    pub fn end(sequence: u64, status: RunStatus) -> Self {
        Self { status: Some(status), ..Self::new(sequence, EventKind::EndRun, None) }
    }

    /// Checks what can be checked without knowing the rest of the history.
    ///
    /// # Errors
    /// Invalid or over a limit, naming the event.
    pub fn checked(self) -> Result<Self> {
        let name = || format!("event {} ({})", self.sequence, self.kind.as_str());
        let bad = |what: String| Err(Error::invalid("events", format!("{} {what}", name())));
        if self.sequence == 0 {
            return bad("has no number: they begin with 1".to_owned());
        }
        if self.node.is_none() && self.kind != EventKind::EndRun {
            return bad("names no node".to_owned());
        }
        if self.node_type.is_empty() && self.kind == EventKind::CreateNode {
            return bad("has no node_type".to_owned());
        }
        if self.key.is_empty() && self.kind == EventKind::Receipt {
            return bad("has no key: name the effect".to_owned());
        }
        if self.kind == EventKind::EndRun && self.status.is_none_or(|status| status == RunStatus::Open) {
            return bad("has no status: say whether the run succeeded, failed or was cancelled".to_owned());
        }
        if self.kind == EventKind::Question && QuestionText::parse(&self.data).text.trim().is_empty() {
            return bad("asks nothing: data is a JSON string, or an object with text and choices".to_owned());
        }
        let bytes = self.data.len() + self.output.len();
        if bytes > RUN_EVENT_BYTES_MAX {
            let what = "keep what is larger in a file or a memory";
            let message = format!("{} has {bytes} bytes, the limit is {RUN_EVENT_BYTES_MAX}: {what}", name());
            return Err(Error::limit("events", message));
        }
        for (field, text) in [("node_type", &self.node_type), ("key", &self.key)] {
            if text.len() > RUN_NAME_BYTES_MAX || text.contains(char::is_control) {
                return bad(format!(
                    "has a {field} that is over {RUN_NAME_BYTES_MAX} bytes or has control characters: {text:.40?}"
                ));
            }
        }
        for (field, text) in [("data", &self.data), ("output", &self.output)] {
            if !is_json(text) {
                return bad(format!("has {field} that is not JSON: {text:.40?}"));
            }
        }
        Ok(self)
    }

    /// Whether both say the same; when they were appended is the server's business.
    pub fn same(&self, other: &Self) -> bool {
        Self { at: other.at, ..self.clone() } == *other
    }
}

/// Whether `text` is one JSON value, or empty.
fn is_json(text: &str) -> bool {
    text.is_empty() || serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A run as the catalogue keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it is for.
    pub goal: String,
    /// A JSON object of the client's, or empty.
    pub settings: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
    /// Counts and status.
    pub tally: Tally,
    /// Who holds it; empty: nobody. A lease that ran out may still be here.
    pub holder: String,
    /// Until when.
    pub lease_until: Timestamp,
    /// Of the newest lease; 0: there was none.
    pub fence: u64,
    /// Somebody asked for an end.
    pub cancel_requested: bool,
    /// What it came to: JSON, or empty.
    pub result: String,
    /// Events up to this number are gone from the history.
    pub compacted_through: u64,
}

impl Run {
    /// Who holds it at `now`.
    pub fn holder_at(&self, now: Timestamp) -> Option<&str> {
        (!self.holder.is_empty() && self.lease_until > now).then_some(self.holder.as_str())
    }
}

/// A run that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its id.
    pub id: RunId,
    /// What it is for.
    pub goal: String,
    /// JSON object, or empty.
    pub settings: String,
}

impl NewRun {
    /// Checks the parts.
    ///
    /// # Errors
    /// Invalid or over a limit, naming the field.
    pub fn new(id: RunId, goal: String, settings: String) -> Result<Self> {
        if goal.trim().is_empty() {
            return Err(Error::invalid("goal", "a run without a goal has nothing to do: say what it is for"));
        }
        for (field, text, most) in
            [("goal", &goal, RUN_GOAL_BYTES_MAX), ("settings", &settings, RUN_SETTINGS_BYTES_MAX)]
        {
            if text.len() > most {
                return Err(Error::limit(field, format!("{field} has {} bytes, the limit is {most}", text.len())));
            }
        }
        let object = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
        if !settings.is_empty() && !object(&settings) {
            return Err(Error::invalid("settings", format!("settings must be a JSON object, not {settings:.40?}")));
        }
        Ok(Self { id, goal, settings })
    }
}

/// What a node asks people, read off the data of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionText {
    /// The question.
    pub text: String,
    /// The only answers that will do; empty: any.
    pub choices: Vec<String>,
}

impl QuestionText {
    /// Reads a JSON string, or an object with `text` (or `question`) and `choices`. Anything else is shown as it is.
    pub fn parse(data: &str) -> Self {
        use serde_json::Value;
        let string = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        match serde_json::from_str::<Value>(data) {
            Ok(Value::String(text)) => Self { text, choices: Vec::new() },
            Ok(Value::Object(fields)) => match string(fields.get("text").or_else(|| fields.get("question"))) {
                None => Self { text: data.to_owned(), choices: Vec::new() },
                Some(text) => {
                    let choices = fields.get("choices").and_then(Value::as_array);
                    let choices = choices.into_iter().flatten().filter_map(|choice| string(Some(choice)));
                    Self { text, choices: choices.collect() }
                }
            },
            _ => Self { text: data.to_owned(), choices: Vec::new() },
        }
    }
}

/// A question with its answer, if it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The run.
    pub run: RunId,
    /// The node that asks.
    pub node: NodePath,
    /// What.
    pub asked: Asked,
}

impl Question {
    /// Checks that `answer` will do, and says whether it is news.
    ///
    /// # Errors
    /// Invalid if it is empty or not one of the choices; over the limit; conflict if there is another answer.
    pub fn accepts(&self, answer: &str) -> Result<bool> {
        if answer.trim().is_empty() {
            return Err(Error::invalid("answer", "the answer is empty: say something"));
        }
        if answer.len() > RUN_ANSWER_BYTES_MAX {
            let message = format!("the answer has {} bytes, the limit is {RUN_ANSWER_BYTES_MAX}", answer.len());
            return Err(Error::limit("answer", message));
        }
        let choices = QuestionText::parse(&self.asked.data).choices;
        if !choices.is_empty() && !choices.iter().any(|choice| choice == answer) {
            let known = choices.join(", ");
            return Err(Error::invalid("answer", format!("{answer:.40?} is not one of the choices: {known}")));
        }
        match &self.asked.answer {
            None => Ok(true),
            Some((held, _)) if held == answer => Ok(false),
            Some((held, _)) => Err(Error::new(
                crate::base::Kind::Conflict,
                format!("node {} has its answer already: {held:.80?}", self.node),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    fn event(kind: EventKind) -> Event {
        Event {
            node_type: "write_text".into(),
            key: "k".into(),
            data: r#""why""#.into(),
            status: Some(RunStatus::Failed),
            ..Event::new(1, kind, Some(NodePath::root()))
        }
    }

    #[test]
    fn an_event_that_misses_what_its_kind_needs_is_refused_by_number() {
        let long = format!("\"{}\"", "x".repeat(RUN_EVENT_BYTES_MAX));
        for (bad, says) in [
            (Event { sequence: 0, ..event(EventKind::RunNode) }, "no number"),
            (Event { node: None, ..event(EventKind::RunNode) }, "no node"),
            (Event { node_type: String::new(), ..event(EventKind::CreateNode) }, "node_type"),
            (Event { key: String::new(), ..event(EventKind::Receipt) }, "no key"),
            (Event { status: None, ..event(EventKind::EndRun) }, "no status"),
            (Event { status: Some(RunStatus::Open), ..event(EventKind::EndRun) }, "no status"),
            (Event { data: String::new(), ..event(EventKind::Question) }, "asks nothing"),
            (Event { data: "{oops".into(), ..event(EventKind::RunNode) }, "not JSON"),
            (Event { output: long, ..event(EventKind::NodeOutput) }, "the limit is"),
            (Event { node_type: "a\nb".into(), ..event(EventKind::CreateNode) }, "control characters"),
        ] {
            let error = bad.checked().unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert_eq!(error.field(), Some("events"));
        }
        for kind in EventKind::ALL {
            event(*kind).checked().unwrap();
        }
        Event { node: None, ..event(EventKind::EndRun) }.checked().unwrap();
    }

    #[test]
    fn questions_are_read_in_both_forms_and_answers_kept_to_their_choices() {
        assert_eq!(QuestionText::parse(r#""Go on?""#).text, "Go on?");
        let both = QuestionText::parse(r#"{"text":"Go on?","choices":["yes","no"]}"#);
        assert_eq!((both.text.as_str(), both.choices.len()), ("Go on?", 2));
        assert_eq!(QuestionText::parse("[1]").text, "[1]");
        let mut question = Question {
            run: RunId::derive("ns", Timestamp(1), 1),
            node: NodePath::root(),
            asked: Asked {
                sequence: 3,
                at: Timestamp(1),
                data: r#"{"text":"?","choices":["yes","no"]}"#.into(),
                answer: None,
                taken: false,
            },
        };
        assert!(question.accepts("yes").unwrap());
        assert_eq!(question.accepts("maybe").unwrap_err().kind(), Kind::Invalid);
        assert_eq!(question.accepts(" ").unwrap_err().kind(), Kind::Invalid);
        question.asked.answer = Some(("yes".into(), Timestamp(2)));
        assert!(!question.accepts("yes").unwrap(), "the same again is no news");
        assert_eq!(question.accepts("no").unwrap_err().kind(), Kind::Conflict);
    }

    #[test]
    fn a_run_needs_a_goal_and_settings_that_are_an_object() {
        let id = RunId::derive("ns", Timestamp(1), 1);
        let make = |goal: &str, settings: &str| NewRun::new(id, goal.to_owned(), settings.to_owned());
        make("do it", r#"{"nodes_max":3}"#).unwrap();
        make("do it", "").unwrap();
        assert_eq!(make(" ", "").unwrap_err().field(), Some("goal"));
        assert_eq!(make("x", "[1]").unwrap_err().field(), Some("settings"));
        assert_eq!(make(&"x".repeat(RUN_GOAL_BYTES_MAX + 1), "").unwrap_err().kind(), Kind::Limit);
    }
}
