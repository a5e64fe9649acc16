//! `hivemem search`.

use hivemem_client::Client;
use hivemem_client::proto::{SearchFilter, SearchRequest};
use serde_json::{Value, json};

use super::args::{FilterArgs, Global, SearchArgs};
use super::failure::Failure;
use super::ingest::absolute_source;
use super::output;
use super::render;
use super::session::Session;

/// Runs the command.
pub(super) async fn run(args: SearchArgs, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let outcome = search(&session.client, &args, global.json).await;
    session.close(outcome).await
}

async fn search(client: &Client, args: &SearchArgs, as_json: bool) -> Result<(), Failure> {
    let request = SearchRequest {
        query: args.query.clone(),
        k: Some(args.k),
        mode: args.mode.wire(),
        filter: filter(&args.filter)?,
        explain: args.explain,
        require_fresh: args.fresh,
        per_document_max: args.per_document,
        ..SearchRequest::default()
    };
    let response = client.search(request).await?;
    let completeness = response.completeness.as_ref();
    if let Some(warning) = render::degraded(completeness) {
        output::note(warning);
    }
    if as_json {
        let (complete, missing) = render::completeness_json(completeness);
        let hits: Vec<Value> =
            response.hits.iter().map(|hit| render::hit_json(hit, &args.query, args.explain)).collect();
        let timings = response.timings.unwrap_or_default();
        return output::print_json(&json!({
            "hits": hits,
            "complete": complete,
            "missing": missing,
            "lsn": response.lsn,
            "timings_us": {
                "embed": timings.embed_us,
                "dense": timings.dense_us,
                "lexical": timings.lexical_us,
                "hydrate": timings.hydrate_us,
                "graph": timings.graph_us,
                "total": timings.total_us,
            },
        }));
    }
    if response.hits.is_empty() {
        output::note("nothing found");
    }
    output::print(&render::hits(&response.hits, &args.query, args.explain, output::columns()))
}

/// The filter of a request; none if nothing is filtered.
pub(super) fn filter(args: &FilterArgs) -> Result<Option<SearchFilter>, Failure> {
    let sources = args.sources.iter().map(|source| absolute_source(source)).collect::<Result<Vec<_>, _>>()?;
    let filter = SearchFilter {
        paths: args.paths.clone(),
        languages: args.languages.clone(),
        kinds: args.kinds.clone(),
        sources,
        tags: args.tags.clone(),
        modified_from: args.since.map(Into::into),
        modified_until: args.until.map(Into::into),
    };
    Ok((filter != SearchFilter::default()).then_some(filter))
}
