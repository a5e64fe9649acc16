//! Git repositories as sources: the files of one commit, without a worktree.
//!
//! A repository of this machine (`git+file://`) is read where it is; one behind HTTP is cloned into the cache folder. Blob
//! ids are the marks, so another sync reads only what another commit changed. Ignore files do not count here: what is in a
//! commit was meant to be. Checkouts are sources of the local store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gix::ObjectId;

use super::credentials::{Credential, Credentials, Secret};
use super::fetch::Fetcher;
use super::globs::Globs;
use super::local::{LocalStore, is_kept_name};
use super::uri::file_uri;
use super::{About, LeftOut, ListOptions, Listing, Object, Partners, Stat, Store, Ways, cache, shell_word};
use crate::base::error::{Error, Kind, Result};
use crate::base::keyed::Keyed;
use crate::base::limits::GIT_CACHE_BYTES_MAX;

pub(crate) mod address;
mod clone;
mod history;
mod transport;

use address::{Address, Place};
use clone::Remote;
pub(crate) use history::Histories;

/// For so long a remote is not asked again whether a ref has moved: the looks of one sync are one.
const SEEN_FOR: Duration = Duration::from_secs(10);
/// Repositories kept open.
const OPEN_MAX: usize = 64;

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct GitStore {
    local: LocalStore,
    fetcher: Fetcher,
    credentials: Credentials,
    /// Holds a clone for each remote repository.
    cache: PathBuf,
    seen: Arc<Mutex<Looks>>,
    /// One fetch of a repository at a time.
    fetching: Keyed<Place, Mutex<()>>,
    histories: Histories,
    /// The credential that was asked for by name.
    named: Option<Arc<Credential>>,
}

/// The last look at each ref of each repository.
type Looks = HashMap<(Place, Option<String>), Seen>;

/// What a ref of a repository meant when it was last looked at.
#[derive(Clone)]
struct Seen {
    repository: gix::ThreadSafeRepository,
    commit: ObjectId,
    at: Instant,
}

impl GitStore {
    /// Reads repositories that `local` allows where they are, and clones others into `cache`.
    pub fn new(local: LocalStore, fetcher: Fetcher, credentials: Credentials, cache: PathBuf) -> Self {
        let (seen, fetching, histories) = Default::default();
        Self { local, fetcher, credentials, cache, seen, fetching, histories, named: None }
    }

    /// Beginnings of the addresses that it serves, and of those that it says something about.
    pub const BEGINNINGS: &'static [&'static str] = &["git+", "git@", "git://", "ssh://"];

    fn seen(&self) -> MutexGuard<'_, Looks> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commit that an address means now, or meant a moment ago.
    fn look(&self, address: &Address) -> Result<Seen> {
        let key = (address.place.clone(), address.reference.clone());
        let known = self.seen().get(&key).filter(|seen| seen.at.elapsed() < SEEN_FOR).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let turn = self.fetching.get(address.place.clone());
        let _mine = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (repository, commit) = match &address.place {
            Place::Local(folder) => {
                let repository = clone::open(&self.allowed(folder)?)?;
                let commit = local_commit(&repository, address)?;
                (repository, commit)
            }
            Place::Remote(url) => {
                let credential = self.credential(url)?;
                let folder = self.folder(url, credential.as_deref());
                cache::keep_within(&self.cache, GIT_CACHE_BYTES_MAX, &folder);
                cache::touch(&folder);
                let (login, reference) = (credential.as_deref().and_then(login), address.reference.as_deref());
                clone::update(&folder, &Remote { fetcher: &self.fetcher, url, reference, login })?
            }
        };
        let seen = Seen { repository: repository.into_sync(), commit, at: Instant::now() };
        let mut all = self.seen();
        if all.len() >= OPEN_MAX {
            all.clear();
        }
        all.insert(key, seen.clone());
        Ok(seen)
    }

    /// A folder of this machine that may be read.
    fn allowed(&self, folder: &Path) -> Result<PathBuf> {
        Ok(self.local.open_root(&file_uri(folder))?.0)
    }

    /// The credential for a repository: the one that was named, which has to serve it, or the one that its address finds.
    fn credential(&self, url: &str) -> Result<Option<Arc<Credential>>> {
        if let Some(named) = &self.named {
            return if serves(named, url) { Ok(Some(Arc::clone(named))) } else { Err(named.refused(url)) };
        }
        let git = format!("git+{url}");
        let found = |kind| self.credentials.of_uri(kind, url).or_else(|| self.credentials.of_uri(kind, &git));
        Ok(found("git").or_else(|| found("github")))
    }

    /// Where the clone of a repository lies. What was fetched with a credential is not for who comes without it: a commit
    /// that is here is read without asking the remote.
    fn folder(&self, url: &str, credential: Option<&Credential>) -> PathBuf {
        let whose = credential.map(|credential| format!("{url} {}", credential.name));
        self.cache.join(cache::name(whose.as_deref().unwrap_or(url)))
    }

    /// The same store with this credential for all that it serves.
    pub(super) fn with(&self, credential: Arc<Credential>) -> Self {
        // What one may see, another may not: nothing that was looked at is shared.
        Self { named: Some(credential), seen: Arc::default(), ..self.clone() }
    }

    fn list_commit(&self, source: &str, options: &ListOptions, at: Option<&BTreeSet<String>>) -> Result<Listing> {
        let globs = Globs::new(options)?;
        let address = Address::parse(source)?;
        let seen = self.look(&address)?;
        let repository = seen.repository.to_thread_local();
        let tree = repository.find_commit(seen.commit).and_then(|commit| commit.tree());
        let tree = tree.map_err(|cause| broken(&address).caused_by(cause))?;
        let mut listing = Listing::default();
        let mut add = |path: &str, mode: gix::objs::tree::EntryMode, id: ObjectId| {
            let uri = address.uri_of(path);
            let asked = at.is_none_or(|at| at.iter().any(|wanted| lies_at(&uri, wanted)));
            if asked && is_kept(path) && !excluded(&globs, path) && globs.includes(path) {
                add_entry(&mut listing, &repository, path, uri, mode, id);
            }
        };
        if address.path.is_empty() {
            let entries = tree.traverse().breadthfirst.files();
            for entry in entries.map_err(|cause| broken(&address).caused_by(cause))? {
                add(&entry.filepath.to_string(), entry.mode, entry.oid);
            }
        } else {
            let entry = tree.lookup_entry_by_path(&address.path).ok().flatten().ok_or_else(|| absent(&address))?;
            if entry.mode().is_tree() {
                let below =
                    repository.find_tree(entry.object_id()).and_then(|tree| tree.traverse().breadthfirst.files());
                for entry in below.map_err(|cause| broken(&address).caused_by(cause))? {
                    add(&entry.filepath.to_string(), entry.mode, entry.oid);
                }
            } else {
                add_file(&mut listing, &repository, &address, entry.mode(), entry.object_id());
            }
        }
        listing.objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        listing.left_out.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(listing)
    }

    /// The blob that an object's address names, at its commit.
    fn blob(&self, address: &Address) -> Result<Option<(gix::Repository, ObjectId)>> {
        let seen = self.look(address)?;
        let repository = seen.repository.to_thread_local();
        let tree = repository.find_commit(seen.commit).and_then(|commit| commit.tree());
        let entry = tree.map_err(|cause| broken(address).caused_by(cause))?.lookup_entry_by_path(&address.path);
        let entry = entry.map_err(|cause| broken(address).caused_by(cause))?;
        let blob = entry.filter(|entry| entry.mode().is_blob()).map(|entry| entry.object_id());
        Ok(blob.map(|id| (repository, id)))
    }
}

impl Store for GitStore {
    fn resolve(&self, address: &str) -> Result<String> {
        let mut address = Address::parse(address)?;
        if let Place::Local(folder) = &address.place {
            address.place = Place::Local(self.allowed(folder)?);
        }
        // Each sync begins here: what it reads is what is there from now on.
        self.seen().remove(&(address.place.clone(), address.reference.clone()));
        self.look(&address)?;
        Ok(address.uri())
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        self.list_commit(source, options, None)
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        self.list_commit(source, options, Some(uris))
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        let address = Address::parse(&object.uri)?;
        let marked = object.mark.as_deref().and_then(|mark| ObjectId::from_hex(mark.as_bytes()).ok());
        let (repository, id) = match marked {
            // As it was listed, whatever came since.
            Some(id) => (self.look(&address)?.repository.to_thread_local(), id),
            None => self.blob(&address)?.ok_or_else(|| absent(&address))?,
        };
        let size = repository.find_header(id).map_err(|cause| broken(&address).caused_by(cause))?.size();
        if size > bytes_max {
            return Err(Error::limit(
                "bytes",
                format!("{} has {size} bytes, over the limit of {bytes_max}", object.uri),
            ));
        }
        let mut blob = repository.find_blob(id).map_err(|cause| broken(&address).caused_by(cause))?;
        Ok(blob.take_data())
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        let address = Address::parse(uri)?;
        let Some((repository, id)) = self.blob(&address)? else { return Ok(None) };
        let size = repository.find_header(id).map_err(|cause| broken(&address).caused_by(cause))?.size();
        Ok(Some(Stat { bytes: size, modified_at: None, mark: Some(id.to_string()) }))
    }

    fn version(&self, source: &str) -> Result<Option<String>> {
        Ok(Some(self.look(&Address::parse(source)?)?.commit.to_string()))
    }

    fn holds(&self, uri: &str) -> Result<Option<bool>> {
        let address = Address::parse(uri)?;
        let seen = match self.look(&address) {
            Ok(seen) => seen,
            Err(error) if error.kind() == Kind::NotFound => return Ok(Some(false)),
            Err(error) => return Err(error),
        };
        if address.path.is_empty() {
            return Ok(Some(true));
        }
        let repository = seen.repository.to_thread_local();
        let tree = repository.find_commit(seen.commit).and_then(|commit| commit.tree());
        let entry = tree.map_err(|cause| broken(&address).caused_by(cause))?.lookup_entry_by_path(&address.path);
        let there = entry.map_err(|cause| broken(&address).caused_by(cause))?.is_some();
        Ok(Some(there))
    }

    fn about(&self, object: &Object) -> Result<About> {
        let address = Address::parse(&object.uri)?;
        let seen = self.look(&address)?;
        let mut metadata = BTreeMap::from([("commit".to_owned(), seen.commit.to_string())]);
        metadata.extend(address.reference.map(|name| ("ref".to_owned(), name)));
        Ok(About { metadata, ..About::default() })
    }

    fn under(&self, uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        let found = self.credentials.by_name("github", credential);
        let store = self.with(found.or_else(|_| self.credentials.by_name("git", credential))?);
        // Said at once if it is not for this.
        if let Place::Remote(url) = Address::parse(uri)?.place {
            store.credential(&url)?;
        }
        Ok(Arc::new(store))
    }

    fn ways(&self, uri: &str, _ttl: Duration) -> Result<Ways> {
        let Address { place, reference, path } = Address::parse(uri)?;
        let repository = match &place {
            Place::Local(folder) => folder.display().to_string(),
            Place::Remote(url) => url.clone(),
        };
        let repository = shell_word(&repository);
        let show = if path.is_empty() {
            String::new()
        } else {
            format!(" && git -C clone show {}", shell_word(&format!("HEAD:{path}")))
        };
        let clone = match reference {
            // A commit is no branch that could be cloned.
            Some(id) if ObjectId::from_hex(id.as_bytes()).is_ok() => format!(
                "git init -q clone && git -C clone fetch -q --depth 1 {repository} {id} && \
                 git -C clone checkout -q FETCH_HEAD"
            ),
            Some(name) => format!("git clone --depth 1 --branch {} {repository} clone", shell_word(&name)),
            None => format!("git clone --depth 1 {repository} clone"),
        };
        Ok(Ways { native: Some(format!("{clone}{show}")), ..Ways::default() })
    }

    fn partners(&self, source: &str) -> Result<Option<Partners>> {
        let address = Address::parse(source)?;
        let seen = self.look(&address)?;
        let partners = self.histories.partners(&seen.repository.to_thread_local(), seen.commit);
        Ok(Some(partners.below(&address.path)))
    }
}

/// Whether a credential is for a repository, whichever way its prefix writes that.
fn serves(credential: &Credential, url: &str) -> bool {
    [url, url.trim_end_matches(".git"), &format!("git+{url}")].iter().any(|form| credential.serves(form))
}

/// User and password of a credential.
fn login(credential: &Credential) -> Option<(String, Secret)> {
    let secret = credential.secret("token").or_else(|| credential.secret("password"))?;
    // As forges take tokens over git: as the password of a user that they do not ask for.
    let user = credential.setting("user").unwrap_or("x-access-token");
    Some((user.to_owned(), Secret::new(secret)))
}

/// The commit that a ref of a repository of this machine means.
fn local_commit(repository: &gix::Repository, address: &Address) -> Result<ObjectId> {
    let Some(name) = &address.reference else {
        let head = repository.head_id().map(gix::Id::detach);
        return head.map_err(|cause| Error::not_found(format!("{} has no commit yet", address.uri())).caused_by(cause));
    };
    let missing = || Error::not_found(format!("{} has no branch, tag or commit {name:?}", address.uri()));
    let full = ["", "refs/heads/", "refs/tags/", "refs/remotes/origin/"].map(|prefix| format!("{prefix}{name}"));
    let named = full.iter().find_map(|full| repository.try_find_reference(full.as_str()).ok().flatten());
    let id = match named {
        Some(mut reference) => {
            reference.peel_to_id().map(gix::Id::detach).map_err(|cause| missing().caused_by(cause))?
        }
        None => ObjectId::from_hex(name.as_bytes()).map_err(|_| missing())?,
    };
    let commit = repository.find_object(id).and_then(|object| object.peel_to_commit());
    commit.map(|commit| commit.id).map_err(|cause| missing().caused_by(cause))
}

/// The same rule as for folders: hidden files and what lies in hidden folders only where they say how a project is built.
fn is_kept(path: &str) -> bool {
    path.split('/').all(|part| is_kept_name(part.as_ref()))
}

fn excluded(globs: &Globs, path: &str) -> bool {
    let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
    folders.chain([path]).any(|part| globs.excludes(part))
}

fn lies_at(uri: &str, wanted: &str) -> bool {
    uri.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '#']))
}

fn add_entry(
    listing: &mut Listing,
    repository: &gix::Repository,
    path: &str,
    uri: String,
    mode: gix::objs::tree::EntryMode,
    id: ObjectId,
) {
    let mut leave_out = |reason: &str, failed| {
        listing.left_out.push(LeftOut { path: path.to_owned(), reason: reason.to_owned(), failed });
    };
    if mode.is_link() {
        return leave_out("link", false);
    }
    if mode.is_commit() {
        return leave_out("submodule", false);
    }
    if !mode.is_blob() {
        return;
    }
    match repository.find_header(id) {
        Ok(header) => {
            let (bytes, mark) = (header.size(), Some(id.to_string()));
            listing.objects.push(Object { path: path.to_owned(), uri, bytes, modified_at: None, mark });
        }
        Err(_) => leave_out("not readable", true),
    }
}

/// A source that is one file.
fn add_file(
    listing: &mut Listing,
    repository: &gix::Repository,
    address: &Address,
    mode: gix::objs::tree::EntryMode,
    id: ObjectId,
) {
    let name = address.path.rsplit('/').next().unwrap_or(&address.path);
    add_entry(listing, repository, name, address.uri(), mode, id);
}

fn absent(address: &Address) -> Error {
    Error::not_found(format!("{} is not in the commit that is read", address.uri()))
}

fn broken(address: &Address) -> Error {
    Error::new(Kind::Unavailable, format!("{} can't be read: its repository is damaged or was removed", address.uri()))
}

impl std::fmt::Debug for GitStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitStore").field("cache", &self.cache).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
