//! Directories and files of the server's machine as sources.
//!
//! Listing respects `.gitignore` (in a git repository or not) and leaves out hidden files but for those that describe
//! how a project is built and checked. Symbolic links are never followed below the root: what they point to inside of
//! the root is listed under its own name, and what is outside isn't part of the source.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ignore::{DirEntry, Walk, WalkBuilder};

use super::git::Histories;
use super::globs::Globs;
use super::uri::{file_uri, path_of_uri};
use super::{
    LeftOut, ListOptions, Listing, Object, PIECE_BYTES_MAX, Partners, Pieces, Range, Reading, Stat, Store, Ways,
    beyond_end, shell_word,
};
use crate::base::Timestamp;
use crate::base::error::{Error, Kind, Result};

/// Hidden names that are listed all the same: they say how a project is built, checked and configured.
const HIDDEN_KEPT: &[&str] = &[
    ".github",
    ".gitlab",
    ".gitlab-ci.yml",
    ".circleci",
    ".travis.yml",
    ".cirrus.yml",
    ".buildkite",
    ".drone.yml",
    ".woodpecker",
    ".woodpecker.yml",
    ".forgejo",
    ".gitea",
    ".azure-pipelines.yml",
    ".pre-commit-config.yaml",
    ".goreleaser.yml",
    ".goreleaser.yaml",
    ".cargo",
    ".config",
    ".devcontainer",
    ".editorconfig",
    ".env.example",
    ".env.sample",
    ".golangci.yml",
    ".golangci.yaml",
    ".readthedocs.yaml",
    ".readthedocs.yml",
    ".cursorrules",
    ".cursor",
    ".claude",
    ".changeset",
];

/// Files and directories of this machine. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LocalStore {
    /// Canonical; empty: everywhere.
    allowed_roots: Vec<PathBuf>,
    histories: Histories,
}

impl LocalStore {
    /// A store that serves only what lies under one of `allowed_roots`; everything if there are none.
    ///
    /// A root that doesn't exist is kept as it is written: nothing is under it until it does.
    pub fn new(allowed_roots: Vec<PathBuf>) -> Self {
        let canonical = |root: PathBuf| root.canonicalize().unwrap_or(root);
        Self { allowed_roots: allowed_roots.into_iter().map(canonical).collect(), ..Self::default() }
    }

    fn check_allowed(&self, path: &Path) -> Result<()> {
        if self.allowed_roots.is_empty() || self.allowed_roots.iter().any(|root| path.starts_with(root)) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Denied,
            format!("{} is outside of the directories that this server may read: add it to them", path.display()),
        ))
    }

    /// The canonical path of a source, after all checks.
    pub(super) fn open_root(&self, source: &str) -> Result<(PathBuf, Metadata)> {
        let path = path_of_address(source)?;
        let root = path.canonicalize().map_err(|cause| missing(&path, cause))?;
        self.check_allowed(&root)?;
        let metadata = std::fs::metadata(&root).map_err(|cause| missing(&root, cause))?;
        if !(metadata.is_dir() || metadata.is_file()) {
            return Err(Error::invalid(
                "source",
                format!("{} is neither a directory nor a regular file", root.display()),
            ));
        }
        Ok((root, metadata))
    }
}

/// The path that an address (a `file://` URI or an absolute path) names.
fn path_of_address(address: &str) -> Result<PathBuf> {
    let path = match path_of_uri(address) {
        Some(path) => path,
        None if address.contains("://") => {
            return Err(Error::invalid(
                "source",
                format!(
                    "{address:?} is not a file:// URI with an absolute path; other sources are not read yet: fetch it and \
                     name the folder"
                ),
            ));
        }
        None => PathBuf::from(address),
    };
    if !path.is_absolute() {
        return Err(Error::invalid(
            "source",
            format!("{address:?} is not an absolute path: the server doesn't know which directory it is relative to"),
        ));
    }
    Ok(path)
}

fn missing(path: &Path, cause: std::io::Error) -> Error {
    let shown = path.display();
    match cause.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Error::not_found(format!(
            "{shown} does not exist on the server's machine: check the path, and where the server runs"
        )),
        std::io::ErrorKind::PermissionDenied => {
            Error::new(Kind::Denied, format!("{shown} may not be read by the server: check its permissions"))
        }
        _ => Error::new(
            Kind::Unavailable,
            format!("{shown} cannot be read: check the disk, and that it is no link to itself"),
        ),
    }
    .caused_by(cause)
}

impl Store for LocalStore {
    fn partners(&self, source: &str) -> Result<Option<Partners>> {
        let (root, _) = self.open_root(source)?;
        let holder = root.ancestors().find(|above| above.join(".git").exists());
        let holder = holder.filter(|holder| self.check_allowed(holder).is_ok());
        Ok(holder.and_then(|holder| self.histories.of_checkout(holder, &root)))
    }

    fn resolve(&self, address: &str) -> Result<String> {
        let (root, _) = self.open_root(address)?;
        Ok(file_uri(&root))
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        let globs = Globs::new(options)?;
        let (root, metadata) = self.open_root(source)?;
        if !metadata.is_dir() {
            return list_file(&root, &metadata);
        }
        let listing = list_folder(&root, globs, None);
        Ok(Listing { bare_since: if is_bare(&root) { modified(&metadata) } else { None }, ..listing })
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        let globs = Globs::new(options)?;
        let (root, metadata) = self.open_root(source)?;
        if metadata.is_dir() { Ok(list_folder(&root, globs, Some(paths(uris)))) } else { list_file(&root, &metadata) }
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        let path = &path_of_address(&object.uri)?;
        // A part of the path may have become a link since it was listed.
        let real = path.canonicalize().map_err(|cause| missing(path, cause))?;
        if real != *path {
            return Err(Error::new(
                Kind::Denied,
                format!("{} now leads through a link to {}", path.display(), real.display()),
            ));
        }
        self.check_allowed(&real)?;
        let metadata = std::fs::metadata(path).map_err(|cause| missing(path, cause))?;
        if !metadata.is_file() {
            return Err(Error::not_found(format!("{} is no longer a regular file", path.display())));
        }
        let over = |bytes: u64| {
            Error::limit("bytes", format!("{} has {bytes} bytes, over the limit of {bytes_max}", path.display()))
        };
        if metadata.len() > bytes_max {
            return Err(over(metadata.len()));
        }
        let file = File::open(path).map_err(|cause| missing(path, cause))?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        // It may have grown since.
        let read =
            file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|cause| missing(path, cause))?;
        if read as u64 > bytes_max { Err(over(read as u64)) } else { Ok(bytes) }
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        let path = path_of_address(uri)?;
        match path.canonicalize().and_then(|real| std::fs::metadata(&real).map(|metadata| (real, metadata))) {
            Ok((real, metadata)) => {
                self.check_allowed(&real)?;
                // A link where a file was is not that file.
                Ok((real == path && metadata.is_file()).then(|| stat_of(&metadata)))
            }
            Err(cause) if matches!(cause.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(cause) => Err(missing(&path, cause)),
        }
    }

    fn holds(&self, uri: &str) -> Result<Option<bool>> {
        match self.open_root(uri) {
            // A link where a file was is not that file.
            Ok((root, metadata)) => Ok(Some(metadata.is_dir() || root == path_of_address(uri)?)),
            Err(error) if error.kind() == Kind::NotFound => Ok(Some(false)),
            Err(error) => Err(error),
        }
    }

    fn open(&self, uri: &str, range: Range) -> Result<Reading> {
        let path = path_of_address(uri)?;
        let real = path.canonicalize().map_err(|cause| missing(&path, cause))?;
        self.check_allowed(&real)?;
        if real != path {
            return Err(Error::new(
                Kind::Denied,
                format!("{} leads through a link to {}: name that", path.display(), real.display()),
            ));
        }
        let regular = |metadata: &Metadata| {
            let other = || format!("{} is no regular file: it can be listed, not read", path.display());
            if metadata.is_file() { Ok(()) } else { Err(Error::not_found(other())) }
        };
        // Looked at before it is opened, since opening a pipe waits for who writes to it, and again when it is open: it may
        // be another one by then.
        regular(&std::fs::metadata(&path).map_err(|cause| missing(&path, cause))?)?;
        let mut file = File::open(&path).map_err(|cause| missing(&path, cause))?;
        let metadata = file.metadata().map_err(|cause| missing(&path, cause))?;
        regular(&metadata)?;
        let stat = stat_of(&metadata);
        if range.offset > 0 && range.offset >= stat.bytes {
            return Err(beyond_end(uri, range.offset, stat.bytes));
        }
        file.seek(SeekFrom::Start(range.offset)).map_err(|cause| missing(&path, cause))?;
        let rest = stat.bytes - range.offset;
        let left = range.length.map_or(rest, |length| length.min(rest));
        Ok(Reading { stat: stat.clone(), media_type: None, pieces: Box::new(FilePieces { file, path, stat, left }) })
    }

    fn ways(&self, uri: &str, _ttl: Duration) -> Result<Ways> {
        let path = path_of_address(uri)?;
        self.check_allowed(&path)?;
        let native = path.to_str().map(|path| {
            if path.ends_with('/') { format!("ls {}", shell_word(path)) } else { format!("cat {}", shell_word(path)) }
        });
        Ok(Ways { native, ..Ways::default() })
    }
}

/// The rest of an open file.
struct FilePieces {
    file: File,
    path: PathBuf,
    stat: Stat,
    left: u64,
}

impl Pieces for FilePieces {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let wanted = self.left.min(PIECE_BYTES_MAX as u64);
        if wanted == 0 {
            return Ok(None);
        }
        let mut piece = Vec::with_capacity(wanted as usize);
        let read = Read::by_ref(&mut self.file).take(wanted).read_to_end(&mut piece);
        let read = read.map_err(|cause| missing(&self.path, cause))? as u64;
        self.left -= wanted;
        // Looked at after the read: what was written before it shows in the time by now.
        let now = self.file.metadata().map_err(|cause| missing(&self.path, cause))?;
        if read < wanted || stat_of(&now) != self.stat {
            return Err(Error::new(
                Kind::Conflict,
                format!("{} changed while it was read: read it again", self.path.display()),
            ));
        }
        Ok(Some(piece))
    }
}

fn stat_of(metadata: &Metadata) -> Stat {
    Stat { bytes: metadata.len(), modified_at: modified(metadata), mark: None }
}

fn modified(metadata: &Metadata) -> Option<Timestamp> {
    metadata.modified().ok().map(Timestamp::from_system)
}

fn list_file(file: &Path, metadata: &Metadata) -> Result<Listing> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut listing = Listing::default();
    match File::open(file) {
        Ok(_) => listing.objects.push(Object {
            path: name,
            uri: file_uri(file),
            bytes: metadata.len(),
            modified_at: modified(metadata),
            mark: None,
        }),
        Err(_) => listing.left_out.push(LeftOut { path: name, reason: NOT_READABLE.to_owned(), failed: true }),
    }
    Ok(listing)
}

/// Whether a folder has no entry, hidden ones and folders included.
fn is_bare(root: &Path) -> bool {
    std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none())
}

const NOT_READABLE: &str = "not readable";

fn list_folder(root: &Path, globs: Globs, at: Option<BTreeSet<PathBuf>>) -> Listing {
    let mut listing = Listing::default();
    let globs = Arc::new(globs);
    for entry in walk(root, &globs, at) {
        match entry {
            Ok(entry) => add(&mut listing, root, &globs, &entry),
            Err(error) => listing.left_out.push(failure(root, &error)),
        }
    }
    listing.objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    listing.left_out.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    listing
}

/// Walks all that a listing of `root` looks at; with `at` only what lies at or below one of these paths, and the
/// folders on the way there.
///
/// The walk begins at the root in both cases: which rules hold for a path is decided by the ignore files of every folder
/// above it, and by whether one of those folders is itself ignored. Going down the same way is the one rule book; it
/// reads the names in the folders on the way and nothing else.
fn walk(root: &Path, globs: &Arc<Globs>, at: Option<BTreeSet<PathBuf>>) -> Walk {
    let (pruning, pruned_root) = (Arc::clone(globs), root.to_owned());
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false)
        .follow_links(false)
        .require_git(false)
        .git_global(false)
        // Rules above the root count inside of a repository, but a stray ~/.gitignore doesn't.
        .parents(is_in_repository(root))
        .filter_entry(move |entry| {
            is_kept(entry)
                && at.as_ref().is_none_or(|at| is_on_the_way(at, entry.path()))
                && !(entry.depth() > 0 && pruning.excludes(&relative(&pruned_root, entry.path())))
        });
    walk.build()
}

/// Whether `path` lies at, above or below one of `at`.
fn is_on_the_way(at: &BTreeSet<PathBuf>, path: &Path) -> bool {
    // Paths are ordered part by part, so what lies below a path follows it at once.
    let next = at.range::<Path, _>((std::ops::Bound::Included(path), std::ops::Bound::Unbounded)).next();
    next.is_some_and(|next| next.starts_with(path)) || path.ancestors().any(|above| at.contains(above))
}

/// The paths of those URIs that are paths.
fn paths(uris: &BTreeSet<String>) -> BTreeSet<PathBuf> {
    uris.iter().filter_map(|uri| path_of_uri(uri)).collect()
}

impl LocalStore {
    /// Shows `visit` each folder below `root` that a listing looks into, the root among them, before it is read; with
    /// `at` only those at or below one of these URIs.
    ///
    /// # Errors
    /// Invalid for a bad glob; the first one of `visit`, which ends the walk.
    pub(super) fn folders(
        root: &Path,
        options: &ListOptions,
        at: Option<&BTreeSet<String>>,
        mut visit: impl FnMut(&Path) -> Result<()>,
    ) -> Result<()> {
        let globs = Arc::new(Globs::new(options)?);
        let at = at.map(paths);
        // What can't be entered is not looked into; the listing reports it.
        for entry in walk(root, &globs, at.clone()).flatten() {
            let below = at.as_ref().is_none_or(|at| entry.path().ancestors().any(|above| at.contains(above)));
            if below && entry.file_type().is_some_and(|kind| kind.is_dir()) {
                visit(entry.path())?;
            }
        }
        Ok(())
    }
}

fn is_in_repository(root: &Path) -> bool {
    root.ancestors().any(|above| above.join(".git").exists())
}

fn is_kept(entry: &DirEntry) -> bool {
    entry.depth() == 0 || is_kept_name(entry.file_name())
}

/// Whether something of this name is listed if no rule says otherwise.
pub(super) fn is_kept_name(name: &OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(b".") || name.to_str().is_some_and(|name| HIDDEN_KEPT.contains(&name))
}

fn add(listing: &mut Listing, root: &Path, globs: &Globs, entry: &DirEntry) {
    let Some(kind) = entry.file_type().filter(|kind| !kind.is_dir()) else { return };
    let path = relative(root, entry.path());
    if !globs.includes(&path) {
        return;
    }
    let mut leave_out = |reason: &str, failed| {
        listing.left_out.push(LeftOut { path: path.clone(), reason: reason.to_owned(), failed });
    };
    if kind.is_symlink() {
        return leave_out(link_reason(root, entry.path()), false);
    }
    if !kind.is_file() {
        return leave_out("not a regular file", false);
    }
    // Opening is the only way to know whether it can be read; it costs about as much as the stat, and saves both for
    // what can't.
    let metadata = File::open(entry.path()).and_then(|file| file.metadata());
    match metadata {
        Ok(metadata) => {
            globs.found.one();
            listing.objects.push(Object {
                uri: file_uri(entry.path()),
                bytes: metadata.len(),
                modified_at: modified(&metadata),
                mark: None,
                path,
            });
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => leave_out(NOT_READABLE, true),
    }
}

fn link_reason(root: &Path, link: &Path) -> &'static str {
    match link.canonicalize() {
        Ok(target) if link.starts_with(&target) => "link loop",
        Ok(target) if target.starts_with(root) => "link within the root",
        Ok(_) => "link out of the root",
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => "broken link",
        // ELOOP, or a directory that may not be entered.
        Err(_) => "link that leads nowhere",
    }
}

/// What became of something that the walk stumbled over.
fn failure(root: &Path, error: &ignore::Error) -> LeftOut {
    let mut path = None;
    let mut inner = error;
    loop {
        match inner {
            ignore::Error::WithPath { path: at, err } => {
                path = Some(relative(root, at));
                inner = err;
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => inner = err,
            _ => break,
        }
    }
    let reason = match inner {
        ignore::Error::Glob { .. } => "ignore rule that is not a valid glob",
        _ => NOT_READABLE,
    };
    LeftOut { path: path.unwrap_or_default(), reason: reason.to_owned(), failed: true }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
