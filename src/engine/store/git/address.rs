//! Addresses of git sources: `git+https://host/repo.git[@ref][#folder]` and `git+file:///path[@ref][#folder]`.
//!
//! A document's address is that of its source with its path from the repository's root after the `#`, so it outlives
//! commits. No commit is ever put into an address; one that is asked for by its id is a ref like any other.

use std::path::{Path, PathBuf};

use url::Url;

use super::super::uri::{file_uri, path_of_uri};
use crate::base::error::{Error, Result};

/// Where a repository lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// In a folder of this machine, bare or with a worktree; it is read where it is.
    Local(PathBuf),
    /// Behind smart HTTP; the URL has no user, query or fragment.
    Remote(String),
}

/// A repository, a ref of it and a folder or file in that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Where the repository lies.
    pub place: Place,
    /// Branch, tag or commit; `None`: what HEAD says.
    pub reference: Option<String>,
    /// From the repository's root, `/` between parts; empty: all of it.
    pub path: String,
}

/// Whether an ordinary web address names a repository: its path ends in `.git`, before a ref or folder.
pub(crate) fn looks_like_repository(address: &str) -> bool {
    let path = address.split(['#', '?']).next().unwrap_or(address);
    let is_web = ["http://", "https://"].iter().any(|scheme| path.starts_with(scheme));
    is_web && (path.trim_end_matches('/').ends_with(".git") || path.contains(".git@"))
}

impl Address {
    /// Reads an address, with or without `git+`.
    ///
    /// # Errors
    /// Invalid, saying what is wrong with it.
    pub fn parse(address: &str) -> Result<Self> {
        let rest = address.strip_prefix("git+").unwrap_or(address);
        if rest.starts_with("ssh://") || rest.starts_with("git://") || rest.starts_with("git@") {
            return Err(bad(
                address,
                "git over ssh and the git protocol are not spoken: use git+https:// with a credential, or clone it and \
                 give git+file:///PATH",
            ));
        }
        let (repository, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (repository, reference) = split_reference(repository);
        let reference =
            reference.map(|text| unescape(text).ok_or_else(|| bad(address, "its ref is no text"))).transpose()?;
        if let Some(reference) = &reference
            && !is_sound_reference(reference)
        {
            return Err(bad(address, "what stands after @ is no name of a branch, tag or commit"));
        }
        let path = unescape(fragment).ok_or_else(|| bad(address, "its folder is no text"))?;
        let path = path.trim_matches('/').to_owned();
        if path.split('/').any(|part| matches!(part, "." | "..")) || path.contains("//") {
            return Err(bad(address, "the folder after # has to be a plain path from the repository's root"));
        }
        Ok(Self { place: place(address, repository)?, reference, path })
    }

    /// The one way to write it.
    pub fn uri(&self) -> String {
        self.uri_of("")
    }

    /// The address of what lies at `path` below it.
    pub fn uri_of(&self, path: &str) -> String {
        let place = match &self.place {
            Place::Local(folder) => file_uri(folder).replace('@', "%40"),
            Place::Remote(url) => url.clone(),
        };
        let reference = self.reference.as_ref().map(|name| format!("@{}", escape(name))).unwrap_or_default();
        let whole = match (self.path.is_empty(), path.is_empty()) {
            (_, true) => self.path.clone(),
            (true, false) => path.to_owned(),
            (false, false) => format!("{}/{path}", self.path),
        };
        let fragment = if whole.is_empty() { String::new() } else { format!("#{}", escape(&whole)) };
        format!("git+{place}{reference}{fragment}")
    }
}

/// Cuts `@ref` off: what stands after the last `@` of the path, unless that begins a part of it (`/@scope/`).
fn split_reference(repository: &str) -> (&str, Option<&str>) {
    let path_at = repository.find("://").map_or(0, |at| at + 3);
    let path_at = repository[path_at..].find('/').map_or(repository.len(), |at| path_at + at);
    // After `.git` it is certain; a ref may hold slashes.
    let certain = repository[path_at..].find(".git@").map(|at| path_at + at + 4);
    let likely = || repository[path_at..].rfind('@').map(|at| path_at + at);
    match certain.or_else(likely).filter(|at| !repository[..*at].ends_with('/')) {
        Some(at) => (&repository[..at], Some(&repository[at + 1..])),
        None => (repository, None),
    }
}

fn place(address: &str, repository: &str) -> Result<Place> {
    if repository.starts_with("file://") {
        let path = path_of_uri(repository).ok_or_else(|| bad(address, "it has no absolute path of this machine"))?;
        return Ok(Place::Local(trimmed(&path)));
    }
    let url = Url::parse(repository).map_err(|cause| bad(address, "it is no URL").caused_by(cause))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad(address, "only git+https://, git+http:// and git+file:// are read"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            address,
            "it holds a user or password: name a credential of the server's configuration instead",
        ));
    }
    if url.query().is_some() {
        return Err(bad(address, "a repository's address has no query"));
    }
    Ok(Place::Remote(url.as_str().trim_end_matches('/').to_owned()))
}

fn trimmed(path: &Path) -> PathBuf {
    path.components().collect()
}

/// The rules of git's `check-ref-format`, as far as they keep a name from being something else.
fn is_sound_reference(name: &str) -> bool {
    let bad_char = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    !(name.is_empty()
        || name.starts_with(['-', '/'])
        || name.ends_with(['/', '.'])
        || name.contains("..")
        || name.contains("@{")
        || name.contains("//")
        || name.contains(bad_char))
}

/// As [`file_uri`] escapes paths.
fn escape(text: &str) -> String {
    file_uri(Path::new(text)).trim_start_matches("file://").replace('@', "%40")
}

fn unescape(text: &str) -> Option<String> {
    let path = path_of_uri(&format!("file:///{text}"))?;
    path.strip_prefix("/").ok()?.to_str().map(str::to_owned)
}

fn bad(address: &str, why: &str) -> Error {
    Error::invalid("source", format!("{address:?} is no git source that can be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_in_one_form() {
        for (given, canonical) in [
            ("git+https://Host.example:443/o/r.git", "git+https://host.example/o/r.git"),
            ("https://host.example/o/r.git/", "git+https://host.example/o/r.git"),
            ("https://host.example/o/r.git@v1.2#docs/", "git+https://host.example/o/r.git@v1.2#docs"),
            ("git+https://h/o/r.git@feature/x#a b", "git+https://h/o/r.git@feature/x#a%20b"),
            ("git+https://h/@scope/r@main", "git+https://h/@scope/r@main"),
            ("git+file:///srv/repo@main#src", "git+file:///srv/repo@main#src"),
            ("git+file:///srv/me%40work/repo", "git+file:///srv/me%40work/repo"),
        ] {
            let address = Address::parse(given).unwrap();
            assert_eq!(address.uri(), canonical, "{given}");
            assert_eq!(Address::parse(canonical).unwrap(), address, "{given}");
        }
        let address = Address::parse("git+https://h/r.git@main#docs").unwrap();
        assert_eq!((address.reference.as_deref(), address.path.as_str()), (Some("main"), "docs"));
        assert_eq!(address.uri_of("a#b.md"), "git+https://h/r.git@main#docs/a%23b.md");
        assert_eq!(Address::parse(&address.uri_of("a#b.md")).unwrap().path, "docs/a#b.md");
    }

    #[test]
    fn what_is_no_repository_is_refused_and_says_why() {
        for (address, why) in [
            ("git+ssh://git@host/r.git", "ssh"),
            ("git@github.com:o/r.git", "ssh"),
            ("git+https://user:secret@host/r.git", "credential"),
            ("git+https://host/r.git#../x", "plain path"),
            ("git+https://host/r.git@-x", "after @"),
            ("git+https://host/r.git@a..b", "after @"),
            ("git+ftp://host/r.git", "only"),
            ("git+file://relative", "absolute"),
        ] {
            let error = Address::parse(address).unwrap_err();
            assert!(error.message().contains(why), "{address}: {error}");
        }
    }

    #[test]
    fn web_addresses_that_end_in_git_are_repositories() {
        assert!(looks_like_repository("https://h/o/r.git") && looks_like_repository("https://h/o/r.git@v1#docs"));
        assert!(!looks_like_repository("https://h/o/r") && !looks_like_repository("https://h/x?f=a.git"));
        assert!(!looks_like_repository("/srv/r.git"));
    }
}
