//! SQLite databases of this machine: `sqlite:///PATH`, a table as `sqlite:///PATH#NAME`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Row, TypeInfo, ValueRef};

use super::super::local::LocalStore;
use super::super::shell_word;
use super::super::uri::{file_uri, path_of_uri};
use super::{Database, ROWS_COUNTED, ROWS_SHOWN, TABLES_MAX, Table, quoted, rows_section, section};
use crate::base::error::{Error, Kind, Result};

/// See the module's documentation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sqlite {
    local: LocalStore,
}

impl Sqlite {
    /// Beginnings of the addresses that it serves.
    pub const BEGINNINGS: &'static [&'static str] = &["sqlite://"];

    /// Reads databases that `local` allows.
    pub fn new(local: LocalStore) -> Self {
        Self { local }
    }
}

#[async_trait::async_trait]
impl Database for Sqlite {
    const NAME: &'static str = "SQLite";
    type Place = PathBuf;

    fn parse(&self, address: &str) -> Result<(PathBuf, Option<String>)> {
        let bad = || {
            let message = format!("{address:?} is no SQLite database: give sqlite:///PATH with an absolute path");
            Error::invalid("source", message)
        };
        let rest = address.strip_prefix("sqlite://").ok_or_else(bad)?;
        let (file, table) = rest.split_once('#').map_or((rest, None), |(file, table)| (file, Some(table)));
        let file = path_of_uri(&format!("file://{file}")).ok_or_else(bad)?;
        let unescaped = |table: &str| {
            let path = path_of_uri(&format!("file:///{table}"))?;
            path.strip_prefix("/").ok()?.to_str().map(str::to_owned)
        };
        let table = table.map(|table| unescaped(table).ok_or_else(bad)).transpose()?;
        Ok((file, table))
    }

    fn uri(file: &PathBuf, table: Option<&str>) -> String {
        let database = file_uri(file).replacen("file://", "sqlite://", 1);
        match table {
            None => database,
            Some(table) => format!("{database}#{}", file_uri(Path::new(table)).trim_start_matches("file://")),
        }
    }

    fn label(file: &PathBuf) -> String {
        file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn native(file: &PathBuf, table: Option<&str>) -> String {
        let query = table.map_or(".schema".to_owned(), |table| format!("SELECT * FROM {}", quoted(table)));
        format!("sqlite3 -readonly {} {}", shell_word(&file.display().to_string()), shell_word(&query))
    }

    fn allowed(&self, file: PathBuf) -> Result<PathBuf> {
        let (file, metadata) = self.local.open_root(&file_uri(&file))?;
        if !metadata.is_file() {
            return Err(Error::invalid("source", format!("{} is no file, so no database", file.display())));
        }
        Ok(file)
    }

    async fn tables(&self, file: &PathBuf, only: Option<&str>) -> Result<Vec<Table>> {
        read(file, only).await.map_err(|cause| {
            let message =
                format!("{} can't be read as a SQLite database: it is none, or is locked or damaged", file.display());
            Error::new(Kind::Unavailable, message).caused_by(cause)
        })
    }
}

async fn read(file: &Path, only: Option<&str>) -> sqlx::Result<Vec<Table>> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true).create_if_missing(false);
    let mut connection = options.busy_timeout(Duration::from_secs(5)).connect().await?;
    // Nothing in a foreign schema is to be trusted: no functions with side effects behind views.
    sqlx::query("PRAGMA trusted_schema = OFF").execute(&mut connection).await?;
    let names = sqlx::query(
        "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND (?1 IS NULL OR name = ?1) ORDER BY name LIMIT ?2",
    )
    .bind(only)
    .bind(TABLES_MAX as i64)
    .fetch_all(&mut connection)
    .await?;
    let mut tables = Vec::with_capacity(names.len());
    for row in names {
        let (name, is_view): (String, bool) = (row.try_get(0)?, row.try_get::<&str, _>(1)? == "view");
        let table = match describe(&mut connection, &name, is_view).await {
            // What it shows may be gone; that there is such a view is worth knowing all the same.
            Err(sqlx::Error::Database(cause)) if is_view => {
                let text = format!("# {name}\n\nView of a SQLite database that can't be read: {}.\n", cause.message());
                Table { name, is_view, columns: String::new(), text }
            }
            table => table?,
        };
        tables.push(table);
    }
    Ok(tables)
}

/// A table in Markdown: columns, what refers to what, indexes, and a few rows.
async fn describe(connection: &mut SqliteConnection, name: &str, is_view: bool) -> sqlx::Result<Table> {
    let mut text = format!("# {name}\n\n{} of a SQLite database.\n", if is_view { "View" } else { "Table" });
    let (mut short, mut lines) = (Vec::new(), Vec::new());
    let columns = sqlx::query("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1)").bind(name);
    for row in columns.fetch_all(&mut *connection).await? {
        let (column, kind): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (required, key): (bool, i64) = (row.try_get(2)?, row.try_get(4)?);
        let default = row.try_get::<Option<&str>, _>(3)?.map(|value| format!(", default {value}")).unwrap_or_default();
        let key = if key > 0 { ", primary key" } else { "" };
        let required = if required { ", not null" } else { "" };
        lines.push(format!("`{column}` {kind}{key}{required}{default}"));
        short.push(format!("{column} {kind}").trim_end().to_owned());
    }
    text.push_str(&section("Columns", &lines));
    let keys =
        sqlx::query("SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq").bind(name);
    let mut lines = Vec::new();
    for row in keys.fetch_all(&mut *connection).await? {
        let to = row.try_get::<Option<&str>, _>(2)?.map(|to| format!(".{to}")).unwrap_or_default();
        lines.push(format!("`{}` refers to `{}{to}`", row.try_get::<&str, _>(0)?, row.try_get::<&str, _>(1)?));
    }
    text.push_str(&section("Foreign keys", &lines));
    let indexes = sqlx::query("SELECT name, \"unique\" FROM pragma_index_list(?1) ORDER BY name").bind(name);
    let mut lines = Vec::new();
    for row in indexes.fetch_all(&mut *connection).await? {
        let unique = if row.try_get::<bool, _>(1)? { " (unique)" } else { "" };
        lines.push(format!("`{}`{unique}", row.try_get::<&str, _>(0)?));
    }
    text.push_str(&section("Indexes", &lines));
    let definition: Option<String> = sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = ?1")
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
    if let Some(definition) = definition {
        text.push_str(&format!("\n## Definition\n\n```sql\n{}\n```\n", definition.trim()));
    }
    // A view may be anything, and one that fails is still a view.
    match rows(connection, name).await {
        Ok(rows) => text.push_str(&rows),
        Err(cause) => tracing::debug!(table = name, %cause, "the rows of a table can't be read"),
    }
    Ok(Table { name: name.to_owned(), is_view, columns: short.join(", "), text })
}

async fn rows(connection: &mut SqliteConnection, name: &str) -> sqlx::Result<String> {
    let from = quoted(name);
    // The name is quoted; nothing else is put in.
    let count = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT {})", ROWS_COUNTED + 1);
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *connection).await?;
    let sample = format!("SELECT * FROM {from} LIMIT {ROWS_SHOWN}");
    let shown = sqlx::query(AssertSqlSafe(sample)).fetch_all(&mut *connection).await?;
    let names: Vec<String> = shown
        .first()
        .map(|first| first.columns().iter().map(|column| column.name().to_owned()).collect())
        .unwrap_or_default();
    let values = |row: &SqliteRow| (0..row.len()).map(|place| value(row, place)).collect();
    Ok(rows_section(count, &names, &shown.iter().map(values).collect::<Vec<_>>()))
}

/// A value as text.
fn value(row: &SqliteRow, place: usize) -> String {
    let Ok(raw) = row.try_get_raw(place) else { return String::new() };
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "NULL" => "NULL".to_owned(),
        "BLOB" => row
            .try_get_unchecked::<Vec<u8>, _>(place)
            .map(|bytes| format!("({} bytes)", bytes.len()))
            .unwrap_or_default(),
        "REAL" => row.try_get_unchecked::<f64, _>(place).map(|number| number.to_string()).unwrap_or_default(),
        "INTEGER" | "BOOLEAN" => {
            row.try_get_unchecked::<i64, _>(place).map(|number| number.to_string()).unwrap_or_default()
        }
        _ => row.try_get_unchecked::<String, _>(place).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::super::super::{ListOptions, Store};
    use super::super::SqlStore;
    use super::*;

    async fn database(dir: &Path) -> PathBuf {
        let file = dir.join("shop.db");
        let mut connection =
            SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
        for sql in [
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, photo BLOB)",
            "CREATE TABLE \"order items\" (user_id INTEGER REFERENCES users(id), price REAL DEFAULT 1.5, note TEXT)",
            "CREATE UNIQUE INDEX by_name ON users(name)",
            "CREATE VIEW names AS SELECT name FROM users",
            "CREATE VIEW broken AS SELECT x FROM nowhere",
            "INSERT INTO users VALUES (1, 'Ann | Co', x'0102'), (2, 'Bob', NULL), (3, 'C', NULL), (4, 'D', NULL)",
        ] {
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
        file
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn tables_are_described_and_changes_show_in_their_marks() {
        let dir = tempfile::tempdir().unwrap();
        let file = database(dir.path()).await.canonicalize().unwrap();
        let store = SqlStore::new(Sqlite::new(LocalStore::default()), Handle::current());
        let source = Sqlite::uri(&file, None);
        let look = {
            let (store, source) = (store.clone(), source.clone());
            move || {
                let source = store.resolve(&source).unwrap();
                let listing = store.list(&source, &ListOptions::default()).unwrap();
                let texts = listing
                    .objects
                    .iter()
                    .map(|object| String::from_utf8(store.read(object, 100_000).unwrap()).unwrap());
                let texts: Vec<String> = texts.collect();
                (listing, texts)
            }
        };
        let (listing, texts) = tokio::task::spawn_blocking(look.clone()).await.unwrap();
        let paths: Vec<&str> = listing.objects.iter().map(|object| object.path.as_str()).collect();
        assert_eq!(paths, ["broken.md", "names.md", "order items.md", "users.md"]);
        assert_eq!(listing.objects[2].uri, format!("{source}#order%20items"));
        for part in [
            "- `id` INTEGER, primary key",
            "- `name` TEXT, not null",
            "`by_name` (unique)",
            "4 rows.",
            "| 1 | Ann \\| Co | (2 bytes) |",
        ] {
            assert!(texts[3].contains(part), "{part:?} is missing in\n{}", texts[3]);
        }
        assert!(!texts[3].contains("| 4 |"), "a few rows, not all");
        assert!(
            texts[2].contains("- `user_id` refers to `users.id`") && texts[2].contains("default 1.5"),
            "{}",
            texts[2]
        );
        let mut connection = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
        sqlx::query("INSERT INTO users VALUES (5, 'E', NULL)").execute(&mut connection).await.unwrap();
        let (later, _) = tokio::task::spawn_blocking(look).await.unwrap();
        let changed = |place: usize| later.objects[place].mark != listing.objects[place].mark;
        assert!(changed(3) && !changed(2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_database_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.db");
        std::fs::write(&file, "not a database at all, but long enough to be looked at as one".repeat(50)).unwrap();
        let store = SqlStore::new(Sqlite::new(LocalStore::default()), Handle::current());
        let address = Sqlite::uri(&file.canonicalize().unwrap(), None);
        let (asked, source) = (store.clone(), address.clone());
        let error = tokio::task::spawn_blocking(move || asked.list(&source, &ListOptions::default()))
            .await
            .unwrap()
            .unwrap_err();
        assert!(error.kind() == Kind::Unavailable && error.message().contains("SQLite"), "{error}");
        assert_eq!(store.resolve("sqlite:///no/such.db").unwrap_err().kind(), Kind::NotFound);
        assert!(store.resolve("sqlite://relative.db").unwrap_err().message().contains("absolute"));
        let walled = SqlStore::new(Sqlite::new(LocalStore::new(vec!["/var/empty".into()])), Handle::current());
        assert_eq!(walled.resolve(&address).unwrap_err().kind(), Kind::Denied);
    }
}
