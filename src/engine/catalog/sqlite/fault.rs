//! What SQLite's failures mean to the rest of the program.

use crate::base::error::{Error, Kind};

/// Primary result codes, <https://www.sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const NOTADB: i32 = 26;

/// The error of a failed attempt to do `what` (a phrase after "cannot").
pub(super) fn fault(what: &str, cause: sqlx::Error) -> Error {
    let (kind, hint) = match (&cause, primary_code(&cause)) {
        (sqlx::Error::PoolTimedOut, _) => (Kind::Unavailable, "all its readers are busy, try again"),
        (_, Some(BUSY | LOCKED)) => (Kind::Unavailable, "the database is held by another process, try again"),
        (_, Some(FULL)) => (Kind::Unavailable, "the disk is full, make room and try again"),
        (_, Some(READONLY | CANTOPEN)) => (Kind::Precondition, "check that the data directory can be written"),
        (_, Some(CORRUPT | NOTADB)) => (Kind::Corrupt, "the database file is damaged, restore it or start a new one"),
        (_, Some(CONSTRAINT)) => (Kind::Conflict, "it contradicts what is stored already"),
        _ => (Kind::Internal, "the catalogue failed"),
    };
    Error::new(kind, format!("cannot {what}: {hint}")).caused_by(cause)
}

/// The result code without its extension bits.
fn primary_code(cause: &sqlx::Error) -> Option<i32> {
    let code: i32 = cause.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Says what was being done when the database failed.
pub(super) trait Doing<T> {
    /// Completes the sentence "cannot …".
    ///
    /// # Errors
    /// The database's error with the kind that fits it.
    fn doing(self, what: &str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, what: &str) -> Result<T, Error> {
        self.map_err(|cause| fault(what, cause))
    }
}

/// Stored data that this version cannot read.
pub(super) fn unreadable(what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the catalogue holds {what} that cannot be read: restore it from a backup"))
}
