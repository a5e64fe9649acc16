//! The one error type of the crate.
//!
//! An error says what was wrong, with which input, and what to do about it. Its [`Kind`] decides the gRPC status; the
//! `source` chain is for the log and never crosses the wire. There is deliberately no blanket `From` for foreign
//! errors: each place that meets one says what it was doing.

use std::fmt;

/// Shorthand used across the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure this is. Kept small: a caller decides by kind what to do, not by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself is wrong; sending it again cannot help.
    Invalid,
    /// A limit of [`super::limits`] was passed; the message names it.
    Limit,
    /// What was asked for does not exist.
    NotFound,
    /// It exists already, or is held by another owner.
    Conflict,
    /// The caller does not hold what it needs to hold for this: another does, or its own lease is over.
    Lease,
    /// Who the caller is was not shown, or wrongly.
    Unauthenticated,
    /// This may not be done, by the caller or by the server for it.
    Denied,
    /// The system is not in a state in which this can work (a missing model, say); an operator has to act.
    Precondition,
    /// A part is down or busy; try again later.
    Unavailable,
    /// The deadline passed or the caller went away.
    Deadline,
    /// Stored data is damaged or was written by an incompatible version.
    Corrupt,
    /// A bug, or an operating-system failure that has no better kind.
    Internal,
}

/// An error with its kind, a message for people, and the cause for the log.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    field: Option<&'static str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a message that says what, which input, and what to do.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), field: None, source: None }
    }

    /// [`Kind::Invalid`], naming the request field that is wrong.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(Kind::Invalid, message) }
    }

    /// [`Kind::Limit`], naming the request field that is over it.
    pub fn limit(field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::new(Kind::Limit, message) }
    }

    /// [`Kind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// [`Kind::Internal`] while doing `what`.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Kind::Internal, what)
    }

    /// Attaches the cause, which is logged but never sent to a client.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The request field at fault, where there is one.
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// Message and all causes in one line, for the log.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

/// Adds what was being done to a foreign error.
pub trait Context<T> {
    /// Turns the error into one of `kind` with the message that `what` makes.
    ///
    /// # Errors
    /// The original error, wrapped.
    fn context<M: Into<String>>(self, kind: Kind, what: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context<M: Into<String>>(self, kind: Kind, what: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|cause| Error::new(kind, what()).caused_by(cause))
    }
}
