//! Buckets as sources: S3 and what speaks like it, Google Cloud Storage, Azure Blob.
//!
//! Addresses are `s3://BUCKET/KEY`, `gs://BUCKET/KEY` and `az://CONTAINER/KEY`, with the key as it is, nothing escaped. A
//! key is a file, and a prefix that ends in a slash a folder. Which account, region or endpoint is meant is a matter of the
//! credentials that serve the address; without any it is read as the public reads it.
//!
//! Etags are marks: a listing alone tells what changed. Not for writing: hivemem never writes to a bucket.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::cloud_client::{self, Provider};
use super::cloud_keys::{oddity, unveil};
use super::credentials::{Credential, Credentials};
use super::globs::Globs;
use super::guard::{Guard, Refused};
use super::line::{Line, StreamPieces};
use super::{
    LeftOut, ListOptions, Listing, Object, Pieces, Range, Reading, Stat, Store, Ways, beyond_end, over_limit,
    shell_word,
};
use crate::base::Timestamp;
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::LISTING_OBJECTS_MAX;

/// A bucket that can be read and can sign URLs.
pub(super) trait Bucket: ObjectStore + Signer {}

impl<T: ObjectStore + Signer> Bucket for T {}

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct CloudStore {
    shared: Arc<Shared>,
    /// The credential that was asked for by name.
    named: Option<String>,
}

/// Address of a bucket and name of the credential that it is read with.
type BucketKey = (String, Option<String>);

struct Shared {
    guard: Guard,
    credentials: Credentials,
    line: Line,
    /// As many as there are buckets in use.
    buckets: Mutex<HashMap<BucketKey, Arc<dyn Bucket>>>,
}

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    provider: Provider,
    bucket: String,
    key: String,
}

impl Place {
    fn parse(address: &str) -> Result<Self> {
        let wrong = |why: &str| Error::invalid("uri", format!("{address:?} is no address of an object: {why}"));
        let (scheme, rest) = address.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let provider = Provider::of_scheme(&scheme.to_ascii_lowercase())
            .ok_or_else(|| wrong("the scheme is none of s3, gs and az"))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '$');
        if bucket.is_empty() || !bucket.chars().all(sound) {
            return Err(wrong("the name of the bucket is not one"));
        }
        let path = Path::parse(key).map_err(|cause| wrong("the key has empty or relative parts").caused_by(cause))?;
        // The library forgives a slash at the front; then one object would have two addresses.
        if path.as_ref() != key.strip_suffix('/').unwrap_or(key) {
            return Err(wrong("the key begins with a slash"));
        }
        Ok(Self { provider, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    fn bucket_uri(&self) -> String {
        format!("{}://{}/", self.provider.scheme(), self.bucket)
    }

    fn uri(&self, key: &str) -> String {
        format!("{}{key}", self.bucket_uri())
    }

    fn path(&self) -> Result<Path> {
        Path::parse(&self.key).map_err(|cause| {
            Error::invalid("uri", format!("the key {:?} has empty or relative parts", self.key)).caused_by(cause)
        })
    }

    fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }
}

impl CloudStore {
    /// Reads over `line` what `guard` lets through, with the keys among `credentials`.
    pub fn new(guard: Guard, credentials: Credentials, line: Line) -> Self {
        let shared = Shared { guard, credentials, line, buckets: Mutex::default() };
        Self { shared: Arc::new(shared), named: None }
    }

    /// Beginnings of the addresses that it serves.
    pub const BEGINNINGS: &'static [&'static str] = &["s3://", "gs://", "az://"];

    fn credential(&self, place: &Place) -> Result<Option<Arc<Credential>>> {
        let (kind, held) = (place.provider.scheme(), &self.shared.credentials);
        match &self.named {
            Some(name) => held.by_name(kind, name).map(Some),
            None => Ok(held.of_uri(kind, &place.uri(&place.key))),
        }
    }

    fn bucket(&self, place: &Place) -> Result<Arc<dyn Bucket>> {
        let credential = self.credential(place)?;
        let key = (place.bucket_uri(), credential.as_ref().map(|credential| credential.name.clone()));
        let buckets = || self.shared.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets().get(&key) {
            return Ok(Arc::clone(bucket));
        }
        let made = cloud_client::bucket(place.provider, &place.bucket, credential.as_deref(), &self.shared.guard)?;
        buckets().insert(key, Arc::clone(&made));
        Ok(made)
    }

    /// What is known of one object.
    fn head(&self, place: &Place) -> Result<Option<ObjectMeta>> {
        let (bucket, path, uri) = (self.bucket(place)?, place.path()?, place.uri(&place.key));
        let asked = async {
            match bucket.head(&path).await {
                Ok(meta) => Ok(Some(meta)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(fault(&uri, error)),
            }
        };
        self.shared.line.wait(&format!("looking at {uri}"), asked)
    }

    /// Adds what lies below `folder` to a listing; paths are relative to `root`.
    fn list_below(&self, folder: &Place, root: &str, globs: &Globs, listing: &mut Listing) -> Result<()> {
        let (bucket, uri) = (self.bucket(folder)?, folder.uri(&folder.key));
        let prefix = folder.path()?;
        let items = bucket.list((!folder.key.is_empty()).then_some(&prefix));
        let items = items.map_err(|error| fault(&uri, error)).boxed();
        self.shared.line.drain(&format!("listing {uri}"), items, |meta| add(folder, root, globs, listing, &meta))
    }

    fn list_place(&self, place: &Place, root: &str, globs: &Globs, listing: &mut Listing) -> Result<()> {
        if place.is_folder() {
            return self.list_below(place, root, globs, listing);
        }
        match self.head(place)? {
            Some(meta) => add(place, root, globs, listing, &meta),
            None => Ok(()),
        }
    }
}

/// Adds an object to a listing if it is asked for.
fn add(place: &Place, root: &str, globs: &Globs, listing: &mut Listing, meta: &ObjectMeta) -> Result<()> {
    let veiled = unveil(meta.location.as_ref());
    let key = veiled.as_deref().unwrap_or(meta.location.as_ref());
    let path = key.strip_prefix(root).unwrap_or(key);
    let above = |path: &str| path.match_indices('/').any(|(at, _)| globs.excludes(&path[..at]));
    // Folders are no objects, but some tools write an empty one under the folder's name.
    let is_folder = path.is_empty() || (path.ends_with('/') && meta.size == 0);
    if is_folder || globs.excludes(path) || above(path) || !globs.includes(path) {
        return Ok(());
    }
    if veiled.is_some() || path.contains(char::is_control) {
        let (path, reason) = (path.escape_debug().to_string(), oddity(key).to_owned());
        listing.left_out.push(LeftOut { path, reason, failed: true });
        return Ok(());
    }
    if listing.objects.len() >= LISTING_OBJECTS_MAX {
        let message = format!(
            "{} has more than {LISTING_OBJECTS_MAX} objects that are asked for: take a longer prefix, or --include a part",
            place.uri(root)
        );
        return Err(Error::limit("source", message));
    }
    let Stat { bytes, modified_at, mark } = stat_of(meta);
    globs.found.one();
    listing.objects.push(Object { path: path.to_owned(), uri: place.uri(key), bytes, modified_at, mark });
    Ok(())
}

fn stat_of(meta: &ObjectMeta) -> Stat {
    Stat {
        bytes: meta.size,
        modified_at: Some(Timestamp(meta.last_modified.timestamp_micros())),
        mark: meta.e_tag.clone().filter(|mark| !mark.starts_with("W/")).map(quoted),
    }
}

/// An etag as headers have it: Azure's listings leave its quotes out.
fn quoted(etag: String) -> String {
    if etag.starts_with('"') { etag } else { format!("\"{etag}\"") }
}

/// What went wrong with the object at `uri`.
pub(super) fn fault(uri: &str, error: object_store::Error) -> Error {
    use object_store::Error as Store;
    if let Some(refused) = Refused::among(&error) {
        return Error::new(Kind::Denied, format!("{uri}: {refused}"));
    }
    let (kind, message) = match &error {
        Store::NotFound { .. } => (Kind::NotFound, format!("{uri} is not there: check the address")),
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => (
            Kind::Precondition,
            format!(
                "{uri}: the store refuses the credentials, or wants some: check [credentials] of the configuration"
            ),
        ),
        Store::Precondition { .. } | Store::NotModified { .. } => {
            (Kind::Conflict, format!("{uri} changed while it was read: read it again"))
        }
        Store::InvalidPath { .. } => {
            (Kind::Precondition, format!("{uri} has a key with empty or relative parts, which is not read"))
        }
        _ => (Kind::Unavailable, format!("{uri} can't be read now: the store does not answer as it should")),
    };
    Error::new(kind, message).caused_by(error)
}

impl Store for CloudStore {
    fn resolve(&self, address: &str) -> Result<String> {
        let place = Place::parse(address)?;
        // What has no slash at its end is an object if there is one, else a folder.
        if place.is_folder() || self.head(&place)?.is_some() {
            return Ok(place.uri(&place.key));
        }
        Ok(format!("{}/", place.uri(&place.key)))
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        let (place, globs, mut listing) = (Place::parse(source)?, Globs::new(options)?, Listing::default());
        self.list_place(&place, root_of(&place), &globs, &mut listing)?;
        if listing.objects.is_empty() && listing.left_out.is_empty() && !place.is_folder() {
            return Err(Error::not_found(format!("{source} is not there: check the address")));
        }
        listing.objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(listing)
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        let (place, globs, mut listing) = (Place::parse(source)?, Globs::new(options)?, Listing::default());
        let root = root_of(&place);
        for uri in uris.iter().filter(|uri| uri.starts_with(source)) {
            let at = Place::parse(uri)?;
            self.list_place(&at, root, &globs, &mut listing)?;
            if !at.is_folder() {
                let below = Place { key: format!("{}/", at.key), ..at };
                self.list_below(&below, root, &globs, &mut listing)?;
            }
        }
        listing.objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        listing.objects.dedup_by(|a, b| a.uri == b.uri);
        Ok(listing)
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        let place = Place::parse(&object.uri)?;
        let (bucket, path, uri) = (self.bucket(&place)?, place.path()?, &object.uri);
        let options = GetOptions { if_match: object.mark.clone(), ..GetOptions::default() };
        self.shared.line.wait(&format!("reading {uri}"), async {
            let found = bucket.get_opts(&path, options).await.map_err(|error| fault(uri, error))?;
            if found.meta.size > bytes_max {
                return Err(over_limit(uri, found.meta.size, bytes_max));
            }
            // Not every store knows If-Match.
            if object.mark.is_some() && stat_of(&found.meta).mark != object.mark {
                return Err(Error::new(Kind::Conflict, format!("{uri} changed since it was listed: sync it again")));
            }
            let size = found.meta.size;
            let bytes: Vec<u8> = found.bytes().await.map_err(|error| fault(uri, error))?.into();
            if bytes.len() as u64 != size {
                return Err(Error::new(Kind::Unavailable, format!("{uri} broke off before its end: read it again")));
            }
            Ok(bytes)
        })
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        Ok(self.head(&Place::parse(uri)?)?.as_ref().map(stat_of))
    }

    fn holds(&self, uri: &str) -> Result<Option<bool>> {
        let place = Place::parse(uri)?;
        if !place.is_folder() && self.head(&place)?.is_some() {
            return Ok(Some(true));
        }
        let (bucket, prefix) = (self.bucket(&place)?, place.path()?);
        let mut items = bucket.list((!place.key.is_empty()).then_some(&prefix));
        let first = async { items.next().await.transpose().map_err(|error| fault(uri, error)) };
        // A bucket that is empty is there all the same.
        match self.shared.line.wait(&format!("looking at {uri}"), first) {
            Ok(first) => Ok(Some(first.is_some() || place.key.is_empty())),
            Err(error) if error.kind() == Kind::NotFound => Ok(Some(false)),
            Err(error) => Err(error),
        }
    }

    fn open(&self, uri: &str, range: Range) -> Result<Reading> {
        let place = Place::parse(uri)?;
        if place.is_folder() {
            return Err(Error::not_found(format!("{uri} is a folder: it can be listed, not read")));
        }
        let gone = || Error::not_found(format!("{uri} is not there: check the address"));
        let meta = self.head(&place)?.ok_or_else(gone)?;
        let stat = stat_of(&meta);
        if range.offset > 0 && range.offset >= stat.bytes {
            return Err(beyond_end(uri, range.offset, stat.bytes));
        }
        let rest = stat.bytes - range.offset;
        let left = range.length.map_or(rest, |length| length.min(rest));
        if left == 0 {
            return Ok(Reading { stat, media_type: None, pieces: Box::new(Nothing) });
        }
        let (bucket, path) = (self.bucket(&place)?, place.path()?);
        let whole = left == stat.bytes;
        let options = GetOptions {
            if_match: meta.e_tag.clone(),
            range: (!whole).then(|| GetRange::Bounded(range.offset..range.offset + left)),
            ..GetOptions::default()
        };
        let opened = self.shared.line.wait(&format!("opening {uri}"), async {
            bucket.get_opts(&path, options).await.map_err(|error| fault(uri, error))
        })?;
        if opened.meta.e_tag != meta.e_tag {
            return Err(Error::new(Kind::Conflict, format!("{uri} changed while it was opened: read it again")));
        }
        let media_type =
            opened.attributes.get(&object_store::Attribute::ContentType).map(|held| held.as_ref().to_owned());
        let about = uri.to_owned();
        let parts = opened.into_stream().map_err(move |error| fault(&about, error)).boxed();
        let (line, uri) = (self.shared.line.clone(), uri.to_owned());
        let pieces =
            Box::new(StreamPieces { line, uri, parts, left: Some(left), exact: true, skip: 0, rest: Vec::new() });
        Ok(Reading { stat, media_type, pieces })
    }

    fn under(&self, _uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(Self { shared: Arc::clone(&self.shared), named: Some(credential.to_owned()) }))
    }

    fn ways(&self, uri: &str, ttl: Duration) -> Result<Ways> {
        let place = Place::parse(uri)?;
        let credential = self.credential(&place)?;
        let endpoint = credential.as_ref().and_then(|credential| credential.setting("endpoint"));
        let account = credential.as_ref().and_then(|credential| credential.setting("account"));
        let native = native(&place, endpoint, account, credential.is_some());
        let mut presigned = None;
        if credential.is_some() && !place.is_folder() {
            let (bucket, path) = (self.bucket(&place)?, place.path()?);
            let signed = self.shared.line.wait(&format!("signing for {uri}"), async {
                Ok(bucket.signed_url(reqwest::Method::GET, &path, ttl).await)
            })?;
            // Some kinds of credentials can't sign; the other ways are there all the same.
            presigned = signed.ok().map(String::from);
        }
        Ok(Ways { presigned, native: Some(native), credential: credential.map(|credential| credential.name.clone()) })
    }
}

/// What paths of a listing are relative to: the folder itself, or the one that a single object lies in.
fn root_of(place: &Place) -> &str {
    place.key.rfind('/').map_or("", |at| &place.key[..=at])
}

/// The provider's own command that writes the object to stdout, or lists the folder.
fn native(place: &Place, endpoint: Option<&str>, account: Option<&str>, has_keys: bool) -> String {
    let uri = shell_word(&place.uri(&place.key));
    match (place.provider, place.is_folder()) {
        (Provider::S3, folder) => {
            let mut command = if folder { format!("aws s3 ls {uri}") } else { format!("aws s3 cp {uri} -") };
            if let Some(endpoint) = endpoint {
                command.push_str(&format!(" --endpoint-url {}", shell_word(endpoint)));
            }
            if !has_keys {
                command.push_str(" --no-sign-request");
            }
            command
        }
        (Provider::Gs, true) => format!("gcloud storage ls {uri}"),
        (Provider::Gs, false) => format!("gcloud storage cat {uri}"),
        (Provider::Az, folder) => {
            let (container, key) = (shell_word(&place.bucket), shell_word(&place.key));
            let mut command = if folder {
                format!("az storage blob list --container-name {container} --prefix {key} --output table")
            } else {
                format!(
                    "az storage blob download --container-name {container} --name {key} --file /dev/stdout --no-progress"
                )
            };
            if let Some(account) = account {
                command.push_str(&format!(" --account-name {}", shell_word(account)));
            }
            command
        }
    }
}

/// The bytes of an empty range.
struct Nothing;

impl Pieces for Nothing {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
