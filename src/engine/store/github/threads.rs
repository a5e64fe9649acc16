//! Issues and pull requests of one repository as they are kept, and as Markdown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::About;
use super::api::{Comment, Issue};

/// An issue or pull request with its comments by id, which is their order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Thread {
    pub number: u64,
    pub is_pull: bool,
    pub title: String,
    pub body: String,
    pub state: String,
    pub author: String,
    pub labels: Vec<String>,
    pub created_at: String,
    pub updated_at: String,
    pub comments: BTreeMap<u64, Said>,
}

/// One comment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Said {
    pub author: String,
    pub at: String,
    pub body: String,
    /// The file that it is about.
    pub path: Option<String>,
}

/// What is known of a repository's threads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Threads {
    pub by_number: BTreeMap<u64, Thread>,
    /// The newest change seen of each list, and the etag of the list from there on.
    pub lists: BTreeMap<String, Progress>,
}

/// How far a list was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub since: Option<String>,
    pub etag: Option<String>,
}

impl Progress {
    fn saw(&mut self, updated_at: &str) {
        if self.since.as_deref().is_none_or(|since| since < updated_at) {
            *self = Self { since: Some(updated_at.to_owned()), etag: None };
        }
    }
}

impl Threads {
    /// Takes in issues and pull requests; comments that are known stay.
    pub fn take(&mut self, list: &str, issues: Vec<Issue>) {
        for issue in issues {
            self.lists.entry(list.to_owned()).or_default().saw(&issue.updated_at);
            let thread = self.by_number.entry(issue.number).or_default();
            let state = issue.outcome().to_owned();
            let labels = issue.labels.into_iter().map(|label| label.name).collect();
            *thread = Thread {
                state,
                number: issue.number,
                is_pull: issue.pull_request.is_some(),
                title: issue.title,
                body: issue.body.unwrap_or_default(),
                author: issue.user.map(|user| user.login).unwrap_or_default(),
                labels,
                created_at: issue.created_at,
                updated_at: issue.updated_at,
                comments: std::mem::take(&mut thread.comments),
            };
        }
    }

    /// Takes in comments; those of threads that are not known are nobody's.
    pub fn take_comments(&mut self, list: &str, comments: Vec<Comment>) {
        for comment in comments {
            self.lists.entry(list.to_owned()).or_default().saw(&comment.updated_at);
            let Some(thread) = comment.thread().and_then(|number| self.by_number.get_mut(&number)) else { continue };
            let said = Said {
                author: comment.user.map(|user| user.login).unwrap_or_default(),
                at: comment.created_at,
                body: comment.body.unwrap_or_default(),
                path: comment.path,
            };
            thread.comments.insert(comment.id, said);
        }
    }
}

impl Thread {
    /// Its path within the repository's source.
    pub fn path(&self) -> String {
        format!("{}/{}.md", self.folder(), self.number)
    }

    /// The part of its address that says what it is.
    pub fn folder(&self) -> &'static str {
        if self.is_pull { "pulls" } else { "issues" }
    }

    fn kind(&self) -> &'static str {
        if self.is_pull { "pull request" } else { "issue" }
    }

    /// The whole conversation.
    pub fn markdown(&self) -> String {
        let labels =
            if self.labels.is_empty() { String::new() } else { format!(", labelled {}", self.labels.join(", ")) };
        let day = |at: &str| at.split('T').next().unwrap_or(at).to_owned();
        let mut text = format!(
            "# {} (#{})\n\n{} {}, opened by {} on {}{labels}.\n\n{}\n",
            self.title.trim(),
            self.number,
            capital(&self.state),
            self.kind(),
            self.author,
            day(&self.created_at),
            self.body.trim()
        );
        for said in self.comments.values().filter(|said| !said.body.trim().is_empty()) {
            let about = said.path.as_ref().map(|path| format!(" on `{path}`")).unwrap_or_default();
            text.push_str(&format!("\n## {}, {}{about}\n\n{}\n", said.author, day(&said.at), said.body.trim()));
        }
        text
    }

    /// What is known of it beside its text.
    pub fn about(&self, web: &str) -> About {
        let kind = if self.is_pull { "pull-request" } else { "issue" };
        let mut tags = vec![kind.to_owned(), format!("state:{}", self.state)];
        // As many labels, and as long ones, as documents may have.
        tags.extend(
            self.labels.iter().filter(|label| label.len() <= 100).take(40).map(|label| format!("label:{label}")),
        );
        let link = format!("{web}/{}/{}", if self.is_pull { "pull" } else { "issues" }, self.number);
        let metadata = [
            ("number", self.number.to_string()),
            ("state", self.state.clone()),
            ("author", self.author.clone()),
            ("labels", self.labels.join(", ")),
            ("created_at", self.created_at.clone()),
            ("updated_at", self.updated_at.clone()),
            ("url", link),
        ];
        let metadata = metadata.into_iter().filter(|(_, value)| !value.is_empty());
        About {
            title: Some(format!("{} (#{})", self.title.trim(), self.number)),
            tags,
            metadata: metadata.map(|(name, value)| (name.to_owned(), value)).collect(),
            ..About::default()
        }
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
