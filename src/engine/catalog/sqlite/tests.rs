//! The conformance suite on SQLite, and what only a database file can show.

use std::path::Path;

use proptest::test_runner::{Config, TestRunner};
use sqlx::{Connection, SqliteConnection};

use super::*;
use crate::base::error::Kind;
use crate::engine::catalog::conformance::{self, histories};

async fn open(path: &Path) -> SqliteCatalog {
    SqliteCatalog::open(path).await.unwrap_or_else(|error| panic!("{}", error.chain()))
}

#[tokio::test]
async fn conforms_in_memory() {
    conformance::suite(&SqliteCatalog::in_memory().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    conformance::suite(&open(&dir.path().join("catalog.db")).await).await;
}

#[tokio::test]
async fn the_registry_conforms() {
    conformance::registry::suite(&SqliteCatalog::in_memory().await.unwrap()).await;
    let dir = tempfile::tempdir().unwrap();
    conformance::registry::suite(&open(&dir.path().join("catalog.db")).await).await;
}

#[tokio::test]
async fn runs_conform() {
    conformance::runs::suite(&SqliteCatalog::in_memory().await.unwrap()).await;
    let dir = tempfile::tempdir().unwrap();
    conformance::runs::suite(&open(&dir.path().join("catalog.db")).await).await;
}

#[test]
fn random_runs_match_their_fold() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let catalog = runtime.block_on(SqliteCatalog::in_memory()).unwrap();
    let case = std::cell::Cell::new(0);
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&conformance::runs::steps(), |steps| {
            case.set(case.get() + 1);
            runtime.block_on(conformance::runs::play(&catalog, case.get(), steps));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn the_inventory_conforms() {
    conformance::inventory::suite(&SqliteCatalog::in_memory().await.unwrap()).await;
    let dir = tempfile::tempdir().unwrap();
    conformance::inventory::suite(&open(&dir.path().join("catalog.db")).await).await;
}

#[test]
fn random_histories_match_a_naive_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let catalog = runtime.block_on(SqliteCatalog::in_memory()).unwrap();
    let case = std::cell::Cell::new(0);
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&histories::steps(), |steps| {
            case.set(case.get() + 1);
            runtime.block_on(histories::play(&catalog, &case.get().to_string(), steps));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn survives_reopening_and_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.db");
    let first = open(&path).await;
    let head = conformance::fill(&first).await;
    assert!(first.disk_bytes() > 0);
    // As after a kill: nothing of the first is closed or dropped.
    std::mem::forget(first);
    let second = open(&path).await;
    conformance::is_filled(&second, head).await;
    second.close().await.unwrap();
    drop(second);
    let third = open(&path).await;
    conformance::is_filled(&third, head).await;
}

#[tokio::test]
async fn positions_are_not_reused_after_the_log_was_cut() {
    let catalog = SqliteCatalog::in_memory().await.unwrap();
    let head = conformance::fill(&catalog).await;
    sqlx::query("DELETE FROM oplog").execute(&mut *catalog.inner.connections.writer().await).await.unwrap();
    assert_eq!(catalog.head().await.unwrap(), head);
    let place = conformance::Place::make(&catalog, "after").await;
    assert!(place.write(&catalog, vec![place.document("a", &["after"])]).await.lsn > head);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.db");
    open(&path).await.close().await.unwrap();
    let mut raw = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations SELECT 999, description, installed_on, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1")
        .execute(&mut raw)
        .await
        .unwrap();
    raw.close().await.unwrap();
    let error = SqliteCatalog::open(&path).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Precondition);
    assert!(error.message().contains("newer hivemem") && error.message().contains("999"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_corrupt_and_a_missing_directory_a_precondition() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.db");
    std::fs::write(&path, "certainly not a database, though long enough to look like one".repeat(100)).unwrap();
    let error = SqliteCatalog::open(&path).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Corrupt, "{}", error.chain());
    let error = SqliteCatalog::open(&dir.path().join("none/catalog.db")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Precondition, "{}", error.chain());
}

#[tokio::test]
async fn vectors_cached_too_late_are_not_kept() {
    let catalog = SqliteCatalog::in_memory().await.unwrap();
    conformance::fill(&catalog).await;
    let (kept, late) = (EmbedKey::of("durable a"), EmbedKey::of("gone while embedding"));
    catalog.cache_vectors("model-a", vec![(late, vec![1.0])]).await.unwrap();
    let found = catalog.cached_vectors("model-a", &[kept, late]).await.unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [kept]);
}

#[tokio::test]
async fn compacting_gives_back_the_space_of_what_was_removed() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = open(&dir.path().join("catalog.db")).await;
    let place = conformance::Place::make(&catalog, "space").await;
    let part = "0123456789abcdef".repeat(4_096);
    let writes = (0..64).map(|index| place.document(&format!("{index}"), &[&part, &part])).collect();
    place.write(&catalog, writes).await;
    let kept = place.document("0", &[&part, &part]);
    let gone = (1..64).map(|index| place.id(&index.to_string())).collect();
    catalog.remove(&place.namespace, &Selector::Documents(gone)).await.unwrap();
    let before = catalog.disk_bytes();
    catalog.compact().await.unwrap();
    let after = catalog.disk_bytes();
    assert!(before > 8_000_000 && after < 1_000_000, "{before} bytes before, {after} after");
    assert_eq!(place.contents(&catalog).await.into_values().collect::<Vec<_>>(), [kept]);
}
