//! Many rows per statement: a statement costs some 20 µs on its way to sqlx's worker thread, a row only a few.

use futures::TryStreamExt;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

use super::fault::{Doing, unreadable};
use crate::base::error::{Error, Result};

/// Rows of one insert. Beyond 64 nothing is gained; 64 × 22 columns is far below SQLite's 32,766 variables.
const ROWS_MAX: usize = 64;

/// After this many rows other tasks get a turn; decoding them takes about 200 µs.
const ROWS_PER_TURN: usize = 128;

/// Positional arguments of a statement.
#[derive(Default)]
pub(super) struct Args(SqliteArguments);

impl Args {
    /// Appends one argument.
    ///
    /// # Errors
    /// Internal, if the driver can't encode it.
    pub(super) fn add<'t, T>(&mut self, value: T) -> Result<()>
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        Arguments::add(&mut self.0, value).map_err(|cause| Error::internal("cannot encode a value").caused_by(cause))
    }

    /// Appends a count, size or position.
    ///
    /// # Errors
    /// Invalid above 2⁶³ − 1, the largest integer that SQL has.
    pub(super) fn add_unsigned(&mut self, value: u64) -> Result<()> {
        self.add(signed(value)?)
    }
}

/// A count, size or position as SQL holds it.
///
/// # Errors
/// Invalid above 2⁶³ − 1.
pub(super) fn signed(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::invalid("value", format!("the number {value} is too large to be stored")))
}

/// An `INSERT` of any number of rows.
pub(super) struct Insert {
    /// Up to and including `VALUES`.
    pub(super) head: &'static str,
    /// Values a row.
    pub(super) columns: usize,
    /// After the rows, such as an `ON CONFLICT` clause.
    pub(super) tail: &'static str,
}

impl Insert {
    /// Inserts `rows`; `bind` appends the values of one.
    ///
    /// # Errors
    /// What `bind` or the database says.
    pub(super) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: Vec<T>,
        mut bind: impl FnMut(&mut Args, T) -> Result<()>,
    ) -> Result<()> {
        let mut left = rows.len();
        let mut rows = rows.into_iter();
        while left > 0 {
            // Powers of two only, so that the statement cache holds them all: 64, 32, … 1.
            let count = if left >= ROWS_MAX { ROWS_MAX } else { 1 << left.ilog2() };
            let mut args = Args::default();
            args.0.reserve(count * self.columns, 0);
            for row in rows.by_ref().take(count) {
                bind(&mut args, row)?;
            }
            let sql = AssertSqlSafe(self.sql(count));
            sqlx::query_with(sql, args.0).execute(&mut *connection).await.doing("write to the catalogue")?;
            left -= count;
        }
        Ok(())
    }

    fn sql(&self, count: usize) -> String {
        let row = format!("({}?)", "?,".repeat(self.columns - 1));
        let mut sql = String::with_capacity(self.head.len() + self.tail.len() + count * (row.len() + 1) + 2);
        sql.push_str(self.head);
        for index in 0..count {
            sql.push(if index == 0 { ' ' } else { ',' });
            sql.push_str(&row);
        }
        sql.push(' ');
        sql.push_str(self.tail);
        sql
    }
}

/// A query with its arguments in place.
pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Runs `query` and hands each row to `each`, giving way to other tasks now and then.
///
/// # Errors
/// What `each` or the database says.
pub(super) async fn for_each(
    connection: &mut SqliteConnection,
    query: Bound<'_>,
    mut each: impl FnMut(&SqliteRow) -> Result<()>,
) -> Result<()> {
    while_each(connection, query, |row| each(row).map(|()| true)).await
}

/// Like [`for_each`] until `each` says false.
///
/// # Errors
/// What `each` or the database says.
pub(super) async fn while_each(
    connection: &mut SqliteConnection,
    query: Bound<'_>,
    mut each: impl FnMut(&SqliteRow) -> Result<bool>,
) -> Result<()> {
    let mut rows = query.fetch(connection);
    let mut seen = 0_usize;
    while let Some(row) = rows.try_next().await.doing("read the catalogue")? {
        if !each(&row)? {
            break;
        }
        seen += 1;
        if seen.is_multiple_of(ROWS_PER_TURN) {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Typed access to the columns of a row by position.
pub(super) trait Columns {
    /// Column `index`.
    ///
    /// # Errors
    /// Corrupt, if it does not hold a `T`.
    fn at<'r, T>(&'r self, index: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, Sqlite> + Type<Sqlite>;

    /// Column `index`, which holds a number from 0.
    ///
    /// # Errors
    /// Corrupt, if it holds anything else.
    fn unsigned(&self, index: usize) -> Result<u64>;

    /// Column `index`, which holds a small number from 0.
    ///
    /// # Errors
    /// Corrupt, if it holds anything else.
    fn small(&self, index: usize) -> Result<u32>;
}

impl Columns for SqliteRow {
    fn at<'r, T>(&'r self, index: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, Sqlite> + Type<Sqlite>,
    {
        sqlx::Row::try_get(self, index).map_err(|cause| unreadable("a value").caused_by(cause))
    }

    fn unsigned(&self, index: usize) -> Result<u64> {
        u64::try_from(self.at::<i64>(index)?).map_err(|_| unreadable("a negative count"))
    }

    fn small(&self, index: usize) -> Result<u32> {
        u32::try_from(self.at::<i64>(index)?).map_err(|_| unreadable("a number out of range"))
    }
}

/// `["0a…", …]`: ids as one argument, taken apart again by `unhex(value)` over `json_each(?)`, so that one prepared
/// statement serves any number of them.
///
/// Where a query wants the namespace as well, it says `+namespace = …`: without the plus SQLite goes through all rows of the
/// namespace and compares their ids, some 300 ns each.
pub(super) fn json_hex<'a>(ids: impl IntoIterator<Item = &'a [u8]>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut json = String::from("[");
    for id in ids {
        json.push_str(if json.len() == 1 { "\"" } else { ",\"" });
        for byte in id {
            json.push(char::from(DIGITS[usize::from(byte >> 4)]));
            json.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        json.push('"');
    }
    json.push(']');
    json
}

/// `[1,2,…]`: keys as one argument for `json_each(?)`.
pub(super) fn json_keys(keys: impl IntoIterator<Item = i64>) -> String {
    let mut json = String::from("[");
    for key in keys {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&key.to_string());
    }
    json.push(']');
    json
}
