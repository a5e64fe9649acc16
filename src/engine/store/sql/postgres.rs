//! PostgreSQL databases: `postgres://HOST[:PORT]/DATABASE`, a table as `postgres://HOST/DATABASE#SCHEMA.TABLE`.
//!
//! User and password are those of a credential of kind `sql`; an address that holds them is refused. Names are quoted by the
//! server itself, so that they are unique and can be put into statements.

use std::path::Path;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use url::Url;

use super::super::credentials::{Credential, Credentials};
use super::super::guard::Guard;
use super::super::shell_word;
use super::super::uri::{file_uri, path_of_uri};
use super::{Database, ROWS_COUNTED, ROWS_SHOWN, TABLES_MAX, Table, VALUE_CHARS_MAX, rows_section, section};
use crate::base::error::{Error, Kind, Result};

/// The port that is not written.
const PORT: u16 = 5432;

/// What every connection begins with: nothing is written, nothing takes for ever, and the first rows of a table are the same ones
/// the next time.
const SETTINGS: &str =
    "SET default_transaction_read_only = on; SET statement_timeout = '20s'; SET synchronize_seqscans = off";

/// What no table of the user's own is.
const OWN: &str = "n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND NOT c.relispartition";

/// See the module's documentation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Postgres {
    guard: Guard,
    credentials: Credentials,
    /// The credential that was asked for by name.
    named: Option<Arc<Credential>>,
}

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    host: String,
    port: u16,
    database: String,
}

impl Postgres {
    /// Beginnings of the addresses that it serves.
    pub const BEGINNINGS: &'static [&'static str] = &["postgres://", "postgresql://"];

    /// Reads databases that `guard` lets be spoken to.
    pub fn new(guard: Guard, credentials: Credentials) -> Self {
        Self { guard, credentials, named: None }
    }

    /// A connection, and whose it is.
    async fn connect(&self, place: &Place) -> Result<(PgConnection, String)> {
        let uri = Self::uri(place, None);
        let credential = self.named.clone().or_else(|| self.credentials.of_uri("sql", &uri));
        let user = credential.as_deref().and_then(|credential| credential.setting("user")).ok_or_else(|| {
            let message = format!(
                "nobody's name is known for {uri}: add [credentials.NAME] with kind = \"sql\", prefixes = [\"{uri}\"], user and \
                 password to the server's configuration"
            );
            Error::new(Kind::Denied, message)
        })?;
        let password = credential.as_deref().and_then(|credential| credential.secret("password")).unwrap_or_default();
        let address = self.guard.address(&place.host, place.port).await?;
        // All that the environment could say is said here: its password is not for a host that a caller names.
        let options = PgConnectOptions::new_without_pgpass()
            .host(&address.ip().to_string())
            .port(address.port())
            .username(user)
            .password(password)
            .database(&place.database)
            .application_name("hivemem")
            .ssl_mode(PgSslMode::Prefer)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        let told = |cause| told(&uri, user, cause);
        let mut connection = options.connect().await.map_err(told)?;
        sqlx::raw_sql(SETTINGS).execute(&mut connection).await.map_err(told)?;
        Ok((connection, user.to_owned()))
    }
}

/// An error as it is to be told.
fn told(uri: &str, user: &str, cause: sqlx::Error) -> Error {
    let code = cause.as_database_error().and_then(|cause| cause.code()).unwrap_or_default().into_owned();
    let (kind, message) = match code.as_str() {
        "28000" | "28P01" => {
            let message = format!("{uri} refuses user {user:?}: check user and password of the credential");
            (Kind::Denied, message)
        }
        "3D000" => (Kind::NotFound, format!("{uri}: there is no such database")),
        "42501" => (Kind::Denied, format!("{uri}: user {user:?} may not read that")),
        _ => (Kind::Unavailable, format!("{uri} can't be read")),
    };
    Error::new(kind, message).caused_by(cause)
}

#[async_trait::async_trait]
impl Database for Postgres {
    const NAME: &'static str = "PostgreSQL";
    type Place = Place;

    fn parse(&self, address: &str) -> Result<(Place, Option<String>)> {
        let bad = |what: &str| {
            let message = format!("{address:?} is no PostgreSQL database: {what}");
            Error::invalid("source", message)
        };
        let form = "give postgres://HOST[:PORT]/DATABASE[#SCHEMA.TABLE]";
        let url = Url::parse(address).map_err(|_| bad(form))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it holds a user or password: name a credential of the server's configuration instead"));
        }
        if url.query().is_some() {
            return Err(bad("it has parameters, of which none are known"));
        }
        let unescaped = |part: &str| {
            let path = path_of_uri(&format!("file:///{part}"))?;
            path.strip_prefix("/").ok()?.to_str().filter(|name| !name.is_empty()).map(str::to_owned)
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad(form))?;
        let database = unescaped(url.path().trim_matches('/')).filter(|name| !name.contains('/'));
        let place = Place {
            host: host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase(),
            port: url.port().unwrap_or(PORT),
            database: database.ok_or_else(|| bad(form))?,
        };
        let table = url.fragment().map(|table| unescaped(table).ok_or_else(|| bad(form))).transpose()?;
        Ok((place, table))
    }

    fn uri(place: &Place, table: Option<&str>) -> String {
        let escaped = |name: &str| file_uri(Path::new(name)).trim_start_matches("file://").replace('"', "%22");
        let Place { host, port, database } = place;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let port = if *port == PORT { String::new() } else { format!(":{port}") };
        let table = table.map(|table| format!("#{}", escaped(table))).unwrap_or_default();
        format!("postgres://{host}{port}/{}{table}", escaped(database))
    }

    fn label(place: &Place) -> String {
        format!("{} on {}", place.database, place.host)
    }

    fn native(place: &Place, table: Option<&str>) -> String {
        let show = table.map_or("\\d".to_owned(), |table| format!("SELECT * FROM {table}"));
        format!("psql {} -c {}", shell_word(&Self::uri(place, None)), shell_word(&show))
    }

    fn allowed(&self, place: Place) -> Result<Place> {
        Ok(place)
    }

    async fn tables(&self, place: &Place, only: Option<&str>) -> Result<Vec<Table>> {
        let (mut connection, user) = self.connect(place).await?;
        let read = async {
            let names = format!(
                "SELECT c.oid::int8, format('%I.%I', n.nspname, c.relname), c.relkind IN ('v', 'm'), \
                 coalesce(obj_description(c.oid, 'pg_class'), '') FROM pg_class c JOIN pg_namespace n \
                 ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {OWN} \
                 AND ($1::text IS NULL OR format('%I.%I', n.nspname, c.relname) = $1) ORDER BY 2 LIMIT {TABLES_MAX}"
            );
            let found = sqlx::query(AssertSqlSafe(names)).bind(only).fetch_all(&mut connection).await?;
            let mut tables = Vec::with_capacity(found.len());
            for row in found {
                tables.push(describe(&mut connection, &row).await?);
            }
            sqlx::Result::Ok(tables)
        };
        let tables = read.await.map_err(|cause| told(&Self::uri(place, None), &user, cause));
        // Nothing depends on how it says good-bye.
        let _ = connection.close().await;
        tables
    }

    fn under(&self, uri: &str, credential: &str) -> Result<Self> {
        Ok(Self { named: Some(self.credentials.named("sql", credential, uri)?), ..self.clone() })
    }
}

/// A table in Markdown: columns, what refers to what, indexes, and a few rows.
async fn describe(connection: &mut PgConnection, found: &PgRow) -> sqlx::Result<Table> {
    let (id, name): (i64, String) = (found.try_get(0)?, found.try_get(1)?);
    let (is_view, comment): (bool, String) = (found.try_get(2)?, found.try_get(3)?);
    let mut text = format!("# {name}\n\n{} of a PostgreSQL database.\n", if is_view { "View" } else { "Table" });
    if !comment.is_empty() {
        text.push_str(&format!("\n{comment}\n"));
    }
    let columns = sqlx::query(
        "SELECT quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, \
         coalesce(pg_get_expr(d.adbin, d.adrelid), ''), coalesce(col_description(a.attrelid, a.attnum), ''), \
         coalesce(a.attnum = ANY (k.conkey), false) FROM pg_attribute a \
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
         LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p' \
         WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let (mut kinds, mut lines) = (Vec::new(), Vec::new());
    for row in &columns {
        let (column, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let (required, key): (bool, bool) = (row.try_get(2)?, row.try_get(5)?);
        let (default, comment): (String, String) = (row.try_get(3)?, row.try_get(4)?);
        let key = if key { ", primary key" } else { "" };
        let required = if required { ", not null" } else { "" };
        let default = if default.is_empty() { String::new() } else { format!(", default {default}") };
        let comment = if comment.is_empty() { String::new() } else { format!(": {comment}") };
        lines.push(format!("`{column}` {kind}{key}{required}{default}{comment}"));
        kinds.push((column, kind));
    }
    text.push_str(&section("Columns", &lines));
    let keys = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::oid AND contype = 'f' ORDER BY conname";
    text.push_str(&section("Foreign keys", &lines_of(connection, keys, id).await?));
    let indexes =
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = $1::oid ORDER BY indexrelid::regclass::text";
    text.push_str(&section("Indexes", &lines_of(connection, indexes, id).await?));
    if is_view {
        let definition: String =
            sqlx::query_scalar("SELECT pg_get_viewdef($1::oid, true)").bind(id).fetch_one(&mut *connection).await?;
        text.push_str(&format!("\n## Definition\n\n```sql\n{}\n```\n", definition.trim()));
    }
    // Not everybody may read every row, and what stands behind a view or a foreign table may be gone.
    match rows(connection, &name, &kinds).await {
        Ok(rows) => text.push_str(&rows),
        Err(sqlx::Error::Database(cause)) => {
            text.push_str(&format!("\nIts rows can't be read: {}.\n", cause.message()))
        }
        Err(cause) => return Err(cause),
    }
    let columns = kinds.iter().map(|(column, kind)| format!("{column} {kind}")).collect::<Vec<_>>().join(", ");
    Ok(Table { name, is_view, columns, text })
}

/// The lines that a statement gives for a table.
async fn lines_of(connection: &mut PgConnection, statement: &'static str, id: i64) -> sqlx::Result<Vec<String>> {
    let lines: Vec<String> = sqlx::query_scalar(statement).bind(id).fetch_all(&mut *connection).await?;
    Ok(lines.into_iter().map(|line| format!("`{line}`")).collect())
}

async fn rows(connection: &mut PgConnection, table: &str, kinds: &[(String, String)]) -> sqlx::Result<String> {
    // Names are quoted by the server; nothing else is put in.
    let count = format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT {}) AS counted", ROWS_COUNTED + 1);
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *connection).await?;
    if kinds.is_empty() {
        return Ok(rows_section(count, &[], &[]));
    }
    let shown = kinds.iter().map(|(column, kind)| match kind.as_str() {
        "bytea" => format!("'(' || octet_length({column}) || ' bytes)'"),
        _ => format!("left({column}::text, {})", VALUE_CHARS_MAX + 1),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    let sample = format!("SELECT {shown} FROM {table} LIMIT {ROWS_SHOWN}");
    let found = sqlx::query(AssertSqlSafe(sample)).fetch_all(&mut *connection).await?;
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        let value = |place| Ok(row.try_get::<Option<String>, _>(place)?.unwrap_or_else(|| "NULL".to_owned()));
        rows.push((0..row.len()).map(value).collect::<sqlx::Result<Vec<String>>>()?);
    }
    let names: Vec<String> = kinds.iter().map(|(column, _)| column.clone()).collect();
    Ok(rows_section(count, &names, &rows))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::runtime::Handle;

    use super::super::super::credentials::Secret;
    use super::super::super::{ListOptions, Store};
    use super::super::SqlStore;
    use super::*;

    fn credential(prefixes: &[&str], password: &str) -> Credential {
        Credential {
            name: "shop".to_owned(),
            kind: "sql".to_owned(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
            settings: BTreeMap::from([("user".to_owned(), "postgres".to_owned())]),
            secrets: BTreeMap::from([("password".to_owned(), Secret::new(password))]),
        }
    }

    fn store(guard: Guard, credentials: Vec<Credential>) -> SqlStore<Postgres> {
        SqlStore::new(Postgres::new(guard, Credentials::new(credentials)), Handle::current())
    }

    async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    #[test]
    fn addresses_have_one_spelling_and_no_secrets() {
        let postgres = Postgres::new(Guard::default(), Credentials::default());
        for (address, database, table) in [
            ("postgres://DB.example/shop", "postgres://db.example/shop", None),
            ("postgresql://db.example:5432/shop/", "postgres://db.example/shop", None),
            ("postgres://[::1]:6000/my%20shop", "postgres://[::1]:6000/my%20shop", None),
            ("postgres://db/shop#public.users", "postgres://db/shop", Some("public.users")),
            ("postgres://db/shop#public.%22a%20b%22", "postgres://db/shop", Some("public.\"a b\"")),
        ] {
            let (place, found) = postgres.parse(address).unwrap();
            assert_eq!((Postgres::uri(&place, None).as_str(), found.as_deref()), (database, table));
            let whole = Postgres::uri(&place, table);
            assert_eq!(postgres.parse(&whole).unwrap(), (place, found), "{whole}");
        }
        for (address, why) in [
            ("postgres://me:hunter2@db/shop", "credential"),
            ("postgres://db", "DATABASE"),
            ("postgres://db/a/b", "DATABASE"),
            ("postgres:///shop", "HOST"),
            ("postgres://db/shop?sslmode=disable", "parameters"),
        ] {
            let error = postgres.parse(address).unwrap_err();
            assert!(error.kind() == Kind::Invalid && error.message().contains(why), "{error}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_is_spoken_to_without_leave_and_a_user() {
        let list = |store: SqlStore<Postgres>| {
            away(move || store.list("postgres://127.0.0.1:1/shop", &ListOptions::default()).unwrap_err())
        };
        let nameless = list(store(Guard::new(true, &[]), Vec::new())).await;
        assert!(nameless.kind() == Kind::Denied && nameless.message().contains("[credentials."), "{nameless}");
        let own = || vec![credential(&["postgres://127.0.0.1:1/"], "x")];
        let walled = list(store(Guard::default(), own())).await;
        assert!(walled.kind() == Kind::Denied && walled.message().contains("network.allow_hosts"), "{walled}");
        let gone = list(store(Guard::new(true, &[]), own())).await;
        assert_eq!(gone.kind(), Kind::Unavailable, "nobody listens there: {gone}");
        let foreign = store(Guard::new(true, &[]), own()).under("postgres://other/shop", "shop").err().unwrap();
        assert!(foreign.message().contains("not sent"), "{foreign}");
    }

    /// Beside a server, as `make test` runs it: see scripts/postgres.py.
    #[tokio::test(flavor = "multi_thread")]
    async fn tables_are_described_and_changes_show_in_their_marks() {
        let (Ok(server), Ok(password)) =
            (std::env::var("HIVEMEM_POSTGRES"), std::env::var("HIVEMEM_POSTGRES_PASSWORD"))
        else {
            eprintln!("left out: HIVEMEM_POSTGRES names no server; `make test` starts one");
            return;
        };
        let (host, port) = server.rsplit_once(':').unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port.parse().unwrap())
            .username("postgres")
            .password(&password);
        let database = format!("shop {}", std::process::id());
        let mut first = options.clone().database("postgres").connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE \"{database}\""))).execute(&mut first).await.unwrap();
        let mut connection = options.database(&database).connect().await.unwrap();
        let schema = "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, photo bytea, seen timestamptz); \
                      COMMENT ON TABLE users IS 'Who buys.'; COMMENT ON COLUMN users.name IS 'as on the card'; \
                      CREATE TABLE \"order items\" (user_id bigint REFERENCES users(id), price numeric(8,2) DEFAULT 1.5, tags text[]); \
                      CREATE UNIQUE INDEX by_name ON users(name); \
                      CREATE VIEW names AS SELECT name FROM users; \
                      CREATE VIEW broken AS SELECT 1 / (id - id) AS x FROM users; \
                      INSERT INTO users VALUES (1, 'Ann | Co', '\\x0102', NULL), (2, 'Bob', NULL, NULL), (3, 'C', NULL, NULL), \
                      (4, 'D', NULL, NULL); INSERT INTO \"order items\" VALUES (1, 2.5, '{red,blue}')";
        sqlx::raw_sql(schema).execute(&mut connection).await.unwrap();

        let source = format!("postgres://{server}/{}", database.replace(' ', "%20"));
        let prefix = format!("postgres://{server}/");
        let guard = Guard::new(false, &[host.to_owned()]);
        let wrong = store(guard.clone(), vec![credential(&[&prefix], "wrong")]);
        let address = source.clone();
        let refused = away(move || wrong.list(&address, &ListOptions::default()).unwrap_err()).await;
        assert!(refused.kind() == Kind::Denied && refused.message().contains("refuses user"), "{refused}");

        let shop = store(guard, vec![credential(&[&prefix], &password)]);
        let look = move || {
            let listing = shop.list(&source, &ListOptions::default()).unwrap();
            let text = |object| String::from_utf8(shop.read(object, 100_000).unwrap()).unwrap();
            let texts: Vec<String> = listing.objects.iter().map(text).collect();
            let about = shop.about(listing.objects.last().unwrap()).unwrap();
            (source.clone(), listing, texts, about)
        };
        let (source, listing, texts, about) = away(look.clone()).await;
        let paths: Vec<&str> = listing.objects.iter().map(|object| object.path.as_str()).collect();
        assert_eq!(paths, ["public.\"order items\".md", "public.broken.md", "public.names.md", "public.users.md"]);
        assert_eq!(listing.objects[0].uri, format!("{source}#public.%22order%20items%22"));
        for (place, parts) in [
            (
                3,
                &[
                    "Who buys.",
                    "- `id` bigint, primary key, not null",
                    "- `name` text, not null: as on the card",
                    "CREATE UNIQUE INDEX by_name",
                    "4 rows.",
                    "| 1 | Ann \\| Co | (2 bytes) | NULL |",
                ][..],
            ),
            (
                0,
                &[
                    "FOREIGN KEY (user_id) REFERENCES users(id)",
                    "numeric(8,2), default 1.5",
                    "| 1 | 2.50 | {red,blue} |",
                ],
            ),
            (1, &["## Definition", "Its rows can't be read: division by zero."]),
            (2, &["View of a PostgreSQL database", "| Ann \\| Co |"]),
        ] {
            for part in parts {
                assert!(texts[place].contains(part), "{part:?} is missing in\n{}", texts[place]);
            }
        }
        assert!(!texts[3].contains("| 4 |"), "a few rows, not all");
        let described = about.describes.unwrap();
        assert_eq!(described.schema, "id bigint, name text, photo bytea, seen timestamp with time zone");
        assert!(described.description.contains("PostgreSQL"), "{}", described.description);

        sqlx::raw_sql("INSERT INTO users VALUES (5, 'E', NULL, NULL)").execute(&mut connection).await.unwrap();
        let (_, later, ..) = away(look).await;
        let changed = |place: usize| later.objects[place].mark != listing.objects[place].mark;
        assert!(changed(3) && !changed(0));
        connection.close().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE \"{database}\" WITH (FORCE)")))
            .execute(&mut first)
            .await
            .unwrap();
    }
}
