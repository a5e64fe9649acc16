//! The file that tells whether a shard was killed between a change and the next flush, and how much was on its way.
//!
//! qdrant writes vectors, payloads, their indexes and the ids one after the other, so a kill within a flush leaves them
//! at different moments: points whose payload is gone, which no removal by document finds any more, and payloads of
//! points that were never given an id. Not for the content of the shard: the caller replays that.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::base::error::{Context, Kind, Result};
use crate::base::files::write_atomic;

/// Name of the file.
const NAME: &str = "unflushed";

/// See the module's documentation. To be used by one writer.
pub struct Marker {
    path: PathBuf,
    /// Points written since the last flush; none: the file is not there.
    points: Option<u64>,
}

impl Marker {
    /// The marker in a shard's `directory`, as it was left.
    pub fn of(directory: &Path) -> Self {
        let path = directory.join(NAME);
        // One that cannot be read is there all the same.
        let points = path.exists().then(|| {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            text.trim().parse().unwrap_or_default()
        });
        Self { path, points }
    }

    /// Points that may have been half written, if it was not flushed in the end.
    pub fn points(&self) -> Option<u64> {
        self.points
    }

    /// Notes that `points` are about to be written.
    ///
    /// # Errors
    /// Internal, if the file can't be written.
    pub fn note(&mut self, points: u64) -> Result<()> {
        let sum = self.points.unwrap_or_default() + points;
        // Always of one length, so that writing it again in place leaves no moment without it.
        let text = format!("{sum:020}\n");
        match self.points {
            None => write_atomic(&self.path, text.as_bytes())?,
            Some(_) if points == 0 => {}
            Some(_) => std::fs::OpenOptions::new()
                .write(true)
                .open(&self.path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .context(Kind::Internal, || format!("cannot write {}", self.path.display()))?,
        }
        self.points = Some(sum);
        Ok(())
    }

    /// Notes that all is flushed.
    ///
    /// # Errors
    /// Internal, if the file can't be removed.
    pub fn clear(&mut self) -> Result<()> {
        if self.points.is_some() {
            std::fs::remove_file(&self.path)
                .context(Kind::Internal, || format!("cannot remove {}", self.path.display()))?;
            self.points = None;
        }
        Ok(())
    }
}
