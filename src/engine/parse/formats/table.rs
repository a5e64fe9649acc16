//! CSV and its like: how many rows, what each column holds, and some rows. Not every row: a thousand rows that differ in
//! their numbers are a thousand chunks that say the same.

use csv::{ReaderBuilder, StringRecord, WriterBuilder};

use super::columns::Values;
use super::notebook::fenced;
use super::{Extracted, Format, clipped, counted};
use crate::base::limits::{TABLE_COLUMNS_MAX, TABLE_ROWS_SAMPLED, TABLE_ROWS_WHOLE_MAX};
use crate::engine::parse::Skip;

/// Rows from which the separator is told.
const SNIFFED_ROWS: usize = 20;

/// Longest name of a column, and longest cell and row of a sample.
const NAME_BYTES_MAX: usize = 80;
/// See [`NAME_BYTES_MAX`].
const CELL_BYTES_MAX: usize = 120;
/// See [`NAME_BYTES_MAX`].
const ROW_BYTES_MAX: usize = 2_000;

/// Reads one; without a `delimiter` it is the one that splits the first rows into most columns.
pub(super) fn read(text: &str, delimiter: Option<u8>) -> Result<Extracted, Skip> {
    let delimiter = delimiter.unwrap_or_else(|| sniff(text));
    let damaged = Skip::Damaged(Format::Csv);
    let first = records(text, delimiter).next().ok_or(Skip::Empty)?.map_err(|_| damaged)?;
    let has_names = first.iter().all(|cell| {
        let mut values = Values::default();
        values.add(cell);
        values.is_only_text()
    });
    let mut columns: Vec<Values> = Vec::new();
    let mut rows = 0_usize;
    let mut width = first.len();
    for record in records(text, delimiter).skip(usize::from(has_names)) {
        let record = record.map_err(|_| damaged)?;
        rows += 1;
        width = width.max(record.len());
        for (at, cell) in record.iter().take(TABLE_COLUMNS_MAX).enumerate() {
            if at == columns.len() {
                columns.push(Values::default());
            }
            columns[at].add(cell);
        }
    }
    let name = |at: usize| match first.get(at).filter(|_| has_names) {
        Some(name) => clipped(name, NAME_BYTES_MAX),
        None => format!("column {}", at + 1),
    };
    let mut out = format!("Table of {} and {}.\n\n## Columns\n\n", many(rows, "row"), many(width, "column"));
    for at in 0..width.min(TABLE_COLUMNS_MAX) {
        let described = columns.get(at).map_or_else(|| "empty".to_owned(), Values::describe);
        out.push_str(&format!("- {}: {described}\n", name(at)));
    }
    let mut extracted = Extracted::markdown(out);
    extracted.note("rows", rows);
    extracted.note("columns", width);
    if width > TABLE_COLUMNS_MAX {
        extracted.note("columns_not_described", width - TABLE_COLUMNS_MAX);
    }
    let header = has_names.then_some(&first);
    push_sample(&mut extracted, text, delimiter, header, rows);
    Ok(extracted)
}

/// `1 row`, `1,204 rows`.
fn many(count: usize, of: &str) -> String {
    format!("{} {of}{}", counted(count), if count == 1 { "" } else { "s" })
}

/// All rows of a short table, rows at even distances of a long one.
fn push_sample(extracted: &mut Extracted, text: &str, delimiter: u8, header: Option<&StringRecord>, rows: usize) {
    if rows == 0 {
        return;
    }
    let shown = if rows <= TABLE_ROWS_WHOLE_MAX { rows } else { TABLE_ROWS_SAMPLED };
    let mut lines = String::new();
    if let Some(header) = header {
        lines.push_str(&line(header));
    }
    let all = records(text, delimiter).skip(usize::from(header.is_some()));
    for (at, record) in all.flatten().enumerate() {
        // The rows where at · shown / rows takes a new value.
        if at == 0 || at * shown / rows != (at - 1) * shown / rows {
            lines.push_str(&line(&record));
        }
    }
    let title = match shown == rows {
        true => "## Rows".to_owned(),
        false => format!("## {shown} of {} rows", counted(rows)),
    };
    extracted.text.push_str(&format!("\n{title}\n\n{}", fenced("csv", lines.trim_end())));
    if shown < rows {
        extracted.note("rows_shown", shown);
    }
}

fn records(text: &str, delimiter: u8) -> csv::StringRecordsIntoIter<&[u8]> {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    builder.from_reader(text.as_bytes()).into_records()
}

fn sniff(text: &str) -> u8 {
    let columns = |delimiter: u8| {
        let widths: Vec<usize> = records(text, delimiter).take(SNIFFED_ROWS).flatten().map(|row| row.len()).collect();
        let first = widths.first().copied().unwrap_or(0);
        // One that splits all rows alike is the one; of a ragged table the first row tells.
        if first > 1 { (widths.iter().all(|&width| width == first), first) } else { (false, 0) }
    };
    // The first of those that do equally well.
    [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|&delimiter| columns(delimiter)).unwrap_or(b',')
}

/// A row as a line of CSV, each cell on one line.
fn line(record: &StringRecord) -> String {
    let mut writer = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    let cells = record.iter().take(TABLE_COLUMNS_MAX).map(|cell| clipped(cell, CELL_BYTES_MAX));
    let written = writer.write_record(cells).is_ok();
    let bytes = writer.into_inner().ok().filter(|_| written).unwrap_or_default();
    let line = String::from_utf8(bytes).unwrap_or_default();
    format!("{}\n", clipped(&line, ROW_BYTES_MAX))
}
