//! What a listing of a real directory holds, what it leaves out and why, and what can't be read.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;

use super::*;

/// A directory with these files (a trailing slash makes a directory).
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let at = dir.path().join(path);
        if path.ends_with('/') {
            fs::create_dir_all(at).unwrap();
        } else {
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, content).unwrap();
        }
    }
    dir
}

fn address(dir: &tempfile::TempDir) -> &str {
    dir.path().to_str().unwrap()
}

fn listing(dir: &tempfile::TempDir, options: &ListOptions) -> Listing {
    let store = LocalStore::default();
    let source = store.resolve(address(dir)).unwrap();
    store.list(&source, options).unwrap()
}

fn paths(listing: &Listing) -> Vec<&str> {
    listing.objects.iter().map(|object| object.path.as_str()).collect()
}

fn left_out(listing: &Listing) -> Vec<(&str, &str, bool)> {
    listing.left_out.iter().map(|left| (left.path.as_str(), left.reason.as_str(), left.failed)).collect()
}

fn location(object: &Object) -> PathBuf {
    path_of_uri(&object.uri).unwrap()
}

fn some(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|&pattern| pattern.to_owned()).collect()
}

#[test]
fn a_listing_is_sorted_and_every_object_can_be_read_and_looked_at_again() {
    let dir = tree(&[("b.rs", "b"), ("a/z.rs", "zz"), ("a b/50% #?.md", "odd"), ("empty/", "")]);
    let store = LocalStore::default();
    let found = listing(&dir, &ListOptions::default());
    assert_eq!(paths(&found), ["a b/50% #?.md", "a/z.rs", "b.rs"]);
    assert_eq!(left_out(&found), []);
    for object in &found.objects {
        let bytes = store.read(object, 10).unwrap();
        assert_eq!(bytes.len() as u64, object.bytes);
        assert_eq!(
            store.stat(&object.uri).unwrap(),
            Some(Stat { bytes: object.bytes, modified_at: object.modified_at, mark: None })
        );
        assert!(!object.uri.contains(' ') && !object.uri.contains('#'), "{}", object.uri);
    }
    fs::remove_file(location(&found.objects[0])).unwrap();
    assert_eq!(store.stat(&found.objects[0].uri).unwrap(), None);
    assert_eq!(store.read(&found.objects[0], 10).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn ignore_rules_count_without_a_repository_and_hidden_files_do_not() {
    let dir = tree(&[
        (".gitignore", "*.log\n/built/\n!keep.log\n"),
        ("a.log", ""),
        ("keep.log", "x"),
        ("built/x.rs", "x"),
        ("src/.gitignore", "gen.rs"),
        ("src/gen.rs", "x"),
        ("src/main.rs", "x"),
        (".hidden/x", "x"),
        (".secret", "x"),
        (".git/config", "x"),
        (".github/workflows/ci.yml", "x"),
        (".gitlab-ci.yml", "x"),
    ]);
    let found = listing(&dir, &ListOptions::default());
    assert_eq!(paths(&found), [".github/workflows/ci.yml", ".gitlab-ci.yml", "keep.log", "src/main.rs"]);
}

#[test]
fn rules_above_the_root_count_only_inside_of_a_repository() {
    let files = [(".gitignore", "*.log\n"), ("sub/a.log", "x"), ("sub/a.rs", "x")];
    let store = LocalStore::default();
    let below = |dir: &tempfile::TempDir| {
        let source = store.resolve(dir.path().join("sub").to_str().unwrap()).unwrap();
        paths(&store.list(&source, &ListOptions::default()).unwrap())
            .iter()
            .map(|&path| path.to_owned())
            .collect::<Vec<_>>()
    };
    let plain = tree(&files);
    assert_eq!(below(&plain), ["a.log", "a.rs"]);
    let repository = tree(&files);
    fs::create_dir(repository.path().join(".git")).unwrap();
    assert_eq!(below(&repository), ["a.rs"]);
}

#[test]
fn links_are_reported_and_never_followed() {
    let outside = tree(&[("secret.txt", "s"), ("dir/x.txt", "x")]);
    let dir = tree(&[("real.txt", "r"), ("sub/inner.txt", "i")]);
    let link = |to: &Path, name: &str| symlink(to, dir.path().join(name)).unwrap();
    link(&outside.path().join("secret.txt"), "out.txt");
    link(&outside.path().join("dir"), "outdir");
    link(Path::new("real.txt"), "alias.txt");
    link(Path::new(".."), "sub/loop");
    link(Path::new("nowhere"), "broken");
    link(Path::new("self"), "self");
    let found = listing(&dir, &ListOptions::default());
    assert_eq!(paths(&found), ["real.txt", "sub/inner.txt"]);
    assert_eq!(
        left_out(&found),
        [
            ("alias.txt", "link within the root", false),
            ("broken", "broken link", false),
            ("out.txt", "link out of the root", false),
            ("outdir", "link out of the root", false),
            ("self", "link that leads nowhere", false),
            ("sub/loop", "link loop", false),
        ]
    );
}

#[test]
fn a_file_that_became_a_link_after_the_listing_is_not_read() {
    let outside = tree(&[("secret.txt", "secret")]);
    let dir = tree(&[("sub/a.txt", "a")]);
    let store = LocalStore::default();
    let found = listing(&dir, &ListOptions::default());
    let object = &found.objects[0];
    fs::remove_file(location(object)).unwrap();
    symlink(outside.path().join("secret.txt"), location(object)).unwrap();
    let error = store.read(object, 100).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied, "{error}");
    assert_eq!(store.stat(&object.uri).unwrap(), None);
}

#[test]
fn globs_without_a_slash_match_anywhere_and_directories_go_for_all_below() {
    let dir = tree(&[
        ("a.rs", "x"),
        ("a.md", "x"),
        ("src/b.rs", "x"),
        ("src/deep/c.rs", "x"),
        ("docs/d.md", "x"),
        ("src/docs/e.md", "x"),
    ]);
    for (include, exclude, expected) in [
        (&["*.rs"][..], &[][..], &["a.rs", "src/b.rs", "src/deep/c.rs"][..]),
        (&["src/*.rs"], &[], &["src/b.rs"]),
        (&["src/**/*.rs"], &[], &["src/b.rs", "src/deep/c.rs"]),
        (&["docs"], &[], &["docs/d.md", "src/docs/e.md"]),
        (&["/docs/"], &[], &["docs/d.md"]),
        (&[], &["docs", "*.rs"], &["a.md"]),
        (&["*.rs"], &["src/deep"], &["a.rs", "src/b.rs"]),
        (&["*.{rs,md}"], &["s*"], &["a.md", "a.rs", "docs/d.md"]),
        (&["nothing"], &[], &[]),
    ] {
        let options = ListOptions { include: some(include), exclude: some(exclude), ..ListOptions::default() };
        assert_eq!(paths(&listing(&dir, &options)), expected, "{include:?} {exclude:?}");
    }
}

#[test]
fn an_invalid_glob_is_named() {
    let dir = tree(&[]);
    let store = LocalStore::default();
    for (options, field) in [
        (ListOptions { include: some(&["ok", "a[b"]), exclude: vec![], ..ListOptions::default() }, "include"),
        (ListOptions { include: vec![], exclude: some(&["a[b"]), ..ListOptions::default() }, "exclude"),
    ] {
        let error = store.list(&store.resolve(address(&dir)).unwrap(), &options).unwrap_err();
        assert_eq!((error.kind(), error.field()), (Kind::Invalid, Some(field)));
        assert!(error.message().contains("\"a[b\"") && !error.message().contains("**"), "{error}");
    }
}

#[test]
fn a_single_file_is_a_source_under_its_own_name() {
    let dir = tree(&[("sub/a.rs", "abc")]);
    let store = LocalStore::default();
    let source = store.resolve(dir.path().join("sub/../sub/a.rs").to_str().unwrap()).unwrap();
    assert!(source.starts_with("file:///") && source.ends_with("/sub/a.rs"), "{source}");
    let found = store.list(&source, &ListOptions::default()).unwrap();
    assert_eq!(paths(&found), ["a.rs"]);
    assert_eq!(found.objects[0].uri, source);
    assert_eq!(store.read(&found.objects[0], 3).unwrap(), b"abc");
    let error = store.read(&found.objects[0], 2).unwrap_err();
    assert_eq!(error.kind(), Kind::Limit);
    assert!(error.message().contains("limit of 2"), "{error}");
}

#[test]
fn wrong_addresses_are_told_apart() {
    let store = LocalStore::default();
    let dir = tree(&[("a.rs", "x")]);
    for (address, kind, part) in [
        ("/no/such/place", Kind::NotFound, "/no/such/place does not exist on the server's machine"),
        ("file:///no/such%20place", Kind::NotFound, "/no/such place does not exist"),
        ("relative/path", Kind::Invalid, "not an absolute path"),
        ("", Kind::Invalid, "not an absolute path"),
        ("https://example.com/x", Kind::Invalid, "not a file:// URI"),
        ("file://host/x", Kind::Invalid, "not a file:// URI"),
        ("/dev/null", Kind::Invalid, "neither a directory nor a regular file"),
    ] {
        let error = store.resolve(address).unwrap_err();
        assert_eq!(error.kind(), kind, "{address}: {error}");
        assert!(error.message().contains(part), "{address}: {error}");
    }
    symlink("self", dir.path().join("self")).unwrap();
    let error = store.resolve(&format!("{}/self", address(&dir))).unwrap_err();
    assert!(error.kind() == Kind::Unavailable && error.message().contains("link to itself"), "{error}");
    let below_file = format!("{}/a.rs/b", address(&dir));
    assert_eq!(store.resolve(&below_file).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(store.stat(&format!("file://{below_file}")).unwrap(), None);
}

#[test]
fn only_allowed_roots_are_served_also_through_links() {
    let outside = tree(&[("x.txt", "x")]);
    let dir = tree(&[("in/a.txt", "a")]);
    symlink(outside.path(), dir.path().join("in/out")).unwrap();
    let store = LocalStore::new(vec![dir.path().join("in")]);
    let below = |name: &str| store.resolve(dir.path().join(name).to_str().unwrap()).map_err(|error| error.kind());
    assert!(below("in").is_ok());
    assert!(below("in/a.txt").is_ok());
    assert_eq!(below("."), Err(Kind::Denied));
    assert_eq!(below("in/out"), Err(Kind::Denied));
    let uri = file_uri(&outside.path().canonicalize().unwrap().join("x.txt"));
    assert_eq!(store.stat(&uri).unwrap_err().kind(), Kind::Denied);
    assert_eq!(store.list(&uri, &ListOptions::default()).unwrap_err().kind(), Kind::Denied);
}

#[test]
fn names_that_are_not_utf8_are_listed_and_read() {
    let dir = tree(&[]);
    let name = std::ffi::OsString::from_vec(b"caf\xe9.txt".to_vec());
    fs::write(dir.path().join(&name), "x").unwrap();
    let found = listing(&dir, &ListOptions::default());
    assert_eq!(paths(&found), ["caf\u{fffd}.txt"]);
    assert!(found.objects[0].uri.ends_with("caf%E9.txt"), "{}", found.objects[0].uri);
    assert_eq!(LocalStore::default().stat(&found.objects[0].uri).unwrap().unwrap().bytes, 1);
}

#[test]
fn what_cannot_be_entered_is_left_out_as_failed() {
    let denied = || ignore::Error::Io(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
    let error = ignore::Error::WithDepth {
        depth: 1,
        err: Box::new(ignore::Error::WithPath { path: PathBuf::from("/r/closed"), err: Box::new(denied()) }),
    };
    let left = failure(Path::new("/r"), &error);
    assert_eq!(left, LeftOut { path: "closed".to_owned(), reason: "not readable".to_owned(), failed: true });
}

#[test]
fn an_empty_directory_is_an_empty_listing() {
    assert_eq!(listing(&tree(&[("a/b/", "")]), &ListOptions::default()), Listing::default());
}

#[test]
fn a_listing_of_a_part_is_that_part_of_the_whole_listing() {
    let dir = tree(&[
        (".gitignore", "*.log\n/built/\n"),
        ("a", "x"),
        ("a.rs", "x"),
        ("a-b/c.rs", "x"),
        ("built/x.rs", "x"),
        ("src/.gitignore", "gen/\n!kept.log\n"),
        ("src/gen/x.rs", "x"),
        ("src/deep/kept.log", "x"),
        ("src/deep/lost.log", "x"),
        ("src/deep/m.rs", "x"),
        ("src/deeper/n.rs", "x"),
        ("skip/x.rs", "x"),
        (".hidden/x.rs", "x"),
    ]);
    symlink("a.rs", dir.path().join("src/link")).unwrap();
    let store = LocalStore::default();
    let source = store.resolve(address(&dir)).unwrap();
    let options = ListOptions { include: vec![], exclude: some(&["skip"]), ..ListOptions::default() };
    let whole = store.list(&source, &options).unwrap();
    for at in [
        &["a"][..],
        &["a.rs", "a-b"],
        &["src"],
        &["src/deep"],
        &["src/deep/m.rs", "src/deep/lost.log", "src/deep/kept.log"],
        &["src/gen"],
        &["src/gen/x.rs", "built/x.rs", "built"],
        &["src/link", "src/nowhere", "skip/x.rs", ".hidden/x.rs"],
        &[],
    ] {
        let uris = at.iter().map(|path| format!("{source}/{path}")).collect();
        let part = store.list_at(&source, &options, &uris).unwrap();
        let below = |path: &str| at.iter().any(|at| path == *at || path.starts_with(&format!("{at}/")));
        let expected = Listing {
            objects: whole.objects.iter().filter(|object| below(&object.path)).cloned().collect(),
            left_out: whole.left_out.iter().filter(|left| below(&left.path)).cloned().collect(),
            bare_since: None,
        };
        assert_eq!(part, expected, "{at:?}");
    }
}

#[test]
fn the_folders_of_a_listing_are_those_it_looks_into() {
    let dir = tree(&[(".gitignore", "built/\n"), ("built/x/y", ""), ("a/b/c.rs", ""), (".git/x", ""), ("skip/x", "")]);
    let options = ListOptions { include: some(&["*.md"]), exclude: some(&["skip"]), ..ListOptions::default() };
    let root = dir.path().canonicalize().unwrap();
    let folders = |at: Option<&str>| -> Vec<String> {
        let mut found = Vec::new();
        let at = at.map(|path| BTreeSet::from([file_uri(&root.join(path))]));
        LocalStore::folders(&root, &options, at.as_ref(), |folder| {
            found.push(relative(&root, folder));
            Ok(())
        })
        .unwrap();
        found.sort();
        found
    };
    assert_eq!(folders(None), ["", "a", "a/b"]);
    assert_eq!(folders(Some("a")), ["a", "a/b"]);
    assert_eq!(folders(Some("a/b/c.rs")), [""; 0]);
    assert_eq!(folders(Some("built")), [""; 0]);
}

#[test]
fn a_file_is_read_in_pieces_and_ranges_and_a_change_on_the_way_is_an_error() {
    let dir = tree(&[("empty", "")]);
    let content: Vec<u8> = (0..PIECE_BYTES_MAX * 2 + 5).map(|n| (n % 251) as u8).collect();
    fs::write(dir.path().join("big"), &content).unwrap();
    let store = LocalStore::default();
    let uri = file_uri(&dir.path().canonicalize().unwrap().join("big"));
    let all = |range: Range| {
        let mut reading = store.open(&uri, range).unwrap();
        assert_eq!(reading.stat.bytes, content.len() as u64);
        let mut bytes = Vec::new();
        while let Some(piece) = reading.pieces.next().unwrap() {
            assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES_MAX);
            bytes.extend(piece);
        }
        bytes
    };
    assert_eq!(all(Range::default()), content);
    assert_eq!(all(Range { offset: 7, length: Some(PIECE_BYTES_MAX as u64 + 1) }), content[7..PIECE_BYTES_MAX + 8]);
    let last = content.len() - 1;
    assert_eq!(all(Range { offset: last as u64, length: Some(99) }), content[last..]);
    let beyond = store.open(&uri, Range { offset: last as u64 + 1, length: None }).unwrap_err();
    assert_eq!((beyond.kind(), beyond.field()), (Kind::Invalid, Some("offset")));
    let empty = file_uri(&dir.path().canonicalize().unwrap().join("empty"));
    assert!(store.open(&empty, Range::default()).unwrap().pieces.next().unwrap().is_none());

    let mut reading = store.open(&uri, Range::default()).unwrap();
    assert!(reading.pieces.next().unwrap().is_some());
    fs::File::options().write(true).open(dir.path().join("big")).unwrap().set_len(PIECE_BYTES_MAX as u64 + 1).unwrap();
    assert_eq!(reading.pieces.next().unwrap_err().kind(), Kind::Conflict);
}

#[test]
fn only_regular_files_below_the_roots_are_opened() {
    let (dir, outside) = (tree(&[("a.txt", "a")]), tree(&[("secret.txt", "s")]));
    let store = LocalStore::new(vec![dir.path().to_owned()]);
    let root = dir.path().canonicalize().unwrap();
    let open = |path: &Path| store.open(&file_uri(path), Range::default()).unwrap_err().kind();
    assert_eq!(open(&outside.path().canonicalize().unwrap().join("secret.txt")), Kind::Denied);
    assert_eq!(open(&root.join("gone.txt")), Kind::NotFound);
    assert_eq!(open(&root), Kind::NotFound);
    // Opening it would wait for who writes to it.
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
    assert!(made.success());
    assert_eq!(open(&root.join("pipe")), Kind::NotFound);
    symlink(outside.path().join("secret.txt"), root.join("link")).unwrap();
    assert_eq!(open(&root.join("link")), Kind::Denied);
}
