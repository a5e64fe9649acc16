//! Who may do what: the only maker of grants.

use std::fmt;

use crate::base::error::{Error, Kind, Result};
use crate::model::Namespace;

/// Permission to work in one namespace. Flows take one instead of a name, and only [`Access::authorize`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    namespace: Namespace,
}

impl Grant {
    /// The namespace it is for.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl Grant {
    /// For work that was authorised when it was asked for and goes on by itself, such as following a source after a
    /// restart.
    pub(super) fn standing(namespace: Namespace) -> Self {
        Self { namespace }
    }
}

/// Permission to look after the whole server: check, mend, compact and copy all of it, whatever the namespace. Only
/// [`Access::custodian`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custodian(());

/// The server's policy: open, or one shared token.
#[derive(Clone, Default)]
pub struct Access {
    token: Option<String>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("token", &self.token.as_ref().map(|_| "…")).finish()
    }
}

impl Access {
    /// With a token every call must bring it; without one every call is allowed.
    pub fn new(token: Option<String>) -> Self {
        Self { token }
    }

    /// Checks the caller's token and the name of the namespace.
    ///
    /// # Errors
    /// Unauthenticated for a wrong or missing token, invalid for a name that can't be one.
    pub fn authorize(&self, token: Option<&str>, namespace: &str) -> Result<Grant> {
        self.check(token)?;
        let name = if namespace.is_empty() { Namespace::DEFAULT } else { namespace };
        Ok(Grant { namespace: Namespace::new(name)? })
    }

    /// Checks the caller's token for work on the whole server.
    ///
    /// # Errors
    /// Unauthenticated for a wrong or missing token.
    pub fn custodian(&self, token: Option<&str>) -> Result<Custodian> {
        self.check(token).map(|()| Custodian(()))
    }

    /// Checks only the token, for calls that touch no namespace.
    ///
    /// # Errors
    /// Unauthenticated for a wrong or missing token.
    pub fn check(&self, token: Option<&str>) -> Result<()> {
        match &self.token {
            None => Ok(()),
            Some(expected) if token.is_some_and(|given| same(given.as_bytes(), expected.as_bytes())) => Ok(()),
            Some(_) => Err(Error::new(
                Kind::Unauthenticated,
                "this server wants a token and got none or a wrong one: pass --token or set HIVEMEM_TOKEN",
            )),
        }
    }
}

/// Compares without stopping at the first difference, so that timing tells nothing about the token.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_token_gets_a_grant() {
        let access = Access::new(Some("secret".to_owned()));
        assert_eq!(access.authorize(None, "a").unwrap_err().kind(), Kind::Unauthenticated);
        assert_eq!(access.authorize(Some("secreT"), "a").unwrap_err().kind(), Kind::Unauthenticated);
        assert_eq!(access.custodian(Some("secreT")).unwrap_err().kind(), Kind::Unauthenticated);
        assert!(access.custodian(Some("secret")).is_ok());
        assert_eq!(access.authorize(Some("secret"), "a").unwrap().namespace().as_str(), "a");
        assert_eq!(Access::default().authorize(None, "").unwrap().namespace().as_str(), "default");
        assert_eq!(Access::default().authorize(None, "a b").unwrap_err().kind(), Kind::Invalid);
    }
}
