//! Folders in which connectors keep what they fetched. Whatever is in them can be fetched again, so it may go at any time.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::ContentHash;
use crate::base::files::directory_bytes;

/// A file name for an address: the first half of its hash.
pub(super) fn name(address: &str) -> String {
    let hash = ContentHash::of(address.as_bytes()).to_string();
    hash.chars().take(32).collect()
}

/// Removes the entries of `folder` that were not used for longest until the rest is within `bytes_max`; `kept` stays. Best
/// effort: what can't be removed stays for the next time.
pub(super) fn keep_within(folder: &Path, bytes_max: u64, kept: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let used = |path: PathBuf| {
        let time = path.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let bytes = if path.is_dir() { directory_bytes(&path) } else { path.metadata().map_or(0, |found| found.len()) };
        (time, path, bytes)
    };
    let mut entries: Vec<_> = entries.map(|entry| used(entry.path())).collect();
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, _, bytes)| bytes).sum();
    for (_, path, bytes) in entries {
        if total <= bytes_max {
            return;
        }
        if path == kept {
            continue;
        }
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Ok(()) => total -= bytes,
            Err(cause) => tracing::debug!(path = %path.display(), %cause, "a cached entry stays"),
        }
    }
}

/// Marks a folder as used now: its time is that of the last change of an entry in it.
pub(super) fn touch(folder: &Path) {
    let mark = folder.join(".used");
    // Where that is not possible it is only dropped sooner.
    let _ = std::fs::write(&mark, b"").and_then(|()| std::fs::remove_file(&mark));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        for (age, name) in ["a", "b", "c"].into_iter().enumerate() {
            let path = dir.path().join(name);
            std::fs::write(&path, [0_u8; 100]).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(old + std::time::Duration::from_secs(age as u64)).unwrap();
        }
        keep_within(dir.path(), 250, &dir.path().join("a"));
        let mut left: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["a", "c"], "what is in use stays");
        keep_within(dir.path(), 250, &dir.path().join("a"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
