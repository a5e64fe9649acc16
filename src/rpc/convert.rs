//! Wire types to model types and back.

use std::time::Duration;

use super::proto;
use crate::base::error::{Error, Result};
use crate::base::{RunId, Timestamp};
use crate::engine::catalog::WriteOutcome;
use crate::flow::ingest::{Issues, Report};
use crate::flow::recall::{FilterRequest, Missing};
use crate::model::{Chunk, Hit, Lines, Pages, Span};
use crate::rank::packing::{Form, Pack};

pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.0.div_euclid(1_000_000), nanos: (at.0.rem_euclid(1_000_000) * 1_000) as i32 }
}

pub fn from_timestamp(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp(at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1_000))
}

pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    }
}

/// # Errors
/// Invalid for anything but a UUID.
pub fn run_id(text: &str) -> Result<RunId> {
    RunId::parse(text).ok_or_else(|| Error::invalid("run", format!("{text:.60?} is not the id of a run (a UUID)")))
}

/// # Errors
/// Invalid for a negative one.
pub fn from_duration(duration: &prost_types::Duration) -> Result<Duration> {
    Duration::try_from(*duration).map_err(|_| Error::invalid("ttl", "a time to live must be a positive duration"))
}

pub fn filter(filter: Option<proto::SearchFilter>) -> FilterRequest {
    let Some(filter) = filter else { return FilterRequest::default() };
    FilterRequest {
        modified_from: filter.modified_from.as_ref().map(from_timestamp),
        modified_until: filter.modified_until.as_ref().map(from_timestamp),
        paths: filter.paths,
        languages: filter.languages,
        kinds: filter.kinds,
        sources: filter.sources,
        tags: filter.tags,
    }
}

pub fn completeness(missing: Vec<Missing>) -> proto::Completeness {
    proto::Completeness {
        complete: missing.is_empty(),
        missing: missing
            .into_iter()
            .map(|missing| proto::MissingPart { part: missing.part, reason: missing.reason })
            .collect(),
    }
}

fn location(span: Span, lines: Lines, pages: Option<Pages>) -> proto::Location {
    let (page_first, page_last) = pages.map_or((0, 0), |pages| (pages.first, pages.last));
    proto::Location {
        byte_start: span.start,
        byte_end: span.end,
        line_first: lines.first,
        line_last: lines.last,
        page_first,
        page_last,
    }
}

pub fn hit(hit: Hit, explain: bool) -> proto::Hit {
    let citation = hit.citation();
    let document = &hit.found.document;
    let Chunk { id, span, lines, pages, text, breadcrumb, symbols, .. } =
        std::sync::Arc::unwrap_or_clone(hit.found.chunk);
    let parts = hit.parts.iter().map(|part| proto::ScorePart { name: part.name.to_owned(), value: part.value });
    let channels = hit.channels.iter().map(|proposal| proto::ChannelScore {
        channel: proposal.channel.as_str().to_owned(),
        score: proposal.score,
        rank: proposal.rank,
    });
    proto::Hit {
        chunk_id: id.to_string(),
        document_id: document.id.to_string(),
        uri: document.uri.clone(),
        path: document.path.clone(),
        location: Some(location(span, lines, pages)),
        sha256: document.content.to_string(),
        citation,
        score: hit.score,
        parts: if explain { parts.collect() } else { Vec::new() },
        channels: channels.collect(),
        text,
        title: document.title.clone().unwrap_or_default(),
        breadcrumb,
        symbols,
        language: document.language.clone().unwrap_or_default(),
        kind: document.kind.as_str().to_owned(),
        tags: document.tags.clone(),
        indexed_at: Some(timestamp(document.indexed_at)),
        freshness: hit.freshness.as_str().to_owned(),
        trust: document.trust.as_str().to_owned(),
        metadata: document.metadata.clone(),
        repeats: document.repeats.map(|id| id.to_string()).unwrap_or_default(),
        expires_at: document.expires_at.map(timestamp),
    }
}

pub fn report(report: Report, elapsed: Duration) -> proto::IngestReport {
    let WriteOutcome { lsn, added, updated, unchanged, removed } = report.outcome;
    proto::IngestReport {
        source: report.source,
        files: report.files,
        bytes: report.bytes,
        chunks: report.chunks,
        added,
        updated,
        unchanged,
        removed,
        embedded: report.embedded,
        embeddings_cached: report.cached,
        lsn: lsn.0,
        elapsed: Some(duration(elapsed)),
        skipped_by_reason: report.skipped.by_reason.clone().into_iter().collect(),
        failed_by_reason: report.failed.by_reason.clone().into_iter().collect(),
        skipped: issues(report.skipped),
        failed: issues(report.failed),
    }
}

fn issues(issues: Issues) -> Vec<proto::FileIssue> {
    issues.listed.into_iter().map(|issue| proto::FileIssue { path: issue.path, reason: issue.reason }).collect()
}

pub fn context(pack: Pack, tokenizer: String, budget_tokens: u32) -> proto::GatherContextResponse {
    let items = pack.items.iter().map(|item| proto::ContextItem {
        citation: item.citation(),
        uri: item.uri.clone(),
        path: item.path.clone(),
        location: Some(location(item.span, item.lines, item.pages)),
        form: match item.form {
            Form::Full => proto::context_item::Form::Full.into(),
            Form::Outline => proto::context_item::Form::Outline.into(),
        },
        tokens: item.tokens as u32,
        score: item.score,
        chunk_ids: item.chunks.iter().map(ToString::to_string).collect(),
        text_start: item.text.start,
        text_end: item.text.end,
    });
    let trace = pack.trace.iter().map(|step| proto::TraceStep {
        chunk_id: step.chunk.to_string(),
        decision: step.decision.as_str().to_owned(),
        score: step.score,
        tokens: step.tokens as u32,
        parts: step
            .parts
            .iter()
            .map(|part| proto::ScorePart { name: part.name.to_owned(), value: part.value })
            .collect(),
    });
    proto::GatherContextResponse {
        tokens: pack.tokens as u32,
        budget_tokens,
        tokenizer,
        items: items.collect(),
        trace: trace.collect(),
        text: pack.text,
        completeness: None,
        lsn: 0,
    }
}
