//! Opening the database: connections and their settings, the schema, closing, and the space it takes.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use super::fault::{Doing, fault};
use super::log::head;
use crate::base::error::{Error, Kind, Result};
use crate::engine::catalog::Snapshot;

/// The schema, one file a step; steps that were released are never edited.
static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// Reader connections. A read takes about a millisecond, so four serve thousands of searches a second.
const READERS_MAX: u32 = 4;

/// Page cache of the writer, in KiB: a batch of 4 MiB text with its index pages fits, so nothing spills before commit.
/// Together with the readers: 16 + 4 × 8 = 48 MiB. No memory map: its pages would count as this process's memory,
/// once for each connection, while the kernel caches the file either way.
///
/// libsqlite3-sys compiles SQLite with `SQLITE_ENABLE_MEMORY_MANAGEMENT`, which makes all connections share one pool of
/// pages: once a writer has filled it, readers below their share keep nothing and read each page anew (a count of
/// 100,000 chunks took 210 ms instead of 25). `LIBSQLITE3_FLAGS=-USQLITE_ENABLE_MEMORY_MANAGEMENT` at build time
/// takes that away; without it the catalogue is slower at times, not wrong.
const WRITER_CACHE_KIB: u32 = 16 * 1024;
/// See [`WRITER_CACHE_KIB`].
const READER_CACHE_KIB: u32 = 8 * 1024;

/// Pages of write-ahead log that make a commit copy it back into the file: 32 MiB.
const CHECKPOINT_PAGES: u32 = 8_192;

/// Bytes that the write-ahead log is cut down to after a large transaction.
const LOG_BYTES_KEPT: u32 = 64 * 1024 * 1024;

/// Pages given back to the file system at a time: 8 MiB.
const COMPACT_PAGES: u32 = 2_048;

/// How long one connection waits for another's lock. Writers queue on a mutex before it, so this is for other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(30);

/// Prepared statements kept by each connection; bulk inserts come in seven sizes each.
const STATEMENTS_MAX: usize = 128;

/// Rows that the driver's thread may be ahead of us; fewer means a thread switch for each handful of rows.
const ROWS_AHEAD: usize = 1_024;

/// Scratch tables of the writer, filled and emptied within a transaction.
const SCRATCH: &str = "
    CREATE TEMP TABLE doomed (document INTEGER PRIMARY KEY);
    CREATE TEMP TABLE orphans (key BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TEMP TABLE touched (document INTEGER PRIMARY KEY, bytes INTEGER, modified_at INTEGER, indexed_at INTEGER,
        mark TEXT);";

/// The connections to one database.
pub(super) struct Connections {
    writer: Mutex<SqliteConnection>,
    /// None for a database in memory, which only one connection can see.
    readers: Option<SqlitePool>,
    path: Option<PathBuf>,
}

/// A connection to read from.
pub(super) enum Reader<'a> {
    Pooled(PoolConnection<Sqlite>),
    Shared(MutexGuard<'a, SqliteConnection>),
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Shared(connection) => connection,
        }
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Shared(connection) => connection,
        }
    }
}

impl Connections {
    /// Opens or makes the database file at `path` and brings its schema up to date.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let what = format!("open the catalogue {}", path.display());
        // FULL, not NORMAL: NORMAL survives a kill of the process, but after a power cut it may lose the newest
        // commits. The projections sync their own files, so they would be ahead of the log, and the positions they
        // had applied would be given out again for other documents, which they then would never see. One fsync per
        // batch buys that off.
        let options = options()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("journal_size_limit", LOG_BYTES_KEPT.to_string())
            // Deleted texts are overwritten where their page is written anyway; whole pages that hold nothing any more
            // are given back by `compact`.
            .pragma("secure_delete", "FAST");
        let writer = writer(&options, &what, path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_WAIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("cache_size", format!("-{READER_CACHE_KIB}")).pragma("query_only", "ON"));
        Ok(Self { writer: Mutex::new(writer), readers: Some(readers), path: Some(path.to_owned()) })
    }

    /// A database in memory, gone when dropped.
    pub(super) async fn in_memory() -> Result<Self> {
        let options = options().filename(":memory:").in_memory(true);
        let writer = writer(&options, "open a catalogue in memory", Path::new(":memory:")).await?;
        Ok(Self { writer: Mutex::new(writer), readers: None, path: None })
    }

    /// The connection that writes, once no one else has it.
    pub(super) async fn writer(&self) -> MutexGuard<'_, SqliteConnection> {
        self.writer.lock().await
    }

    /// A connection that reads what is committed.
    pub(super) async fn reader(&self) -> Result<Reader<'_>> {
        match &self.readers {
            Some(pool) => Ok(Reader::Pooled(pool.acquire().await.doing("read the catalogue")?)),
            None => Ok(Reader::Shared(self.writer.lock().await)),
        }
    }

    /// Copies the write-ahead log into the file and closes the readers.
    pub(super) async fn close(&self) -> Result<()> {
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        // No PRAGMA optimize: its statistics could change query plans, and the plans as they are were measured.
        self.cut_log().await
    }

    /// Copies the write-ahead log into the file and cuts it to nothing.
    async fn cut_log(&self) -> Result<()> {
        let mut writer = self.writer.lock().await;
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut *writer)
            .await
            .doing("copy the log into the catalogue")
            .map(|_| ())
    }

    /// Gives free pages back to the file system, a few at a time so that writers get their turn, and cuts the
    /// write-ahead log to nothing.
    pub(super) async fn compact(&self) -> Result<()> {
        loop {
            let mut writer = self.writer.lock().await;
            let free: i64 = sqlx::query_scalar("PRAGMA freelist_count")
                .fetch_one(&mut *writer)
                .await
                .doing("compact the catalogue")?;
            if free == 0 {
                drop(writer);
                return self.cut_log().await;
            }
            sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA incremental_vacuum({COMPACT_PAGES})")))
                .execute(&mut *writer)
                .await
                .doing("compact the catalogue")?;
        }
    }

    /// Bytes of pages that hold nothing, and of the write-ahead log, which can be cut to nothing.
    pub(super) async fn free_bytes(&self) -> Result<u64> {
        let mut reader = self.reader().await?;
        let free: i64 =
            sqlx::query_scalar("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
                .fetch_one(&mut *reader)
                .await
                .doing("count free pages")?;
        Ok(free.unsigned_abs() + self.file_bytes("-wal"))
    }

    /// Writes all of one state to a new file at `target`, over a connection of its own, since readers may not write.
    pub(super) async fn snapshot(&self, target: &Path) -> Result<()> {
        let what = format!("copy the catalogue to {}", target.display());
        let Some(path) = &self.path else {
            return Err(Error::new(Kind::Precondition, "a catalogue in memory cannot be copied to a file"));
        };
        let target = target.to_str().ok_or_else(|| Error::invalid("path", "the path of the copy is not UTF-8 text"))?;
        let mut connection = options().filename(path).connect().await.doing(&what)?;
        sqlx::query("VACUUM INTO ?1").bind(target).execute(&mut connection).await.doing(&what)?;
        connection.close().await.doing(&what)
    }

    /// Bytes of the database file with its write-ahead log and index of it; 0 in memory.
    pub(super) fn disk_bytes(&self) -> u64 {
        ["", "-wal", "-shm"].iter().map(|suffix| self.file_bytes(suffix)).sum()
    }

    /// Bytes of the file with this suffix.
    fn file_bytes(&self, suffix: &str) -> u64 {
        let Some(path) = &self.path else { return 0 };
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        std::fs::metadata(name).map_or(0, |file| file.len())
    }
}

/// Begins a transaction that will write; it rolls back when dropped before its commit.
pub(super) async fn begin_write(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>> {
    // IMMEDIATE takes the write lock at once, so a transaction that has begun can't fail half-way for want of it.
    connection.begin_with("BEGIN IMMEDIATE").await.doing("begin a transaction")
}

/// Begins a transaction whose reads all see the same state.
pub(super) async fn begin_read(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>> {
    connection.begin().await.doing("begin a transaction")
}

/// Commits.
pub(super) async fn commit(transaction: Transaction<'_, Sqlite>) -> Result<()> {
    transaction.commit().await.doing("commit a transaction")
}

/// What all connections have in common.
fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .page_size(4_096)
        // Lets space that a removal frees be given back later; it can't be switched on once there are tables.
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_MAX)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

/// Opens the writer, which migrates the schema.
async fn writer(options: &SqliteConnectOptions, what: &str, path: &Path) -> Result<SqliteConnection> {
    let options = options.clone().pragma("cache_size", format!("-{WRITER_CACHE_KIB}"));
    let mut connection = options.connect().await.doing(what)?;
    MIGRATOR.run(&mut connection).await.map_err(|cause| migration_fault(cause, what, path))?;
    sqlx::raw_sql(SCRATCH).execute(&mut connection).await.doing(what)?;
    Ok(connection)
}

/// The newest step of the schema that this version knows.
pub(super) fn schema_known() -> i64 {
    MIGRATOR.iter().map(|step| step.version).max().unwrap_or_default()
}

/// What a finished copy in the file at `path` holds.
pub(super) async fn describe(path: &Path) -> Result<Snapshot> {
    let what = format!("read the copy {}", path.display());
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(true)
        .disable_statement_logging()
        .connect()
        .await
        .doing(&what)?;
    let lsn = head(&mut connection).await?;
    let schema: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .doing(&what)?;
    connection.close().await.doing(&what)?;
    Ok(Snapshot { lsn, schema })
}

fn migration_fault(cause: MigrateError, what: &str, path: &Path) -> Error {
    let known = schema_known();
    match cause {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => Error::new(
            Kind::Precondition,
            format!(
                "the catalogue {} was written by a newer hivemem (schema step {version}, this one knows {known}): \
                 update hivemem, or choose another data directory",
                path.display()
            ),
        ),
        MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => Error::new(
            Kind::Corrupt,
            format!(
                "the catalogue {} has a schema that no hivemem release made (step {version} differs): restore it \
                 from a backup, or choose another data directory",
                path.display()
            ),
        ),
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => fault(what, cause),
        other => Error::internal(format!("cannot {what}")).caused_by(other),
    }
}
