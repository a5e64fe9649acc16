//! Memories: facts, notes and outputs of nodes, kept as documents that know where they come from.
//!
//! What is remembered twice is kept once. The same text is the same memory; one that nearly repeats another is stored with
//! a link to it, and answers show only one of them; and what retrieval itself handed out is recognised and not stored
//! again, or a swarm that remembers its prompts would soon find nothing but its own echo.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use super::put::{self, InputDocument, Put};
use crate::base::error::{Error, Result};
use crate::base::limits::{NAME_BYTES_MAX, TTL_MAX};
use crate::base::{DocumentId, Lsn, Timestamp};
use crate::engine::lexical::LexicalQuery;
use crate::model::{Document, DocumentKind, Filter, Hydrated, Trust};
use crate::rank::packing;
use crate::rank::resemblance::Shingles;

/// Source of memories.
pub const MEMORY_SOURCE: &str = "memory:";

/// Resemblance from which a memory counts as a repetition. Measured on nothing but judgement: at 0.8 one word in fifteen may
/// differ.
const REPEATS_FROM: f32 = 0.8;

/// Containment in what is stored from which a text counts as an echo.
const ECHO_FROM: f32 = 0.9;

/// Share of a chunk that an echo has to hold for the chunk to be named as its origin.
const CITED_FROM: f32 = 0.5;

/// Shorter texts are never taken for an echo: a fact that a document happens to state may be worth remembering by itself.
const ECHO_WORDS_MIN: usize = 30;

/// Stored chunks that a new memory is compared with. A context of 8,000 tokens is made of about as many.
const NEIGHBOURS: usize = 60;

/// What is to be remembered.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The text.
    pub text: String,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// What it is: `fact`, `note`, `output` or what the writer likes; empty: `note`.
    pub kind: String,
    /// Labels.
    pub tags: Vec<String>,
    /// Key-value data.
    pub metadata: BTreeMap<String, String>,
    /// The run that it comes from, if any.
    pub run: String,
    /// The node of that run.
    pub node: String,
    /// How far it is trusted; empty: as what an agent says.
    pub trust: String,
    /// After this long it is forgotten; none: never.
    pub ttl: Option<Duration>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Address.
    pub uri: String,
    /// Id.
    pub document: DocumentId,
    /// Whether it is new.
    pub created: bool,
    /// Address of the memory that it nearly repeats.
    pub repeats: Option<String>,
    /// Citations of the stored passages that it consists of; then nothing was stored.
    pub echoes: Vec<String>,
    /// Position.
    pub lsn: Lsn,
}

/// Stores one memory and makes it lexically searchable. The same text with the same labels is the same memory.
///
/// # Errors
/// Invalid for an empty text or a bad label, or over a limit; those of the engines.
pub async fn remember(engines: &Engines, projector: &Projector, grant: &Grant, memory: Memory) -> Result<Remembered> {
    let now = engines.clock.now();
    let input = input(memory, now)?;
    let text = String::from_utf8_lossy(&input.content).into_owned();
    // Lapses later than the same text that was remembered before: it is the same memory, kept longer.
    let identity = format!("text\0{}\0{text}", input.tags.join("\0"));
    let uri = format!("{MEMORY_SOURCE}{}", DocumentId::derive(grant.namespace().as_str(), &identity));
    engines.catalog.create_namespace(grant.namespace(), now).await?;
    let stored = engines.catalog.document_by_uri(grant.namespace(), &uri).await?;
    let was_stored = stored.is_some();
    // What has run out is forgotten, whether or not it was swept up yet: said again it is new.
    let known = stored.filter(|stored| alive(stored, now));
    let lapsed = was_stored && known.is_none();
    let neighbours = if known.is_some() { Vec::new() } else { neighbours(engines, grant, &text).await? };
    let shingles = Shingles::of(&text);
    let echoes = echoes(&Shingles::of(&packing::without_headings(&text)), &neighbours);
    if let Some(first) = echoes.first() {
        return Ok(Remembered {
            uri: first.document.uri.clone(),
            document: first.document.id,
            created: false,
            repeats: None,
            echoes: echoes.iter().map(|found| found.citation()).collect(),
            lsn: engines.catalog.head().await?,
        });
    }
    let repeated = match &known {
        Some(known) => known.repeats.map(|id| (id, None)),
        None => repeated(engines, grant, &shingles, &neighbours, now).await?.map(|(id, uri)| (id, Some(uri))),
    };
    let mut put = Put::begin(engines, projector, grant, MEMORY_SOURCE).await?;
    let (sink, _progress) = tokio::sync::mpsc::channel(1);
    let input = InputDocument { uri: uri.clone(), repeats: repeated.as_ref().map(|(id, _)| *id), ..input };
    let ids = put.add(vec![input], &sink).await?;
    put.acknowledge().await?;
    let report = put.finish(false, &sink).await?;
    let reason =
        || report.skipped.listed.first().map_or("it could not be parsed".to_owned(), |issue| issue.reason.clone());
    let document =
        *ids.first().ok_or_else(|| Error::invalid("text", format!("this text can't be stored: {}", reason())))?;
    let (repeats, echoes) = (repeated.and_then(|(_, uri)| uri), Vec::new());
    Ok(Remembered {
        uri,
        document,
        created: lapsed || report.outcome.added > 0,
        repeats,
        echoes,
        lsn: report.outcome.lsn,
    })
}

/// The memory as a document. Kind, run and node become labels too, so that it can be filtered and forgotten by them.
fn input(memory: Memory, now: Timestamp) -> Result<InputDocument> {
    if memory.text.trim().is_empty() {
        return Err(Error::invalid("text", "there is no text to remember: give at least one word"));
    }
    let trust = match memory.trust.as_str() {
        "" => Trust::Agent,
        label => Trust::parse(label).ok_or_else(|| {
            let known = Trust::ALL.iter().map(|trust| trust.as_str()).collect::<Vec<_>>().join(", ");
            Error::invalid("trust", format!("trust {label:?} is not one of {known}"))
        })?,
    };
    let kind = if memory.kind.is_empty() { "note" } else { &memory.kind };
    let mut tags = memory.tags;
    let mut metadata = memory.metadata;
    for (name, value) in [("kind", kind), ("run", &memory.run), ("node", &memory.node)] {
        if value.len() + name.len() >= NAME_BYTES_MAX || value.contains(char::is_control) {
            return Err(Error::invalid(name, format!("{name} {value:.40?} is too long or has control characters")));
        }
        if !value.is_empty() {
            tags.push(format!("{name}:{value}"));
            metadata.insert(name.to_owned(), value.to_owned());
        }
    }
    tags.sort();
    tags.dedup();
    put::check_tags(&tags)?;
    Ok(InputDocument {
        title: memory.title,
        content: memory.text.into_bytes(),
        media_type: "text/x-memory".to_owned(),
        tags,
        metadata,
        trust: Some(trust),
        expires_at: memory.ttl.map(|ttl| expiry(ttl, now)).transpose()?,
        ..InputDocument::default()
    })
}

fn alive(document: &Document, now: Timestamp) -> bool {
    document.expires_at.is_none_or(|at| at > now)
}

fn expiry(ttl: Duration, now: Timestamp) -> Result<Timestamp> {
    if ttl.is_zero() || ttl > TTL_MAX {
        let days = TTL_MAX.as_secs() / 86_400;
        return Err(Error::limit(
            "ttl",
            format!("the time to live is {ttl:?}, it must be above 0 and up to {days} days"),
        ));
    }
    Ok(Timestamp(now.0 + ttl.as_micros() as i64))
}

/// The stored chunks whose words are nearest to `text`.
async fn neighbours(engines: &Engines, grant: &Grant, text: &str) -> Result<Vec<Hydrated>> {
    let filter = Filter::all(grant.namespace().clone());
    let found = engines.lexical.search(&LexicalQuery { text: text.to_owned() }, &filter, NEIGHBOURS).await?;
    let ids: Vec<_> = found.iter().map(|candidate| candidate.chunk).collect();
    let mut chunks = engines.catalog.hydrate(grant.namespace(), &ids).await?;
    chunks.sort_by_key(|found| ids.iter().position(|id| *id == found.chunk.id));
    Ok(chunks)
}

/// The chunks that a text consists of, if it consists of stored ones: what retrieval gave out came back.
fn echoes<'a>(text: &Shingles, neighbours: &'a [Hydrated]) -> Vec<&'a Hydrated> {
    if text.words() < ECHO_WORDS_MIN {
        return Vec::new();
    }
    // Memories are compared as wholes, by `repeated`.
    let sources = || neighbours.iter().filter(|found| found.document.kind != DocumentKind::Memory);
    let mut union = Shingles::default();
    let mut parts = Vec::new();
    for found in sources() {
        let mut part = Shingles::of(&found.chunk.text);
        // Contexts show weaker evidence by its outline.
        part.extend(&Shingles::of(&found.chunk.outline));
        union.extend(&part);
        parts.push((part.containment(text), found));
    }
    if text.containment(&union) < ECHO_FROM {
        return Vec::new();
    }
    // Cited are those that the text holds most of, the nearest first; a few words that a chunk shares prove nothing.
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let cited = parts.iter().take_while(|(share, _)| *share >= CITED_FROM).count().max(1);
    parts.into_iter().take(cited).map(|(_, found)| found).collect()
}

/// The memory that a text nearly repeats: its id (or the id of the one that it repeats itself) and its address.
async fn repeated(
    engines: &Engines,
    grant: &Grant,
    text: &Shingles,
    neighbours: &[Hydrated],
    now: Timestamp,
) -> Result<Option<(DocumentId, String)>> {
    let mut seen: Vec<DocumentId> = Vec::new();
    for found in neighbours.iter().filter(|found| found.document.kind == DocumentKind::Memory) {
        let document = &found.document;
        if seen.contains(&document.id) || !alive(document, now) {
            continue;
        }
        seen.push(document.id);
        let chunks = engines.catalog.document_chunks(grant.namespace(), &[document.id]).await?;
        let whole = chunks.iter().map(|found| found.chunk.text.as_str()).collect::<Vec<_>>().join("\n");
        if text.resemblance(&Shingles::of(&whole)) >= REPEATS_FROM {
            return Ok(Some((document.repeats.unwrap_or(document.id), document.uri.clone())));
        }
    }
    Ok(None)
}
