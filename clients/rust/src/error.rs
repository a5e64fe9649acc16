//! The one error of the client: what the server said, with its code and the details it attached.

use std::fmt;

use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt};

/// What sort of failure this is; decide by it, not by the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nobody answers at the address.
    Connect,
    /// The request is wrong; sending it again cannot help.
    Invalid,
    /// Over a limit that the message names.
    Limit,
    /// What was asked for does not exist.
    NotFound,
    /// It exists already or is held by another owner.
    Conflict,
    /// The token does not allow this.
    Denied,
    /// The server is not in a state in which this can work; an operator has to act.
    Precondition,
    /// A part of the server is down or busy; try again later.
    Unavailable,
    /// The deadline passed, or the call was cancelled.
    Deadline,
    /// The server does not know this method.
    Unsupported,
    /// Stored data is damaged, or the server has a bug.
    Internal,
}

/// One detail that came with an error: a request field and what is wrong with it, or a limit and how it was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The field, limit or precondition.
    pub subject: String,
    /// What is wrong with it.
    pub description: String,
}

/// A failed call.
#[derive(Debug)]
pub struct ClientError {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    details: Vec<Detail>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ClientError {
    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The gRPC code's name, such as `INVALID_ARGUMENT`; empty if the call never reached a server.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The server's message alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Field violations, limits and preconditions that the server named (`google.rpc` error details).
    pub fn details(&self) -> &[Detail] {
        &self.details
    }

    /// An error that arose on this side of the wire.
    pub(crate) fn local(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: "", message: message.into(), details: Vec::new(), source: None }
    }

    /// Nobody answers at `url`.
    pub(crate) fn connect(url: &str, source: tonic::transport::Error) -> Self {
        let reason = innermost(&source);
        let message = format!("no server answers at {url} ({reason})");
        Self { source: Some(Box::new(source)), ..Self::local(ErrorKind::Connect, message) }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details_vec().into_iter().flat_map(details_of).collect();
        let (kind, code) = classify(status.code());
        let message = match status.message() {
            "" => format!("the server gave no reason ({})", status.code().description()),
            text => text.to_owned(),
        };
        Self { kind, code, message, details, source: Some(Box::new(status)) }
    }
}

impl fmt::Display for ClientError {
    /// One line: the message, the details that it does not say already, the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for detail in &self.details {
            let said = detail.description.is_empty() || self.message.contains(&detail.description);
            match (said, detail.subject.is_empty() || names(&self.message, &detail.subject)) {
                (true, true) => {}
                (true, false) => write!(f, " ({})", detail.subject)?,
                (false, _) if detail.subject.is_empty() => write!(f, "; {}", detail.description)?,
                (false, _) => write!(f, "; {}: {}", detail.subject, detail.description)?,
            }
        }
        if self.code.is_empty() { Ok(()) } else { write!(f, " [{}]", self.code) }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}

fn details_of(detail: ErrorDetail) -> Vec<Detail> {
    match detail {
        ErrorDetail::BadRequest(bad) => bad
            .field_violations
            .into_iter()
            .map(|violation| Detail { subject: violation.field, description: violation.description })
            .collect(),
        ErrorDetail::QuotaFailure(quota) => quota
            .violations
            .into_iter()
            .map(|violation| Detail { subject: violation.subject, description: violation.description })
            .collect(),
        ErrorDetail::PreconditionFailure(failure) => failure
            .violations
            .into_iter()
            .map(|violation| Detail { subject: violation.subject, description: violation.description })
            .collect(),
        _ => Vec::new(),
    }
}

fn classify(code: Code) -> (ErrorKind, &'static str) {
    match code {
        Code::Ok => (ErrorKind::Internal, "OK"),
        Code::InvalidArgument => (ErrorKind::Invalid, "INVALID_ARGUMENT"),
        Code::OutOfRange => (ErrorKind::Limit, "OUT_OF_RANGE"),
        Code::ResourceExhausted => (ErrorKind::Limit, "RESOURCE_EXHAUSTED"),
        Code::NotFound => (ErrorKind::NotFound, "NOT_FOUND"),
        Code::AlreadyExists => (ErrorKind::Conflict, "ALREADY_EXISTS"),
        Code::Aborted => (ErrorKind::Conflict, "ABORTED"),
        Code::PermissionDenied => (ErrorKind::Denied, "PERMISSION_DENIED"),
        Code::Unauthenticated => (ErrorKind::Denied, "UNAUTHENTICATED"),
        Code::FailedPrecondition => (ErrorKind::Precondition, "FAILED_PRECONDITION"),
        Code::Unavailable => (ErrorKind::Unavailable, "UNAVAILABLE"),
        Code::DeadlineExceeded => (ErrorKind::Deadline, "DEADLINE_EXCEEDED"),
        Code::Cancelled => (ErrorKind::Deadline, "CANCELLED"),
        Code::Unimplemented => (ErrorKind::Unsupported, "UNIMPLEMENTED"),
        Code::DataLoss => (ErrorKind::Internal, "DATA_LOSS"),
        Code::Internal => (ErrorKind::Internal, "INTERNAL"),
        Code::Unknown => (ErrorKind::Internal, "UNKNOWN"),
    }
}

/// Whether `text` has `name` as a word; the field `k` is not named by every `k` in it.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).any(|word| word == name)
}

/// The deepest cause: it names the reason (`Connection refused`) where the layers above only say `transport error`.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn shown(code: Code, message: &str, details: ErrorDetails) -> String {
        ClientError::from(Status::with_error_details(code, message, details)).to_string()
    }

    #[test]
    fn a_violation_that_the_message_says_already_only_adds_the_field() {
        let shown_for = |field: &str, message: &str| {
            shown(Code::InvalidArgument, message, ErrorDetails::with_bad_request_violation(field, message))
        };
        assert_eq!(shown_for("k", "k must be 1 to 1000"), "k must be 1 to 1000 [INVALID_ARGUMENT]");
        assert_eq!(shown_for("k", "bad rank"), "bad rank (k) [INVALID_ARGUMENT]");
        assert_eq!(shown_for("query", "must not be empty"), "must not be empty (query) [INVALID_ARGUMENT]");
    }

    #[test]
    fn other_details_are_appended() {
        let details = ErrorDetails::with_quota_failure_violation("QUERY_BYTES_MAX", "1048576 of 32768");
        let error = ClientError::from(Status::with_error_details(Code::ResourceExhausted, "query too long", details));
        assert_eq!(error.to_string(), "query too long; QUERY_BYTES_MAX: 1048576 of 32768 [RESOURCE_EXHAUSTED]");
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert_eq!(error.message(), "query too long");
        assert_eq!(error.details()[0].subject, "QUERY_BYTES_MAX");
    }

    #[test]
    fn an_empty_message_still_says_something() {
        let error = ClientError::from(Status::new(Code::Unavailable, ""));
        assert!(error.message().contains("currently unavailable"), "{error}");
        assert_eq!(error.code(), "UNAVAILABLE");
    }
}
