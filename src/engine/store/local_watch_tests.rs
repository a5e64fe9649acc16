//! What a watch on a real directory tells, and what it passes over.

use std::fs;

use super::super::Store;
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any event took to arrive; only for showing that nothing comes.
const SILENCE: Duration = Duration::from_millis(150);

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in files {
        write(dir.path(), path, path);
    }
    dir
}

fn write(root: &Path, path: &str, text: &str) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, text).unwrap();
}

struct Place {
    root: PathBuf,
    watch: Arc<dyn Watch>,
}

impl Place {
    fn follow(root: &Path, options: &ListOptions) -> Self {
        let store = LocalStore::default();
        let source = store.resolve(root.to_str().unwrap()).unwrap();
        let watch = LocalWatcher::new(store, &root.join("own")).watch(&source, options).unwrap();
        watch.cover(&Changed::Everything).unwrap();
        Self { root: root.canonicalize().unwrap(), watch }
    }

    fn uri(&self, path: &str) -> String {
        file_uri(&self.root.join(path))
    }

    /// Waits until all of `paths` are told, and gives everything that was.
    async fn tells(&self, paths: &[&str]) -> BTreeSet<String> {
        let mut told = BTreeSet::new();
        while !paths.iter().all(|path| told.contains(&self.uri(path))) {
            tokio::time::timeout(PATIENCE, self.watch.changed())
                .await
                .unwrap_or_else(|_| panic!("{paths:?}: {told:?}"));
            match self.watch.take() {
                Changed::At(uris) => told.extend(uris),
                Changed::Everything => panic!("everything instead of {paths:?}"),
            }
        }
        told
    }

    async fn tells_everything(&self) {
        while self.watch.take() != Changed::Everything {
            tokio::time::timeout(PATIENCE, self.watch.changed()).await.expect("nothing is told");
        }
    }

    async fn is_silent(&self) {
        tokio::time::sleep(SILENCE).await;
        assert_eq!(self.watch.take(), Changed::At(BTreeSet::new()));
    }
}

#[tokio::test]
async fn changes_are_told_by_their_uri_and_reading_is_none() {
    let dir = tree(&["a.rs", "sub/b c.rs", "sub/gone.rs"]);
    let place = Place::follow(dir.path(), &ListOptions::default());
    fs::read(dir.path().join("a.rs")).unwrap();
    let _ = LocalStore::default().list(&file_uri(&place.root), &ListOptions::default()).unwrap();
    place.is_silent().await;
    write(dir.path(), "sub/b c.rs", "changed");
    fs::remove_file(dir.path().join("sub/gone.rs")).unwrap();
    fs::rename(dir.path().join("a.rs"), dir.path().join("z.rs")).unwrap();
    let told = place.tells(&["sub/b c.rs", "sub/gone.rs", "a.rs", "z.rs"]).await;
    assert!(told.iter().any(|uri| uri.ends_with("/sub/b%20c.rs")), "{told:?}");
}

#[tokio::test]
async fn a_new_folder_is_followed_once_it_is_covered() {
    let dir = tree(&["a.rs"]);
    let place = Place::follow(dir.path(), &ListOptions::default());
    write(dir.path(), "new/deep/x.rs", "x");
    place.tells(&["new"]).await;
    place.watch.cover(&Changed::At(BTreeSet::from([place.uri("new")]))).unwrap();
    write(dir.path(), "new/deep/y.rs", "y");
    place.tells(&["new/deep/y.rs"]).await;
    // A folder in the place of one that went is another folder.
    fs::remove_dir_all(dir.path().join("new")).unwrap();
    place.tells(&["new"]).await;
    write(dir.path(), "new/z.rs", "z");
    place.tells(&["new"]).await;
    place.watch.cover(&Changed::At(BTreeSet::from([place.uri("new")]))).unwrap();
    write(dir.path(), "new/w.rs", "w");
    place.tells(&["new/w.rs"]).await;
}

#[tokio::test]
async fn what_is_not_listed_is_not_told() {
    let dir = tree(&["target/x.rs", "skip/x.rs", ".hidden/x.rs", "own/x.rs", ".github/ci.yml", "a.rs"]);
    write(dir.path(), ".gitignore", "target/\n");
    let options = ListOptions { exclude: vec!["skip".to_owned()], ..ListOptions::default() };
    let place = Place::follow(dir.path(), &options);
    for path in ["target/x.rs", "target/new/y.rs", "skip/x.rs", ".hidden/x.rs", ".a.rs.swp", "own/x.rs", "own/new/y.rs"]
    {
        write(dir.path(), path, "changed");
    }
    place.is_silent().await;
    write(dir.path(), ".github/ci.yml", "changed");
    place.tells(&[".github/ci.yml"]).await;
    write(dir.path(), ".gitignore", "");
    place.tells_everything().await;
}

#[tokio::test]
async fn more_than_can_be_named_is_everything_and_bounded() {
    let dir = tree(&["a.rs"]);
    let place = Place::follow(dir.path(), &ListOptions::default());
    let mut tries = 0;
    loop {
        for number in 0..=CHANGES_MAX {
            write(dir.path(), &format!("{number}.rs"), "x");
        }
        // The events arrive on a thread of their own, and taking some of them makes room for the others.
        tokio::time::sleep(SILENCE).await;
        match place.watch.take() {
            Changed::Everything => break,
            Changed::At(uris) => assert!(uris.len() <= CHANGES_MAX && tries < 20, "{} URIs", uris.len()),
        }
        tries += 1;
    }
    place.is_silent().await;
    write(dir.path(), "after.rs", "x");
    assert_eq!(place.tells(&["after.rs"]).await.len(), 1);
}

#[tokio::test]
async fn head_is_followed_and_a_locked_index_is_unsettled() {
    let dir = tree(&["repo/.git/HEAD", "repo/.git/logs/HEAD", "repo/.git/objects/x", "repo/sub/a.rs"]);
    let (git, sub) = (dir.path().join("repo/.git"), dir.path().join("repo/sub"));
    let place = Place::follow(&sub, &ListOptions::default());
    write(&git, "objects/y", "y");
    write(&git, "FETCH_HEAD", "y");
    place.is_silent().await;
    write(&git, "HEAD.lock", "ref: refs/heads/other");
    fs::rename(git.join("HEAD.lock"), git.join("HEAD")).unwrap();
    place.tells_everything().await;
    write(&git, "logs/HEAD", "one more line");
    place.tells_everything().await;

    assert!(!place.watch.is_unsettled());
    write(&git, "index.lock", "");
    let began = Instant::now();
    while !place.watch.is_unsettled() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fs::rename(git.join("index.lock"), git.join("index")).unwrap();
    while place.watch.is_unsettled() {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_git_folder_of_a_linked_worktree_is_where_its_file_says() {
    let dir = tree(&["main/.git/worktrees/w/HEAD", "w/src/a.rs", "broken/a.rs"]);
    write(dir.path(), "w/.git", "gitdir: ../main/.git/worktrees/w\n");
    write(dir.path(), "broken/.git", "nonsense");
    let real = dir.path().canonicalize().unwrap();
    assert_eq!(git_folder(&real.join("w/src")), Some(real.join("main/.git/worktrees/w")));
    assert_eq!(git_folder(&real.join("broken")), None);
}

#[tokio::test]
async fn a_root_that_goes_and_comes_back_is_everything() {
    let dir = tree(&["root/a.rs"]);
    let root = dir.path().join("root");
    let place = Place::follow(&root, &ListOptions::default());
    fs::remove_dir_all(&root).unwrap();
    place.tells_everything().await;
    let error = place.watch.cover(&Changed::Everything).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    write(&root, "a.rs", "again");
    place.watch.cover(&Changed::Everything).unwrap();
    place.watch.take();
    write(&root, "b.rs", "b");
    place.tells(&["b.rs"]).await;
}

#[test]
fn a_folder_above_that_was_moved_is_noticed_by_looking() {
    let dir = tree(&["above/root/a.rs", "above/file.rs"]);
    let root = dir.path().join("above/root");
    let places = [&root, &dir.path().join("above/file.rs")].map(|root| Place::follow(root, &ListOptions::default()));
    assert!(places.iter().all(|place| place.watch.is_attached()));
    fs::rename(dir.path().join("above"), dir.path().join("moved")).unwrap();
    assert!(places.iter().all(|place| !place.watch.is_attached()), "gone");
    write(dir.path(), "above/root/a.rs", "another");
    write(dir.path(), "above/file.rs", "another");
    assert!(places.iter().all(|place| !place.watch.is_attached()), "another folder");
}

#[tokio::test]
async fn of_a_single_file_only_that_file_is_told() {
    let dir = tree(&["a.rs", "b.rs"]);
    let place = Place::follow(&dir.path().join("a.rs"), &ListOptions::default());
    write(dir.path(), "b.rs", "changed");
    place.is_silent().await;
    write(dir.path(), "c.rs", "new");
    fs::rename(dir.path().join("c.rs"), dir.path().join("a.rs")).unwrap();
    place.tells_everything().await;
}

#[test]
fn refusals_say_what_to_raise() {
    let error = refused(&notify::Error::new(ErrorKind::MaxFilesWatch));
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("fs.inotify.max_user_watches"), "{error}");
    let error = refused(&notify::Error::io(std::io::Error::from_raw_os_error(24)));
    assert!(error.message().contains("fs.inotify.max_user_instances"), "{error}");
    assert!(is_absence(&notify::Error::new(ErrorKind::PathNotFound)));
    assert!(!is_absence(&notify::Error::new(ErrorKind::MaxFilesWatch)));
}
