//! Why a run stopped without an end. It stays open and can be resumed.

use std::fmt;

use crate::error::{ClientError, ErrorKind};

/// A run that stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum SwarmError {
    /// Another process holds the run; the text names it.
    LeaseLost(String),
    /// The server refused, or did not answer for longer than the run's patience.
    Server(ClientError),
    /// What the caller gave can't be used.
    Invalid(String),
}

impl fmt::Display for SwarmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost(winner) => write!(f, "another process works on this run: {winner}"),
            Self::Server(error) => error.fmt(f),
            Self::Invalid(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for SwarmError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Server(error) = self { Some(error) } else { None }
    }
}

impl From<ClientError> for SwarmError {
    /// A conflict about a run is always about its lease.
    fn from(error: ClientError) -> Self {
        if error.code() == "ABORTED" { Self::LeaseLost(error.message().to_owned()) } else { Self::Server(error) }
    }
}

/// Whether the same call may well succeed later.
pub(super) fn passes(error: &ClientError) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Connect | ErrorKind::Deadline)
}
