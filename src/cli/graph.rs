//! `hivemem tree` and `hivemem graph …`.

use std::fmt::Write;

use hivemem_client::Client;
use hivemem_client::proto::{
    Completeness, Direction, GraphEdge, GraphNode, LinkRequest, NeighborsRequest, NeighborsResponse, OutlineRequest,
    PathRequest, RelatedRequest, ResolveRequest, TreeRequest, TreeResponse, UnlinkRequest,
};
use serde_json::{Value, json};

use super::args::{Global, GraphCommand, LinkArgs, NeighborsArgs, TreeArgs, Way};
use super::failure::Failure;
use super::memory::uri;
use super::output;
use super::render::{self, printable};
use super::session::Session;

/// What a command prints: for people and for programs, and what was missing.
struct Shown {
    text: String,
    json: Value,
    completeness: Option<Completeness>,
}

impl Shown {
    /// The JSON with what was missing from the answer, as searches say it.
    fn whole_json(self) -> Value {
        let mut json = self.json;
        if let Some(completeness) = &self.completeness {
            let (complete, missing) = render::completeness_json(Some(completeness));
            (json["complete"], json["missing"]) = (complete.into(), missing.into());
        }
        json
    }
}

/// Prints the folder tree.
pub(super) async fn tree(args: TreeArgs, global: &Global) -> Result<(), Failure> {
    let request =
        TreeRequest { path: place(&args.path)?, depth: args.depth, limit: args.limit, ..TreeRequest::default() };
    show(global, async |client| {
        let reply = client.tree(request).await?;
        let entry = |entry: &hivemem_client::proto::TreeEntry| {
            json!({
                "depth": entry.depth, "address": entry.address, "name": entry.name, "folder": entry.is_folder,
                "files": entry.files, "languages": entry.languages, "outline": entry.outline,
            })
        };
        let entries: Vec<Value> = reply.entries.iter().map(entry).collect();
        Ok(Shown {
            text: tree_text(&reply),
            json: json!({"entries": entries, "left_out": reply.left_out}),
            completeness: reply.completeness,
        })
    })
    .await
}

/// A tree for reading: a line each, indented.
pub(super) fn tree_text(reply: &TreeResponse) -> String {
    let mut text = String::new();
    for entry in &reply.entries {
        let indent = "  ".repeat(entry.depth as usize);
        let languages = entry.languages.iter().map(|(language, count)| format!("{language} {count}"));
        let languages = languages.collect::<Vec<_>>().join(", ");
        let about = match entry.is_folder {
            true => format!("  {} ({languages})", render::plural(u64::from(entry.files), "file")),
            false if entry.outline.is_empty() => String::new(),
            false => format!("  {}", printable(&entry.outline)),
        };
        let slash = if entry.is_folder && !entry.name.ends_with('/') { "/" } else { "" };
        let _ = writeln!(text, "{indent}{}{slash}{about}", printable(&entry.name));
    }
    if reply.left_out > 0 {
        let _ = writeln!(text, "… {} more entries: name a folder, or raise --limit", reply.left_out);
    }
    text
}

/// A path of this machine as an address; anything else as it is.
fn place(path: &str) -> Result<String, Failure> {
    let local = path.starts_with(['/', '~']) || path == "." || path.starts_with("./") || path.starts_with("..");
    if !local || path.is_empty() {
        return Ok(path.to_owned());
    }
    uri(path)
}

/// Runs one of the commands about the graph.
pub(super) async fn run(command: GraphCommand, global: &Global) -> Result<(), Failure> {
    show(global, async |client| match command {
        GraphCommand::Neighbors(args) => neighbors(client, args).await,
        GraphCommand::Path { from, to, depth, kind } => path(client, from, to, depth, kind).await,
        GraphCommand::Related { nodes, limit, kind } => related(client, nodes, limit, kind).await,
        GraphCommand::Outline { node, limit } => outline(client, node, limit).await,
        GraphCommand::Resolve { name, limit } => resolve(client, name, limit).await,
        GraphCommand::Link(args) => link(client, args).await,
        GraphCommand::Unlink { from, to, kind } => unlink(client, from, to, kind).await,
    })
    .await
}

/// Opens a session, asks, and prints what came back.
async fn show(global: &Global, ask: impl AsyncFnOnce(&Client) -> Result<Shown, Failure>) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let outcome = ask(&session.client).await;
    let shown = session.close(outcome).await?;
    if let Some(warning) = render::degraded(shown.completeness.as_ref()) {
        output::note(warning);
    }
    if global.json { output::print_json(&shown.whole_json()) } else { output::print(&shown.text) }
}

async fn neighbors(client: &Client, args: NeighborsArgs) -> Result<Shown, Failure> {
    let direction = match args.direction {
        Way::Out => Direction::Out,
        Way::In => Direction::In,
        Way::Both => Direction::Both,
    };
    let request = NeighborsRequest {
        node: args.node,
        kinds: args.kind,
        direction: direction.into(),
        depth: args.depth,
        limit: args.limit,
        confidence_min: args.sure,
        ..NeighborsRequest::default()
    };
    let reply = client.neighbors(request).await?;
    let json = json!({
        "node": reply.node.as_ref().map(node_json), "nodes": nodes_json(&reply.nodes), "edges": edges_json(&reply.edges),
        "truncated": reply.truncated, "alternatives": reply.alternatives,
    });
    Ok(Shown { text: neighbors_text(&reply), json, completeness: reply.completeness })
}

/// A node with its edges for reading: a line each.
pub(super) fn neighbors_text(reply: &NeighborsResponse) -> String {
    let mut text = String::new();
    if let Some(node) = &reply.node {
        let _ = writeln!(text, "{}", line(node));
    }
    for edge in &reply.edges {
        let _ = writeln!(text, "  {}", edge_line(edge, reply.node.as_ref().map_or("", |node| &node.address)));
    }
    if reply.truncated {
        text.push_str("… there is more: raise --limit, or name a --kind\n");
    }
    also(&mut text, &reply.alternatives);
    text
}

async fn path(client: &Client, from: String, to: String, depth: u32, kinds: Vec<String>) -> Result<Shown, Failure> {
    let reply = client.path(PathRequest { from, to, depth, kinds, ..PathRequest::default() }).await?;
    let mut text = String::new();
    for (place, node) in reply.nodes.iter().enumerate() {
        if let Some(edge) = place.checked_sub(1).and_then(|before| reply.edges.get(before)) {
            let arrow = if edge.to == node.address { "↓" } else { "↑" };
            let _ = writeln!(text, "  {arrow} {}{}", edge.kind, said_at(edge));
        }
        let _ = writeln!(text, "{}", line(node));
    }
    if reply.nodes.is_empty() {
        text.push_str(match reply.truncated {
            true => "no path was found among the nodes that were looked at; there may be one\n",
            false => "no path within that many steps\n",
        });
    }
    also(&mut text, &reply.alternatives);
    let json = json!({
        "nodes": nodes_json(&reply.nodes), "edges": edges_json(&reply.edges), "truncated": reply.truncated,
        "alternatives": reply.alternatives,
    });
    Ok(Shown { text, json, completeness: reply.completeness })
}

async fn related(client: &Client, nodes: Vec<String>, limit: u32, kinds: Vec<String>) -> Result<Shown, Failure> {
    let reply = client.related(RelatedRequest { nodes, limit, kinds, ..RelatedRequest::default() }).await?;
    let mut text = String::new();
    let mut list = Vec::new();
    for found in &reply.nodes {
        let Some(node) = &found.node else { continue };
        let _ = writeln!(text, "{:.4}  {}", found.score, line(node));
        let mut json = node_json(node);
        json["score"] = render::float(found.score);
        list.push(json);
    }
    if reply.truncated {
        text.push_str("… the walk ended at its limit: nodes further away are ranked less exactly\n");
    }
    also(&mut text, &reply.alternatives);
    let json = json!({"nodes": list, "truncated": reply.truncated, "alternatives": reply.alternatives});
    Ok(Shown { text, json, completeness: reply.completeness })
}

async fn outline(client: &Client, node: String, limit: u32) -> Result<Shown, Failure> {
    let reply = client.outline(OutlineRequest { node, limit, ..OutlineRequest::default() }).await?;
    let mut text = String::new();
    if let Some(document) = &reply.document {
        let _ = writeln!(text, "{}", printable(&document.uri));
    }
    let mut list = Vec::new();
    for entry in &reply.entries {
        let Some(node) = &entry.node else { continue };
        let indent = "  ".repeat(entry.depth as usize + 1);
        let shown =
            if node.signature.is_empty() { format!("{} {}", node.kind, node.name) } else { node.signature.clone() };
        let doc = if node.doc.is_empty() { String::new() } else { format!("  — {}", node.doc) };
        let _ = writeln!(text, "{:>5} {indent}{}{}", node.line_first, printable(&shown), printable(&doc));
        let mut json = node_json(node);
        json["depth"] = entry.depth.into();
        list.push(json);
    }
    if reply.left_out > 0 {
        let _ = writeln!(text, "… {} definitions that stand deeper were left out: --limit", reply.left_out);
    }
    if reply.partial {
        text.push_str("… some of it could not be read\n");
    }
    let document = reply.document.as_ref().map(node_json);
    let (partial, left_out) = (reply.partial, reply.left_out);
    let json = json!({"document": document, "entries": list, "partial": partial, "left_out": left_out});
    Ok(Shown { text, json, completeness: reply.completeness })
}

async fn resolve(client: &Client, name: String, limit: u32) -> Result<Shown, Failure> {
    let reply = client.resolve(ResolveRequest { name, limit, ..ResolveRequest::default() }).await?;
    let mut text: String = reply.nodes.iter().map(|node| format!("{}\n", line(node))).collect();
    if reply.nodes.is_empty() {
        text.push_str("nothing has that name\n");
    }
    if reply.truncated {
        text.push_str("… there are more\n");
    }
    let json = json!({"nodes": nodes_json(&reply.nodes), "truncated": reply.truncated});
    Ok(Shown { text, json, completeness: reply.completeness })
}

async fn link(client: &Client, args: LinkArgs) -> Result<Shown, Failure> {
    let ttl = args.ttl.map(hivemem_client::proto::Duration::try_from).transpose();
    let request = LinkRequest {
        from: args.from,
        to: args.to,
        kind: args.kind,
        note: args.note,
        tags: args.tags,
        run: args.run,
        node: args.node,
        idempotency_key: args.key,
        ttl: ttl.map_err(|_| Failure::usage("--ttl is too long"))?,
        ..LinkRequest::default()
    };
    let reply = client.link(request).await?;
    let edge = reply.edge.unwrap_or_default();
    let state = if reply.created { "linked" } else { "was linked already" };
    let text = format!(
        "{state}: {} {} {}\nheld by {}\n",
        printable(&edge.from),
        edge.kind,
        printable(&edge.to),
        printable(&edge.origin)
    );
    Ok(Shown {
        text,
        json: json!({"edge": edge_json(&edge), "created": reply.created, "lsn": reply.lsn}),
        completeness: None,
    })
}

async fn unlink(client: &Client, from: String, to: Option<String>, kind: Option<String>) -> Result<Shown, Failure> {
    let kind = kind.unwrap_or_default();
    let request = match to {
        Some(to) => UnlinkRequest { from, to, kind, ..UnlinkRequest::default() },
        None => UnlinkRequest { origin: from, kind, ..UnlinkRequest::default() },
    };
    let reply = client.unlink(request).await?;
    let list: String = reply.removed.iter().map(|uri| format!("  {}\n", printable(uri))).collect();
    let text = format!("took back {}\n{list}", render::plural(reply.removed.len() as u64, "link"));
    Ok(Shown { text, json: json!({"removed": reply.removed, "lsn": reply.lsn}), completeness: None })
}

/// A node in one line.
fn line(node: &GraphNode) -> String {
    let place = match (node.path.is_empty(), node.line_first) {
        (true, _) => String::new(),
        (false, 0) => format!("  {}", node.path),
        (false, line) => format!("  {}:{line}", node.path),
    };
    let shown = match (node.signature.is_empty(), node.qualified.is_empty()) {
        (false, _) => &node.signature,
        (true, false) => &node.qualified,
        (true, true) if node.path.is_empty() => &node.address,
        (true, true) => &node.name,
    };
    printable(&format!("{} {shown}{place}", node.kind)).to_string()
}

/// An edge as it is seen from `asked`.
fn edge_line(edge: &GraphEdge, asked: &str) -> String {
    let sure =
        if edge.confidence < 0.995 { format!(" ({:.0} % sure)", 100.0 * edge.confidence) } else { String::new() };
    let note = if edge.note.is_empty() { String::new() } else { format!(" — {}", edge.note) };
    let text = match (edge.from == asked, edge.to == asked) {
        (true, _) => format!("{} → {}", edge.kind, edge.to),
        (_, true) => format!("{} ← {}", edge.kind, edge.from),
        _ => format!("{} → {} → {}", edge.from, edge.kind, edge.to),
    };
    printable(&format!("{text}{}{sure}{note}", said_at(edge))).to_string()
}

fn said_at(edge: &GraphEdge) -> String {
    match (edge.line, edge.count) {
        (0, _) => String::new(),
        (line, 0 | 1) => format!(" at line {line}"),
        (line, count) => format!(" at line {line} and {} more", count - 1),
    }
}

fn also(text: &mut String, alternatives: &[String]) {
    for other in alternatives {
        let _ = writeln!(text, "also called that: {}", printable(other));
    }
}

fn node_json(node: &GraphNode) -> Value {
    json!({
        "address": node.address, "kind": node.kind, "name": node.name, "qualified": node.qualified, "uri": node.uri,
        "path": node.path, "language": node.language, "line_first": node.line_first, "line_last": node.line_last,
        "signature": node.signature, "doc": node.doc, "test": node.is_test,
    })
}

fn nodes_json(nodes: &[GraphNode]) -> Vec<Value> {
    nodes.iter().map(node_json).collect()
}

fn edge_json(edge: &GraphEdge) -> Value {
    json!({
        "from": edge.from, "to": edge.to, "kind": edge.kind, "confidence": render::float(edge.confidence), "line": edge.line,
        "count": edge.count, "note": edge.note, "origin": edge.origin,
    })
}

fn edges_json(edges: &[GraphEdge]) -> Vec<Value> {
    edges.iter().map(edge_json).collect()
}

#[cfg(test)]
mod tests {
    use hivemem_client::proto::MissingPart;

    use super::*;

    #[test]
    fn a_path_is_the_address_that_ingest_gave_it() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("my notes")).unwrap();
        std::os::unix::fs::symlink(real.join("my notes"), real.join("short")).unwrap();
        let wanted = format!("file://{}/my%20notes", real.display());
        for path in ["my notes", "short"] {
            assert_eq!(place(&real.join(path).display().to_string()).unwrap(), wanted);
        }
        for other in ["", "src/pool.rs", "file:///repo"] {
            assert_eq!(place(other).unwrap(), other, "the server knows best");
        }
    }

    #[test]
    fn the_json_says_what_was_missing() {
        let missing = vec![MissingPart { part: "graph".into(), reason: "3 behind".into() }];
        let completeness = Some(Completeness { complete: false, missing });
        let shown = Shown { text: String::new(), json: json!({"nodes": []}), completeness };
        let json = shown.whole_json();
        assert_eq!((&json["complete"], &json["missing"][0]["part"]), (&json!(false), &json!("graph")));
        let write = Shown { text: String::new(), json: json!({"lsn": 1}), completeness: None };
        assert_eq!(write.whole_json(), json!({"lsn": 1}));
    }
}
