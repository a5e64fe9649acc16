//! `hivemem.v1.DataView`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::calls::Reply;
use super::idempotency::Identity;
use super::proto::{self, data_view_server::DataView};
use super::status::status;
use super::{Context, convert, ingest};
use crate::base::ContentHash;
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::DATA_K_DEFAULT;
use crate::engine::store::{ListOptions, Range, Stat};
use crate::flow::access::Grant;
use crate::flow::data_view::{browse, contents, fetch, locate, plan, register, search, stat, verify};
use crate::flow::put;
use crate::flow::watch::Follow;
use crate::model::{CostClass, DataEntry, DataFilter, DataKind, DataObject, DataUse, StoreKind};

/// How long presigned URLs are good for where nobody says.
const PRESIGN_TTL: Duration = Duration::from_secs(3_600);

/// Longest first line of a description in a listing.
const LINE_CHARS_MAX: usize = 200;

/// The service.
#[derive(Debug)]
pub struct Service {
    context: Context,
}

impl Service {
    /// Over these engines.
    pub fn new(context: Context) -> Self {
        Self { context }
    }
}

type Piece = std::result::Result<proto::FetchDataResponse, Status>;

/// One of the names of a kind; `known` lists them for the message.
fn named<T>(field: &'static str, name: &str, parse: impl Fn(&str) -> Option<T>, known: &[&'static str]) -> Result<T> {
    let wrong = || Error::invalid(field, format!("{name:.40?} is not one of {}", known.join(", ")));
    parse(name).ok_or_else(wrong)
}

fn kind(name: &str) -> Result<DataKind> {
    let known: Vec<&'static str> = DataKind::ALL.iter().map(|kind| kind.as_str()).collect();
    named("kind", name, DataKind::parse, &known)
}

fn filter(filter: Option<proto::DataFilter>) -> Result<DataFilter> {
    let filter = filter.unwrap_or_default();
    let known: Vec<&'static str> = StoreKind::ALL.iter().map(|store| store.as_str()).collect();
    let store = |name: &String| named("filter.stores", name, StoreKind::parse, &known);
    Ok(DataFilter {
        kinds: filter.kinds.iter().map(|name| kind(name)).collect::<Result<_>>()?,
        stores: filter.stores.iter().map(store).collect::<Result<_>>()?,
        tags: filter.tags,
        owners: filter.owners,
        indexed: filter.indexed,
    })
}

/// A hash in hex; none if there is none.
fn hash(field: &'static str, text: &str) -> Result<Option<ContentHash>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Error::invalid(field, format!("{text:.80?} is no SHA-256: give 64 hex digits"));
    ContentHash::parse(text).ok_or_else(wrong).map(Some)
}

fn object(object: proto::DataObject) -> (String, Result<DataObject>) {
    let uri = object.uri.clone();
    let read = || {
        let known: Vec<&'static str> = CostClass::ALL.iter().map(|cost| cost.as_str()).collect();
        Ok(DataObject {
            kind: if object.kind.is_empty() { DataKind::Object } else { kind(&object.kind)? },
            cost: match object.cost_class.as_str() {
                "" => CostClass::Free,
                name => named("cost_class", name, CostClass::parse, &known)?,
            },
            content: hash("content_hash", &object.content_hash)?,
            modified_at: object.modified_at.as_ref().map(convert::from_timestamp),
            bytes: object.bytes,
            uri: object.uri,
            name: object.name,
            description: object.description,
            media_type: object.media_type,
            schema: object.schema,
            owner: object.owner,
            tags: object.tags,
            credential: object.credential,
            metadata: object.metadata.into_iter().collect::<BTreeMap<_, _>>(),
        })
    };
    let read = read();
    (uri, read)
}

fn shown(object: DataObject) -> proto::DataObject {
    proto::DataObject {
        uri: object.uri,
        name: object.name,
        description: object.description,
        kind: object.kind.as_str().to_owned(),
        media_type: object.media_type,
        schema: object.schema,
        owner: object.owner,
        tags: object.tags,
        cost_class: object.cost.as_str().to_owned(),
        credential: object.credential,
        bytes: object.bytes,
        content_hash: object.content.map(|hash| hash.to_string()).unwrap_or_default(),
        modified_at: object.modified_at.map(convert::timestamp),
        metadata: object.metadata.into_iter().collect(),
    }
}

fn entry(entry: DataEntry) -> proto::DataEntry {
    proto::DataEntry {
        store: StoreKind::of_uri(&entry.uri).as_str().to_owned(),
        uri: entry.uri,
        name: entry.name,
        kind: entry.kind.as_str().to_owned(),
        media_type: entry.media_type,
        bytes: entry.bytes,
        indexed: entry.indexed,
        registered: entry.registered,
        modified_at: entry.modified_at.map(convert::timestamp),
        description: entry.description.chars().take(LINE_CHARS_MAX).collect(),
    }
}

fn stated(answer: stat::Answer) -> proto::StatDataResponse {
    let version = |stat: &Stat| proto::DataVersion {
        version: stat.mark.clone().unwrap_or_default(),
        bytes: Some(stat.bytes).filter(|bytes| *bytes > 0),
        modified_at: stat.modified_at.map(convert::timestamp),
    };
    let used = |used: DataUse| proto::DataUse {
        action: used.action,
        user: used.user,
        at: Some(convert::timestamp(used.at)),
        bytes: used.bytes,
    };
    let document = answer.document.as_ref();
    proto::StatDataResponse {
        store: StoreKind::of_uri(&answer.object.uri).as_str().to_owned(),
        registered: answer.registered,
        indexed: document.is_some() || answer.ingested.documents_total > 0,
        freshness: answer.freshness.to_owned(),
        freshness_reason: answer.reason,
        document_id: document.map(|document| document.id.to_string()).unwrap_or_default(),
        source: answer.ingested.source.unwrap_or_default(),
        chunks: answer.ingested.chunks,
        tokens: answer.ingested.tokens,
        indexed_at: document.map(|document| convert::timestamp(document.indexed_at)),
        indexed_hash: document.map(|document| document.content.to_string()).unwrap_or_default(),
        versions: answer.version.iter().filter(|stat| stat.mark.is_some()).map(version).collect(),
        uses: answer.uses.into_iter().map(used).collect(),
        documents: answer.ingested.documents,
        documents_total: answer.ingested.documents_total,
        object: Some(shown(answer.object)),
    }
}

fn hit(hit: search::Hit) -> proto::DataHit {
    let planned = |plan: plan::Plan| proto::FetchPlan {
        uri: plan.uri,
        steps: plan.steps,
        bytes: plan.bytes,
        documents: plan.documents,
        estimated: plan.estimated.map(convert::duration),
        cost_class: plan.cost.as_str().to_owned(),
        credential: plan.credential,
        obstacle: plan.obstacle,
    };
    proto::DataHit {
        entry: Some(entry(hit.entry)),
        score: hit.score,
        reasons: hit.reasons,
        plan: hit.plan.map(planned),
    }
}

/// Registers a whole stream of messages.
async fn register_all(
    context: &Context,
    grant: &Grant,
    first: proto::RegisterDataRequest,
    mut rest: Streaming<proto::RegisterDataRequest>,
) -> Result<proto::RegisterDataResponse> {
    let mut report = register::Report::default();
    let (contents, mut holders) = (first.contents, Vec::new());
    let mut message = Some(first);
    while let Some(batch) = message {
        let objects: Vec<_> = batch.objects.into_iter().map(object).collect();
        if contents {
            holders.extend(objects.iter().filter_map(|(_, object)| object.as_ref().ok()).cloned());
        }
        register::register(&context.engines, &context.projector, grant, objects, &mut report).await?;
        message = rest.message().await.map_err(|cause| {
            let text = "the stream of objects broke off; what was sent before is registered";
            Error::new(Kind::Deadline, text).caused_by(cause)
        })?;
    }
    contents::register(&context.engines, &context.projector, grant, &holders, &mut report).await?;
    let issue = |(uri, reason): (String, String)| proto::DataIssue { uri, reason };
    Ok(proto::RegisterDataResponse {
        added: report.added,
        updated: report.updated,
        unchanged: report.unchanged,
        rejected: report.rejected,
        issues: report.issues.into_iter().map(issue).collect(),
    })
}

/// Passes pieces on to a caller as fast as it takes them.
async fn pass_on(mut fetching: fetch::Fetching, send: mpsc::Sender<Piece>) {
    let mut head = Some((
        std::mem::take(&mut fetching.media_type),
        Some(fetching.stat.bytes).filter(|bytes| *bytes > 0),
        fetching.stat.mark.take().unwrap_or_default(),
    ));
    while let Some(piece) = fetching.pieces.recv().await {
        let message = piece.map(|piece| {
            let (media_type, bytes_total, version) = head.take().unwrap_or_default();
            let content_hash = piece.content.map(|hash| hash.to_string()).unwrap_or_default();
            proto::FetchDataResponse { media_type, bytes_total, version, data: piece.data, content_hash }
        });
        if send.send(message.map_err(|error| status(&error))).await.is_err() {
            return;
        }
    }
}

#[tonic::async_trait]
impl DataView for Service {
    type FetchDataStream = ReceiverStream<Piece>;
    type FetchAndIngestStream = ReceiverStream<ingest::Progressed>;

    async fn register_data(
        &self,
        request: Request<Streaming<proto::RegisterDataRequest>>,
    ) -> Reply<proto::RegisterDataResponse> {
        let work = |context: Context, grant: Grant, first, rest| async move {
            register_all(&context, &grant, first, rest).await
        };
        self.context.change_by_stream(request, "objects", work).await
    }

    async fn unregister_data(
        &self,
        request: Request<proto::UnregisterDataRequest>,
    ) -> Reply<proto::UnregisterDataResponse> {
        let work = |context: Context, grant: Grant, request: proto::UnregisterDataRequest| async move {
            let (engines, projector) = (&context.engines, &context.projector);
            let removed = register::unregister(engines, projector, &grant, &request.uris, &request.prefix).await?;
            Ok(proto::UnregisterDataResponse { removed })
        };
        self.context.change(request, work).await
    }

    async fn list_data(&self, request: Request<proto::ListDataRequest>) -> Reply<proto::ListDataResponse> {
        let work = |grant: Grant, request: proto::ListDataRequest| async move {
            let wanted = browse::Request {
                prefix: request.prefix,
                filter: filter(request.filter)?,
                tree: request.tree,
                page_size: request.page_size,
                page_token: request.page_token,
            };
            let (level, next_page_token) = browse::list(&self.context.engines, &grant, &wanted).await?;
            let folders = level.folders.into_iter().map(|folder| proto::DataFolder {
                uri: folder.uri,
                objects: folder.objects,
                at_least: folder.at_least,
            });
            Ok(proto::ListDataResponse {
                entries: level.page.entries.into_iter().map(entry).collect(),
                folders: folders.collect(),
                next_page_token,
            })
        };
        self.context.answer(request, work).await
    }

    async fn stat_data(&self, request: Request<proto::StatDataRequest>) -> Reply<proto::StatDataResponse> {
        let work = |grant: Grant, request: proto::StatDataRequest| async move {
            stat::stat(&self.context.engines, &grant, &request.uri, request.offline).await.map(stated)
        };
        self.context.answer(request, work).await
    }

    async fn locate_data(&self, request: Request<proto::LocateDataRequest>) -> Reply<proto::LocateDataResponse> {
        let work = |grant: Grant, request: proto::LocateDataRequest| async move {
            let ttl = request.presign_ttl.as_ref().map_or(Ok(PRESIGN_TTL), convert::from_duration)?;
            let (engines, reach) = (&self.context.engines, &self.context.reach);
            let (store, recipes) = locate::locate(engines, &grant, &request.uri, ttl, reach).await?;
            let recipe = |recipe: locate::Recipe| proto::DataRecipe {
                form: recipe.form.to_owned(),
                text: recipe.text,
                needs: recipe.needs,
                valid_until: recipe.valid_until.map(convert::timestamp),
            };
            Ok(proto::LocateDataResponse {
                uri: request.uri,
                store: store.as_str().to_owned(),
                recipes: recipes.into_iter().map(recipe).collect(),
            })
        };
        self.context.answer(request, work).await
    }

    async fn fetch_data(&self, request: Request<proto::FetchDataRequest>) -> Reply<Self::FetchDataStream> {
        let (metadata, _, request) = request.into_parts();
        let begun = async {
            let grant = self.context.grant(&metadata, &request.namespace)?;
            let wanted = fetch::Request {
                range: Range { offset: request.offset, length: request.length },
                expected: hash("expect_hash", &request.expect_hash)?,
                uri: request.uri,
                user: request.user,
            };
            fetch::fetch(&self.context.engines, &grant, wanted).await
        };
        let fetching = begun.await.map_err(|error: Error| status(&error))?;
        let (send, receive) = mpsc::channel(1);
        tokio::spawn(pass_on(fetching, send));
        Ok(Response::new(ReceiverStream::new(receive)))
    }

    async fn verify_data(&self, request: Request<proto::VerifyDataRequest>) -> Reply<proto::VerifyDataResponse> {
        let work = |grant: Grant, request: proto::VerifyDataRequest| async move {
            let verdict = verify::verify(&self.context.engines, &grant, &request.uri, request.read).await?;
            Ok(proto::VerifyDataResponse {
                exists: verdict.exists,
                verdict: verdict.verdict.to_owned(),
                reason: verdict.reason,
                elapsed: Some(convert::duration(verdict.elapsed)),
                bytes: Some(verdict.stat.bytes).filter(|_| verdict.exists),
                version: verdict.stat.mark.unwrap_or_default(),
                modified_at: verdict.stat.modified_at.map(convert::timestamp),
                content_hash: verdict.content.map(|hash| hash.to_string()).unwrap_or_default(),
            })
        };
        self.context.answer(request, work).await
    }

    async fn search_data(&self, request: Request<proto::SearchDataRequest>) -> Reply<proto::SearchDataResponse> {
        let work = |grant: Grant, request: proto::SearchDataRequest| async move {
            let (filter, k) = (filter(request.filter)?, request.k.unwrap_or(DATA_K_DEFAULT));
            let (engines, projector) = (&self.context.engines, &self.context.projector);
            let hits = search::search(engines, projector, &grant, &request.query, &filter, k).await?;
            Ok(proto::SearchDataResponse { hits: hits.into_iter().map(hit).collect() })
        };
        self.context.answer(request, work).await
    }

    async fn fetch_and_ingest(
        &self,
        request: Request<proto::FetchAndIngestRequest>,
    ) -> Reply<Self::FetchAndIngestStream> {
        let (metadata, _, request) = request.into_parts();
        let begun = || {
            let grant = self.context.grant(&metadata, &request.namespace)?;
            put::check_tags(&request.tags)?;
            Ok((grant, Identity::new("FetchAndIngest", &request.idempotency_key, &request)?))
        };
        let (grant, identity) = begun().map_err(|error: Error| status(&error))?;
        Ok(ingest::stream(self.context.clone(), grant, identity, move |context, grant, sink| async move {
            let wanted = plan::Request {
                uri: request.uri,
                options: ListOptions { include: request.include, exclude: request.exclude, ..ListOptions::default() },
                tags: request.tags,
                no_wait: request.no_wait,
                user: request.user,
            };
            let sync = plan::ingest_of(&context.engines, &grant, &wanted).await?;
            let (report, news) = context.watching.ingest(&grant, &sync, Follow::AsBefore, &sink).await?;
            plan::note_ingest(&context.engines, &grant, &sync.source, &wanted.user, report.bytes).await?;
            Ok((report, news))
        }))
    }
}
