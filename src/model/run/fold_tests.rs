//! The life of nodes by hand, and random histories against what must hold of every state.

use proptest::prelude::*;

use super::*;

fn path(text: &str) -> NodePath {
    NodePath::parse(text).unwrap()
}

/// A history that is written down event by event.
#[derive(Default)]
struct History {
    state: RunState,
}

impl History {
    fn next(&self, kind: EventKind, node: &str) -> Event {
        Event {
            node_type: "write_text".into(),
            key: "save".into(),
            ..Event::new(self.state.tally.last_sequence + 1, kind, Some(path(node)))
        }
    }

    fn try_add(&mut self, event: Event) -> Result<()> {
        let before = self.state.clone();
        let done = self.state.apply(&event);
        if done.is_err() {
            assert_eq!(whole(&self.state), whole(&before), "a refused event changes nothing: {event:?}");
        }
        done
    }

    #[track_caller]
    fn add(&mut self, event: Event) -> &mut Self {
        self.try_add(event).unwrap();
        self
    }

    #[track_caller]
    fn does(&mut self, kind: EventKind, node: &str) -> &mut Self {
        self.add(self.next(kind, node))
    }

    #[track_caller]
    fn waits(&mut self, kind: EventKind, node: &str) -> &mut Self {
        self.add(Event { waits: true, output: "1".into(), ..self.next(kind, node) })
    }

    #[track_caller]
    fn refuses(&mut self, event: Event, says: &str) -> &mut Self {
        let error = self.try_add(event).unwrap_err();
        assert!(error.message().contains(says), "{error}");
        self
    }

    fn phase(&self, node: &str) -> NodePhase {
        self.state.nodes[&path(node)].phase
    }

    fn queue(&self) -> Vec<String> {
        self.state.queue().iter().map(ToString::to_string).collect()
    }
}

/// Everything that counts; what was touched is only a hint to the store.
fn whole(state: &RunState) -> RunState {
    RunState { touched: BTreeSet::new(), receipts_touched: BTreeSet::new(), ..state.clone() }
}

use EventKind::{Answer, CreateNode, DeleteNode, EndRun, NodeError, NodeOutput, Question, Receipt, RunNode};

#[test]
fn a_parent_goes_on_when_the_last_child_is_done_and_not_before() {
    let mut history = History::default();
    history.does(CreateNode, "0").does(RunNode, "0").waits(NodeOutput, "0");
    history.does(CreateNode, "0.0").does(CreateNode, "0.1");
    assert_eq!(history.queue(), ["0.0", "0.1"]);
    let early = history.next(RunNode, "0");
    history.refuses(early, "2 of its children are not done");
    history.does(RunNode, "0.1").does(NodeOutput, "0.1").does(DeleteNode, "0.1");
    assert_eq!(history.queue(), ["0.0"]);
    history.does(RunNode, "0.0");
    history.add(Event { output: "\"broke\"".into(), ..history.next(NodeError, "0.0") });
    assert_eq!((history.phase("0.0"), history.queue()), (NodePhase::Failed, vec!["0".to_owned()]));
    history.does(RunNode, "0").does(NodeOutput, "0");
    assert!(history.queue().is_empty(), "its last word: it is only to be deleted");
    history.does(DeleteNode, "0");
    let root = &history.state.nodes[&path("0")];
    assert_eq!((root.attempts, root.children, root.children_finished, root.output_at), (2, 2, 2, 3));
    assert_eq!((history.state.tally.nodes, history.state.tally.nodes_finished), (3, 3));
}

#[test]
fn an_attempt_that_failed_is_queued_behind_the_others() {
    let mut history = History::default();
    history.does(CreateNode, "0").does(RunNode, "0").waits(NodeOutput, "0");
    history.does(CreateNode, "0.0").does(CreateNode, "0.1").does(RunNode, "0.0").waits(NodeError, "0.0");
    assert_eq!(history.queue(), ["0.1", "0.0"]);
    // Killed in the middle: it was begun and is begun again.
    history.does(RunNode, "0.1").does(RunNode, "0.1");
    assert_eq!(history.state.nodes[&path("0.1")].attempts, 2);
}

#[test]
fn failures_are_what_failed_since_it_went_well_and_kills_are_none() {
    let mut history = History::default();
    let failures = |history: &History| history.state.nodes[&path("0")].failures;
    history.does(CreateNode, "0").does(RunNode, "0").does(RunNode, "0").waits(NodeError, "0");
    history.does(RunNode, "0").waits(NodeError, "0").does(RunNode, "0");
    assert_eq!((history.state.nodes[&path("0")].attempts, failures(&history)), (4, 2));
    history.add(Event { data: "\"go on?\"".into(), ..history.next(Question, "0") });
    assert_eq!(failures(&history), 0);
    history.does(Answer, "0").waits(NodeError, "0").does(RunNode, "0").waits(NodeOutput, "0");
    assert_eq!(failures(&history), 0);
}

#[test]
fn the_context_is_that_of_the_last_execution_until_the_node_is_over() {
    let mut history = History::default();
    let at = |history: &History| history.state.nodes[&path("0")].context_at;
    let begins = |history: &History| Event { data: "1".into(), ..history.next(RunNode, "0") };
    history.does(CreateNode, "0");
    history.add(begins(&history));
    assert_eq!(at(&history), 2);
    history.does(RunNode, "0");
    assert_eq!(at(&history), 0);
    history.add(begins(&history)).does(NodeOutput, "0");
    assert_eq!(at(&history), 4);
    history.does(DeleteNode, "0");
    assert_eq!(at(&history), 0);
}

#[test]
fn what_the_state_does_not_allow_is_refused_and_says_why() {
    let mut history = History::default();
    let (unknown, orphan) = (history.next(RunNode, "0"), history.next(CreateNode, "0.0"));
    history.refuses(unknown, "not created").refuses(orphan, "child of a node that was not created");
    history.does(CreateNode, "0");
    let twice = history.next(CreateNode, "0");
    history.refuses(twice, "there already");
    let skipping = history.next(CreateNode, "0.1");
    history.refuses(skipping, "the next child of 0 is 0");
    let silent = history.next(NodeOutput, "0");
    history.refuses(silent, "not running");
    let gap = Event { sequence: 7, ..history.next(RunNode, "0") };
    history.refuses(gap, "the next number is 2");
    history.does(RunNode, "0").does(CreateNode, "0.0");
    let early = history.next(DeleteNode, "0");
    history.refuses(early, "1 of its children are not done");
    history.does(RunNode, "0.0").does(NodeOutput, "0.0").does(DeleteNode, "0.0");
    let (dead, child) = (history.next(RunNode, "0.0"), history.next(CreateNode, "0.0.0"));
    history.refuses(dead, "finished").refuses(child, "finished");
    history.does(Receipt, "0");
    let open = Event::end(history.state.tally.last_sequence + 1, RunStatus::Open);
    history.refuses(open, "how the run ended");
    history.add(Event::end(history.state.tally.last_sequence + 1, RunStatus::Succeeded));
    let late = history.next(RunNode, "0");
    history.refuses(late, "after the end");
}

#[test]
fn the_same_question_keeps_its_answer_and_a_new_one_is_open() {
    let mut history = History::default();
    let ask = |history: &History, text: &str| Event { data: format!("{text:?}"), ..history.next(Question, "0") };
    history.does(CreateNode, "0").does(RunNode, "0");
    let nobody = history.next(Answer, "0");
    history.refuses(nobody, "nobody asks");
    history.add(ask(&history, "go on?"));
    assert_eq!((history.phase("0"), history.state.tally.open_questions), (NodePhase::Asking, 1));
    // People answer; the client is killed and its node asks again.
    history.state.questions.get_mut(&path("0")).unwrap().answer = Some(("yes".into(), Timestamp(9)));
    history.state.tally.open_questions = 0;
    history.does(RunNode, "0");
    history.add(ask(&history, "go on?"));
    assert_eq!(history.state.questions[&path("0")].answer, Some(("yes".into(), Timestamp(9))));
    assert_eq!(history.state.tally.open_questions, 0);
    history.add(Event { data: "\"yes\"".into(), ..history.next(Answer, "0") });
    assert_eq!(history.phase("0"), NodePhase::Running);
    history.add(ask(&history, "and now?"));
    assert_eq!(history.state.tally.open_questions, 1);
    history.add(Event { data: "\"no\"".into(), ..history.next(Answer, "0") });
    assert_eq!(history.state.questions[&path("0")].answer.as_ref().unwrap().0, "no");
    history.add(ask(&history, "and now?")).does(DeleteNode, "0");
    assert_eq!((history.state.tally.open_questions, history.state.questions.len()), (0, 0), "it goes with its node");
}

/// One step of a random history; most are refused, which is part of it.
fn steps() -> impl Strategy<Value = Vec<(EventKind, String, bool, bool)>> {
    let kinds = prop::sample::select(vec![
        CreateNode, CreateNode, RunNode, RunNode, NodeOutput, NodeError, DeleteNode, Question, Answer, Receipt,
    ]);
    let nodes = prop::sample::select(vec!["0", "0.0", "0.1", "0.2", "0.0.0", "0.0.1", "0.1.0"]);
    prop::collection::vec((kinds, nodes.prop_map(str::to_owned), any::<bool>(), any::<bool>()), 1..120)
}

proptest! {
    #[test]
    fn every_state_is_sound_whatever_came_before(steps in steps(), ends in any::<bool>()) {
        let mut history = History::default();
        for (kind, node, waits, says) in steps {
            let data = if says { "\"a\"" } else { "\"b\"" };
            let event = Event { waits, data: data.into(), prompt_tokens: 2, ..history.next(kind, &node) };
            let _ = history.try_add(event);
            sound(&history.state);
        }
        if ends {
            let end = Event { status: Some(RunStatus::Cancelled), ..Event::new(history.state.tally.last_sequence + 1, EndRun, None) };
            history.add(end);
            prop_assert_eq!(history.state.tally.open_questions, 0);
        }
    }
}

fn sound(state: &RunState) {
    let tally = &state.tally;
    assert_eq!(tally.nodes, state.nodes.len() as u64);
    assert_eq!(tally.nodes_finished, state.nodes.values().filter(|node| node.phase.is_over()).count() as u64);
    assert_eq!(tally.prompt_tokens, 2 * tally.last_sequence);
    let open = state.questions.values().filter(|asked| asked.answer.is_none()).count() as u64;
    assert_eq!(tally.open_questions, open);
    for (path, node) in &state.nodes {
        let children: Vec<_> = state
            .nodes
            .iter()
            .filter(|(other, _)| other.parent().as_ref() == Some(path))
            .map(|(_, node)| node)
            .collect();
        assert_eq!(node.children as usize, children.len(), "{path}");
        assert_eq!(node.children_finished as usize, children.iter().filter(|node| node.phase.is_over()).count());
        let due = match node.phase {
            NodePhase::Queued => true,
            NodePhase::Waiting => node.waits && node.children == node.children_finished,
            _ => false,
        };
        assert_eq!(node.queued_at > 0, due, "{path} {node:?}");
        assert!(path.parent().is_none_or(|parent| state.nodes.contains_key(&parent)));
        let asked = state.questions.get(path).is_some_and(|asked| !asked.taken);
        assert!(node.phase != NodePhase::Asking || asked, "{path} asks nothing");
        assert!(!node.phase.is_over() || !state.questions.contains_key(path));
    }
    let queue: Vec<u64> = state.queue().iter().map(|path| state.nodes[path].queued_at).collect();
    assert!(queue.windows(2).all(|pair| pair[0] < pair[1]), "one event, one entry: {queue:?}");
}
