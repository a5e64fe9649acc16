//! What sources are synced with when nobody calls: those that are followed, and those whose sync was cut off. The catalogue
//! keeps it, so that the next server goes on.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::super::Engines;
use super::super::access::Grant;
use super::super::apply::Projector;
use super::{Request, ingest};
use crate::base::SourceId;
use crate::base::error::{Error, Kind, Result};
use crate::engine::catalog::Standing;
use crate::engine::store::{Crawl, ListOptions};
use crate::model::Namespace;

/// A request without its source, as it is kept. What a later version adds has a default, so that old ones stay readable.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Order {
    include: Vec<String>,
    exclude: Vec<String>,
    tags: Vec<String>,
    credential: Option<String>,
    verify: bool,
    depth: Option<u32>,
    pages_max: Option<u32>,
    delay: Option<Duration>,
}

/// `request` as it is kept.
///
/// # Errors
/// Internal if it can't be written down.
pub(in crate::flow) fn written(request: &Request) -> Result<String> {
    let Request { options, tags, verify, credential, .. } = request.clone();
    let ListOptions { include, exclude, crawl: Crawl { depth, pages_max, delay }, .. } = options;
    let order = Order { include, exclude, tags, credential, verify, depth, pages_max, delay };
    serde_json::to_string(&order).map_err(|cause| Error::internal("a request is no JSON").caused_by(cause))
}

/// The inverse of [`written`], for the source at `uri`. The whole of it is synced, and nobody waits for vectors.
///
/// # Errors
/// Internal for what no server wrote.
pub(in crate::flow) fn read(uri: &str, written: &str) -> Result<Request> {
    let order: Order = serde_json::from_str(written)
        .map_err(|cause| Error::internal("the stored options are unreadable").caused_by(cause))?;
    let Order { include, exclude, tags, credential, verify, depth, pages_max, delay } = order;
    let options = ListOptions { include, exclude, crawl: Crawl { depth, pages_max, delay }, ..ListOptions::default() };
    Ok(Request { source: uri.to_owned(), options, tags, no_wait: true, verify, at: None, credential })
}

/// A sync that the next server goes on with if this one ends before it.
pub(super) struct UnderWay<'a> {
    engines: &'a Engines,
    namespace: &'a Namespace,
    source: SourceId,
    noted: bool,
}

impl<'a> UnderWay<'a> {
    /// Notes that it begins, if there is something to do. Not for a part of a source: whoever follows it looks at all of it
    /// after a start.
    pub(super) async fn note(
        engines: &'a Engines,
        namespace: &'a Namespace,
        source: SourceId,
        request: &Request,
        has_work: bool,
    ) -> Result<Self> {
        let noted = has_work && engines.lasting && request.at.is_none();
        if noted {
            engines.catalog.set_standing(namespace, source, Standing::Sync, Some(&written(request)?)).await?;
        }
        Ok(Self { engines, namespace, source, noted })
    }

    /// Notes that it ended, well or with an error that its caller was told.
    pub(super) async fn over(self) -> Result<()> {
        if !self.noted {
            return Ok(());
        }
        self.engines.catalog.set_standing(self.namespace, self.source, Standing::Sync, None).await
    }
}

/// Goes on with the syncs that were under way when the last server ended, one after the other, until this one stops.
pub async fn go_on(engines: Engines, projector: Arc<Projector>) {
    let all = async {
        let cut_off = match engines.catalog.standing(Standing::Sync).await {
            Ok(cut_off) => cut_off,
            Err(error) => return tracing::warn!(error = %error.chain(), "whether ingests were cut off is not known"),
        };
        for (namespace, source, order) in cut_off {
            let grant = Grant::standing(namespace);
            let uri = source.uri;
            match finish(&engines, &projector, &grant, (source.id, &uri), &order).await {
                Ok((added, updated, removed)) => {
                    tracing::info!(source = uri, added, updated, removed, "an ingest that was cut off is done");
                }
                Err(error) => tracing::warn!(
                    source = uri,
                    error = %error.chain(),
                    "an ingest that was cut off can't go on: ingest the source again"
                ),
            }
        }
    };
    tokio::select! {
        () = all => {}
        () = projector.stopped() => {}
    }
}

async fn finish(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    (source, uri): (SourceId, &str),
    order: &str,
) -> Result<(u64, u64, u64)> {
    let progress = mpsc::channel(1).0;
    let done = match read(uri, order) {
        Ok(request) => ingest(engines, projector, grant, &request, &progress).await,
        Err(error) => Err(error),
    };
    // What may work another time is tried with the next start, however far it came.
    let again = done.as_ref().is_err_and(|error| error.kind() == Kind::Unavailable).then_some(order);
    engines.catalog.set_standing(grant.namespace(), source, Standing::Sync, again).await?;
    let outcome = done?.outcome;
    Ok((outcome.added, outcome.updated, outcome.removed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::recall::Mode;
    use crate::flow::testing::{How, Rig, START, TREE};

    #[test]
    fn a_request_is_read_as_it_was_written_and_old_ones_stay_readable() {
        let crawl = Crawl { depth: Some(2), pages_max: Some(30), delay: Some(Duration::from_millis(1_500)) };
        let (include, exclude) = (vec!["*.md".to_owned()], vec!["drafts".to_owned()]);
        let request = Request {
            source: TREE.to_owned(),
            options: ListOptions { include, exclude, crawl, ..ListOptions::default() },
            tags: vec!["a".to_owned()],
            no_wait: true,
            verify: true,
            at: None,
            credential: Some("main".to_owned()),
        };
        assert_eq!(read(TREE, &written(&request).unwrap()).unwrap(), request);
        let plain = Request { source: TREE.to_owned(), no_wait: true, ..Request::default() };
        assert_eq!(read(TREE, "{}").unwrap(), plain);
    }

    #[tokio::test]
    async fn cut_off_syncs_are_done_with_what_they_were_asked_for() {
        let rig = Rig::new().await;
        rig.tree.write("a.md", "granite", START);
        let (namespace, catalog) = (rig.grant.namespace(), &rig.engines.catalog);
        catalog.create_namespace(namespace, START).await.unwrap();
        for (uri, order) in [("file:///a", "no JSON"), (TREE, r#"{"tags": ["diary"]}"#)] {
            let source = catalog.ensure_source(namespace, uri, START).await.unwrap().id;
            catalog.set_standing(namespace, source, Standing::Sync, Some(order)).await.unwrap();
        }
        go_on(rig.engines.clone(), Arc::clone(&rig.projector)).await;
        let found = rig.search("granite", Mode::Lexical).await.unwrap().hits;
        assert_eq!(found[0].found.document.tags, ["diary"]);
        assert_eq!(catalog.standing(Standing::Sync).await.unwrap(), [], "nothing is tried for ever");
    }

    #[tokio::test]
    async fn what_is_out_of_reach_is_tried_again_at_the_next_start() {
        let rig = Rig::new().await;
        rig.tree.write("a.md", "granite", START);
        let (namespace, catalog) = (rig.grant.namespace(), &rig.engines.catalog);
        catalog.create_namespace(namespace, START).await.unwrap();
        let source = catalog.ensure_source(namespace, TREE, START).await.unwrap().id;
        catalog.set_standing(namespace, source, Standing::Sync, Some("{}")).await.unwrap();
        for (method, left) in [("store.list", 1), ("catalog.write", 1), ("none", 0)] {
            if left > 0 {
                rig.faults.once(method, How::Fails(Kind::Unavailable));
            }
            go_on(rig.engines.clone(), Arc::clone(&rig.projector)).await;
            assert_eq!(catalog.standing(Standing::Sync).await.unwrap().len(), left, "{method}");
        }
        assert_eq!(rig.finds("granite", Mode::Lexical).await.0, [format!("{TREE}/a.md")]);
    }

    #[tokio::test]
    async fn a_sync_is_noted_while_it_changes_something_and_no_longer() {
        let rig = Rig::new().await;
        let noted = async || rig.engines.catalog.standing(Standing::Sync).await.unwrap().len();
        let (catalog, namespace) = (&rig.engines.catalog, rig.grant.namespace());
        catalog.create_namespace(namespace, START).await.unwrap();
        let id = catalog.ensure_source(namespace, TREE, START).await.unwrap().id;
        let request = Request { source: TREE.to_owned(), ..Request::default() };
        for (has_work, lasting, at, expected) in [
            (true, true, None, 1),
            (false, true, None, 0),
            (true, false, None, 0),
            (true, true, Some([format!("{TREE}/a")].into()), 0),
        ] {
            let engines = Engines { lasting, ..rig.engines.clone() };
            let request = Request { at, ..request.clone() };
            let under_way = UnderWay::note(&engines, namespace, id, &request, has_work).await.unwrap();
            assert_eq!(noted().await, expected);
            under_way.over().await.unwrap();
            assert_eq!(noted().await, 0);
        }
    }
}
