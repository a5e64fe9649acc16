//! What the server owes us: which version of each document was acknowledged, and what was in flight at a kill and may
//! therefore be there or not, but never half.

use std::collections::{BTreeMap, BTreeSet};

use hivemem_client::Client;
use hivemem_client::proto::{Hit, SearchFilter, SearchMode, SearchRequest};

use crate::random::marks;

/// A version by its word; none: the document is not there.
pub type Version = Option<String>;

/// The documents of one namespace by a name of ours (a URI, or the word of a memory whose URI we may not know yet).
#[derive(Default)]
pub struct Ledger {
    pub namespace: String,
    /// More than one: a write was in flight, and the document is one of these.
    allowed: BTreeMap<String, Vec<Version>>,
    /// Removals that were in flight: all of the named versions went, or none.
    together: Vec<Vec<(String, String)>>,
    /// Words of versions that must not be seen again.
    dead: BTreeSet<String>,
}

impl Ledger {
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..Self::default() }
    }

    /// Names and versions of the documents that are there for certain.
    pub fn documents(&self) -> impl Iterator<Item = (&str, &str)> {
        self.allowed.iter().filter_map(|(name, versions)| match versions.as_slice() {
            [Some(word)] => Some((name.as_str(), word.as_str())),
            _ => None,
        })
    }

    pub fn names(&self) -> Vec<String> {
        self.allowed.keys().cloned().collect()
    }

    pub fn version(&self, name: &str) -> Option<&str> {
        self.documents().find(|(other, _)| *other == name).map(|(_, word)| word)
    }

    /// A write that would make `name` hold `version` is on its way.
    pub fn begin(&mut self, name: &str, version: Version) {
        let versions = self.allowed.entry(name.to_owned()).or_insert_with(|| vec![None]);
        if !versions.contains(&version) {
            versions.push(version);
        }
    }

    /// A removal of all of `names` in one transaction is on its way.
    pub fn begin_removal(&mut self, names: &[String]) {
        let group = names.iter().filter_map(|name| Some((name.clone(), self.version(name)?.to_owned()))).collect();
        self.together.push(group);
        names.iter().for_each(|name| self.begin(name, None));
    }

    /// It was acknowledged, or seen.
    pub fn settle(&mut self, name: &str, version: Version) {
        let before = self.allowed.insert(name.to_owned(), vec![version.clone()]).unwrap_or_default();
        self.dead.extend(before.into_iter().filter(|old| *old != version).flatten());
        self.allowed.retain(|_, versions| *versions != [None]);
    }

    pub fn settle_removal(&mut self, names: &[String]) {
        self.together.pop();
        names.iter().for_each(|name| self.settle(name, None));
    }

    /// Compares with what the server shows, and takes note of what became of the writes in flight.
    pub async fn check(&mut self, client: &Client) {
        if !client.list_namespaces().await.unwrap().contains(&self.namespace) {
            // The very first write was in flight; anything acknowledged would have made the namespace.
            for name in self.names() {
                assert!(self.allowed[&name].contains(&None), "{name} is lost with namespace {}", self.namespace);
                self.settle(&name, None);
            }
            return;
        }
        let client = client.with_namespace(&self.namespace);
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for name in self.names() {
            let versions = self.allowed[&name].clone();
            let mut there: Vec<String> = Vec::new();
            for word in versions.iter().flatten() {
                let mut hits = hits(&client, word, SearchMode::Lexical, SearchFilter::default()).await;
                // A renamed file may be there under both names if its sync was cut off.
                hits.retain(|hit| !name.contains(':') || hit.uri == name);
                if !hits.is_empty() {
                    whole(word, &hits);
                    there.push(word.clone());
                }
            }
            assert!(there.len() <= 1, "{name} is there in versions {there:?} at once");
            let version = there.pop();
            assert!(versions.contains(&version), "{name}: one of {versions:?} was due, {version:?} is there");
            if let Some(word) = &version {
                seen.insert(name.clone(), word.clone());
            }
            self.settle(&name, version);
        }
        for group in std::mem::take(&mut self.together) {
            let left = group.iter().filter(|(name, word)| seen.get(name) == Some(word)).count();
            assert!(left == 0 || left == group.len(), "{left} of {group:?} are left: a removal was done by half");
        }
        let stats = client.stats().await.unwrap();
        assert_eq!(stats.documents, seen.len() as u64, "{} holds {:?}", self.namespace, seen.keys());
        assert_eq!(stats.chunks_without_vector, 0, "{}", self.namespace);
        self.check_dead(&client).await;
    }

    /// What was forgotten or replaced is in no answer of any mode.
    async fn check_dead(&mut self, client: &Client) {
        // A file that was renamed goes on living, and one that was forgotten comes back with the next sync, by right.
        let alive: BTreeSet<String> = self.documents().map(|(_, word)| word.to_owned()).collect();
        self.dead.retain(|word| !alive.contains(word));
        // The newest, which are the ones that a replay could bring back, and every so many of the old ones.
        let newest = self.dead.iter().rev().take(8);
        let others = self.dead.iter().step_by(self.dead.len() / 8 + 1);
        for word in newest.chain(others).collect::<BTreeSet<_>>() {
            for mode in [SearchMode::Hybrid, SearchMode::Dense, SearchMode::Lexical] {
                for hit in hits(client, word, mode, SearchFilter::default()).await {
                    let old = marks(&hit.text).into_iter().find(|(word, ..)| self.dead.contains(word));
                    assert!(old.is_none(), "{mode:?}: {old:?} is back, in {}", hit.uri);
                }
            }
        }
    }
}

/// One document, complete, with each of its parts once.
fn whole(word: &str, hits: &[Hit]) {
    let documents: BTreeSet<_> = hits.iter().map(|hit| (&hit.uri, &hit.document_id)).collect();
    assert_eq!(documents.len(), 1, "{word} is in several documents: {documents:?}");
    let chunks: BTreeSet<_> = hits.iter().map(|hit| &hit.chunk_id).collect();
    let spans: BTreeSet<_> =
        hits.iter().filter_map(|hit| hit.location).map(|at| (at.byte_start, at.byte_end)).collect();
    assert_eq!((chunks.len(), spans.len()), (hits.len(), hits.len()), "{word}: a chunk comes twice");
    let marks: Vec<_> = hits.iter().flat_map(|hit| marks(&hit.text)).collect();
    assert!(marks.iter().all(|(other, ..)| other == word), "{word} stands beside another version: {marks:?}");
    let parts: BTreeSet<usize> = marks.iter().map(|(_, part, _)| *part).collect();
    let due = marks.first().map_or(0, |(_, _, parts)| *parts);
    assert_eq!(parts, (1..=due).collect(), "{word}: parts are missing");
    assert_eq!(marks.len(), due, "{word}: a part comes twice");
}

/// All hits for one word; in a settled server nothing may be missing.
pub async fn hits(client: &Client, word: &str, mode: SearchMode, filter: SearchFilter) -> Vec<Hit> {
    let request = SearchRequest {
        query: word.to_owned(),
        k: Some(60),
        mode: mode.into(),
        filter: Some(filter),
        ..SearchRequest::default()
    };
    let answer = client.search(request).await.unwrap();
    let completeness = answer.completeness.unwrap();
    assert!(completeness.complete, "{mode:?}: {completeness:?}");
    answer.hits
}
