//! A copy of the ground state in one file, taken while everything goes on.
//!
//! The payload of the archive is a whole catalogue: documents, chunks, log and cached vectors. The indexes are not in it;
//! after a restore they are built from the log, without reading a source and without embedding. The file holds all texts
//! in the clear.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use super::Engines;
use super::access::Custodian;
use crate::base::archive::{PIECE_BYTES, Sealer};
use crate::base::error::{Context, Error, Kind, Result};

/// Beginning of the names of copies under way in the data directory; one that a crash left is removed at the next start.
pub const COPY_PREFIX: &str = ".hivemem-copy-";

/// Pieces that the reader may be ahead of the network.
const PIECES_AHEAD: usize = 4;

/// The header of a backup file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version that wrote it.
    pub hivemem: String,
    /// Newest step of the catalogue's schema.
    pub schema: i64,
    /// When, in microseconds since the Unix epoch.
    pub created_at: i64,
    /// Newest log position in it.
    pub lsn: u64,
    /// Model that the cached vectors are for.
    pub embedder: String,
    /// Length of the vectors.
    pub dimension: usize,
    /// Bytes of the catalogue.
    pub catalog_bytes: u64,
}

/// A consistent copy, about to be sent.
#[derive(Debug)]
pub struct Backup {
    manifest: Manifest,
    /// Removes itself when dropped.
    copy: NamedTempFile,
}

impl Backup {
    /// Takes the copy into a temporary file in `data_dir`: it needs as much space as the catalogue.
    ///
    /// # Errors
    /// Internal if the file can't be made; those of the catalogue.
    pub async fn take(engines: &Engines, data_dir: &Path, _custodian: &Custodian) -> Result<Self> {
        let copy = tempfile::Builder::new()
            .prefix(COPY_PREFIX)
            .suffix(".tmp")
            .tempfile_in(data_dir)
            .context(Kind::Internal, || format!("cannot make a file in {}", data_dir.display()))?;
        let snapshot = engines.catalog.snapshot(copy.path()).await?;
        let model = engines.embedder.model();
        let catalog_bytes = std::fs::metadata(copy.path())
            .context(Kind::Internal, || format!("cannot measure {}", copy.path().display()))?
            .len();
        let manifest = Manifest {
            hivemem: env!("CARGO_PKG_VERSION").to_owned(),
            schema: snapshot.schema,
            created_at: engines.clock.now().0,
            lsn: snapshot.lsn.0,
            embedder: model.key(),
            dimension: model.dimension,
            catalog_bytes,
        };
        Ok(Self { manifest, copy })
    }

    /// What is in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Sends the archive piece by piece, the last of them its checksum. Ends early if nobody listens any more.
    pub fn send(self, engines: &Engines) -> mpsc::Receiver<Result<Vec<u8>>> {
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
        let door = engines.door.clone();
        tokio::spawn(async move {
            let sender = pieces.clone();
            if let Err(error) = door.run(move || self.send_blocking(&sender)).await {
                let _ = pieces.send(Err(error)).await;
            }
        });
        receiver
    }

    fn send_blocking(self, pieces: &mpsc::Sender<Result<Vec<u8>>>) -> Result<()> {
        let what = || format!("cannot read the copy {}", self.copy.path().display());
        let header = serde_json::to_vec(&self.manifest)
            .map_err(|cause| Error::internal("cannot encode a header").caused_by(cause))?;
        // By its path: SQLite may have put another file there.
        let mut file = std::fs::File::open(self.copy.path()).context(Kind::Internal, what)?;
        let (mut sealer, first) = Sealer::begin(&header, self.manifest.catalog_bytes);
        if pieces.blocking_send(Ok(first)).is_err() {
            return Ok(());
        }
        let mut left = self.manifest.catalog_bytes;
        while left > 0 {
            let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX))];
            file.read_exact(&mut piece).context(Kind::Internal, what)?;
            sealer.add(&piece);
            left -= piece.len() as u64;
            if pieces.blocking_send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
        let _ = pieces.blocking_send(Ok(sealer.end()));
        Ok(())
    }
}
