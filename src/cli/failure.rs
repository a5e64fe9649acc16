//! How a command fails: one line for people and an exit code for scripts.

use std::fmt;

use hivemem_client::{ClientError, ErrorKind};

use crate::base;

/// A failed command.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    usage: bool,
}

impl Failure {
    /// It could not be done (exit code 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), usage: false }
    }

    /// It was asked for wrongly (exit code 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), usage: true }
    }

    /// 1 or 2.
    pub fn exit_code(&self) -> u8 {
        if self.usage { 2 } else { 1 }
    }

    /// Names the input that failed, where the message does not begin with it.
    #[must_use]
    pub fn about(self, input: impl fmt::Display) -> Self {
        let input = input.to_string();
        if self.message.starts_with(&input) {
            return self;
        }
        Self { message: format!("{input}: {}", self.message), ..self }
    }

    /// One line on stderr.
    pub fn print(&self) {
        eprintln!("error: {self}");
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message is one line, whatever a path or a foreign error put into it.
        let line: Vec<&str> = self.message.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect();
        f.write_str(&line.join(" "))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let usage = error.kind() == ErrorKind::Invalid;
        Self { message: error.to_string(), usage }
    }
}

impl From<base::Error> for Failure {
    fn from(error: base::Error) -> Self {
        // In process there is no log to look into, so the causes are shown.
        Self { usage: error.kind() == base::Kind::Invalid, message: error.chain() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_its_exit_code() {
        let failure = Failure::usage("bad\n  thing\r\n").about("--path");
        assert_eq!((failure.to_string().as_str(), failure.exit_code()), ("--path: bad thing", 2));
        assert_eq!(failure.about("--path").to_string(), "--path: bad thing");
        assert_eq!(Failure::failed("x").exit_code(), 1);
        assert_eq!(Failure::from(base::Error::invalid("k", "k is 0")).exit_code(), 2);
        assert_eq!(Failure::from(base::Error::internal("disk")).exit_code(), 1);
    }
}
