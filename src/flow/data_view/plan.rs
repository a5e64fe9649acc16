//! What it would take to ingest what is not ingested, and doing it.

use std::time::Duration;

use super::{Known, address, check_user, is_folder, is_inline, note_use, store_of};
use crate::base::error::{Error, Kind, Result};
use crate::engine::parse::formats;
use crate::engine::store::ListOptions;
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::flow::ingest;
use crate::model::{CostClass, DataKind, DataObject, StoreKind};

/// Bytes of a remote object that come in a second, as a guess: 100 Mbit/s.
const LINE_BYTES_PER_SECOND: f64 = 12.5e6;

/// Bytes of text that are embedded in a second, as a guess: some 20,000 tokens a second of four bytes each on two cores.
const TEXT_BYTES_PER_SECOND: f64 = 80e3;

/// A costed plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Of what.
    pub uri: String,
    /// What would be done.
    pub steps: String,
    /// Bytes to be read; none: not known before.
    pub bytes: Option<u64>,
    /// Documents that come of it; none: not known before.
    pub documents: Option<u64>,
    /// Time that it takes; none: not known before.
    pub estimated: Option<Duration>,
    /// What getting it costs.
    pub cost: CostClass,
    /// Name of the credential that is used; empty: none by name.
    pub credential: String,
    /// Why it can't be done as things are; empty: it can.
    pub obstacle: String,
}

/// The plan for an object. Only the disk of this machine is asked, for a size that nobody told: other stores may take their time.
///
/// # Errors
/// Internal if it could not be thought through.
pub async fn plan(engines: &Engines, grant: &Grant, object: &DataObject) -> Result<Plan> {
    let store = StoreKind::of_uri(&object.uri);
    let whole = matches!(object.kind, DataKind::Object | DataKind::Page) && !is_folder(&object.uri);
    let credential = match object.credential.as_str() {
        "" => engines.inventory.credential_above(grant.namespace(), &object.uri).await?,
        name => Some(name.to_owned()),
    };
    let steps = match (whole, store) {
        (true, StoreKind::Local) => "read the file, parse and embed it".to_owned(),
        (true, _) => format!("fetch the object from {}, parse and embed it", store.as_str()),
        (false, _) => format!("list what is there in {}, fetch, parse and embed what can be read", store.as_str()),
    };
    let bytes = match object.bytes {
        None if whole && store == StoreKind::Local => {
            let (disk, uri) = (std::sync::Arc::clone(&engines.store), object.uri.clone());
            engines.door.run(move || Ok(disk.stat(&uri).ok().flatten().map(|stat| stat.bytes))).await?
        }
        told => told,
    };
    let estimated = bytes.map(|bytes| {
        let bytes = bytes as f64;
        let way = if store == StoreKind::Local { 0.0 } else { bytes / LINE_BYTES_PER_SECOND };
        Duration::from_secs_f64(way + bytes / TEXT_BYTES_PER_SECOND)
    });
    let obstacle = match obstacle(engines, object, whole, credential.as_deref()).await {
        Ok(obstacle) => obstacle,
        Err(error) if error.kind() == Kind::Internal => return Err(error),
        Err(error) => error.message().to_owned(),
    };
    Ok(Plan {
        uri: object.uri.clone(),
        steps,
        bytes,
        documents: whole.then_some(1),
        estimated,
        cost: object.cost,
        credential: credential.unwrap_or_default(),
        obstacle,
    })
}

/// Why an object can't be ingested as things are; empty if nothing is known to be in the way.
async fn obstacle(engines: &Engines, object: &DataObject, whole: bool, credential: Option<&str>) -> Result<String> {
    if is_inline(&object.uri) {
        return Ok(format!("no store is known for {}: put its content instead", object.uri));
    }
    if object.kind == DataKind::Api {
        return Ok("an API is called, not ingested: ingest its description".to_owned());
    }
    let bytes_max = formats::bytes_max(&object.uri);
    if whole && object.bytes.is_some_and(|bytes| bytes > bytes_max) {
        return Ok(format!("it is larger than the {bytes_max} bytes that one document may have: fetch a part of it"));
    }
    let store = store_of(engines, &object.uri, credential).await?;
    let uri = object.uri.clone();
    engines.far.run(move || store.ways(&uri, Duration::from_secs(60)).map(|_| String::new())).await
}

/// What is to be fetched and ingested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// An address, registered or not.
    pub uri: String,
    /// What of it, if it is more than one object.
    pub options: ListOptions,
    /// Labels beside those that it is registered with.
    pub tags: Vec<String>,
    /// Return once lexically searchable.
    pub no_wait: bool,
    /// Who asks.
    pub user: String,
}

/// The ingest that carries out a plan.
///
/// # Errors
/// Invalid or over a limit for a bad address or user; Precondition for what no store can read.
pub async fn ingest_of(engines: &Engines, grant: &Grant, request: &Request) -> Result<ingest::Request> {
    let uri = address(&request.uri)?;
    check_user(&request.user)?;
    if is_inline(&uri) {
        let message = format!("{uri} lies in no store: put its content instead");
        return Err(Error::new(Kind::Precondition, message));
    }
    let known = Known::of(engines, grant, &uri).await?;
    let credential = known.credential().map(str::to_owned);
    let mut tags = known.registration.map(|held| held.object.tags).unwrap_or_default();
    tags.extend(request.tags.iter().cloned());
    tags.sort();
    tags.dedup();
    Ok(ingest::Request {
        source: uri,
        options: request.options.clone(),
        tags,
        no_wait: request.no_wait,
        credential,
        ..ingest::Request::default()
    })
}

/// Notes that it was ingested.
///
/// # Errors
/// Those of the catalogue.
pub async fn note_ingest(engines: &Engines, grant: &Grant, uri: &str, user: &str, bytes: u64) -> Result<()> {
    note_use(engines, grant, uri, "ingest", user, bytes).await
}
