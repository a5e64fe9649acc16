//! Bare clones of remote repositories in the cache folder, fetched into when the remote has a commit that they lack.
//!
//! What was received stays, so another fetch asks for the rest only; a fetch that breaks off leaves nothing half. As much
//! history comes along as co-changes are read from; where that makes a clone too large, only the commit itself.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use gix::ObjectId;
use gix::progress::Discard;
use gix::remote::fetch::{Shallow, Tags};
use gix::remote::{Direction, ref_map};
use gix_transport::Protocol;
use gix_transport::client::blocking_io::http::Transport;

use super::super::credentials::Secret;
use super::super::fetch::Fetcher;
use super::transport::{OVER_BUDGET, Wire};
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::{GIT_BYTES_MAX, GIT_HISTORY_COMMITS_MAX};

/// Where the fetched commit is kept by name, so that the next fetch says what is here.
const KEPT: &str = "refs/hivemem";

/// A remote repository and how to get in.
pub(super) struct Remote<'a> {
    pub fetcher: &'a Fetcher,
    pub url: &'a str,
    pub reference: Option<&'a str>,
    /// User and password.
    pub login: Option<(String, Secret)>,
}

/// A repository that only its own configuration speaks for: nothing of the environment, no hooks, no helpers.
///
/// # Errors
/// Not found if there is none.
pub(super) fn open(folder: &Path) -> Result<gix::Repository> {
    let opened = gix::open_opts(folder, gix::open::Options::isolated().with(gix::sec::Trust::Reduced));
    opened.map_err(|cause| {
        Error::not_found(format!("{} is no git repository that can be read", folder.display())).caused_by(cause)
    })
}

/// Brings the clone in `folder` up to date: the repository, and the commit that the reference means at the remote.
///
/// # Errors
/// Denied, Not found or Unavailable as the remote says; Limit for a repository that is too large.
pub(super) fn update(folder: &Path, remote: &Remote<'_>) -> Result<(gix::Repository, ObjectId)> {
    let repository = match open(folder) {
        Ok(repository) => repository,
        Err(_) => create(folder)?,
    };
    let (name, id) = remote.find(&repository)?;
    if !repository.has_object(id) {
        let deep = if repository.is_shallow().unwrap_or(false) { None } else { Some(GIT_HISTORY_COMMITS_MAX) };
        match remote.receive(&repository, &name, deep) {
            Err(error) if error.kind() == Kind::Limit && deep.is_some() => {
                tracing::info!(url = remote.url, "the history is too large: only the newest commit is fetched");
                remote.receive(&repository, &name, Some(1))?;
            }
            other => other?,
        }
    }
    // Packs that came are seen by a repository that is opened after them.
    let repository = open(folder)?;
    let commit = repository.find_object(id).and_then(|object| object.peel_to_commit());
    let commit = commit.map_err(|cause| {
        let message = format!("{} is no commit of {}", remote.reference.unwrap_or("HEAD"), remote.url);
        Error::not_found(message).caused_by(cause)
    })?;
    let id = commit.id;
    drop(commit);
    Ok((repository, id))
}

fn create(folder: &Path) -> Result<gix::Repository> {
    // Of one that was never finished.
    let _ = std::fs::remove_dir_all(folder);
    let made = std::fs::create_dir_all(folder).map_err(|cause| cause.to_string()).and_then(|()| {
        let options = gix::create::Options { destination_must_be_empty: Some(true), ..Default::default() };
        let isolated = gix::open::Options::isolated();
        let made = gix::ThreadSafeRepository::init_opts(folder, gix::create::Kind::Bare, options, isolated);
        made.map_err(|cause| cause.to_string())
    });
    let message = || format!("no clone can be made in {}: check permissions and space", folder.display());
    made.map(Into::into).map_err(|cause| Error::new(Kind::Precondition, message()).caused_by(cause))
}

impl Remote<'_> {
    /// What the reference is called at the remote, and the object that it names.
    fn find(&self, repository: &gix::Repository) -> Result<(String, ObjectId)> {
        let name = self.reference.unwrap_or("HEAD");
        if let Ok(id) = ObjectId::from_hex(name.as_bytes()) {
            return Ok((name.to_owned(), id));
        }
        let candidates = match self.reference {
            None => vec!["HEAD".to_owned()],
            Some(full) if full.starts_with("refs/") => vec![full.to_owned()],
            Some(name) => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
        };
        let (map, _) = self
            .remote(repository, &candidates)?
            .to_connection_with_transport(self.transport(GIT_BYTES_MAX)?)
            .ref_map(Discard, ref_map::Options::default())
            .map_err(|error| self.told(error))?;
        let of = |wanted: &String| {
            let named = map.remote_refs.iter().map(gix::protocol::handshake::Ref::unpack);
            let mut found = named.filter(|(name, ..)| *name == wanted.as_bytes());
            found.find_map(|(_, target, object)| target.or(object).map(ToOwned::to_owned))
        };
        let found = candidates.iter().find_map(|name| Some((name.clone(), of(name)?)));
        found.ok_or_else(|| match self.reference {
            Some(name) => Error::not_found(format!("{} has no branch or tag {name:?}", self.url)),
            None => Error::not_found(format!("{} has no commit yet", self.url)),
        })
    }

    /// Fetches what `name` names; `depth` commits of it, or what is new in a clone that has a depth already.
    fn receive(&self, repository: &gix::Repository, name: &str, depth: Option<u32>) -> Result<()> {
        let shallow = depth.and_then(NonZeroU32::new).map_or(Shallow::NoChange, Shallow::DepthAtRemote);
        let kept = format!("{KEPT}/{name}");
        self.remote(repository, &[format!("+{name}:{kept}")])?
            .to_connection_with_transport(self.transport(GIT_BYTES_MAX)?)
            .prepare_fetch(Discard, ref_map::Options::default())
            .and_then(|fetch| fetch.with_shallow(shallow).receive(Discard, &AtomicBool::new(false)))
            .map_err(|error| self.told(error))?;
        Ok(())
    }

    fn remote<'repo>(&self, repository: &'repo gix::Repository, specs: &[String]) -> Result<gix::Remote<'repo>> {
        let specs = specs.iter().map(String::as_str);
        repository
            .remote_at_without_url_rewrite(self.url)
            .map(|remote| remote.with_fetch_tags(Tags::None))
            .and_then(|remote| remote.with_refspecs(specs.map(Into::<&gix::bstr::BStr>::into), Direction::Fetch))
            .map_err(|cause| Error::invalid("source", format!("{} can't be fetched from", self.url)).caused_by(cause))
    }

    fn transport(&self, bytes_max: u64) -> Result<Transport<Wire>> {
        let wire = Wire::new(self.fetcher.clone(), self.url, self.login.clone(), Arc::new(Mutex::new(bytes_max)));
        let url = gix::url::parse(self.url);
        let url = url.map_err(|cause| Error::invalid("source", format!("{} is no URL", self.url)).caused_by(cause))?;
        Ok(Transport::new_http(wire, url, Protocol::V2, false))
    }

    /// What went wrong at the remote: as the wire said it, if it did.
    fn told(&self, error: gix::Error) -> Error {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(cause) = next {
            if cause.to_string().contains(OVER_BUDGET) {
                let message = format!(
                    "{} is larger than {GIT_BYTES_MAX} bytes: name a folder's own repository, or clone it \
                     and ingest the folders that matter",
                    self.url
                );
                return Error::limit("bytes", message);
            }
            let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            let own = cause.downcast_ref::<Error>().or_else(|| inner?.downcast_ref::<Error>());
            if let Some(own) = own {
                return Error::new(own.kind(), own.message());
            }
            next = cause.source();
        }
        let message = format!("{} does not speak git over HTTP as it should, or broke off: try again", self.url);
        Error::new(Kind::Unavailable, message).caused_by(error)
    }
}
