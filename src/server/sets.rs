//! Reading labelled sets, for `hivemem eval` and for the gate of a new model; a broken line is an error that names file
//! and line. Nothing is measured here.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::error::{Error, Kind, Result};
use crate::rank::metrics::{Span, Target};

/// A document of a set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Document {
    /// Its id in the set.
    pub id: String,
    /// Its title, may be empty.
    #[serde(default)]
    pub title: String,
    /// Its text.
    pub text: String,
    #[serde(flatten)]
    extra: BTreeMap<String, Value>,
}

impl Document {
    /// The address that it is stored under.
    pub fn uri(&self) -> String {
        uri(&self.id)
    }

    /// The other fields of its line that are plain values.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let plain = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        self.extra.iter().filter_map(|(key, value)| Some((key.clone(), plain(value)?))).collect()
    }
}

/// The address of a document: a scheme before its id, without characters that no address can have.
pub fn uri(id: &str) -> String {
    let printable: String = id.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    format!("eval:{printable}")
}

/// A query with what it wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Its id in the set.
    pub id: String,
    /// The question.
    pub text: String,
    /// Whether its category is "adversarial".
    pub adversarial: bool,
    /// Documents and their relevance.
    pub gains: HashMap<String, u32>,
    /// Wanted characters; empty if the set has none.
    pub spans: Vec<Span>,
}

/// A retrieval set. Only queries that want something are in it.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalSet {
    /// The folder's name.
    pub name: String,
    /// The corpus.
    pub documents: Vec<Document>,
    /// The queries.
    pub queries: Vec<Query>,
    /// Whether it is scored by characters.
    pub by_spans: bool,
}

/// A route of a routing set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Route {
    /// Its id in the set, which becomes its name.
    pub id: String,
    /// What it does.
    pub description: String,
    /// Where it stands in the set's catalogue.
    #[serde(default)]
    pub path: String,
    /// Goals that it is for.
    #[serde(default)]
    pub utterances: Vec<String>,
}

/// A routing set. Queries that want nothing are out of scope.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutingSet {
    /// The folder's name.
    pub name: String,
    /// The routes.
    pub routes: Vec<Route>,
    /// The queries.
    pub queries: Vec<Query>,
}

/// A query over a source tree.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeQuery {
    /// Its id in the set.
    pub id: String,
    /// The question.
    pub text: String,
    /// What it wants.
    pub targets: Vec<Target>,
}

/// A source tree and its queries.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeRepo {
    /// The tree's name.
    pub name: String,
    /// Where it lies.
    pub root: PathBuf,
    /// The queries.
    pub queries: Vec<CodeQuery>,
}

/// The last part of a folder's path.
pub fn set_name(dir: &Path) -> String {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    whole.file_name().map_or_else(|| "set".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Bytes of a retrieval set's files; 0 for what is not there.
pub fn retrieval_bytes(dir: &Path) -> u64 {
    let files = ["corpus.jsonl", "queries.jsonl", "qrels.tsv", "spans.jsonl"];
    files.iter().filter_map(|name| std::fs::metadata(dir.join(name)).ok()).map(|file| file.len()).sum()
}

/// Reads a retrieval set.
///
/// # Errors
/// Precondition, naming the file and line.
pub fn read_retrieval(dir: &Path) -> Result<RetrievalSet> {
    #[derive(Deserialize)]
    struct Line {
        id: String,
        text: String,
        category_name: Option<String>,
    }
    let documents: Vec<Document> = read_lines(&dir.join("corpus.jsonl"))?;
    let mut gains = read_qrels(&dir.join("qrels.tsv"))?;
    let spans_file = dir.join("spans.jsonl");
    let by_spans = spans_file.is_file();
    let mut spans = if by_spans { read_spans(&spans_file)? } else { HashMap::new() };
    let lines: Vec<Line> = read_lines(&dir.join("queries.jsonl"))?;
    let queries: Vec<Query> = lines
        .into_iter()
        .map(|line| Query {
            gains: gains.remove(&line.id).unwrap_or_default(),
            spans: spans.remove(&line.id).unwrap_or_default(),
            adversarial: line.category_name.as_deref() == Some("adversarial"),
            id: line.id,
            text: line.text,
        })
        .filter(|query| if by_spans { !query.spans.is_empty() } else { query.gains.values().any(|gain| *gain > 0) })
        .collect();
    if documents.is_empty() || queries.is_empty() {
        return Err(broken(format!(
            "{}: {} documents and {} queries with a label; there is nothing to measure",
            dir.display(),
            documents.len(),
            queries.len()
        )));
    }
    Ok(RetrievalSet { name: set_name(dir), documents, queries, by_spans })
}

/// Reads a routing set.
///
/// # Errors
/// Precondition, naming the file and line.
pub fn read_routing(dir: &Path) -> Result<RoutingSet> {
    #[derive(Deserialize)]
    struct Line {
        id: String,
        text: String,
    }
    let routes: Vec<Route> = read_lines(&dir.join("routes.jsonl"))?;
    let mut gains = read_qrels(&dir.join("qrels.tsv"))?;
    let lines: Vec<Line> = read_lines(&dir.join("queries.jsonl"))?;
    let query = |line: Line| Query {
        gains: gains.remove(&line.id).unwrap_or_default(),
        id: line.id,
        text: line.text,
        adversarial: false,
        spans: Vec::new(),
    };
    let queries: Vec<Query> = lines.into_iter().map(query).collect();
    if routes.is_empty() || queries.is_empty() {
        return Err(broken(format!(
            "{}: {} routes and {} queries; there is nothing to measure",
            dir.display(),
            routes.len(),
            queries.len()
        )));
    }
    Ok(RoutingSet { name: set_name(dir), routes, queries })
}

/// The folders of retrieval sets in a memory set: itself, or those below it by name.
///
/// # Errors
/// Precondition, naming the file and line.
pub fn memory_parts(dir: &Path) -> Result<Vec<PathBuf>> {
    if dir.join("corpus.jsonl").is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let entries = std::fs::read_dir(dir).map_err(|cause| unreadable(dir, &cause))?;
    let mut parts: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join("corpus.jsonl").is_file()).collect();
    parts.sort();
    if parts.is_empty() {
        return Err(broken(format!(
            "{}: neither it nor a folder in it has a corpus.jsonl; give a memory set",
            dir.display()
        )));
    }
    Ok(parts)
}

/// Reads a code set: its trees in the order of the queries.
///
/// # Errors
/// Precondition, naming the file and line.
pub fn read_code(dir: &Path) -> Result<Vec<CodeRepo>> {
    #[derive(Deserialize)]
    struct Line {
        repo: String,
        id: String,
        query: String,
        relevant: Vec<Relevant>,
    }
    #[derive(Deserialize)]
    struct Relevant {
        path: String,
        start: Option<u32>,
        end: Option<u32>,
    }
    let lines: Vec<Line> = read_lines(&dir.join("queries.jsonl"))?;
    let mut repos: Vec<CodeRepo> = Vec::new();
    for line in lines.into_iter().filter(|line| !line.relevant.is_empty()) {
        let targets = line
            .relevant
            .into_iter()
            .map(|label| Target { path: label.path, lines: label.start.zip(label.end) })
            .collect();
        let query = CodeQuery { id: line.id, text: line.query, targets };
        match repos.iter_mut().find(|repo| repo.name == line.repo) {
            Some(repo) => repo.queries.push(query),
            None => {
                let root = dir.join("repos").join(&line.repo);
                repos.push(CodeRepo { name: line.repo, root, queries: vec![query] });
            }
        }
    }
    if repos.is_empty() {
        return Err(broken(format!("{}: no query with a label; there is nothing to measure", dir.display())));
    }
    if let Some(missing) = repos.iter().find(|repo| !repo.root.is_dir()) {
        return Err(broken(format!(
            "{} is no directory; lay the trees out with the set's prepare.py OUT and give OUT",
            missing.root.display()
        )));
    }
    Ok(repos)
}

fn broken(what: String) -> Error {
    Error::new(Kind::Precondition, what)
}

fn unreadable(path: &Path, cause: &std::io::Error) -> Error {
    broken(format!("{} can't be read: {cause}; give the folder of a labelled set", path.display()))
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|cause| unreadable(path, &cause))
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read_text(path)?;
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered
        .map(|(index, line)| {
            serde_json::from_str(line)
                .map_err(|cause| broken(format!("{} line {}: {cause}", path.display(), index + 1)))
        })
        .collect()
}

/// Query, document and relevance by tabs; the first line is a head.
fn read_qrels(path: &Path) -> Result<HashMap<String, HashMap<String, u32>>> {
    let text = read_text(path)?;
    let mut gains: HashMap<String, HashMap<String, u32>> = HashMap::new();
    for (index, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let malformed = || broken(format!("{} line {}: not query, document, relevance", path.display(), index + 1));
        let mut fields = line.split('\t').map(str::trim);
        let (Some(query), Some(doc), Some(relevance)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(malformed());
        };
        // Negative grades (spam, in some TREC tracks) gain nothing.
        let relevance = relevance.parse::<i64>().map_err(|_| malformed())?.max(0);
        let gain = u32::try_from(relevance).map_err(|_| malformed())?;
        let known = gains.entry(query.to_owned()).or_default().entry(doc.to_owned()).or_default();
        *known = gain.max(*known);
    }
    Ok(gains)
}

fn read_spans(path: &Path) -> Result<HashMap<String, Vec<Span>>> {
    #[derive(Deserialize)]
    struct Line {
        query: String,
        doc: String,
        start: usize,
        end: usize,
    }
    let lines: Vec<Line> = read_lines(path)?;
    let mut spans: HashMap<String, Vec<Span>> = HashMap::new();
    for line in lines {
        spans.entry(line.query).or_default().push(Span { doc: line.doc, start: line.start, end: line.end });
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    const CORPUS: &str = "{\"id\":\"a\",\"title\":\"t\",\"text\":\"x\",\"session\":1,\"who\":\"me\",\"list\":[1]}\n\n";

    #[test]
    fn a_retrieval_set_keeps_what_is_labelled_and_plain_extra_fields() {
        let dir = set(&[
            ("corpus.jsonl", CORPUS),
            (
                "queries.jsonl",
                "{\"id\":\"q1\",\"text\":\"?\",\"category_name\":\"adversarial\"}\n{\"id\":\"q2\",\"text\":\"?\"}\n{\"id\":\"q3\",\"text\":\"?\"}\n",
            ),
            ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t-1\nq2\ta\t0\n"),
        ]);
        let set = read_retrieval(dir.path()).unwrap();
        assert_eq!(
            set.documents[0].metadata(),
            BTreeMap::from([("session".into(), "1".into()), ("who".into(), "me".into())])
        );
        assert_eq!(set.queries.len(), 1, "q2 has no positive label and q3 none at all");
        assert!(set.queries[0].adversarial && !set.by_spans);
        assert_eq!(set.queries[0].gains, HashMap::from([("a".into(), 2), ("b".into(), 0)]));
    }

    #[test]
    fn spans_make_a_set_scored_by_characters() {
        let dir = set(&[
            ("corpus.jsonl", CORPUS),
            ("queries.jsonl", "{\"id\":\"q1\",\"text\":\"?\"}\n{\"id\":\"q2\",\"text\":\"?\"}\n"),
            ("qrels.tsv", "head\nq1\ta\t1\nq2\ta\t1\n"),
            ("spans.jsonl", "{\"query\":\"q2\",\"doc\":\"a\",\"start\":3,\"end\":9,\"text\":\"…\"}\n"),
        ]);
        let set = read_retrieval(dir.path()).unwrap();
        assert!(set.by_spans);
        assert_eq!(set.queries.len(), 1);
        assert_eq!(set.queries[0].spans, [Span { doc: "a".into(), start: 3, end: 9 }]);
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = set(&[("corpus.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n{oops}\n")]);
        let message = read_retrieval(dir.path()).unwrap_err().to_string();
        assert!(message.contains("corpus.jsonl line 2"), "{message}");
        let dir = set(&[("corpus.jsonl", CORPUS), ("qrels.tsv", "head\nq1\ta\n")]);
        let message = read_retrieval(dir.path()).unwrap_err().to_string();
        assert!(message.contains("qrels.tsv line 2"), "{message}");
        let message = read_retrieval(Path::new("/no/such/set")).unwrap_err().to_string();
        assert!(message.contains("/no/such/set/corpus.jsonl"), "{message}");
    }

    #[test]
    fn a_memory_set_is_one_set_or_a_folder_of_them() {
        let dir = set(&[("b/corpus.jsonl", ""), ("a/corpus.jsonl", ""), ("c/other", ""), ("meta.json", "{}")]);
        let parts = memory_parts(dir.path()).unwrap();
        assert_eq!(parts, [dir.path().join("a"), dir.path().join("b")]);
        assert_eq!(memory_parts(&parts[0]).unwrap(), [parts[0].clone()]);
        assert!(memory_parts(&dir.path().join("c")).unwrap_err().to_string().contains("corpus.jsonl"));
    }

    #[test]
    fn a_code_set_needs_its_trees() {
        let line = r#"{"repo":"r","id":"1","query":"?","relevant":[{"path":"a.py","start":null,"end":null},{"path":"b.py","start":2,"end":5}]}"#;
        let dir = set(&[("queries.jsonl", line)]);
        assert!(read_code(dir.path()).unwrap_err().to_string().contains("prepare.py"));
        std::fs::create_dir_all(dir.path().join("repos/r")).unwrap();
        let repos = read_code(dir.path()).unwrap();
        assert_eq!(repos[0].queries[0].targets[0].lines, None);
        assert_eq!(repos[0].queries[0].targets[1].lines, Some((2, 5)));
    }
}
