//! Measuring a code set: each source tree is ingested as a user would; queries are answered by chunks of files.

use std::time::Instant;

use hivemem_client::Client;
use hivemem_client::proto::{Hit, IngestSourceRequest, SearchRequest};
use serde_json::{Value, json};

use super::super::args::EvalArgs;
use super::super::failure::Failure;
use super::super::ingest::absolute_source;
use super::super::progress::query_bar;
use super::super::render;
use super::host::{Asker, ResultsFile, follow};
use super::report::{Measure, Part, Scored};
use crate::rank::metrics::{FileChunk, K, rank_targets};
use crate::server::sets::CodeRepo;

/// The metric gives no credit for a second chunk of a file, so files are what is asked for.
const PER_DOCUMENT_MAX: u32 = 1;

/// Measures one tree in the client's namespace.
pub(super) async fn measure(
    client: &Client,
    repo: CodeRepo,
    args: &EvalArgs,
    results: &mut ResultsFile,
) -> Result<Part, Failure> {
    let root = repo.root.to_str().ok_or_else(|| Failure::usage(format!("{:?} is not UTF-8 text", repo.root)))?;
    let request = IngestSourceRequest { source: absolute_source(root)?, ..IngestSourceRequest::default() };
    let began = Instant::now();
    let started = client.ingest_source(request).await;
    let (ingest_s, _) = follow(&repo.name, began, started).await?;

    let queries = &repo.queries[..repo.queries.len().min(args.limit.unwrap_or(usize::MAX))];
    let bar = query_bar(&repo.name, queries.len());
    let mut asker = Asker::default();
    let mut scored = Vec::with_capacity(queries.len());
    for query in queries {
        let request = SearchRequest {
            query: query.text.clone(),
            k: Some(K as u32),
            mode: args.mode.map_or(0, |mode| mode.wire()),
            per_document_max: args.per_document.unwrap_or(PER_DOCUMENT_MAX),
            ..SearchRequest::default()
        };
        let (hits, ms) = asker.ask(client, &query.id, request).await?;
        let chunks: Vec<FileChunk<'_>> = hits.iter().map(chunk).collect();
        let returned: Vec<Value> = hits.iter().map(returned).collect();
        results.write(&json!({"repo": repo.name, "id": query.id, "results": returned}))?;
        scored.push(Scored { measure: Measure::Ranked(rank_targets(&chunks, &query.targets)), ms, adversarial: false });
        bar.inc(1);
    }
    bar.finish_and_clear();
    asker.report(&repo.name);
    Ok(Part { name: repo.name, scored, ingest_s })
}

fn chunk(hit: &Hit) -> FileChunk<'_> {
    let location = hit.location.unwrap_or_default();
    FileChunk { path: path(hit), first: location.line_first, last: location.line_last }
}

fn path(hit: &Hit) -> &str {
    hit.path.strip_prefix("./").unwrap_or(&hit.path)
}

fn returned(hit: &Hit) -> Value {
    let location = hit.location.unwrap_or_default();
    json!({
        "path": path(hit),
        "start": location.line_first,
        "end": location.line_last,
        "score": render::float(hit.score),
    })
}
