//! The data directory: its lock, and writes that are whole or not there.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::error::{Context, Error, Kind, Result};

/// Exclusive hold on a data directory; released when dropped or when the process ends in any way.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
    path: PathBuf,
}

/// Tries of a lock, and the pause between them: a process that is being started by the old holder has its files until it
/// is running, and so holds the lock for some milliseconds more.
const LOCK_TRIES: u32 = 20;
/// See [`LOCK_TRIES`].
const LOCK_PAUSE: Duration = Duration::from_millis(20);

fn try_lock(file: &File) -> std::result::Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}

impl DirLock {
    /// Creates `dir` if need be and takes its lock file.
    ///
    /// # Errors
    /// [`Kind::Conflict`] with the holder's pid if another process has it; [`Kind::Precondition`] if the directory
    /// can't be made or written.
    pub fn acquire(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).context(Kind::Precondition, || {
            format!("cannot create the data directory {}: choose another with --data-dir", dir.display())
        })?;
        let path = dir.join("LOCK");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .context(Kind::Precondition, || {
                format!("cannot write to the data directory {}: check its permissions", dir.display())
            })?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let holder = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(Error::new(
                    Kind::Conflict,
                    format!(
                        "the data directory {} is in use by process {holder}: stop that server, or use it with --server",
                        dir.display()
                    ),
                ));
            }
            Err(TryLockError::Error(cause)) => {
                return Err(Error::new(Kind::Precondition, format!("cannot lock {}", path.display())).caused_by(cause));
            }
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| write!(file, "{}", std::process::id()))
            .and_then(|()| file.flush());
        written.context(Kind::Precondition, || format!("cannot write {}", path.display()))?;
        Ok(Self { _file: file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes `bytes` to `path` so that a reader or a crash sees the old content or the new, never a part.
///
/// # Errors
/// [`Kind::Internal`] with the path if any step fails.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    // Two writers of one file would share what they write to and take it from each other.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    };
    write().context(Kind::Internal, || format!("cannot write {}", path.display()))
}

/// Removes files of `dir` that an earlier process left unfinished: those whose names begin with one of `prefixes` and
/// have `.tmp` in them. What cannot be removed is left.
pub fn remove_unfinished(dir: &Path, prefixes: &[&str]) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.contains(".tmp") && prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Bytes of all files below `dir`; what vanishes while counting counts as nothing.
pub fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Resident memory of this process, where the system tells.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_holders_pid() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::acquire(dir.path()).unwrap();
        let refused = DirLock::acquire(dir.path()).unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert!(refused.message().contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        DirLock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn many_writers_of_one_file_leave_one_of_their_texts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.json");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || (0..25).for_each(|_| write_atomic(path, &[writer; 3]).unwrap()));
            }
        });
        let left = std::fs::read(&path).unwrap();
        assert!(left.len() == 3 && left.iter().all(|byte| *byte == left[0]), "{left:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
