//! Repositories on GitHub as sources: their code, which the git store reads, and their issues and pull requests with
//! comments, a document each.
//!
//! Threads are kept in the cache folder, so another sync asks for what changed since; where that breaks off, the next one
//! goes on from there. The API does not tell what was deleted: that stays until the cache is removed.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::credentials::{Credential, Credentials, Secret};
use super::fetch::Fetcher;
use super::git::GitStore;
use super::git::address::{Address, Place};
use super::globs::Globs;
use super::{About, LeftOut, ListOptions, Listing, Object, Partners, Stat, Store, Ways, cache, over_limit};
use crate::base::ContentHash;
use crate::base::error::{Error, Kind, Result};
use crate::base::files::write_atomic;

mod api;
mod threads;

use api::{Api, Comment, Issue};
use threads::{Thread, Threads};

/// What begins the address of a repository, as it is kept.
const SCHEME: &str = "github://";
/// Repositories whose threads are kept in memory.
const HELD_MAX: usize = 16;

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub struct GithubStore {
    git: Arc<GitStore>,
    fetcher: Fetcher,
    credentials: Credentials,
    api: Url,
    web: String,
    cache: PathBuf,
    held: Arc<Mutex<HashMap<String, Arc<Threads>>>>,
    /// The credential that was asked for by name.
    named: Option<String>,
}

/// A repository and a ref of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Repository {
    /// `owner/name`.
    name: String,
    reference: Option<String>,
}

impl Repository {
    fn parse(address: &str) -> Result<Self> {
        let rest = address.strip_prefix("github:").unwrap_or(address).trim_start_matches('/').trim_end_matches('/');
        let (name, reference) = rest.split_once('@').map_or((rest, None), |(name, reference)| (name, Some(reference)));
        let sound = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| sound(part)) {
            let message =
                format!("{address:?} is no repository on GitHub: give github:OWNER/NAME or github:OWNER/NAME@REF");
            return Err(Error::invalid("source", message));
        }
        Ok(Self { name: name.trim_end_matches(".git").to_owned(), reference: reference.map(str::to_owned) })
    }

    fn uri(&self) -> String {
        let reference = self.reference.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
        format!("{SCHEME}{}{reference}", self.name)
    }
}

impl GithubStore {
    /// Beginnings of the addresses that it serves.
    pub const BEGINNINGS: &'static [&'static str] = &["github:"];

    /// Reads threads from the API at the first of `places` and code, by `git`, from below the second; keeps threads in
    /// `cache`.
    ///
    /// # Errors
    /// Precondition for a place that is no URL.
    pub fn new(
        git: Arc<GitStore>,
        fetcher: Fetcher,
        credentials: Credentials,
        places: (&str, &str),
        cache: PathBuf,
    ) -> Result<Self> {
        let api = Url::parse(places.0).map_err(|cause| {
            Error::new(Kind::Precondition, format!("ingest.github_api is {:?}, which is no URL", places.0))
                .caused_by(cause)
        })?;
        let web = places.1.trim_end_matches('/').to_owned();
        Ok(Self { git, fetcher, credentials, api, web, cache, held: Arc::default(), named: None })
    }

    /// The address of the code.
    fn code(&self, repository: &Repository) -> String {
        let reference = repository.reference.as_ref().map(|name| format!("@{name}")).unwrap_or_default();
        format!("git+{}/{}.git{reference}", self.web, repository.name)
    }

    /// The credential for a repository: the one that was named, or the one that its address finds. It is sent to where the
    /// configuration says that GitHub is, so one without prefixes is for every repository there; one that has some is kept
    /// to them.
    fn credential(&self, repository: &Repository) -> Result<Option<Arc<Credential>>> {
        let own = format!("{SCHEME}{}", repository.name);
        let web = format!("{}/{}", self.web, repository.name);
        let addresses = [own.as_str(), web.as_str(), self.api.as_str()];
        let Some(name) = &self.named else {
            return Ok(addresses.iter().find_map(|uri| self.credentials.of_uri("github", uri)));
        };
        let named = self.credentials.by_name("github", name)?;
        if named.prefixes.is_empty() || addresses.iter().any(|uri| named.serves(uri)) {
            Ok(Some(named))
        } else {
            Err(named.refused(&own))
        }
    }

    /// Threads as they are now, and what kept some of them from being read.
    fn sync(&self, repository: &Repository) -> Result<(Arc<Threads>, Option<Error>)> {
        let token = self.credential(repository)?.and_then(|held| held.secret("token").map(Secret::new));
        let known = self.known(repository);
        let mut threads = Threads::clone(&known);
        let api = Api { fetcher: &self.fetcher, base: &self.api, token };
        let failure = self.fetcher.wait(|| self.follow(&api, repository, &mut threads)).err();
        if threads != *known {
            self.keep(repository, &threads);
        }
        let threads = Arc::new(threads);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HELD_MAX {
            held.clear();
        }
        held.insert(repository.name.clone(), Arc::clone(&threads));
        Ok((threads, failure))
    }

    /// Reads what changed; what was read before something failed stays in `threads`.
    async fn follow(&self, api: &Api<'_>, repository: &Repository, threads: &mut Threads) -> Result<()> {
        for list in ["issues", "issues/comments", "pulls/comments"] {
            let path = format!("repos/{}/{list}", repository.name);
            let before = threads.lists.get(list).cloned().unwrap_or_default();
            let (since, etag) = (before.since.as_deref(), before.etag.as_deref());
            let etag = if list == "issues" {
                let take = |issues: Vec<Issue>| {
                    threads.take(list, issues);
                    Ok(())
                };
                api.pages(&path, since, etag, take).await?
            } else {
                let take = |comments: Vec<Comment>| {
                    threads.take_comments(list, comments);
                    Ok(())
                };
                api.pages(&path, since, etag, take).await?
            };
            // It is the etag of the list since then; where that moved on, the next one is another list.
            let progress = threads.lists.entry(list.to_owned()).or_default();
            progress.etag = etag.filter(|_| progress.since == before.since);
        }
        Ok(())
    }

    /// Where the threads of a repository are kept. What was read with a credential is not for who comes without it.
    fn file(&self, repository: &Repository) -> PathBuf {
        let mut whose = format!("{} {}", self.api, repository.name);
        if let Ok(Some(credential)) = self.credential(repository) {
            whose.push_str(&format!(" {}", credential.name));
        }
        self.cache.join(format!("{}.json", cache::name(&whose)))
    }

    /// Threads as they were read last.
    fn known(&self, repository: &Repository) -> Arc<Threads> {
        if let Some(held) = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(&repository.name) {
            return Arc::clone(held);
        }
        let bytes = std::fs::read(self.file(repository)).ok();
        Arc::new(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    fn keep(&self, repository: &Repository, threads: &Threads) {
        let made = std::fs::create_dir_all(&self.cache).is_ok();
        let bytes = serde_json::to_vec(threads).ok().filter(|_| made);
        if let Some(error) = bytes.and_then(|bytes| write_atomic(&self.file(repository), &bytes).err()) {
            tracing::warn!(error = %error.chain(), "issues are not kept and will be read again");
        }
    }

    fn object(&self, repository: &Repository, thread: &Thread) -> Object {
        let text = thread.markdown();
        Object {
            path: thread.path(),
            uri: format!("{SCHEME}{}/{}/{}", repository.name, thread.folder(), thread.number),
            bytes: text.len() as u64,
            modified_at: None,
            mark: Some(ContentHash::of(text.as_bytes()).to_string()),
        }
    }

    /// The thread that an address names, of those that were read last.
    fn thread(&self, uri: &str) -> Result<Option<(Repository, Thread)>> {
        let bad = || Error::invalid("uri", format!("{uri} is no issue or pull request on GitHub"));
        let rest = uri.strip_prefix(SCHEME).ok_or_else(bad)?;
        let mut parts = rest.rsplitn(3, '/');
        let (number, _kind, name) = (parts.next(), parts.next(), parts.next());
        let number: u64 = number.and_then(|number| number.parse().ok()).ok_or_else(bad)?;
        let repository = Repository::parse(name.ok_or_else(bad)?)?;
        let mut known = self.known(&repository);
        if known.by_number.is_empty() {
            known = self.sync(&repository)?.0;
        }
        Ok(known.by_number.get(&number).cloned().map(|thread| (repository, thread)))
    }

    fn list_repository(&self, source: &str, options: &ListOptions, at: Option<&BTreeSet<String>>) -> Result<Listing> {
        let (globs, repository) = (Globs::new(options)?, Repository::parse(source)?);
        let code = self.code(&repository);
        let mut listing = match at {
            None => self.git.list(&code, options)?,
            Some(uris) => self.git.list_at(&code, options, uris)?,
        };
        let (threads, failure) = self.sync(&repository)?;
        if let Some(error) = failure {
            // What is stored of them stays.
            for folder in ["issues", "pulls"] {
                let path = format!("{SCHEME}{}/{folder}", repository.name);
                listing.left_out.push(LeftOut { path, reason: error.message().to_owned(), failed: true });
            }
        }
        for thread in threads.by_number.values() {
            let object = self.object(&repository, thread);
            let asked = at.is_none_or(|at| at.contains(&object.uri));
            if asked && !globs.excludes(&object.path) && globs.includes(&object.path) {
                globs.found.one();
                listing.objects.push(object);
            }
        }
        listing.objects.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.uri.cmp(&b.uri)));
        Ok(listing)
    }
}

/// The repository that an address names, or a thread of which it names.
fn repository_of(uri: &str) -> Result<Repository> {
    let of_thread = || Repository::parse(uri.rsplitn(3, '/').nth(2)?).ok();
    Repository::parse(uri).or_else(|error| of_thread().ok_or(error))
}

impl Store for GithubStore {
    fn resolve(&self, address: &str) -> Result<String> {
        let repository = Repository::parse(address)?;
        self.git.resolve(&self.code(&repository))?;
        Ok(repository.uri())
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        self.list_repository(source, options, None)
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        self.list_repository(source, options, Some(uris))
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        if !object.uri.starts_with(SCHEME) {
            return self.git.read(object, bytes_max);
        }
        let found = self.thread(&object.uri)?;
        let (_, thread) = found.ok_or_else(|| Error::not_found(format!("{} is not known", object.uri)))?;
        let text = thread.markdown();
        if text.len() as u64 > bytes_max {
            return Err(over_limit(&object.uri, text.len() as u64, bytes_max));
        }
        Ok(text.into_bytes())
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        if !uri.starts_with(SCHEME) {
            return self.git.stat(uri);
        }
        Ok(self.thread(uri)?.map(|(repository, thread)| {
            let Object { bytes, modified_at, mark, .. } = self.object(&repository, &thread);
            Stat { bytes, modified_at, mark }
        }))
    }

    fn holds(&self, uri: &str) -> Result<Option<bool>> {
        if !uri.starts_with(SCHEME) {
            return self.git.holds(uri);
        }
        match Repository::parse(uri) {
            Ok(repository) => self.git.holds(&self.code(&repository)),
            Err(_) => Ok(Some(self.thread(uri)?.is_some())),
        }
    }

    fn about(&self, object: &Object) -> Result<About> {
        if !object.uri.starts_with(SCHEME) {
            return self.git.about(object);
        }
        let found = self.thread(&object.uri)?;
        let about =
            |(repository, thread): (Repository, Thread)| thread.about(&format!("{}/{}", self.web, repository.name));
        Ok(found.map(about).unwrap_or_default())
    }

    fn partners(&self, source: &str) -> Result<Option<Partners>> {
        self.git.partners(&self.code(&Repository::parse(source)?))
    }

    fn under(&self, uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        let repository = repository_of(uri)?;
        let named = Self { named: Some(credential.to_owned()), held: Arc::default(), ..self.clone() };
        let Some(held) = named.credential(&repository)? else { return Ok(Arc::new(named)) };
        // What serves a repository serves its code.
        let mut held = Credential::clone(&held);
        if let Place::Remote(url) = Address::parse(&self.code(&repository))?.place {
            held.prefixes.push(url);
        }
        Ok(Arc::new(Self { git: Arc::new(self.git.with(Arc::new(held))), ..named }))
    }

    fn ways(&self, uri: &str, ttl: Duration) -> Result<Ways> {
        if !uri.starts_with(SCHEME) {
            return self.git.ways(uri, ttl);
        }
        if let Ok(repository) = Repository::parse(uri) {
            return self.git.ways(&self.code(&repository), ttl);
        }
        let Some((repository, thread)) = self.thread(uri)? else { return Ok(Ways::default()) };
        let what = if thread.is_pull { "pr" } else { "issue" };
        let native = format!("gh {what} view {} --repo {} --comments", thread.number, repository.name);
        Ok(Ways { native: Some(native), ..Ways::default() })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
