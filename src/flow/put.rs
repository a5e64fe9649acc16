//! Stores documents that the caller sends along.

use std::collections::BTreeMap;

use super::Engines;
use super::access::Grant;
use super::apply::{Projections, Projector};
use super::build::{self, Facts};
use super::ingest::{self, Phase, Progress, ProgressSink, Report};
use crate::base::error::{Error, Result};
use crate::base::limits::{NAME_BYTES_MAX, PACKED_BYTES_MAX, TAGS_MAX, URI_BYTES_MAX};
use crate::base::tokens::TokenCounter;
use crate::base::{ContentHash, DocumentId, Timestamp};
use crate::engine::catalog::Source;
use crate::engine::parse::formats::apart::Reader;
use crate::engine::parse::formats::{self, Format};
use crate::engine::parse::{ChunkSizes, Media, media};
use crate::model::{DocumentKind, DocumentWrite, Namespace, Role, Trust};

/// Source of documents whose caller names none.
pub const INLINE_SOURCE: &str = "inline:";

/// Media type of what describes data.
pub(super) const CARD_MEDIA_TYPE: &str = "text/x-data-card";

/// A document that comes with its bytes.
#[derive(Debug, Clone, Default)]
pub struct InputDocument {
    /// Address; see [`Put::add`].
    pub uri: String,
    /// Title.
    pub title: Option<String>,
    /// Bytes.
    pub content: Vec<u8>,
    /// Media type; empty: decided from URI and bytes.
    pub media_type: String,
    /// Labels.
    pub tags: Vec<String>,
    /// Key-value data.
    pub metadata: BTreeMap<String, String>,
    /// Modification time.
    pub modified_at: Option<Timestamp>,
    /// How far its origin is trusted; [`Trust::Agent`] if nothing is said.
    pub trust: Option<Trust>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The document that it nearly repeats.
    pub repeats: Option<DocumentId>,
}

/// One stream of documents on its way in.
pub struct Put<'a> {
    engines: &'a Engines,
    projector: &'a Projector,
    grant: &'a Grant,
    source: Source,
    report: Report,
    before: Projections,
}

impl<'a> Put<'a> {
    /// Begins a stream into `source` (empty: [`INLINE_SOURCE`]).
    ///
    /// # Errors
    /// Those of the catalogue.
    pub async fn begin(
        engines: &'a Engines,
        projector: &'a Projector,
        grant: &'a Grant,
        source: &str,
    ) -> Result<Put<'a>> {
        let now = engines.clock.now();
        let uri = if source.is_empty() { INLINE_SOURCE } else { source };
        check_uri("source", uri)?;
        engines.catalog.create_namespace(grant.namespace(), now).await?;
        let source = engines.catalog.ensure_source(grant.namespace(), uri, now).await?;
        let report = Report { source: source.uri.clone(), ..Report::default() };
        Ok(Self { engines, projector, grant, source, report, before: projector.state() })
    }

    /// Stores one batch in one transaction. A document that can't be parsed is reported and the rest is kept. A URI
    /// without a scheme is put below the source's.
    ///
    /// # Errors
    /// Invalid or over a limit, naming the document; those of the catalogue.
    pub async fn add(&mut self, documents: Vec<InputDocument>, progress: &ProgressSink) -> Result<Vec<DocumentId>> {
        documents.iter().try_for_each(check)?;
        self.report.files += documents.len() as u64;
        self.report.bytes += documents.iter().map(|input| input.content.len() as u64).sum::<u64>();
        let (engines, source, namespace) = (self.engines.clone(), self.source.clone(), self.grant.namespace().clone());
        let parsed = self.engines.door.run(move || {
            let counter = engines.embedder.counter();
            let one = |input: InputDocument| {
                let path = input.uri.clone();
                build(input, &namespace, &source, engines.clock.now(), (&engines.reader, engines.sizes), &*counter)
                    .map_err(|reason| (path, reason))
            };
            Ok(documents.into_iter().map(one).collect::<Vec<_>>())
        });
        let mut writes: Vec<DocumentWrite> = Vec::new();
        for parsed in parsed.await? {
            match parsed {
                Ok(write) => writes.push(write),
                Err((path, reason)) => self.report.skipped.add(path, reason),
            }
        }
        let ids = writes.iter().map(|write| write.document.id).collect();
        self.report.chunks += writes.iter().map(|write| write.chunks.len() as u64).sum::<u64>();
        let recipes = self.engines.recipes(&[]);
        let recipe = recipes.of_all(writes.iter().map(|write| write.document.path.as_str())).to_owned();
        let outcome = self.engines.catalog.write(self.grant.namespace(), &recipe, writes).await?;
        ingest::add(&mut self.report.outcome, outcome);
        self.projector.wake();
        let _ = progress.try_send(Progress {
            phase: Phase::Reading,
            files_total: self.report.files,
            files_done: self.report.files,
            bytes_done: self.report.bytes,
            chunks: self.report.chunks,
            chunks_embedded: 0,
        });
        Ok(ids)
    }

    /// Waits until everything is lexically searchable.
    ///
    /// # Errors
    /// Unavailable if the index can't follow.
    pub async fn acknowledge(&mut self) -> Result<()> {
        self.report.outcome.lsn = self.engines.catalog.head().await?;
        self.projector.wait_lexical(self.report.outcome.lsn).await
    }

    /// Ends the stream, waiting for the vectors if asked to.
    ///
    /// # Errors
    /// Unavailable if the index can't follow.
    pub async fn finish(mut self, wait: bool, progress: &ProgressSink) -> Result<Report> {
        if wait {
            let before = (self.before.embedded, self.before.cached);
            ingest::wait_for_vectors(self.projector, &mut self.report, progress, before).await?;
        }
        Ok(self.report)
    }
}

/// Parses one into what is stored of it.
///
/// # Errors
/// The reason why it can't be.
pub(super) fn build(
    input: InputDocument,
    namespace: &Namespace,
    source: &Source,
    now: Timestamp,
    (reader, sizes): (&Reader, ChunkSizes),
    counter: &dyn TokenCounter,
) -> Result<DocumentWrite, String> {
    let media = media_of(&input)?;
    let content = ContentHash::of(&input.content);
    let facts = Facts {
        namespace: namespace.clone(),
        source: source.id,
        path: path_of(&input.uri),
        uri: full_uri(&source.uri, &input.uri),
        title: input.title.filter(|title| !title.is_empty()),
        modified_at: input.modified_at,
        mark: None,
        tags: input.tags,
        metadata: input.metadata,
        trust: input.trust.unwrap_or(Trust::Agent),
        expires_at: input.expires_at,
        repeats: input.repeats,
        indexed_at: now,
    };
    let text = reader.read(&input.content, &media).map_err(|skip| skip.as_str().to_owned())?;
    let bytes = input.content.len() as u64;
    build::document_of(facts, &media, text, (content, bytes), sizes, counter).map_err(|skip| skip.as_str().to_owned())
}

/// Checks one against the limits.
///
/// # Errors
/// Invalid or over a limit, naming it.
pub(super) fn check(input: &InputDocument) -> Result<()> {
    check_uri("documents.uri", &input.uri)?;
    let bytes_max = match Format::of_media_type(&input.media_type) {
        Some(_) => PACKED_BYTES_MAX,
        None => formats::bytes_max(&input.uri),
    };
    if input.content.len() as u64 > bytes_max {
        return Err(Error::limit(
            "documents.content",
            format!(
                "document {:?} has {} bytes, the limit for one document is {bytes_max}: split it",
                input.uri,
                input.content.len()
            ),
        ));
    }
    check_tags(&input.tags)
}

fn check_uri(field: &'static str, uri: &str) -> Result<()> {
    if uri.is_empty() || uri.len() > URI_BYTES_MAX || uri.contains(char::is_control) {
        return Err(Error::invalid(
            field,
            format!("{uri:.80?} is no usable URI: give 1 to {URI_BYTES_MAX} bytes without control characters"),
        ));
    }
    Ok(())
}

/// Checks number and length of tags.
///
/// # Errors
/// Over the limit, naming it.
pub fn check_tags(tags: &[String]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(Error::limit("tags", format!("{} tags given, the limit is {TAGS_MAX}", tags.len())));
    }
    match tags.iter().find(|tag| tag.is_empty() || tag.len() > NAME_BYTES_MAX) {
        Some(tag) => Err(Error::limit("tags", format!("tag {tag:.40?} is empty or over {NAME_BYTES_MAX} bytes"))),
        None => Ok(()),
    }
}

/// The path that ranking and embedding see: what follows the scheme if it looks like one. An opaque id is no path, and
/// would only add noise to words and vectors.
fn path_of(uri: &str) -> String {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    if rest.contains(['/', '.']) { rest.to_owned() } else { String::new() }
}

fn full_uri(source: &str, uri: &str) -> String {
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    });
    if has_scheme { uri.to_owned() } else { format!("{source}{uri}") }
}

fn media_of(input: &InputDocument) -> Result<Media, String> {
    let given = |kind, media_type| Media { kind, role: Role::Main, media_type, language: None };
    match input.media_type.as_str() {
        "" => media::detect(&input.uri, &input.content).map_err(|skip| skip.as_str().to_owned()),
        "text/markdown" => Ok(given(DocumentKind::Markdown, "text/markdown")),
        "text/html" => Ok(given(DocumentKind::Html, "text/html")),
        "text/plain" => Ok(given(DocumentKind::Text, "text/plain")),
        CARD_MEDIA_TYPE => Ok(given(DocumentKind::Data, CARD_MEDIA_TYPE)),
        "text/x-memory" => Ok(given(DocumentKind::Memory, "text/x-memory")),
        other => match Format::of_media_type(other) {
            Some(format) => Ok(given(format.kind(), format.media_type())),
            None => Err(format!("media type {other} is not supported")),
        },
    }
}
