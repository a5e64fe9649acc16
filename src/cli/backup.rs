//! `hivemem backup` and `hivemem restore`.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hivemem_client::Client;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::base::archive::{Archive, MAGIC};
use crate::server::{self, ServeOptions};

use super::args::{BackupArgs, Global, RestoreArgs};
use super::failure::Failure;
use super::output;
use super::render::bytes;
use super::session::{Session, options};

/// Copies everything to one file.
pub(super) async fn backup(args: BackupArgs, global: &Global) -> Result<(), Failure> {
    let began = Instant::now();
    let file = args.file;
    check_target(&file)?;
    let session = Session::open(global).await?;
    let outcome = receive(&session.client, &file).await.map_err(|failure| failure.about(file.display()));
    let (written, header) = session.close(outcome).await?;
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        return output::print_json(&json!({
            "file": file.display().to_string(),
            "bytes": written,
            "seconds": seconds,
            "backup": header,
        }));
    }
    let name = file.display();
    output::print(&format!(
        "{name}  {} at lsn {} in {seconds:.1} s; it holds all texts in the clear",
        bytes(written),
        header["lsn"]
    ))
}

/// A file that is no backup was not meant to be overwritten.
fn check_target(file: &Path) -> Result<(), Failure> {
    let begins = |mut old: std::fs::File| {
        let mut magic = [0; MAGIC.len()];
        old.read_exact(&mut magic).map(|()| magic == MAGIC).unwrap_or(false)
    };
    match std::fs::File::open(file).map(begins) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::failed(format!(
            "{} exists and is not a backup: choose another name, or remove it",
            file.display()
        ))),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Failure::failed(format!("{} can't be looked at: {cause}", file.display()))),
    }
}

/// Writes the backup beside `file`, reads it back, and only then gives it its name. Returns its bytes and header.
async fn receive(client: &Client, file: &Path) -> Result<(u64, Value), Failure> {
    let failed = |cause: std::io::Error| Failure::failed(format!("cannot write: {cause}"));
    let dir = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut copy = tempfile::Builder::new().prefix(".hivemem-backup-").tempfile_in(&dir).map_err(failed)?;
    let mut pieces = client.backup().await?;
    let mut written = 0;
    while let Some(piece) = pieces.next_piece().await? {
        written += piece.len() as u64;
        copy.write_all(&piece).map_err(failed)?;
    }
    let file = file.to_owned();
    let header = tokio::task::spawn_blocking(move || keep(copy, &file, &dir))
        .await
        .map_err(|cause| Failure::failed(format!("cannot write: {cause}")))??;
    Ok((written, header))
}

/// Makes the copy durable, checks it as a restore would, and gives it its name.
fn keep(copy: NamedTempFile, file: &Path, dir: &Path) -> Result<Value, Failure> {
    let failed = |cause: std::io::Error| Failure::failed(format!("cannot write: {cause}"));
    copy.as_file().sync_all().map_err(failed)?;
    let archive = Archive::open(copy.path())?;
    let header = serde_json::from_slice(archive.header())
        .map_err(|cause| Failure::failed(format!("the server sent no sound backup: {cause}")))?;
    archive.unpack(&mut std::io::sink())?;
    copy.persist(file).map_err(|cause| failed(cause.error))?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    Ok(header)
}

/// Makes a data directory out of a backup.
pub(super) async fn restore(args: RestoreArgs, global: &Global) -> Result<(), Failure> {
    let began = Instant::now();
    let serve = ServeOptions { data_dir: global.data_dir.clone(), ..ServeOptions::default() };
    let restored = server::restore(&args.file, &serve.resolved_data_dir()?).await?;
    let built = match build(&restored.data_dir, global).await {
        Ok(built) => built,
        Err(failure) => {
            output::note(format!("note: the indexes are built when it is served, not now: {failure}"));
            false
        }
    };
    let (dir, manifest) = (restored.data_dir.display(), &restored.manifest);
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        return output::print_json(&json!({
            "data_dir": dir.to_string(),
            "hivemem": manifest.hivemem,
            "lsn": manifest.lsn,
            "created_at": manifest.created_at,
            "catalog_bytes": manifest.catalog_bytes,
            "indexes_built": built,
            "seconds": seconds,
        }));
    }
    let indexes = if built { "with its indexes" } else { "without its indexes" };
    output::print(&format!(
        "restored {} at lsn {} {indexes} into {dir} in {seconds:.1} s",
        bytes(manifest.catalog_bytes),
        manifest.lsn
    ))
}

/// Pause between two looks at how far the indexes are.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Builds the indexes of a restored directory, so that it answers at once. Where texts have no vector yet, the server that
/// serves it makes them; that is not waited for.
async fn build(data_dir: &Path, global: &Global) -> Result<bool, Failure> {
    let serve = ServeOptions { data_dir: Some(data_dir.to_owned()), one_command: true, ..ServeOptions::default() };
    // The server in process asks for the token of the environment too.
    let session = Session::start(serve, options(global)).await?;
    let followed = async {
        // Projections are the server's: any namespace tells.
        let Some(namespace) = session.client.list_namespaces().await?.into_iter().next() else { return Ok(true) };
        let client = session.client.with_namespace(&namespace);
        let bar = super::progress::log_bar("indexes");
        loop {
            let stats = client.stats().await?;
            let applied = stats.projections.iter().map(|projection| projection.applied_lsn).min().unwrap_or_default();
            bar.set_length(stats.lsn);
            bar.set_position(applied);
            if applied >= stats.lsn || stats.chunks_without_vector > 0 {
                bar.finish_and_clear();
                return Ok(applied >= stats.lsn);
            }
            if let Some(stuck) = stats.projections.iter().find(|projection| !projection.problem.is_empty()) {
                return Err(Failure::failed(stuck.problem.clone()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let followed: Result<bool, Failure> = followed.await;
    session.close(followed).await
}
