//! The one map from error kinds to gRPC status, with google.rpc error details. Causes are logged, never sent.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::base::error::{Error, Kind};

/// The status for `error`.
pub fn status(error: &Error) -> Status {
    let code = match error.kind() {
        Kind::Invalid => Code::InvalidArgument,
        Kind::Limit => Code::OutOfRange,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict => Code::AlreadyExists,
        Kind::Lease => Code::Aborted,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::Denied => Code::PermissionDenied,
        Kind::Precondition => Code::FailedPrecondition,
        Kind::Unavailable => Code::Unavailable,
        Kind::Deadline => Code::DeadlineExceeded,
        Kind::Corrupt => Code::DataLoss,
        Kind::Internal => Code::Internal,
    };
    if matches!(error.kind(), Kind::Internal | Kind::Corrupt) {
        tracing::error!(error = %error.chain(), "a request failed");
    }
    let mut details = ErrorDetails::new();
    details.set_error_info(format!("{:?}", error.kind()).to_uppercase(), "hivemem", std::collections::HashMap::new());
    if let Some(field) = error.field() {
        details.add_bad_request_violation(field, error.message());
        if error.kind() == Kind::Limit {
            details.add_quota_failure_violation(field, error.message());
        }
    }
    Status::with_error_details(code, error.message(), details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_travels_and_the_cause_does_not() {
        let error = Error::invalid("k", "k is 0").caused_by(std::io::Error::other("secret path"));
        let status = status(&error);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "k");
        assert!(!format!("{status:?}").contains("secret"));
        assert!(status.get_details_quota_failure().is_none());
    }

    #[test]
    fn a_limit_is_told_as_one() {
        let status = status(&Error::limit("k", "k is 2000, it must be 1 to 1000"));
        assert_eq!(status.code(), Code::OutOfRange);
        let violation = &status.get_details_quota_failure().unwrap().violations[0];
        assert_eq!((violation.subject.as_str(), violation.description.as_str()), ("k", status.message()));
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "k");
    }
}
