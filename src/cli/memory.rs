//! `hivemem remember` and `hivemem forget`.

use std::io::Read;
use std::path::Path;

use hivemem_client::proto::forget_request::Selector;
use hivemem_client::proto::{ForgetRequest, RememberRequest};
use serde_json::json;

use crate::base::limits::MESSAGE_BYTES_MAX;

use super::args::{ForgetArgs, Global, RememberArgs};
use super::failure::Failure;
use super::ingest::{absolute_path, absolute_source};
use super::output;
use super::render;
use super::session::Session;

/// URIs shown by `forget` before it only counts.
const SHOWN_MAX: usize = 20;

/// Stores a memory.
pub(super) async fn remember(args: RememberArgs, global: &Global) -> Result<(), Failure> {
    let text = if args.text == "-" { stdin_text().await? } else { args.text };
    if text.trim().is_empty() {
        return Err(Failure::usage("TEXT is empty; give the memory as an argument, or `-` and the memory on stdin"));
    }
    let request = RememberRequest {
        text,
        tags: args.tags,
        title: args.title.unwrap_or_default(),
        kind: args.kind.unwrap_or_default(),
        run: args.run.unwrap_or_default(),
        node: args.node.unwrap_or_default(),
        trust: args.trust.unwrap_or_default(),
        ttl: args
            .ttl
            .map(hivemem_client::proto::Duration::try_from)
            .transpose()
            .map_err(|_| Failure::usage("--ttl is too long"))?,
        idempotency_key: args.key.unwrap_or_default(),
        ..RememberRequest::default()
    };
    let session = Session::open(global).await?;
    let outcome = session.client.remember(request).await.map_err(Failure::from);
    let reply = session.close(outcome).await?;
    if global.json {
        return output::print_json(&json!({
            "uri": reply.uri,
            "document_id": reply.document_id,
            "created": reply.created,
            "lsn": reply.lsn,
            "repeats": reply.repeats,
            "echoes": reply.echoes,
        }));
    }
    if !reply.echoes.is_empty() {
        let from: String = reply.echoes.iter().map(|citation| format!("  {}\n", render::printable(citation))).collect();
        return output::print(&format!("not stored: this text is stored already, in\n{from}"));
    }
    let verb = if reply.created { "remembered" } else { "known already" };
    let near =
        if reply.repeats.is_empty() { String::new() } else { format!(", which nearly repeats {}", reply.repeats) };
    output::print(&format!("{verb} {}{near}", reply.uri))
}

async fn stdin_text() -> Result<String, Failure> {
    let read = || {
        let mut bytes = Vec::new();
        std::io::stdin().take(MESSAGE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = match tokio::task::spawn_blocking(read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(cause)) => return Err(Failure::failed(format!("stdin can't be read: {cause}"))),
        Err(cause) => return Err(Failure::failed(format!("stdin can't be read: {cause}"))),
    };
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Failure::failed(format!(
            "stdin has more than {MESSAGE_BYTES_MAX} bytes; ingest it as a file instead"
        )));
    }
    String::from_utf8(bytes).map_err(|_| Failure::failed("stdin is not UTF-8 text; ingest it as a file instead"))
}

/// Deletes documents.
pub(super) async fn forget(args: ForgetArgs, global: &Global) -> Result<(), Failure> {
    let filter = super::search::filter(&args.filter)?;
    let selector = match (args.selector, filter) {
        (Some(text), None) => selector(&text)?,
        (None, Some(filter)) => Selector::Filter(filter),
        _ => return Err(Failure::usage("give either a SELECTOR or filters such as --tag, not both")),
    };
    let sought = sought(&selector);
    let request = ForgetRequest { selector: Some(selector), ..ForgetRequest::default() };
    let session = Session::open(global).await?;
    let outcome = session.client.forget(request).await.map_err(Failure::from);
    let reply = session.close(outcome).await?;
    if reply.removed == 0 {
        output::note(format!("there is no document {sought}"));
    }
    if global.json {
        return output::print_json(
            &json!({"removed": reply.removed, "uris": reply.uris, "lsn": reply.lsn, "pending": reply.pending}),
        );
    }
    let mut text = format!("removed {}\n", render::plural(reply.removed, "document"));
    for uri in reply.uris.iter().take(SHOWN_MAX) {
        text.push_str(&format!("  {}\n", render::printable(uri)));
    }
    let beyond = reply.removed.saturating_sub(reply.uris.len().min(SHOWN_MAX) as u64);
    if beyond > 0 {
        text.push_str(&format!("  and {} more\n", render::count(beyond)));
    }
    output::print(&text)
}

/// Reads `prefix:…`, `source:…`, `tag:…`, `id:…`, or a URI or path.
fn selector(text: &str) -> Result<Selector, Failure> {
    let (kind, rest) = text.split_once(':').unwrap_or(("", text));
    // An empty prefix would match everything, and that is nobody's typo to pay for.
    if rest.trim().is_empty() {
        return Err(Failure::usage(format!(
            "SELECTOR {text:?} names nothing; give a URI or path, or prefix:, source:, tag: or id: and what to forget"
        )));
    }
    Ok(match kind {
        "prefix" => Selector::UriPrefix(uri(rest)?),
        "source" => Selector::Source(absolute_source(rest)?),
        "tag" => Selector::Tag(rest.to_owned()),
        "id" => Selector::DocumentId(rest.to_owned()),
        _ => Selector::Uri(uri(text)?),
    })
}

/// What was looked for, for a person who expected it to be found.
fn sought(selector: &Selector) -> String {
    match selector {
        Selector::Uri(uri) => format!("with the URI {uri}"),
        Selector::UriPrefix(prefix) => format!("with a URI that starts with {prefix}"),
        Selector::Source(source) => format!("of the source {source}"),
        Selector::Tag(tag) => format!("with the tag {tag}"),
        Selector::DocumentId(id) => format!("with the id {id}"),
        Selector::Filter(_) => "that passes these filters".to_owned(),
    }
}

/// A URI as it is; a path as the file URI under which ingest stored it.
pub(super) fn uri(text: &str) -> Result<String, Failure> {
    if has_scheme(text) {
        return Ok(text.to_owned());
    }
    let path = absolute_path(Path::new(text))?;
    // Ingest resolves links in the root, so the same has to happen here; a path that is gone stays as it is.
    let path = std::fs::canonicalize(&path).unwrap_or(path);
    let path = path.to_str().ok_or_else(|| Failure::usage(format!("path {path:?} is not UTF-8 text; give its URI")))?;
    // A prefix that ends with a slash means what is below the directory, not its namesakes.
    let slash = if text.ends_with('/') { "/" } else { "" };
    let escaped = path.trim_end_matches('/').chars().fold(String::new(), |mut out, c| {
        // The characters that ingest escapes in file URIs.
        if matches!(c, ' ' | '%' | '#' | '?') || c.is_ascii_control() {
            out.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            out.push(c);
        }
        out
    });
    Ok(format!("file://{escaped}{slash}"))
}

/// Whether text starts with a URI scheme (RFC 3986, 3.1).
pub(super) fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_selector_is_understood() {
        let read = |text| selector(text).unwrap();
        assert_eq!(read("tag:ops"), Selector::Tag("ops".into()));
        assert_eq!(read("id:0b8f"), Selector::DocumentId("0b8f".into()));
        assert_eq!(read("prefix:file:///repo/src"), Selector::UriPrefix("file:///repo/src".into()));
        assert_eq!(read("source:inline:"), Selector::Source("inline:".into()));
        assert_eq!(read("memory:abc"), Selector::Uri("memory:abc".into()));
        assert_eq!(read("file:///repo/a.rs"), Selector::Uri("file:///repo/a.rs".into()));
        assert_eq!(read("/no/such/a.rs"), Selector::Uri("file:///no/such/a.rs".into()));
        assert_eq!(read("prefix:/no/such/"), Selector::UriPrefix("file:///no/such/".into()));
        assert_eq!(read("/no/such/a b#1.md"), Selector::Uri("file:///no/such/a%20b%231.md".into()));
        let Selector::Uri(relative) = read("no-such-file") else { panic!("not a uri") };
        assert!(relative.starts_with("file:///") && relative.ends_with("/no-such-file"), "{relative}");
    }

    #[test]
    fn an_empty_selector_is_wrong_usage() {
        for text in ["", "prefix:", "tag: ", "source:", "id:"] {
            assert_eq!(selector(text).unwrap_err().exit_code(), 2, "{text:?}");
        }
    }
}
