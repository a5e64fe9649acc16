//! Jupyter notebooks as Markdown: cells in order, code in fences, outputs cut short.

use serde::Deserialize;
use serde_json::Value;

use super::{Extracted, Format};
use crate::engine::parse::Skip;

/// Lines and bytes that are kept of one cell's outputs: enough for an error or the head of a table. Longer ones are data
/// that a run can make again.
const OUTPUT_LINES_MAX: usize = 8;
/// See [`OUTPUT_LINES_MAX`].
const OUTPUT_BYTES_MAX: usize = 600;

/// What is read of a notebook. Everything that may be missing may be missing: old writers left out a lot.
#[derive(Deserialize)]
struct Notebook {
    #[serde(default)]
    metadata: Value,
    cells: Option<Vec<Cell>>,
    /// Where cells were before version 4.
    worksheets: Option<Vec<Worksheet>>,
}

#[derive(Deserialize)]
struct Worksheet {
    #[serde(default)]
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct Cell {
    cell_type: String,
    /// `source`, and `input` for code before version 4.
    #[serde(default, alias = "input")]
    source: Lines,
    /// Of a heading before version 4.
    level: Option<usize>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    text: Lines,
    #[serde(default)]
    data: Data,
    ename: Option<String>,
    evalue: Option<String>,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(default, rename = "text/plain")]
    plain: Lines,
}

/// One text, or one in lines.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Lines {
    Whole(String),
    Split(Vec<String>),
    #[default]
    None,
}

impl Lines {
    fn joined(&self) -> String {
        match self {
            Self::Whole(text) => text.clone(),
            Self::Split(lines) => lines.concat(),
            Self::None => String::new(),
        }
    }
}

/// Reads one.
pub(super) fn read(json: &str) -> Result<Extracted, Skip> {
    let damaged = Skip::Damaged(Format::Notebook);
    let notebook: Notebook = serde_json::from_str(json).map_err(|_| damaged)?;
    let named = |pointer| notebook.metadata.pointer(pointer).and_then(Value::as_str);
    let language = named("/kernelspec/language").or_else(|| named("/language_info/name")).unwrap_or("python");
    let cells: Vec<Cell> = match (notebook.cells, notebook.worksheets) {
        (Some(cells), _) => cells,
        (None, Some(sheets)) => sheets.into_iter().flat_map(|sheet| sheet.cells).collect(),
        (None, None) => return Err(damaged),
    };
    let mut out = String::new();
    for cell in &cells {
        let source = cell.source.joined();
        let source = source.trim_end();
        if source.trim().is_empty() {
            continue;
        }
        match (cell.cell_type.as_str(), cell.level) {
            ("code", _) => {
                out.push_str(&fenced(language, source));
                let shown = outputs(&cell.outputs);
                if !shown.is_empty() {
                    out.push_str("Output:\n\n");
                    out.push_str(&fenced("text", &shown));
                }
            }
            ("heading", Some(level)) => out.push_str(&format!("{} {source}\n\n", "#".repeat(level.clamp(1, 6)))),
            _ => out.push_str(&format!("{source}\n\n")),
        }
    }
    Ok(Extracted::markdown(out))
}

/// `text` between fences that it doesn't hold itself.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}{language}\n{text}\n{fence}\n\n")
}

/// The head of what a cell put out: text and errors, nothing drawn.
fn outputs(outputs: &[Output]) -> String {
    let texts = outputs.iter().map(|output| match (&output.ename, &output.evalue) {
        (Some(name), value) => format!("{name}: {}", value.as_deref().unwrap_or_default()),
        _ => output.text.joined() + &output.data.plain.joined(),
    });
    let whole = texts.map(|text| text.trim_end().to_owned()).filter(|text| !text.is_empty()).collect::<Vec<_>>();
    let whole = whole.join("\n");
    let mut shown: String = whole.lines().take(OUTPUT_LINES_MAX).collect::<Vec<_>>().join("\n");
    shown.truncate(shown.floor_char_boundary(OUTPUT_BYTES_MAX));
    if shown.len() < whole.len() {
        shown.push_str("\n…");
    }
    shown
}
