//! `hivemem data register`: one object by options, or many from a file.

use std::io::Read;
use std::path::Path;

use hivemem_client::Client;
use hivemem_client::proto::{DataObject, RegisterDataRequest};
use serde::Deserialize;
use serde_json::json;

use super::place;
use crate::cli::args::RegisterArgs;
use crate::cli::failure::Failure;
use crate::cli::{output, render};

/// A line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    uri: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    schema: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    cost_class: String,
    #[serde(default)]
    credential: String,
    bytes: Option<u64>,
    #[serde(default)]
    content_hash: String,
    #[serde(default)]
    metadata: std::collections::BTreeMap<String, String>,
}

/// What is to be registered.
pub(super) fn read(args: &RegisterArgs) -> Result<Vec<DataObject>, Failure> {
    if let Some(file) = &args.file {
        return from_file(file).map_err(|failure| failure.about(file.display()));
    }
    let text = |option: &Option<String>| option.clone().unwrap_or_default();
    Ok(vec![DataObject {
        uri: place(&text(&args.uri))?,
        name: text(&args.name),
        description: text(&args.description),
        kind: text(&args.kind),
        media_type: text(&args.media_type),
        schema: text(&args.schema),
        owner: text(&args.owner),
        tags: args.tags.clone(),
        cost_class: text(&args.cost_class),
        credential: text(&args.credential),
        bytes: args.bytes,
        content_hash: text(&args.content_hash),
        ..DataObject::default()
    }])
}

fn from_file(file: &Path) -> Result<Vec<DataObject>, Failure> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|cause| Failure::failed(format!("can't be read: {cause}")))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let object = |(number, line): (usize, &str)| {
        let line: Line = serde_json::from_str(line)
            .map_err(|cause| Failure::failed(format!("line {} is no object: {cause}", number + 1)))?;
        Ok(DataObject {
            uri: place(&line.uri)?,
            name: line.name,
            description: line.description,
            kind: line.kind,
            media_type: line.media_type,
            schema: line.schema,
            owner: line.owner,
            tags: line.tags,
            cost_class: line.cost_class,
            credential: line.credential,
            bytes: line.bytes,
            content_hash: line.content_hash,
            metadata: line.metadata,
            ..DataObject::default()
        })
    };
    lines.map(object).collect()
}

/// Registers it.
pub(super) async fn run(
    client: &Client,
    objects: Vec<DataObject>,
    contents: bool,
    as_json: bool,
) -> Result<(), Failure> {
    let head = RegisterDataRequest { contents, ..RegisterDataRequest::default() };
    let reply = client.register_data(head, objects).await?;
    if as_json {
        let issues: Vec<_> =
            reply.issues.iter().map(|issue| json!({"uri": issue.uri, "reason": issue.reason})).collect();
        output::print_json(&json!({
            "added": reply.added, "updated": reply.updated, "unchanged": reply.unchanged,
            "rejected": reply.rejected, "issues": issues,
        }))?;
    } else {
        for issue in &reply.issues {
            output::note(format!("rejected {}: {}", render::printable(&issue.uri), render::printable(&issue.reason)));
        }
        let (added, updated, unchanged, rejected) = (reply.added, reply.updated, reply.unchanged, reply.rejected);
        output::print(&format!("{added} added, {updated} updated, {unchanged} unchanged, {rejected} rejected"))?;
    }
    let stored = reply.added + reply.updated + reply.unchanged;
    if stored == 0 && reply.rejected > 0 { Err(Failure::failed("no object could be registered")) } else { Ok(()) }
}
