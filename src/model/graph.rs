//! What documents say of how things belong together.
//!
//! A document states *facts*: the things it defines ([`FactNode`]) and the names it uses ([`Reference`]). They are read off
//! the document alone, so they are replaced with it and never depend on another. Which definition a name means is found
//! out in the graph, where all documents are together.

use serde::{Deserialize, Serialize};

use super::document::{Lines, Span, named_enum};

named_enum!(
    /// What a node of the graph is.
    NodeKind {
        /// A folder of a source.
        Folder = "folder",
        /// A document: a file, a page, a memory.
        Document = "document",
        /// A chunk of a document: what retrieval returns.
        Passage = "passage",
        /// A part of a prose document under a heading.
        Section = "section",
        /// A module, namespace or package.
        Module = "module",
        /// A class, struct, enum, union, record or type alias.
        Type = "type",
        /// A trait, interface or protocol.
        Interface = "interface",
        /// A function that belongs to no type.
        Function = "function",
        /// A function of a type.
        Method = "method",
        /// A constant, static or module-level variable.
        Constant = "constant",
        /// A macro.
        Macro = "macro",
        /// A proper name, title, identifier or date in prose.
        Entity = "entity",
        /// A run of a swarm.
        Run = "run",
        /// A node of a swarm's run.
        Task = "task",
    }
);

named_enum!(
    /// How one node stands to another. The direction is that of the sentence "from … to".
    EdgeKind {
        /// Holds: a folder a file, a file a symbol, a type a method.
        Contains = "contains",
        /// Brings the other into scope.
        Imports = "imports",
        /// Calls it.
        Calls = "calls",
        /// Names it as a type or a value.
        Uses = "uses",
        /// Is a subtype of it.
        Inherits = "inherits",
        /// Implements it.
        Implements = "implements",
        /// Is a test of it.
        Tests = "tests",
        /// Names it in prose, a comment or a code span.
        Mentions = "mentions",
        /// Points to it with a link.
        Links = "links",
        /// Changes together with it, by the history of the repository.
        ChangesWith = "changes_with",
        /// Comes right before it: turns of a conversation, parts of a series.
        Precedes = "precedes",
        /// Is about it.
        About = "about",
        /// Was made by it.
        MadeBy = "made_by",
        /// Is another name of it.
        SameAs = "same_as",
        /// Stands to it as an agent or person said.
        Related = "related",
    }
);

/// Something that a document defines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactNode {
    /// What it is.
    pub kind: NodeKind,
    /// Its own name, without what it stands in; for an entity as it is written.
    pub name: String,
    /// What it stands in or belongs to, as an index into [`Facts::nodes`], smaller than its own; `None`: the document
    /// itself. A method that stands outside of its type (in an `impl`, behind a receiver) has the type here if that is
    /// defined before it.
    pub parent: Option<u32>,
    /// Bytes of the definition with its doc comment.
    pub span: Span,
    /// The same as lines.
    pub lines: Lines,
    /// The definition up to its body, white space collapsed; empty where there is none.
    pub signature: String,
    /// First sentence of its doc comment, without marks of comments; empty where there is none.
    pub doc: String,
    /// The type that it belongs to where that is not `parent`, as written without generics: that of a Rust `impl`, of a
    /// receiver in Go, `Foo` in C++'s `Foo::bar`, if it is defined further down or in another document. Empty elsewhere.
    pub owner: String,
    /// Whether it is a test, or stands in one.
    pub test: bool,
}

/// A name that a document uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// How.
    pub kind: EdgeKind,
    /// The innermost definition that it stands in, as an index into [`Facts::nodes`]; `None`: the document itself.
    pub from: Option<u32>,
    /// The last part of the name as written: `join` of `path::join`. `*` for an import of everything.
    pub name: String,
    /// What stands before it, as written: `crate::base`, `self`, `..pkg.mod`, `./lib/x`; empty if nothing. Of a call on a
    /// value it is the value's type where that is evident, else the value with a dot at its end (`client.`, `open().`; only
    /// a dot where it is too long to be of use), so that a value is never taken for a module or type of that name.
    pub scope: String,
    /// The name that an import gives to it here, if another: `np` for `import numpy as np`, `a.b` for Python's
    /// `import a.b`, `_` if it gives none.
    pub alias: Option<String>,
    /// Of whom it is said if that is neither `from` nor defined in this document: the type of a Rust `impl`.
    pub owner: String,
    /// Where the name stands: first byte. Of a file that changes together with this one, which no place in it says: how
    /// strongly, in percent.
    pub at: u64,
    /// The same as a line, from 1; 0 where no place says it.
    pub line: u32,
    /// How often the same is said from the same place; `at` is the first. Of files that change together: commits that
    /// changed both.
    pub count: u32,
}

impl Reference {
    /// That this document changes together with the file at `path` of the same source: with what share of their changes, 0 to
    /// 1, and in how many commits.
    pub fn changes_with(path: String, share: f32, commits: u32) -> Self {
        Self {
            kind: EdgeKind::ChangesWith,
            from: None,
            name: path,
            scope: String::new(),
            alias: None,
            owner: String::new(),
            at: (share.clamp(0.0, 1.0) * 100.0).round() as u64,
            line: 0,
            count: commits,
        }
    }
}

/// A proper name, title, identifier or date that prose names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// Its words, folded: without accents, in lower case, joined by spaces.
    pub key: String,
    /// First byte; `None` if the document's title names it.
    pub at: Option<u64>,
    /// Whether its capitals are no accident of where it stands in the sentence.
    pub strong: bool,
}

/// Another name of something, as a text gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The other name, as a key of mentions: an abbreviation, a stage name.
    pub name: String,
    /// What it is the name of, likewise.
    pub of: String,
    /// Byte where the text says so.
    pub at: u64,
}

/// All that one document says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// What it defines, in the order of their starts, outer before inner.
    pub nodes: Vec<FactNode>,
    /// What it names, by `from` and place.
    pub references: Vec<Reference>,
    /// What its prose names, each once by place.
    pub mentions: Vec<Mention>,
    /// What its title is known by, as keys of mentions.
    pub titles: Vec<String>,
    /// The stems of each chunk of prose with its title, hashed, ascending; empty for other documents.
    pub terms: Vec<Vec<u32>>,
    /// Some of it could not be read, or a limit cut it short: what is here is true but may not be all.
    pub partial: bool,
    /// What its prose says to be other names of the same thing. Stored beside the rest, which is older.
    #[serde(skip)]
    pub aliases: Vec<Alias>,
}

/// A term as it is kept: 24 bits of FNV-1a. Among a hundred thousand terms some three hundred share a number with another, which
/// is less than stemming confuses.
pub fn term_hash(term: &str) -> u32 {
    let whole = term.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (whole >> 24) ^ (whole & 0x00ff_ffff)
}
