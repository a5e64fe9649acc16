//! `file://` URIs: absolute paths with as little escaped as can be read back.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The URI of an absolute path. Escaped are space, `%`, `#`, `?`, control characters, and bytes that aren't UTF-8.
pub fn file_uri(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let mut uri = String::with_capacity(bytes.len() + 8);
    uri.push_str("file://");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if matches!(c, ' ' | '%' | '#' | '?') || c.is_ascii_control() {
                uri.push_str(&format!("%{:02X}", u32::from(c)));
            } else {
                uri.push(c);
            }
        }
        for byte in chunk.invalid() {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// The path of a `file://` URI; `None` if it isn't one, or not of this machine.
pub fn path_of_uri(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    let path = rest.strip_prefix("localhost").filter(|path| path.starts_with('/')).unwrap_or(rest);
    if !path.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_comes_back_from_its_uri() {
        for path in ["/", "/a/b.rs", "/with space/50%/a#b?c", "/ünï/日本.md", "/tab\there"] {
            let uri = file_uri(Path::new(path));
            assert!(!uri.contains([' ', '#', '?', '\t']), "{uri}");
            assert_eq!(path_of_uri(&uri), Some(PathBuf::from(path)));
        }
        let broken = PathBuf::from(OsString::from_vec(b"/caf\xe9/\xff".to_vec()));
        assert_eq!(path_of_uri(&file_uri(&broken)), Some(broken));
        assert_eq!(file_uri(Path::new("/a b/é")), "file:///a%20b/é");
    }

    #[test]
    fn other_addresses_are_not_paths() {
        for uri in ["/a", "http://x/a", "file://host/a", "file:///a%2", "file:///a%zz", "file://"] {
            assert_eq!(path_of_uri(uri), None, "{uri}");
        }
        assert_eq!(path_of_uri("file://localhost/a"), Some(PathBuf::from("/a")));
    }
}
