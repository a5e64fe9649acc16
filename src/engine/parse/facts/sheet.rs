//! Where the facts of one document are gathered: equal references become one, limits hold, lines are counted.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use super::quick::{Map, Seeded};
use crate::base::limits::{FACT_NAME_BYTES_MAX, FACT_NODES_MAX, FACT_REFERENCES_MAX};
use crate::model::{EdgeKind, FactNode, Facts, Lines, NodeKind, Reference, Span};

/// Newlines are counted by blocks of so many bytes.
const BLOCK_BYTES: usize = 256;

/// Room is made for one reference in so many bytes.
const BYTES_PER_REFERENCE: usize = 128;

/// A reference before it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<'a> {
    /// See [`Reference::kind`].
    pub kind: EdgeKind,
    /// See [`Reference::from`].
    pub from: Option<u32>,
    /// See [`Reference::name`].
    pub name: Cow<'a, str>,
    /// See [`Reference::scope`].
    pub scope: Cow<'a, str>,
    /// See [`Reference::alias`].
    pub alias: Option<&'a str>,
    /// See [`Reference::owner`].
    pub owner: &'a str,
}

impl Hash for Said<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What else there is hardly ever makes a difference.
        state.write_u8(self.kind as u8);
        state.write_u32(self.from.unwrap_or(u32::MAX));
        state.write(self.name.as_bytes());
        state.write(self.scope.as_bytes());
    }
}

impl<'a> Said<'a> {
    /// A reference without alias and owner.
    pub fn plain(
        kind: EdgeKind,
        from: Option<u32>,
        scope: impl Into<Cow<'a, str>>,
        name: impl Into<Cow<'a, str>>,
    ) -> Self {
        Self { kind, from, name: name.into(), scope: scope.into(), alias: None, owner: "" }
    }
}

/// Gathers facts.
pub struct Sheet<'a> {
    text: &'a str,
    /// Newlines before each block of [`BLOCK_BYTES`].
    newlines: Vec<u32>,
    facts: Facts,
    seen: Map<Said<'a>, u32>,
}

impl<'a> Sheet<'a> {
    /// An empty sheet for `text`.
    pub fn new(text: &'a str) -> Self {
        let mut newlines = Vec::with_capacity(text.len() / BLOCK_BYTES + 1);
        let mut before = 0;
        for block in text.as_bytes().chunks(BLOCK_BYTES) {
            newlines.push(before);
            before += count_newlines(block);
        }
        let seen = Map::with_capacity_and_hasher(text.len() / BYTES_PER_REFERENCE, Seeded::default());
        Self { text, newlines, facts: Facts::default(), seen }
    }

    /// The line of the byte `at`, from 1.
    pub fn line(&self, at: usize) -> u32 {
        let block = (at / BLOCK_BYTES).min(self.newlines.len().saturating_sub(1));
        let inside = self.text.as_bytes().get(block * BLOCK_BYTES..at.min(self.text.len())).unwrap_or_default();
        self.newlines.get(block).copied().unwrap_or_default() + count_newlines(inside) + 1
    }

    /// Lines of a range of bytes.
    pub fn lines(&self, range: &Range<usize>) -> Lines {
        Lines { first: self.line(range.start), last: self.line(range.end.saturating_sub(1).max(range.start)) }
    }

    /// Notes that something could not be read.
    pub fn cut_short(&mut self) {
        self.facts.partial = true;
    }

    /// The node `at`.
    pub fn node(&self, at: u32) -> &FactNode {
        &self.facts.nodes[at as usize]
    }

    /// Nodes so far.
    pub fn count(&self) -> u32 {
        u32::try_from(self.facts.nodes.len()).unwrap_or(u32::MAX)
    }

    /// Distinct references so far.
    pub fn said(&self) -> usize {
        self.facts.references.len()
    }

    /// Adds a node; `None` if there are too many or it has no name.
    pub fn define(&mut self, kind: NodeKind, name: &str, range: Range<usize>, parent: Option<u32>) -> Option<u32> {
        if name.is_empty() {
            return None;
        }
        if self.facts.nodes.len() >= FACT_NODES_MAX {
            self.facts.partial = true;
            return None;
        }
        let lines = self.lines(&range);
        self.facts.nodes.push(FactNode {
            kind,
            name: clip(name).to_owned(),
            parent,
            span: Span { start: range.start as u64, end: range.end as u64 },
            lines,
            signature: String::new(),
            doc: String::new(),
            owner: String::new(),
            test: false,
        });
        Some(self.count() - 1)
    }

    /// The node `at`, to complete it.
    pub fn node_mut(&mut self, at: u32) -> &mut FactNode {
        &mut self.facts.nodes[at as usize]
    }

    /// Adds a reference that stands at the byte `at`, or counts it once more.
    pub fn say(&mut self, at: usize, said: Said<'a>) {
        if said.name.is_empty() || said.name.len() > FACT_NAME_BYTES_MAX || said.scope.len() > FACT_NAME_BYTES_MAX {
            return;
        }
        let line = self.line(at);
        let references = &mut self.facts.references;
        match self.seen.entry(said) {
            Entry::Occupied(entry) => {
                let known = &mut references[*entry.get() as usize];
                known.count = known.count.saturating_add(1);
                if (at as u64) < known.at {
                    (known.at, known.line) = (at as u64, line);
                }
            }
            Entry::Vacant(_) if references.len() >= FACT_REFERENCES_MAX => self.facts.partial = true,
            Entry::Vacant(entry) => {
                let said = entry.key();
                references.push(Reference {
                    kind: said.kind,
                    from: said.from,
                    name: said.name.clone().into_owned(),
                    scope: said.scope.clone().into_owned(),
                    alias: said.alias.map(str::to_owned),
                    owner: said.owner.to_owned(),
                    at: at as u64,
                    line,
                    count: 1,
                });
                entry.insert(u32::try_from(references.len() - 1).unwrap_or(u32::MAX));
            }
        }
    }

    /// All of it, in order.
    pub fn finish(self) -> Facts {
        let mut facts = self.facts;
        facts.references.sort_unstable_by(|a, b| {
            let key = |one: &Reference| (one.from, one.at, one.kind);
            key(a).cmp(&key(b)).then_with(|| (&a.name, &a.scope).cmp(&(&b.name, &b.scope)))
        });
        facts
    }
}

fn count_newlines(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| u32::from(*byte == b'\n')).sum()
}

/// The part of a name that is kept.
pub fn clip(name: &str) -> &str {
    &name[..name.floor_char_boundary(FACT_NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let text = "a\n".repeat(1_000) + "é";
        let sheet = Sheet::new(&text);
        for at in 0..text.len() {
            let counted = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(sheet.line(at) as usize, counted + 1, "{at}");
        }
        assert_eq!(sheet.line(1_000_000), 1_001);
        assert_eq!(Sheet::new("").line(0), 1);
    }
}
