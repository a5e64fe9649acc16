//! Writing to stdout: results only, and a reader that went away (`| head`) is not an error.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::failure::Failure;

/// Columns to fill where stdout is not a terminal: files and pipes have no width, but nobody reads endless lines.
const PIPE_COLUMNS: usize = 200;

/// Prints text that already ends as it should; adds a last newline where it has none.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match write!(stdout, "{text}{newline}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("stdout can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints one JSON value on one line.
pub(super) fn print_json(value: &Value) -> Result<(), Failure> {
    print(&value.to_string())
}

/// A line on stderr for the person at the terminal.
pub(super) fn note(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// Columns of the terminal at stdout.
pub(super) fn columns() -> usize {
    if !io::stdout().is_terminal() {
        return PIPE_COLUMNS;
    }
    usize::from(console::Term::stdout().size().1).max(40)
}
