//! Following with a watch that the test plays: when syncs happen, what they look at, and how it begins and ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};

use super::*;
use crate::engine::store::ListOptions;
use crate::engine::store::uri::file_uri;
use crate::engine::store::watch::{Changed, Watch};
use crate::flow::access::Access;
use crate::flow::rebuild::NoWorkshop;
use crate::flow::testing;

const PATIENCE: Duration = Duration::from_secs(20);

/// Tells what the test says.
#[derive(Default)]
struct Played {
    changed: Mutex<Option<Changed>>,
    wake: Notify,
    unsettled: AtomicBool,
    /// Why there is no watch to have.
    refusal: Mutex<Option<&'static str>>,
    covered: AtomicUsize,
    detached: AtomicBool,
}

impl Played {
    fn tell(&self, uris: &[&str]) {
        let uris: BTreeSet<String> = uris.iter().map(|&uri| uri.to_owned()).collect();
        let mut changed = self.changed.lock().unwrap();
        *changed = Some(match changed.take() {
            Some(Changed::At(before)) => Changed::At(&before | &uris),
            Some(Changed::Everything) => Changed::Everything,
            None => Changed::At(uris),
        });
        drop(changed);
        self.wake.notify_one();
    }

    fn lose(&self) {
        *self.changed.lock().unwrap() = Some(Changed::Everything);
        self.wake.notify_one();
    }
}

struct Handle(Arc<Played>);

#[async_trait]
impl Watch for Handle {
    fn cover(&self, _: &Changed) -> Result<()> {
        self.0.covered.fetch_add(1, Ordering::Relaxed);
        match *self.0.refusal.lock().unwrap() {
            Some(why) => Err(Error::new(crate::base::Kind::Unavailable, why)),
            None => Ok(()),
        }
    }

    async fn changed(&self) {
        self.0.wake.notified().await;
    }

    fn take(&self) -> Changed {
        self.0.changed.lock().unwrap().take().unwrap_or(Changed::At(BTreeSet::new()))
    }

    fn is_attached(&self) -> bool {
        !self.0.detached.load(Ordering::Relaxed)
    }

    fn is_unsettled(&self) -> bool {
        self.0.unsettled.load(Ordering::Relaxed)
    }
}

struct Player(Arc<Played>);

impl Watcher for Player {
    fn watch(&self, _: &str, _: &ListOptions) -> Result<Arc<dyn Watch>> {
        Ok(Arc::new(Handle(Arc::clone(&self.0))))
    }
}

const PACE: Pace = Pace {
    quiet: Duration::from_millis(20),
    longest: Duration::from_millis(200),
    unsettled: Duration::from_millis(600),
    retry: Duration::from_millis(200),
};

/// A folder, what it is followed with, and everything around it.
struct Place {
    dir: tempfile::TempDir,
    root: PathBuf,
    engines: Engines,
    projector: Arc<Projector>,
    watching: Arc<Watching>,
    played: Arc<Played>,
    grant: Grant,
}

impl Place {
    async fn make() -> Self {
        let engines = testing::engines().await;
        Self::over(tempfile::tempdir().unwrap(), engines).await
    }

    async fn over(dir: tempfile::TempDir, engines: Engines) -> Self {
        let projector = Projector::start(&engines, Arc::new(NoWorkshop)).await.unwrap();
        let played = Arc::new(Played::default());
        let player = Arc::new(Player(Arc::clone(&played)));
        let watching = Watching::start(engines.clone(), Arc::clone(&projector), player, PACE).await.unwrap();
        let grant = Access::default().authorize(None, "").unwrap();
        let root = dir.path().canonicalize().unwrap();
        Self { dir, root, engines, projector, watching, played, grant }
    }

    fn write(&self, path: &str) {
        std::fs::write(self.dir.path().join(path), format!("# {path}\n\ntext of {path}\n")).unwrap();
    }

    fn uri(&self, path: &str) -> String {
        file_uri(&self.root.join(path))
    }

    fn request(&self) -> Request {
        Request { source: self.dir.path().display().to_string(), ..Request::default() }
    }

    async fn ingest(&self, follow: Follow) -> Result<(Report, Option<broadcast::Receiver<News>>)> {
        self.watching.ingest(&self.grant, &self.request(), follow, &mpsc::channel(1).0).await
    }

    async fn follow(&self) -> broadcast::Receiver<News> {
        self.ingest(Follow::Begin).await.unwrap().1.unwrap()
    }

    async fn paths(&self) -> Vec<String> {
        let ids = self.engines.catalog.documents_where(self.grant.namespace(), &|_, _| true, 99).await.unwrap();
        let found = self.engines.catalog.project(&ids).await.unwrap();
        let mut paths: Vec<String> = found.into_iter().map(|held| held.write.document.path).collect();
        paths.sort();
        paths
    }

    async fn problem(&self) -> Option<String> {
        self.watching.states(&self.grant).await.unwrap().into_values().next().flatten()
    }
}

async fn next(news: &mut broadcast::Receiver<News>) -> News {
    tokio::time::timeout(PATIENCE, news.recv()).await.expect("no news").expect("following ended")
}

async fn synced(news: &mut broadcast::Receiver<News>) -> Arc<Report> {
    match next(news).await {
        News::Synced(report, _) => report,
        other => panic!("not a sync: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_told_is_looked_at() {
    let place = Place::make().await;
    place.write("a.md");
    let mut news = place.follow().await;
    place.write("b.md");
    place.write("c.md");
    place.played.tell(&[&place.uri("b.md")]);
    let report = synced(&mut news).await;
    assert_eq!((report.files, report.outcome.added), (1, 1));
    assert_eq!(place.paths().await, ["a.md", "b.md"], "c.md was not told");
    std::fs::remove_file(place.dir.path().join("a.md")).unwrap();
    std::fs::remove_file(place.dir.path().join("b.md")).unwrap();
    place.played.tell(&[&place.uri("b.md")]);
    assert_eq!(synced(&mut news).await.outcome.removed, 1);
    assert_eq!(place.paths().await, ["a.md"]);
    place.played.lose();
    let report = synced(&mut news).await;
    assert_eq!((report.outcome.added, report.outcome.removed), (1, 1));
    assert_eq!(place.paths().await, ["c.md"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_a_pause_is_synced_now_and_then() {
    let place = Place::make().await;
    let mut news = place.follow().await;
    let (played, uri) = (Arc::clone(&place.played), place.uri("a.md"));
    let stream = tokio::spawn(async move {
        loop {
            played.tell(&[&uri]);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    place.write("a.md");
    assert_eq!(synced(&mut news).await.outcome.added, 1);
    let covered = place.played.covered.load(Ordering::Relaxed);
    tokio::time::sleep(PACE.longest * 3).await;
    let rounds = place.played.covered.load(Ordering::Relaxed) - covered;
    assert!(rounds <= 4, "{rounds} rounds in three times the longest wait");
    stream.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_change_under_way_is_waited_for_but_not_for_ever() {
    let place = Place::make().await;
    let mut news = place.follow().await;
    place.played.unsettled.store(true, Ordering::Relaxed);
    let began = tokio::time::Instant::now();
    place.write("a.md");
    place.played.tell(&[&place.uri("a.md")]);
    synced(&mut news).await;
    assert!(began.elapsed() >= PACE.unsettled, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_watches_the_source_is_looked_at_from_time_to_time() {
    let place = Place::make().await;
    *place.played.refusal.lock().unwrap() = Some("no more watches: raise the limit");
    let mut news = place.follow().await;
    assert!(matches!(next(&mut news).await, News::Problem(_)), "who listens is told");
    let problem = place.problem().await.unwrap();
    assert!(problem.contains("raise the limit") && problem.contains("looked at about every"), "{problem}");
    place.write("a.md");
    assert_eq!(synced(&mut news).await.outcome.added, 1, "found without being told");
    assert_eq!(place.problem().await, Some(problem));
    *place.played.refusal.lock().unwrap() = None;
    tokio::time::timeout(PATIENCE, async {
        while place.problem().await.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the problem stays");
    // Told again, and not looked at by itself any more.
    place.write("b.md");
    tokio::time::sleep(PACE.retry * 3).await;
    assert_eq!(place.paths().await, ["a.md"]);
    place.played.tell(&[&place.uri("b.md")]);
    synced(&mut news).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_what_was_moved_away_is_noticed() {
    let place = Place::make().await;
    let mut news = place.follow().await;
    place.write("a.md");
    tokio::time::sleep(PACE.retry * 2).await;
    assert!(place.paths().await.is_empty(), "not told, and the source is where it was");
    place.played.detached.store(true, Ordering::Relaxed);
    assert_eq!(synced(&mut news).await.outcome.added, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_failed_is_made_up_for() {
    let place = Place::make().await;
    place.write("a.md");
    let mut news = place.follow().await;
    let (here, away) = (place.dir.path().to_owned(), place.dir.path().with_extension("away"));
    std::fs::rename(&here, &away).unwrap();
    place.played.tell(&[&place.uri("b.md")]);
    match next(&mut news).await {
        News::Problem(problem) => assert!(problem.contains("does not exist"), "{problem}"),
        other => panic!("no problem: {other:?}"),
    }
    assert_eq!(place.paths().await, ["a.md"], "what is stored stays");
    std::fs::rename(&away, &here).unwrap();
    place.write("b.md");
    assert_eq!(synced(&mut news).await.outcome.added, 1);
    assert_eq!(place.problem().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_ends_when_asked_and_is_taken_up_after_a_restart() {
    let place = Place::make().await;
    place.write("a.md");
    let mut news = place.follow().await;
    // Again, with other options: the first one ends, one of them is left.
    let mut again = place.follow().await;
    assert!(matches!(news.recv().await, Err(broadcast::error::RecvError::Closed)), "the first one ends");
    place.watching.stop();
    assert!(matches!(next(&mut again).await, News::Stopping), "who listens is told");
    place.watching.close().await.unwrap();
    place.projector.stop();

    place.write("b.md");
    let place = Place::over(place.dir, place.engines).await;
    tokio::time::timeout(PATIENCE, async {
        while place.paths().await != ["a.md", "b.md"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("not taken up");
    place.ingest(Follow::End).await.unwrap();
    assert!(place.engines.catalog.standing(Standing::Watch).await.unwrap().is_empty());
    place.write("c.md");
    place.played.tell(&[&place.uri("c.md")]);
    tokio::time::sleep(PACE.quiet * 5).await;
    assert_eq!(place.paths().await, ["a.md", "b.md"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_synced_is_not_followed() {
    let place = Place::make().await;
    let wrong = Request {
        options: ListOptions { include: vec!["a[".to_owned()], exclude: vec![], ..ListOptions::default() },
        ..place.request()
    };
    let progress = mpsc::channel(1).0;
    let error = place.watching.ingest(&place.grant, &wrong, Follow::Begin, &progress).await.unwrap_err();
    assert_eq!(error.field(), Some("include"));
    assert!(place.watching.states(&place.grant).await.unwrap().is_empty());
}
