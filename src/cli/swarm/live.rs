//! The tree of a run while it is worked on, on stderr: a line for each node that lives. Silent where stderr is not a terminal,
//! but for what people have to know.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hivemem_client::proto::run_event::Kind;
use hivemem_client::proto::{Question, RunEvent};
use hivemem_client::swarm::{self, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use super::super::render;

/// Lines that are shown; a terminal has not many more.
const LINES_MAX: usize = 20;

/// Columns of what a model says that are shown.
const SAID_COLUMNS: usize = 48;

/// See the module.
pub(super) struct Live {
    run: String,
    bars: MultiProgress,
    lines: Mutex<BTreeMap<Vec<u32>, Line>>,
    asked: mpsc::UnboundedSender<Question>,
}

struct Line {
    bar: ProgressBar,
    said: String,
}

impl Live {
    /// Of `run`; questions are passed on to `asked`.
    pub fn new(run: &str, asked: mpsc::UnboundedSender<Question>) -> Self {
        Self { run: run.to_owned(), bars: MultiProgress::new(), lines: Mutex::default(), asked }
    }

    /// Removes the tree.
    pub fn clear(&self) {
        // What can't be cleared stays on the screen, which harms nobody.
        let _ = self.bars.clear();
    }

    /// A line above the tree.
    pub fn say(&self, text: &str) {
        self.bars.suspend(|| eprintln!("{text}"));
    }

    /// A line that somebody types; `None` at the end of the input.
    pub async fn line(&self) -> Option<String> {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).ok().filter(|bytes| *bytes > 0).map(|_| line)
        });
        read.await.ok().flatten().map(|line| line.trim().to_owned())
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Vec<u32>, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, event: &RunEvent) {
        let mut lines = self.lines();
        let place = place(&event.node);
        if lines.contains_key(&place) || lines.len() >= LINES_MAX {
            return;
        }
        let at = lines.range(..place.clone()).count();
        let bar = self.bars.insert(at, ProgressBar::new_spinner());
        // A template that does not parse is a bug, and the plain spinner is a fair way to show it.
        let style = ProgressStyle::with_template("{prefix} {spinner} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let indent = "  ".repeat(place.len().saturating_sub(1));
        bar.set_prefix(render::cut(&format!("{indent}{} {}", event.node, event.node_type), 60));
        bar.enable_steady_tick(Duration::from_millis(120));
        lines.insert(place, Line { bar, said: String::new() });
    }

    fn tell(&self, node: &str, text: &str) {
        if let Some(line) = self.lines().get(&place(node)) {
            line.bar.set_message(render::cut(text, SAID_COLUMNS));
        }
    }

    fn remove(&self, node: &str) {
        if let Some(line) = self.lines().remove(&place(node)) {
            line.bar.finish_and_clear();
            self.bars.remove(&line.bar);
        }
    }
}

fn place(node: &str) -> Vec<u32> {
    node.split('.').filter_map(|step| step.parse().ok()).collect()
}

impl Observer for Live {
    fn event(&self, event: &RunEvent) {
        match event.kind() {
            Kind::RunNode => self.show(event),
            Kind::NodeOutput if event.waits => self.tell(&event.node, "waits for its children"),
            Kind::NodeError if event.waits => self.tell(&event.node, "failed, is tried again"),
            Kind::NodeError | Kind::DeleteNode => self.remove(&event.node),
            Kind::Question => {
                self.tell(&event.node, "asks");
                let asked: swarm::Question = serde_json::from_str(&event.data).unwrap_or_default();
                let question = Question {
                    run: self.run.clone(),
                    node: event.node.clone(),
                    text: asked.text,
                    choices: asked.choices,
                    ..Question::default()
                };
                // The prompt is gone when the run is.
                let _ = self.asked.send(question);
            }
            _ => {}
        }
    }

    fn text(&self, node: &str, text: &str) {
        let mut lines = self.lines();
        if let Some(line) = lines.get_mut(&place(node)) {
            line.said.push_str(&render::printable(text).replace('\n', " "));
            let from = line.said.len().saturating_sub(SAID_COLUMNS);
            let tail = line.said.split_off(line.said.ceil_char_boundary(from));
            line.bar.set_message(tail.clone());
            line.said = tail;
        }
    }
}
