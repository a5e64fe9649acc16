//! What is stored of a source but no longer listed: which of it is really gone, and removing that.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::super::Engines;
use super::{Report, tables};
use crate::base::DocumentId;
use crate::base::error::Result;
use crate::engine::catalog::{DocumentState, Selector};
use crate::engine::store::Store;
use crate::engine::store::uri::file_uri;
use crate::model::Namespace;

/// Of the documents that a narrowed listing did not name, those whose source is really gone: globs choose what to look at
/// this time, they don't order removal.
pub(super) async fn only_absent(
    engines: &Engines,
    store: Arc<dyn Store>,
    stored: HashMap<String, DocumentState>,
) -> Result<HashMap<String, DocumentState>> {
    let absent = move |uri: &str| matches!(store.stat(uri), Ok(None));
    engines.far.run(move || Ok(stored.into_iter().filter(|(uri, _)| absent(uri)).collect())).await
}

/// Removes what is stored of the source but was not listed, except below paths that could not be read this time.
pub(super) async fn retire(
    engines: &Engines,
    namespace: &Namespace,
    gone: HashMap<String, DocumentState>,
    unreadable: &[String],
    report: &mut Report,
) -> Result<()> {
    let spared = |uri: &str| is_spared(uri, &report.source, unreadable);
    let mut ids: Vec<DocumentId> = gone.values().filter(|state| !spared(&state.uri)).map(|state| state.id).collect();
    if !ids.is_empty() {
        ids.sort();
        let (outcome, _) = engines.catalog.remove(namespace, &Selector::Documents(ids)).await?;
        report.outcome.removed += outcome.removed;
        let uris = gone.into_keys().filter(|uri| !spared(uri)).collect();
        tables::unregister(engines, namespace, uris).await?;
    }
    Ok(())
}

/// Whether a document that was not listed stays: it lies at or below a path that could not be read this time.
pub(in crate::flow) fn is_spared(uri: &str, source: &str, unreadable: &[String]) -> bool {
    unreadable.iter().any(|path| lies_at(uri, source, path))
}

/// Whether `uri` is what `path` names in `source`, or lies below it. What has no path may be anything; a path may be a whole
/// address.
fn lies_at(uri: &str, source: &str, path: &str) -> bool {
    let below = |at: &str| uri.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if path.is_empty() || uri == source {
        return true;
    }
    if path.contains("://") {
        return below(path);
    }
    // As listings spell it, with what URIs escape; in a repository the path stands after a `#`.
    let escaped = file_uri(&Path::new("/").join(path));
    let (root, path) = (source.trim_end_matches('/'), escaped.trim_start_matches("file://"));
    below(&format!("{root}{path}")) || below(&format!("{root}#{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_spares_itself_and_what_lies_below_it_only() {
        let spared = |uri: &str, path: &str| lies_at(uri, "file:///repo", path);
        assert!(spared("file:///repo/a%20b/c.md", "a b") && spared("file:///repo/a%20b", "a b"));
        assert!(!spared("file:///repo/x/a%20b/c.md", "a b") && !spared("file:///repo/ab.md", "a"));
        let of_git = |uri: &str, path: &str| lies_at(uri, "git+https://h/r.git", path);
        assert!(of_git("git+https://h/r.git#a%20b/c.md", "a b") && !of_git("git+https://h/r.git#ab.md", "a"));
        let of_site = |uri: &str, path: &str| lies_at(uri, "site:https://h/", path);
        assert!(of_site("https://h/a/b", "https://h/a/b") && !of_site("https://h/ab", "https://h/a"));
        assert!(spared("file:///repo/any.md", "") && lies_at("file:///one.md", "file:///one.md", "one.md"));
    }
}
