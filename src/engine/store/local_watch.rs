//! Follows directories and files of the server's machine by the system's file events.
//!
//! Only folders that a listing looks into are watched, one by one: a recursive watch would spend the system's watches on
//! build output and dependencies, and wake the server for every file of a build. Of a git repository, HEAD and its log are
//! watched too; they tell that another commit is checked out.
//!
//! Not for file systems that send no events, such as network mounts.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::ListOptions;
use super::local::{LocalStore, is_kept_name};
use super::uri::{file_uri, path_of_uri};
use super::watch::{CHANGES_MAX, Changed, Watch, Watcher};
use crate::base::error::{Error, Kind, Result};

/// A lock of git's index that is older was left behind by a git that died.
const GIT_LOCK_AGE_MAX: Duration = Duration::from_secs(10);

/// Makes watches of what a [`LocalStore`] may read.
#[derive(Debug, Clone)]
pub struct LocalWatcher {
    store: LocalStore,
    own: PathBuf,
}

impl LocalWatcher {
    /// Watches sources of `store`, but nothing at or below `own`: where this server writes, each sync would cause the
    /// next one.
    pub fn new(store: LocalStore, own: &Path) -> Self {
        Self { store, own: own.canonicalize().unwrap_or_else(|_| own.to_owned()) }
    }
}

impl Watcher for LocalWatcher {
    fn watch(&self, source: &str, options: &ListOptions) -> Result<Arc<dyn Watch>> {
        let (root, metadata) = self.store.open_root(source)?;
        let heard = Arc::new(Heard {
            is_file: metadata.is_file(),
            root,
            own: self.own.clone(),
            state: Mutex::new(State::default()),
            wake: Notify::new(),
        });
        let ear = Arc::clone(&heard);
        let events = notify::recommended_watcher(move |event| ear.hear(event)).map_err(|cause| refused(&cause))?;
        Ok(Arc::new(LocalWatch {
            store: self.store.clone(),
            source: source.to_owned(),
            options: options.clone(),
            heard,
            events: Mutex::new(events),
        }))
    }
}

struct LocalWatch {
    store: LocalStore,
    source: String,
    options: ListOptions,
    heard: Arc<Heard>,
    events: Mutex<RecommendedWatcher>,
}

impl LocalWatch {
    /// Watches one folder; one that is gone or closed by now is no error: the listing finds that out.
    fn follow(&self, folder: &Path) -> Result<()> {
        if folder.starts_with(&self.heard.own) {
            return Ok(());
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match events.watch(folder, RecursiveMode::NonRecursive) {
            Err(error) if !is_absence(&error) => Err(refused(&error)),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Watch for LocalWatch {
    fn cover(&self, changed: &Changed) -> Result<()> {
        let root = &self.heard.root;
        match changed {
            Changed::At(uris) => {
                // Most changes are of files, which need no watch of their own.
                let is_folder = |uri: &&String| {
                    let path = path_of_uri(uri);
                    path.and_then(|path| path.symlink_metadata().ok()).is_some_and(|metadata| metadata.is_dir())
                };
                let folders: BTreeSet<String> = uris.iter().filter(is_folder).cloned().collect();
                if folders.is_empty() {
                    return Ok(());
                }
                LocalStore::folders(root, &self.options, Some(&folders), |folder| self.follow(folder))
            }
            Changed::Everything => {
                self.store.open_root(&self.source)?;
                self.heard.state().folder = self.heard.folder();
                if self.heard.is_file {
                    return root.parent().map_or(Ok(()), |folder| self.follow(folder));
                }
                let git = git_folder(root);
                self.heard.state().git.clone_from(&git);
                if let Some(git) = git {
                    self.follow(&git)?;
                    self.follow(&git.join("logs"))?;
                }
                LocalStore::folders(root, &self.options, None, |folder| self.follow(folder))
            }
        }
    }

    async fn changed(&self) {
        self.heard.wake.notified().await;
    }

    fn take(&self) -> Changed {
        let mut state = self.heard.state();
        let at = std::mem::take(&mut state.at);
        if std::mem::take(&mut state.everything) { Changed::Everything } else { Changed::At(at) }
    }

    fn is_attached(&self) -> bool {
        let now = self.heard.folder();
        now.is_some() && now == self.heard.state().folder
    }

    fn is_unsettled(&self) -> bool {
        self.heard.state().git_locked_at.is_some_and(|since| since.elapsed() < GIT_LOCK_AGE_MAX)
    }
}

/// What the events said; shared with the thread that they arrive on.
struct Heard {
    root: PathBuf,
    is_file: bool,
    /// See [`LocalWatcher::new`].
    own: PathBuf,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    at: BTreeSet<String>,
    everything: bool,
    /// The outermost folder that was covered.
    folder: Option<FolderId>,
    /// Where HEAD lies, if the root is in a git repository.
    git: Option<PathBuf>,
    /// When git locked its index, which it does for as long as it changes files.
    git_locked_at: Option<Instant>,
}

/// Device and number of a folder: what it is, wherever it is moved to.
type FolderId = (u64, u64);

impl Heard {
    /// The outermost folder to follow, as it is now. Of a file that is the one it lies in: editors put a new file in the
    /// place of the old one, and only the folder sees both.
    fn folder(&self) -> Option<FolderId> {
        let folder = if self.is_file { self.root.parent()? } else { &self.root };
        folder.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: notify::Result<Event>) {
        let told = match event {
            Ok(event) if event.need_rescan() => self.state().lose(),
            Ok(event) if is_change(event.kind) => {
                let mut state = self.state();
                let told: Vec<bool> = event.paths.iter().map(|path| self.note(&mut state, path, event.kind)).collect();
                told.contains(&true)
            }
            Ok(_) => false,
            Err(_) => self.state().lose(),
        };
        if told {
            self.wake.notify_one();
        }
    }

    /// Notes a change of `path`; gives whether it is one of the source.
    fn note(&self, state: &mut State, path: &Path, kind: EventKind) -> bool {
        if let Some(told) = state.git.clone().and_then(|git| note_git(state, &git, path, kind)) {
            return told;
        }
        if self.root.starts_with(path) {
            return state.lose();
        }
        let name = path.file_name().unwrap_or_default();
        if self.is_file || !path.starts_with(&self.root) || path.starts_with(&self.own) {
            return false;
        }
        if matches!(name.to_str(), Some(".gitignore" | ".ignore" | ".git")) {
            // Other rules, for files that did not change themselves.
            return state.lose();
        }
        if !is_kept_name(name) {
            return false;
        }
        if !state.everything {
            state.at.insert(file_uri(path));
        }
        if state.at.len() > CHANGES_MAX { state.lose() } else { true }
    }
}

impl State {
    fn lose(&mut self) -> bool {
        self.everything = true;
        self.at.clear();
        true
    }
}

/// Notes a change of git's own files; `None` if `path` is none of them.
fn note_git(state: &mut State, git: &Path, path: &Path, kind: EventKind) -> Option<bool> {
    let folder = path.parent()?;
    if folder != git && folder != git.join("logs") {
        return None;
    }
    match path.file_name()?.to_str() {
        Some("HEAD") => Some(state.lose()),
        Some("index.lock") => {
            match kind {
                EventKind::Create(_) => state.git_locked_at = Some(Instant::now()),
                EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => state.git_locked_at = None,
                _ => {}
            }
            Some(false)
        }
        _ => Some(false),
    }
}

/// Whether an event tells of other content, names or permissions. Reading is none, or each listing would cause the next.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The folder that holds HEAD of the repository that `root` lies in. For a linked worktree that is not `.git`, which is a
/// file there and names the folder.
fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    if git.is_dir() {
        return Some(git);
    }
    let named = std::fs::read_to_string(&git).ok()?;
    let folder = git.parent()?.join(named.strip_prefix("gitdir:")?.trim());
    folder.canonicalize().ok().filter(|folder| folder.is_dir())
}

fn is_absence(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(cause) => matches!(
            cause.kind(),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory | std::io::ErrorKind::PermissionDenied
        ),
        _ => false,
    }
}

/// Why the system gives no watch, and what to do.
fn refused(error: &notify::Error) -> Error {
    let message = match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system has no more file watches to give: raise fs.inotify.max_user_watches with sysctl, or exclude folders"
                .to_owned()
        }
        // EMFILE: on Linux also said where the number of watchers of one user is used up.
        ErrorKind::Io(cause) if cause.raw_os_error() == Some(24) => {
            "the system has no more file watchers to give: raise fs.inotify.max_user_instances with sysctl, or the limit \
             of open files"
                .to_owned()
        }
        _ => format!("the system does not watch files here: {error}"),
    };
    Error::new(Kind::Unavailable, message)
}

#[cfg(test)]
#[path = "local_watch_tests.rs"]
mod tests;
