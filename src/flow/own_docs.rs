//! The server's own documentation as a namespace of its own, so that an agent can ask how to use the system that it works in.
//!
//! The texts are those of the build. They are put like any others: what is there already changes nothing, and what another version
//! brought and this one does not have is taken out.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use super::put::{InputDocument, Put};
use crate::base::error::Result;
use crate::engine::catalog::Selector;
use crate::model::{Namespace, Trust};

/// Where they are found.
pub const NAMESPACE: &str = "hivemem-docs";

const SOURCE: &str = "hivemem:docs";

macro_rules! documents {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../", $path)))),+]
    };
}

/// By path in the repository: the overview, what must stay true, each call with its messages, each key of the configuration, and how
/// the clients are used.
const DOCUMENTS: &[(&str, &str)] = documents![
    "README.md",
    "ARCHITECTURE.md",
    "config/default.toml",
    "proto/hivemem/v1/common.proto",
    "proto/hivemem/v1/ingest.proto",
    "proto/hivemem/v1/retrieval.proto",
    "proto/hivemem/v1/graph.proto",
    "proto/hivemem/v1/data.proto",
    "proto/hivemem/v1/router.proto",
    "proto/hivemem/v1/swarm.proto",
    "proto/hivemem/v1/admin.proto",
    "clients/rust/examples/quickstart.rs",
    "clients/rust/examples/swarm.rs",
    "clients/python/README.md",
];

/// Brings the namespace to what this build says.
///
/// # Errors
/// Those of the catalogue.
pub async fn put(engines: &Engines, projector: &Projector) -> Result<()> {
    let grant = Grant::standing(Namespace::new(NAMESPACE)?);
    // Nobody watches.
    let (progress, _) = mpsc::channel(1);
    let mut stream = Put::begin(engines, projector, &grant, SOURCE).await?;
    let document = |(path, text): &(&str, &str)| InputDocument {
        uri: format!("{SOURCE}/{path}"),
        content: text.as_bytes().to_vec(),
        trust: Some(Trust::Local),
        ..InputDocument::default()
    };
    stream.add(DOCUMENTS.iter().map(document).collect(), &progress).await?;
    stream.finish(false, &progress).await?;
    let source = engines.catalog.ensure_source(grant.namespace(), SOURCE, engines.clock.now()).await?;
    let stored = engines.catalog.source_documents(grant.namespace(), source.id).await?;
    let known = |uri: &str| DOCUMENTS.iter().any(|(path, _)| uri.strip_prefix(SOURCE) == Some(&format!("/{path}")));
    let gone: Vec<_> = stored.into_iter().filter(|state| !known(&state.uri)).map(|state| state.id).collect();
    if !gone.is_empty() {
        engines.catalog.remove(grant.namespace(), &Selector::Documents(gone)).await?;
        projector.wake();
    }
    Ok(())
}

/// The same in the background of a server that starts: it answers without them, too.
pub async fn put_in_background(engines: Engines, projector: Arc<Projector>) {
    if let Err(error) = put(&engines, &projector).await {
        tracing::warn!(%error, "the namespace {NAMESPACE} is not up to date; the next start tries again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::recall::{self, Mode};
    use crate::flow::testing::Rig;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_agent_finds_how_to_use_the_system_and_a_new_version_replaces_the_old_one() {
        let rig = Rig::new().await;
        let grant = Grant::standing(Namespace::new(NAMESPACE).unwrap());
        let (progress, _) = mpsc::channel(1);
        let mut earlier = Put::begin(&rig.engines, &rig.projector, &grant, SOURCE).await.unwrap();
        let old = InputDocument {
            uri: format!("{SOURCE}/proto/old.proto"),
            content: b"message Retired {}".to_vec(),
            ..InputDocument::default()
        };
        earlier.add(vec![old], &progress).await.unwrap();
        earlier.finish(false, &progress).await.unwrap();

        put(&rig.engines, &rig.projector).await.unwrap();
        let head = rig.engines.catalog.head().await.unwrap();
        put(&rig.engines, &rig.projector).await.unwrap();
        assert_eq!(rig.engines.catalog.head().await.unwrap(), head, "the same again changes nothing");
        rig.projector.wait_lexical(head).await.unwrap();

        let request =
            recall::Request { query: "AcquireRun lease fence".into(), mode: Mode::Lexical, k: 5, ..Default::default() };
        let found = recall::search(&rig.engines, &rig.projector, &grant, &request).await.unwrap();
        assert!(found.hits.iter().any(|hit| hit.found.document.uri.ends_with("swarm.proto")), "{:?}", found.hits.len());
        let stored =
            rig.engines.catalog.documents_where(grant.namespace(), &|_, uri| uri.contains("old.proto"), 9).await;
        assert!(stored.unwrap().is_empty());
    }
}
