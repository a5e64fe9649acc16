//! Kills the real server with SIGKILL at random moments, while clients write, and checks through the public API that
//! every acknowledged write is there once, nothing is half done, nothing forgotten comes back, and the projections
//! catch up by themselves.
//!
//! `HIVEMEM_CRASH_KILLS` says how often, `HIVEMEM_CRASH_SEED` repeats a run as far as the machine's timing allows. Not
//! for faults that a kill cannot make (a full disk, a failing engine): those are tested in `src/flow`.

// Helpers of tests may panic as tests may; clippy only knows those inside `#[test]`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use hivemem_client::Client;
use hivemem_client::proto::{SearchFilter, SearchMode};

mod ledger;
#[path = "../it/model.rs"]
mod model;
mod random;
mod server;
mod work;

use ledger::hits;
use random::Chance;
use server::{PATIENCE, Server, listing};
use work::{Files, Killed, Notes};

/// Kills of a plain `make test`.
const KILLS_DEFAULT: u64 = 12;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, it must be a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_keeps_what_it_acknowledged() {
    let kills_due = number("HIVEMEM_CRASH_KILLS").unwrap_or(KILLS_DEFAULT);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = number("HIVEMEM_CRASH_SEED").unwrap_or(now.as_nanos() as u64);
    println!("HIVEMEM_CRASH_SEED={seed} HIVEMEM_CRASH_KILLS={kills_due}");
    let began = Instant::now();
    let mut chance = Chance::new(seed);
    let mut run = Run { server: Server::new(), files: Files::new(), notes: Notes::new(), kills: 0, resumed: 0 };
    while run.kills < kills_due {
        run.round(&mut chance).await;
    }
    let client = run.server.start().await;
    run.check(&client, &mut chance).await;
    let (rebuilt, panics) =
        (run.server.logged(|line| line.contains("built again")), run.server.logged(|line| line.contains("panicked")));
    println!(
        "{} kills, {} starts, {} interrupted ingests resumed, {} indexes built again, {} s",
        run.kills,
        run.server.starts,
        run.resumed,
        rebuilt.len(),
        began.elapsed().as_secs()
    );
    // Two kills in a row, the second while the first is being repaired, may cost an index, which is then built again.
    // Oftener than that a kill is no reason to throw one away, nor ever to panic; both would pass unseen otherwise.
    assert!(rebuilt.len() as u64 <= 1 + run.kills / 50, "{rebuilt:#?}");
    assert!(panics.is_empty(), "{panics:#?}");
}

struct Run {
    server: Server,
    files: Files,
    notes: Notes,
    kills: u64,
    resumed: u64,
}

impl Run {
    /// Start, check, work, kill; then maybe kill while it starts or catches up.
    async fn round(&mut self, chance: &mut Chance) {
        if chance.once_in(4) {
            self.server.change_model();
        }
        let client = self.server.start().await;
        self.check(&client, chance).await;
        let killed = Killed::default();
        let after = Duration::from_millis(if chance.once_in(3) { chance.below(150) } else { chance.below(1_500) });
        let mut forks = (chance.fork(), chance.fork(), chance.fork());
        let Self { server, files, notes, .. } = self;
        let kill = async {
            tokio::time::sleep(after).await;
            killed.store(true, Ordering::SeqCst);
            server.kill();
        };
        let ended = async {
            tokio::join!(
                files.work(client.clone(), &mut forks.0, &killed),
                notes.work(client.clone(), &mut forks.1, &killed),
                work::rebuild(client.clone(), &mut forks.2, &killed),
                kill,
            )
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("a call hung after the kill");
        self.kills += 1;
        while chance.once_in(2) {
            // A start takes about half a second; what is left of the time is catching up.
            let _said = self.server.launch();
            tokio::time::sleep(Duration::from_millis(chance.below(1_200))).await;
            self.server.kill();
            self.kills += 1;
        }
    }

    /// Everything that is promised after a kill.
    async fn check(&mut self, client: &Client, chance: &mut Chance) {
        self.settled(client).await;
        self.files.ledger.check(client).await;
        for ledger in &mut self.notes.ledgers {
            ledger.check(client).await;
        }
        self.check_sources(client).await;
        if self.files.interrupted {
            self.files.resume(client, chance).await;
            self.resumed += 1;
            self.settled(client).await;
            self.files.ledger.check(client).await;
        }
    }

    /// Ingests that were cut off go on and the projections catch up, without being asked, and hold each chunk once.
    async fn settled(&self, client: &Client) {
        let began = Instant::now();
        loop {
            let (mut chunks, mut state) = (0, String::new());
            let mut even = true;
            for namespace in client.list_namespaces().await.unwrap() {
                let stats = client.with_namespace(&namespace).stats().await.unwrap();
                chunks += stats.chunks;
                even &= stats.projections.iter().all(|projection| projection.applied_lsn == stats.lsn);
                even &= stats.sources.iter().all(|source| !source.syncing);
                state = format!("{stats:?}");
                if let Some(stuck) = stats.projections.iter().find(|projection| !projection.problem.is_empty()) {
                    panic!("{} is stuck after a kill: {}", stuck.name, stuck.problem);
                }
            }
            let entries: Vec<u64> = match client.stats().await {
                Ok(stats) => stats.projections.iter().map(|projection| projection.entries).collect(),
                // Nothing was ever written to the default namespace, and the others say the same.
                Err(_) => vec![chunks],
            };
            if even && entries.iter().all(|count| *count == chunks) {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "the projections did not catch up: {chunks} chunks, {entries:?} entries, {state}\n{}\n{}",
                self.server.log_tail(),
                listing(&self.server.data().join("vector"))
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A source filter finds what came from it and nothing else.
    async fn check_sources(&self, client: &Client) {
        let Some((name, word)) = self.files.ledger.documents().next() else { return };
        let of = |source: String| SearchFilter { sources: vec![source], ..SearchFilter::default() };
        let found = hits(client, word, SearchMode::Lexical, of(self.files.source())).await;
        assert!(!found.is_empty() && found.iter().all(|hit| hit.uri == name), "{name} is not found by its source");
        let all = hits(client, word, SearchMode::Dense, of(self.files.source())).await;
        assert!(all.iter().all(|hit| hit.uri.starts_with("file://")), "a foreign document is found by source");
    }
}
