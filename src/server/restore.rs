//! A new data directory out of a backup file, without a server.
//!
//! Nothing is put in place before all of it was read and its checksum compared; on a failure the directory is as it was.

use std::path::{Path, PathBuf};

use super::wire::CATALOG_FILE;
use crate::base::archive::Archive;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::files::DirLock;
use crate::engine::catalog::sqlite::SqliteCatalog;
use crate::flow::backup::Manifest;

/// Beginning of the name of a catalogue that is not whole yet.
pub(super) const RESTORE_PREFIX: &str = ".hivemem-restore-";

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Where.
    pub data_dir: PathBuf,
    /// What the file said of itself.
    pub manifest: Manifest,
}

/// Makes `data_dir`, which must be new or empty, the data directory that `file` is a backup of. The indexes are built
/// when a server opens it.
///
/// # Errors
/// Corrupt if `file` is no backup, not all of one, or was altered; Precondition if a newer hivemem wrote it or `data_dir`
/// is not empty; Conflict if another process holds it.
pub async fn restore(file: &Path, data_dir: &Path) -> Result<Restored> {
    let archive = Archive::open(file)?;
    let manifest = manifest(file, &archive)?;
    let created = claim(data_dir)?;
    // Before anything may be removed: whoever holds the directory keeps it.
    let lock = DirLock::acquire(data_dir)?;
    let outcome = fill(archive, &manifest, data_dir).await;
    drop(lock);
    if outcome.is_err() {
        // Only what this made. A directory that was there stays there.
        let _ = std::fs::remove_file(data_dir.join("LOCK"));
        if created {
            let _ = std::fs::remove_dir(data_dir);
        }
    }
    outcome.map(|()| Restored { data_dir: data_dir.to_owned(), manifest })
}

fn manifest(file: &Path, archive: &Archive) -> Result<Manifest> {
    let manifest: Manifest = serde_json::from_slice(archive.header()).context(Kind::Corrupt, || {
        format!("{} is damaged: its header cannot be read; use another backup", file.display())
    })?;
    let known = SqliteCatalog::schema_known();
    if manifest.schema > known {
        let message = format!(
            "{} was written by hivemem {} (schema step {}, this one knows {known}): update hivemem",
            file.display(),
            manifest.hivemem,
            manifest.schema
        );
        return Err(Error::new(Kind::Precondition, message));
    }
    Ok(manifest)
}

/// Whether `data_dir` is new.
fn claim(data_dir: &Path) -> Result<bool> {
    let entries = match std::fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(cause) => {
            let message = format!("cannot read {}: give a new directory", data_dir.display());
            return Err(Error::new(Kind::Precondition, message).caused_by(cause));
        }
    };
    // An empty directory that a server once locked has its lock file.
    if entries.flatten().any(|entry| entry.file_name() != "LOCK") {
        let message = format!("{} is not empty: a backup is restored into a new directory", data_dir.display());
        return Err(Error::new(Kind::Precondition, message));
    }
    Ok(false)
}

async fn fill(archive: Archive, manifest: &Manifest, data_dir: &Path) -> Result<()> {
    let what = || format!("cannot write to {}: check its permissions and space", data_dir.display());
    let mut copy = tempfile::Builder::new()
        .prefix(RESTORE_PREFIX)
        .suffix(".tmp")
        .tempfile_in(data_dir)
        .context(Kind::Precondition, what)?;
    // No other work waits in this process, but the copy may take a while.
    let copy = tokio::task::spawn_blocking(move || {
        archive.unpack(copy.as_file_mut())?;
        copy.as_file().sync_all().context(Kind::Internal, || "cannot write the catalogue")?;
        Ok::<_, Error>(copy)
    });
    let copy = copy.await.map_err(|cause| Error::internal("the copy ended early").caused_by(cause))??;
    let held = SqliteCatalog::describe(copy.path()).await?;
    if (held.lsn.0, held.schema) != (manifest.lsn, manifest.schema) {
        return Err(Error::new(Kind::Corrupt, "the backup does not hold what its header says: use another backup"));
    }
    copy.persist(data_dir.join(CATALOG_FILE)).map_err(|cause| Error::new(Kind::Internal, what()).caused_by(cause))?;
    std::fs::File::open(data_dir).and_then(|dir| dir.sync_all()).context(Kind::Internal, what)
}
