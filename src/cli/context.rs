//! `hivemem context`.

use hivemem_client::Client;
use hivemem_client::proto::context_item::Form;
use hivemem_client::proto::{ContextItem, GatherContextRequest, GatherContextResponse, TraceStep};
use serde_json::{Value, json};

use super::args::{ContextArgs, Global};
use super::failure::Failure;
use super::output;
use super::render;
use super::search::filter;
use super::session::Session;

/// Runs the command.
pub(super) async fn run(args: ContextArgs, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let outcome = gather(&session.client, &args, global.json).await;
    session.close(outcome).await
}

async fn gather(client: &Client, args: &ContextArgs, as_json: bool) -> Result<(), Failure> {
    let request = GatherContextRequest {
        task: args.task.clone(),
        map: args.map,
        budget_tokens: args.budget,
        require_fresh: args.fresh,
        model: args.model.clone(),
        filter: filter(&args.filter)?,
        run: args.run.clone(),
        node: args.node.clone(),
        held: args.held.clone(),
        ..GatherContextRequest::default()
    };
    let pack = client.gather_context(request).await?;
    if let Some(warning) = render::degraded(pack.completeness.as_ref()) {
        output::note(warning);
    }
    if as_json {
        return output::print_json(&pack_json(&pack));
    }
    output::print(&pack.text)?;
    output::note(format!(
        "{} of {} tokens ({}), {}",
        render::count(pack.tokens.into()),
        render::count(pack.budget_tokens.into()),
        pack.tokenizer,
        render::plural(pack.items.len() as u64, "item"),
    ));
    Ok(())
}

fn pack_json(pack: &GatherContextResponse) -> Value {
    let (complete, missing) = render::completeness_json(pack.completeness.as_ref());
    json!({
        "text": pack.text,
        "tokens": pack.tokens,
        "budget_tokens": pack.budget_tokens,
        "tokenizer": pack.tokenizer,
        "citations": pack.items.iter().map(item_json).collect::<Vec<_>>(),
        "trace": pack.trace.iter().map(step_json).collect::<Vec<_>>(),
        "complete": complete,
        "missing": missing,
        "lsn": pack.lsn,
    })
}

fn item_json(item: &ContextItem) -> Value {
    let location = item.location.unwrap_or_default();
    let form = match item.form() {
        Form::Full => "full",
        Form::Outline => "outline",
        Form::Unspecified => "unspecified",
    };
    json!({
        "citation": item.citation,
        "uri": item.uri,
        "path": item.path,
        "line_first": location.line_first,
        "line_last": location.line_last,
        "page_first": render::page(location.page_first),
        "page_last": render::page(location.page_last),
        "form": form,
        "tokens": item.tokens,
        "score": render::float(item.score),
        "chunk_ids": item.chunk_ids,
        "text_start": item.text_start,
        "text_end": item.text_end,
    })
}

fn step_json(step: &TraceStep) -> Value {
    let parts: Vec<Value> =
        step.parts.iter().map(|part| json!({"name": part.name, "value": render::float(part.value)})).collect();
    json!({
        "parts": parts,
        "chunk_id": step.chunk_id,
        "decision": step.decision,
        "score": render::float(step.score),
        "tokens": step.tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_a_pack_has_text_tokens_citations_and_trace() {
        let item =
            ContextItem { citation: "file:///a@00#L1-L2".into(), form: Form::Outline.into(), ..Default::default() };
        let step = TraceStep { decision: "outline".into(), tokens: 7, ..Default::default() };
        let pack = GatherContextResponse {
            text: "x".into(),
            tokens: 7,
            budget_tokens: 10,
            items: vec![item],
            trace: vec![step],
            ..Default::default()
        };
        let value = pack_json(&pack);
        assert_eq!((&value["tokens"], &value["budget_tokens"]), (&json!(7), &json!(10)));
        assert_eq!(value["citations"][0]["form"], "outline");
        assert_eq!(value["citations"][0]["citation"], "file:///a@00#L1-L2");
        assert_eq!(value["trace"][0]["decision"], "outline");
    }
}
