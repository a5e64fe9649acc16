//! SQL databases as sources: a document for each table or view, with its columns, keys and a few rows.
//!
//! They are opened read-only, and rows are samples: the data itself stays where it is. What differs between databases is behind
//! [`Database`]; what their tables are as documents and as data is here. The catalogue's own database engine is a room of its
//! own; these readers share nothing with it but the library.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::globs::Globs;
use super::{About, ListOptions, Listing, Object, Stat, Store, Ways, over_limit};
use crate::base::ContentHash;
use crate::base::error::{Error, Kind, Result};
use crate::model::{DataKind, DataObject};

pub mod postgres;
pub mod sqlite;

/// Rows shown of a table.
const ROWS_SHOWN: usize = 3;
/// Rows that are counted; more is "more than".
const ROWS_COUNTED: i64 = 100_000;
/// Longest value of a row that is shown.
const VALUE_CHARS_MAX: usize = 80;
/// Tables of one database that are described.
const TABLES_MAX: usize = 5_000;
/// Longest wait for one database: somebody may be writing it.
const TIME_MAX: Duration = Duration::from_secs(60);

/// A table as it is described.
#[derive(Debug, PartialEq)]
pub struct Table {
    name: String,
    is_view: bool,
    /// Names and types, as a statement has them.
    columns: String,
    text: String,
}

/// A kind of database.
#[async_trait::async_trait]
pub trait Database: Clone + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;

    /// Where one is, without the table.
    type Place: Send + Sync;

    /// An address as its database and table.
    ///
    /// # Errors
    /// Invalid for what can't be one.
    fn parse(&self, address: &str) -> Result<(Self::Place, Option<String>)>;

    /// The address of a database, or of a table of it.
    fn uri(place: &Self::Place, table: Option<&str>) -> String;

    /// What people call a database.
    fn label(place: &Self::Place) -> String;

    /// The command that shows a table, or what tables there are.
    fn native(place: &Self::Place, table: Option<&str>) -> String;

    /// The place as its only name; an error if it may not be read.
    ///
    /// # Errors
    /// Denied, not found.
    fn allowed(&self, place: Self::Place) -> Result<Self::Place>;

    /// The tables of a database, or the one that is asked for, by name. Their texts are the same as long as nothing changes.
    ///
    /// # Errors
    /// Those of the database, as it is to be told.
    async fn tables(&self, place: &Self::Place, only: Option<&str>) -> Result<Vec<Table>>;

    /// The same with the credential of this name.
    ///
    /// # Errors
    /// Invalid if it is not for that address, or none is taken.
    fn under(&self, uri: &str, credential: &str) -> Result<Self> {
        Err(Error::invalid("credential", format!("{uri} is read without credentials: leave out {credential:?}")))
    }
}

/// The store of a kind of database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SqlStore<D> {
    database: D,
    runtime: Handle,
}

impl<D: Database> SqlStore<D> {
    /// Reads through `database`; waits on `runtime`, so it is not to be called from one of its own threads.
    pub fn new(database: D, runtime: Handle) -> Self {
        Self { database, runtime }
    }

    fn tables(&self, place: D::Place, only: Option<&str>) -> Result<(D::Place, Vec<Table>)> {
        let place = self.database.allowed(place)?;
        let _context = self.runtime.enter();
        let read = tokio::time::timeout(TIME_MAX, self.database.tables(&place, only));
        let late = |_| Error::new(Kind::Unavailable, format!("{} takes too long to be read", D::label(&place)));
        let tables = self.runtime.block_on(read).map_err(late)??;
        Ok((place, tables))
    }

    fn object(place: &D::Place, table: &Table) -> Object {
        // A name may hold anything.
        let name: String = table.name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
        Object {
            path: format!("{name}.md"),
            uri: D::uri(place, Some(&table.name)),
            bytes: table.text.len() as u64,
            modified_at: None,
            mark: Some(ContentHash::of(table.text.as_bytes()).to_string()),
        }
    }

    /// The table that an address names.
    fn table(&self, address: &str) -> Result<Option<(D::Place, Table)>> {
        let (place, table) = self.database.parse(address)?;
        let name = table.ok_or_else(|| Error::invalid("uri", format!("{address} names no table")))?;
        let (place, mut tables) = self.tables(place, Some(&name))?;
        Ok(tables.pop().map(|table| (place, table)))
    }
}

impl<D: Database> Store for SqlStore<D> {
    fn resolve(&self, address: &str) -> Result<String> {
        let (place, table) = self.database.parse(address)?;
        Ok(D::uri(&self.database.allowed(place)?, table.as_deref()))
    }

    fn list(&self, source: &str, options: &ListOptions) -> Result<Listing> {
        let (globs, (place, table)) = (Globs::new(options)?, self.database.parse(source)?);
        let (place, tables) = self.tables(place, table.as_deref())?;
        let mut listing = Listing::default();
        listing.objects.extend(tables.iter().map(|table| Self::object(&place, table)));
        listing.objects.retain(|object| !globs.excludes(&object.path) && globs.includes(&object.path));
        listing.objects.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.uri.cmp(&b.uri)));
        Ok(listing)
    }

    fn list_at(&self, source: &str, options: &ListOptions, uris: &BTreeSet<String>) -> Result<Listing> {
        let mut listing = self.list(source, options)?;
        listing.objects.retain(|object| uris.contains(source) || uris.contains(&object.uri));
        Ok(listing)
    }

    fn read(&self, object: &Object, bytes_max: u64) -> Result<Vec<u8>> {
        let found = self.table(&object.uri)?;
        let (_, table) = found.ok_or_else(|| Error::not_found(format!("{} is no longer there", object.uri)))?;
        if table.text.len() as u64 > bytes_max {
            return Err(over_limit(&object.uri, table.text.len() as u64, bytes_max));
        }
        Ok(table.text.into_bytes())
    }

    fn stat(&self, uri: &str) -> Result<Option<Stat>> {
        Ok(self.table(uri)?.map(|(place, table)| {
            let Object { bytes, modified_at, mark, .. } = Self::object(&place, &table);
            Stat { bytes, modified_at, mark }
        }))
    }

    fn holds(&self, uri: &str) -> Result<Option<bool>> {
        let (place, table) = self.database.parse(uri)?;
        let there = match table {
            Some(_) => self.table(uri).map(|table| table.is_some()),
            None => self.database.allowed(place).map(|_| true),
        };
        match there {
            Err(error) if error.kind() == Kind::NotFound => Ok(Some(false)),
            there => there.map(Some),
        }
    }

    fn about(&self, object: &Object) -> Result<About> {
        let Some((place, table)) = self.table(&object.uri)? else { return Ok(About::default()) };
        let tags = vec!["table".to_owned()];
        let what = if table.is_view { "View" } else { "Table" };
        let described = DataObject {
            name: table.name.clone(),
            description: format!("{what} of the {} database {}", D::NAME, D::label(&place)),
            kind: DataKind::Table,
            schema: table.columns,
            tags: tags.clone(),
            ..DataObject::at(&object.uri)
        };
        Ok(About { title: Some(table.name), tags, describes: Some(Box::new(described)), ..About::default() })
    }

    fn under(&self, uri: &str, credential: &str) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(Self { database: self.database.under(uri, credential)?, runtime: self.runtime.clone() }))
    }

    fn ways(&self, uri: &str, _ttl: Duration) -> Result<Ways> {
        let (place, table) = self.database.parse(uri)?;
        Ok(Ways { native: Some(D::native(&place, table.as_deref())), ..Ways::default() })
    }
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A list of `lines` under a heading; nothing for none.
fn section(heading: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
    format!("\n## {heading}\n\n{lines}")
}

/// How many rows there are, and a few of them as a table.
fn rows_section(count: i64, names: &[String], rows: &[Vec<String>]) -> String {
    let count = if count > ROWS_COUNTED { format!("more than {ROWS_COUNTED}") } else { count.to_string() };
    let mut text = format!("\n## Rows\n\n{count} rows.\n");
    if !rows.is_empty() {
        text.push_str(&format!("\n| {} |\n|{}\n", names.join(" | "), " --- |".repeat(names.len())));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|value| cell(value)).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    text
}

/// A value in a cell of a table.
fn cell(value: &str) -> String {
    let flat = value.replace(['\n', '\r'], " ").replace('|', "\\|");
    match flat.char_indices().nth(VALUE_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &flat[..cut]),
        None => flat,
    }
}
