//! Listing registered objects and documents as one, in the order of addresses.
//!
//! Both tables have an index of (namespace, uri). A page is a seek into each and a merge; a level of the tree is a chain of
//! seeks, from the first address of one folder to the first one after it, so a folder costs the same whatever it holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteRow;

use super::bulk::{Bound, Columns, for_each, signed};
use super::connect::Connections;
use super::fault::{Doing, unreadable};
use super::remove::after_prefix;
use crate::base::Timestamp;
use crate::base::error::{Error, Result};
use crate::engine::catalog::inventory::{Folder, Ingested, Level, Page};
use crate::model::data::{CARD, name_of};
use crate::model::{DataEntry, DataFilter, DataKind, Namespace};

/// Rows of each table that one page looks at where a filter may let few of them pass: some 10 ms.
const FILTERED_ROWS: usize = 4_000;

/// The end of addresses that begin with [`CARD`].
const CARD_END: &str = "view;";

/// An entry with what filters need to know of it.
struct Row {
    entry: DataEntry,
    tags: Vec<String>,
    owner: String,
}

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Table {
    Objects,
    Documents,
}

impl Table {
    /// Columns that [`Self::row`] reads.
    fn columns(self) -> &'static str {
        match self {
            Self::Objects => {
                "uri, name, kind, media_type, coalesce(seen_bytes, bytes), coalesce(seen_modified_at, modified_at), \
                 substr(description, 1, 400), tags, owner"
            }
            Self::Documents => {
                "uri, title, kind, media_type, bytes, modified_at, '', \
                 (SELECT json_group_array(tag) FROM tags WHERE document = documents.key), ''"
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Documents => "documents",
        }
    }

    fn row(self, row: &SqliteRow) -> Result<Row> {
        let uri: String = row.at(0)?;
        let registered = self == Self::Objects;
        let (name, kind) = if registered {
            (row.at(1)?, DataKind::parse(row.at(2)?).ok_or_else(|| unreadable("a kind of data"))?)
        } else {
            (name_of(&uri).to_owned(), DataKind::Object)
        };
        let entry = DataEntry {
            name,
            kind,
            media_type: row.at(3)?,
            bytes: row.at::<Option<i64>>(4)?.map(i64::unsigned_abs),
            indexed: !registered,
            registered,
            modified_at: row.at::<Option<i64>>(5)?.map(Timestamp),
            description: row.at::<&str>(6)?.lines().next().unwrap_or_default().to_owned(),
            uri,
        };
        let tags = serde_json::from_str(row.at(7)?).map_err(|cause| unreadable("tags").caused_by(cause))?;
        Ok(Row { entry, tags, owner: row.at(8)? })
    }
}

/// One entry of what is registered and what is ingested under the same address.
fn joined(object: Row, document: Row) -> Row {
    let DataEntry { media_type, bytes, modified_at, .. } = document.entry;
    let mut entry = object.entry;
    entry.indexed = true;
    if entry.media_type.is_empty() {
        entry.media_type = media_type;
    }
    entry.bytes = entry.bytes.or(bytes);
    entry.modified_at = entry.modified_at.or(modified_at);
    Row { entry, tags: [object.tags, document.tags].concat(), owner: object.owner }
}

/// The part of the order of addresses that is looked at: from the first, which is in it or not, up to before the end.
#[derive(Debug, Clone)]
struct Span {
    from: String,
    open: bool,
    end: Option<String>,
}

impl Span {
    /// What begins with `prefix`, from after `after`.
    fn new(prefix: &str, after: Option<&str>) -> Self {
        let after = after.filter(|after| *after >= prefix);
        Self { from: after.unwrap_or(prefix).to_owned(), open: after.is_some(), end: after_prefix(prefix) }
    }

    /// The same without the addresses of cards, in at most two parts.
    fn without_cards(self) -> Vec<Self> {
        let end_is_before = |at: &str| self.end.as_deref().is_some_and(|end| end <= at);
        if end_is_before(CARD) || self.from.as_str() >= CARD_END {
            return vec![self];
        }
        let before = Self { end: Some(CARD.to_owned()), ..self.clone() };
        let after = Self { from: CARD_END.to_owned(), open: false, end: self.end.clone() };
        let mut parts = Vec::new();
        parts.extend((self.from.as_str() < CARD).then_some(before));
        parts.extend((!end_is_before(CARD_END)).then_some(after));
        parts
    }
}

/// Up to `limit` rows of one table in order.
async fn rows(
    connections: &Connections,
    namespace: &Namespace,
    table: Table,
    span: &Span,
    limit: usize,
) -> Result<Vec<Row>> {
    let spans = if table == Table::Documents { span.clone().without_cards() } else { vec![span.clone()] };
    let (columns, name) = (table.columns(), table.name());
    let mut found = Vec::new();
    let mut reader = connections.reader().await?;
    for span in spans {
        let from = if span.open { ">" } else { ">=" };
        let sql = format!(
            "SELECT {columns} FROM {name} WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) \
             AND uri {from} ?2 AND uri < coalesce(?3, x'FF') ORDER BY uri LIMIT ?4"
        );
        let query: Bound<'_> = sqlx::query(AssertSqlSafe(sql))
            .bind(namespace.as_str())
            .bind(span.from)
            .bind(span.end)
            .bind(signed((limit - found.len()) as u64)?);
        for_each(&mut reader, query, |row| {
            found.push(table.row(row)?);
            Ok(())
        })
        .await?;
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Joins two lists in order. Gives no entry beyond the end of a list that was cut at `window`, and that end if there is one.
fn merge(objects: Vec<Row>, documents: Vec<Row>, window: usize) -> (Vec<Row>, Option<String>) {
    let cut = |rows: &Vec<Row>| rows.last().filter(|_| rows.len() >= window).map(|row| row.entry.uri.clone());
    let horizon = [cut(&objects), cut(&documents)].into_iter().flatten().min();
    let mut by_uri: BTreeMap<String, Row> = objects.into_iter().map(|row| (row.entry.uri.clone(), row)).collect();
    for document in documents {
        let uri = document.entry.uri.clone();
        let row = match by_uri.remove(&uri) {
            Some(object) => joined(object, document),
            None => document,
        };
        by_uri.insert(uri, row);
    }
    let within = |uri: &String| horizon.as_ref().is_none_or(|horizon| uri <= horizon);
    (by_uri.into_iter().take_while(|(uri, _)| within(uri)).map(|(_, row)| row).collect(), horizon)
}

/// See `Inventory::list_data`.
pub(super) async fn list_data(
    connections: &Connections,
    namespace: &Namespace,
    prefix: &str,
    filter: &DataFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Page> {
    let window = if filter.is_empty() { limit + 1 } else { FILTERED_ROWS.max(limit + 1) };
    let span = Span::new(prefix, after);
    let objects = rows(connections, namespace, Table::Objects, &span, window).await?;
    let documents = rows(connections, namespace, Table::Documents, &span, window).await?;
    let (merged, horizon) = merge(objects, documents, window);
    let mut page = Page { entries: Vec::new(), after: horizon };
    let mut rest = merged.into_iter();
    for row in rest.by_ref() {
        if filter.admits(&row.entry, &row.tags, &row.owner) {
            page.entries.push(row.entry);
        }
        if page.entries.len() == limit {
            break;
        }
    }
    if page.entries.len() == limit && (rest.next().is_some() || page.after.is_some()) {
        page.after = page.entries.last().map(|entry| entry.uri.clone());
    }
    Ok(page)
}

/// What separates the parts of an address on one level.
struct Cut {
    /// Characters before it.
    length: i64,
    delimiter: char,
    /// The character after the delimiter: what follows a folder begins with it.
    next: char,
}

impl Cut {
    fn of(prefix: &str) -> Self {
        let (delimiter, next) = if prefix.is_empty() { (':', ';') } else { ('/', '0') };
        Self { length: prefix.chars().count() as i64, delimiter, next }
    }

    /// The folder of an address on this level; none if it lies on the level itself.
    fn folder<'a>(&self, prefix: &str, uri: &'a str) -> Option<&'a str> {
        let rest = uri.get(prefix.len()..)?;
        let mut end = prefix.len() + rest.find(self.delimiter)? + self.delimiter.len_utf8();
        // Of a scheme the slashes belong to it.
        if prefix.is_empty() && uri[end..].starts_with("//") {
            end += 2;
        }
        Some(&uri[..end])
    }

    /// Where it goes on after a folder or entry.
    fn beyond(&self, prefix: &str, child: &str) -> String {
        match child.get(prefix.len()..).and_then(|rest| rest.find(self.delimiter)) {
            Some(at) => format!("{}{}", &child[..prefix.len() + at], self.next),
            None => format!("{child}\u{1}"),
        }
    }
}

/// The first addresses of at most `limit` folders and entries of one table.
async fn children(
    connections: &Connections,
    namespace: &Namespace,
    table: Table,
    prefix: &str,
    from: &str,
    limit: usize,
) -> Result<Vec<String>> {
    let (cut, name) = (Cut::of(prefix), table.name());
    let sql = format!(
        "WITH RECURSIVE owner (key) AS (SELECT key FROM namespaces WHERE name = ?1), level (uri) AS (\
         SELECT (SELECT uri FROM {name} WHERE namespace = (SELECT key FROM owner) AND uri >= ?2 AND uri < coalesce(?3, x'FF') \
         ORDER BY uri LIMIT 1) \
         UNION ALL SELECT (SELECT uri FROM {name} WHERE namespace = (SELECT key FROM owner) \
         AND uri >= CASE instr(substr(level.uri, ?4 + 1), ?5) WHEN 0 THEN level.uri || char(1) \
         ELSE substr(level.uri, 1, ?4 + instr(substr(level.uri, ?4 + 1), ?5) - 1) || ?6 END \
         AND uri < coalesce(?3, x'FF') ORDER BY uri LIMIT 1) FROM level WHERE level.uri IS NOT NULL) \
         SELECT uri FROM level WHERE uri IS NOT NULL LIMIT ?7"
    );
    let query: Bound<'_> = sqlx::query(AssertSqlSafe(sql))
        .bind(namespace.as_str())
        .bind(from.to_owned())
        .bind(after_prefix(prefix))
        .bind(cut.length)
        .bind(cut.delimiter.to_string())
        .bind(cut.next.to_string())
        .bind(signed(limit as u64)?);
    let mut found = Vec::new();
    let mut reader = connections.reader().await?;
    for_each(&mut reader, query, |row| {
        found.push(row.at::<String>(0)?);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// See `Inventory::list_level`.
pub(super) async fn list_level(
    connections: &Connections,
    namespace: &Namespace,
    prefix: &str,
    filter: &DataFilter,
    after: Option<&str>,
    (limit, counted): (usize, u64),
) -> Result<Level> {
    let cut = Cut::of(prefix);
    // The prefix itself is the level, nothing on it; and one more is asked for to know whether there is more.
    let begin = if prefix.is_empty() { String::new() } else { format!("{prefix}\u{1}") };
    let from = after.map_or(begin, |after| cut.beyond(prefix, after));
    let mut level: BTreeSet<String> = BTreeSet::new();
    let mut horizon: Option<String> = None;
    for table in [Table::Objects, Table::Documents] {
        // One more again, for the folder of cards, which is not shown.
        let found = children(connections, namespace, table, prefix, &from, limit + 2).await?;
        let names = found.iter().map(|uri| cut.folder(prefix, uri).unwrap_or(uri).to_owned());
        let names: Vec<String> = names.filter(|name| !name.starts_with(CARD)).collect();
        if found.len() >= limit + 2 {
            horizon = horizon.into_iter().chain(names.last().cloned()).min();
        }
        level.extend(names);
    }
    let known = level.into_iter().take_while(|name| horizon.as_ref().is_none_or(|horizon| name <= horizon));
    let mut known = known.collect::<Vec<_>>();
    let more = known.len() > limit || horizon.is_some();
    known.truncate(limit);
    let mut listed =
        Level { page: Page { after: known.last().filter(|_| more).cloned(), ..Page::default() }, ..Level::default() };
    let is_folder = |name: &&String| cut.folder(prefix, name).is_some();
    for uri in known.iter().filter(is_folder) {
        listed.folders.push(count(connections, namespace, uri, counted).await?);
    }
    listed.page.entries = named(connections, namespace, filter, &known).await?;
    Ok(listed)
}

/// The entries with these addresses that pass.
async fn named(
    connections: &Connections,
    namespace: &Namespace,
    filter: &DataFilter,
    uris: &[String],
) -> Result<Vec<DataEntry>> {
    let json = serde_json::to_string(uris).map_err(|cause| Error::internal("URIs are no JSON").caused_by(cause))?;
    let mut found: HashMap<Table, Vec<Row>> = HashMap::new();
    let mut reader = connections.reader().await?;
    for table in [Table::Objects, Table::Documents] {
        let (columns, name) = (table.columns(), table.name());
        let sql = format!(
            "SELECT {columns} FROM {name} WHERE namespace = (SELECT key FROM namespaces WHERE name = ?1) \
             AND uri IN (SELECT value FROM json_each(?2)) ORDER BY uri"
        );
        let query: Bound<'_> = sqlx::query(AssertSqlSafe(sql)).bind(namespace.as_str()).bind(json.clone());
        let rows = found.entry(table).or_default();
        for_each(&mut reader, query, |row| {
            rows.push(table.row(row)?);
            Ok(())
        })
        .await?;
    }
    let mut take = |table| found.remove(&table).unwrap_or_default();
    let (merged, _) = merge(take(Table::Objects), take(Table::Documents), usize::MAX);
    Ok(merged.into_iter().filter(|row| filter.admits(&row.entry, &row.tags, &row.owner)).map(|row| row.entry).collect())
}

/// A folder with what lies in it, counted up to `counted`.
async fn count(connections: &Connections, namespace: &Namespace, folder: &str, counted: u64) -> Result<Folder> {
    let mut reader = connections.reader().await?;
    let found: i64 = sqlx::query_scalar(
        "WITH owner (key) AS (SELECT key FROM namespaces WHERE name = ?1) SELECT count(*) FROM (\
         SELECT uri FROM (SELECT uri FROM objects WHERE namespace = (SELECT key FROM owner) \
         AND uri > ?2 AND uri < coalesce(?3, x'FF') LIMIT ?4 + 1) UNION \
         SELECT uri FROM (SELECT uri FROM documents WHERE namespace = (SELECT key FROM owner) \
         AND uri > ?2 AND uri < coalesce(?3, x'FF') LIMIT ?4 + 1))",
    )
    .bind(namespace.as_str())
    .bind(folder)
    .bind(after_prefix(folder))
    .bind(signed(counted)?)
    .fetch_one(&mut *reader)
    .await
    .doing("count objects")?;
    let found = found.unsigned_abs();
    Ok(Folder { uri: folder.to_owned(), objects: found.min(counted), at_least: found > counted })
}

/// See `Inventory::ingested`.
pub(super) async fn ingested(
    connections: &Connections,
    namespace: &Namespace,
    uri: &str,
    limit: usize,
) -> Result<Ingested> {
    let mut reader = connections.reader().await?;
    let row = sqlx::query(
        "SELECT s.uri, d.chunks, d.tokens FROM documents AS d JOIN sources AS s ON s.key = d.source \
         WHERE d.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND d.uri = ?2",
    )
    .bind(namespace.as_str())
    .bind(uri)
    .fetch_optional(&mut *reader)
    .await
    .doing("read a document")?;
    let mut ingested = Ingested::default();
    if let Some(row) = row {
        (ingested.source, ingested.chunks, ingested.tokens) = (row.at(0)?, row.unsigned(1)?, row.unsigned(2)?);
    }
    // At it, below it, or of the source with this address, whose documents may have addresses of their own.
    let below = format!("{}/", uri.trim_end_matches('/'));
    let query = |what: &str, limit: &str| {
        AssertSqlSafe(format!(
            "WITH owner (key) AS (SELECT key FROM namespaces WHERE name = ?1), found (uri) AS (\
             SELECT uri FROM documents WHERE namespace = (SELECT key FROM owner) AND uri = ?2 UNION \
             SELECT uri FROM documents WHERE namespace = (SELECT key FROM owner) AND uri >= ?3 AND uri < ?4 UNION \
             SELECT d.uri FROM sources AS s CROSS JOIN documents AS d ON d.source = s.key \
             WHERE s.namespace = (SELECT key FROM owner) AND s.uri = ?2) SELECT {what} FROM found {limit}"
        ))
    };
    let bound = |query: Bound<'static>| {
        query.bind(namespace.as_str().to_owned()).bind(uri.to_owned()).bind(below.clone()).bind(after_prefix(&below))
    };
    let first = bound(sqlx::query(query("uri", "ORDER BY uri LIMIT ?5"))).bind(signed(limit as u64)?);
    for_each(&mut reader, first, |row| {
        ingested.documents.push(row.at(0)?);
        Ok(())
    })
    .await?;
    for_each(&mut reader, bound(sqlx::query(query("count(*)", ""))), |row| {
        ingested.documents_total = row.unsigned(0)?;
        Ok(())
    })
    .await?;
    Ok(ingested)
}
