//! `hivemem data stat`: everything that is known of one object.

use hivemem_client::Client;
use hivemem_client::proto::StatDataRequest;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::{output, render};

/// Runs the command.
pub(super) async fn run(client: &Client, uri: String, offline: bool, as_json: bool) -> Result<(), Failure> {
    let stat = client.stat_data(StatDataRequest { uri, offline, ..StatDataRequest::default() }).await?;
    let object = stat.object.unwrap_or_default();
    let versions: Vec<Value> =
        stat.versions.iter().map(|version| json!({"version": version.version, "bytes": version.bytes})).collect();
    let uses: Vec<Value> = stat
        .uses
        .iter()
        .map(|used| json!({"action": used.action, "user": used.user, "at": render::time_json(&used.at), "bytes": used.bytes}))
        .collect();
    let value = json!({
        "uri": object.uri, "name": object.name, "kind": object.kind, "store": stat.store,
        "registered": stat.registered, "indexed": stat.indexed,
        "freshness": stat.freshness, "freshness_reason": stat.freshness_reason,
        "description": object.description, "schema": object.schema, "media_type": object.media_type,
        "owner": object.owner, "tags": object.tags, "cost_class": object.cost_class,
        "credential": object.credential, "bytes": object.bytes, "content_hash": object.content_hash,
        "modified_at": render::time_json(&object.modified_at), "metadata": object.metadata, "versions": versions,
        "document_id": stat.document_id, "source": stat.source, "chunks": stat.chunks, "tokens": stat.tokens,
        "indexed_at": render::time_json(&stat.indexed_at), "indexed_hash": stat.indexed_hash,
        "documents": stat.documents, "documents_total": stat.documents_total, "uses": uses,
    });
    if as_json {
        return output::print_json(&value);
    }
    let mut text = String::new();
    for (field, value) in value.as_object().into_iter().flatten() {
        let shown = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !matches!(shown.as_str(), "" | "[]" | "{}" | "null" | "0") {
            let lines: Vec<String> = shown.lines().map(render::printable).collect();
            text.push_str(&format!("{field}: {}\n", lines.join("\n    ")));
        }
    }
    output::print(&text)
}
