//! Requests that come again: the first reply is stored under the caller's key and given once more.
//!
//! The reply is stored after the work. A crash in between does the work again, which changes nothing: what the flows
//! write has deterministic ids.

use prost::Message;

use crate::base::ContentHash;
use crate::base::error::{Error, Kind, Result};
use crate::base::keyed::Keyed;
use crate::base::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::model::Namespace;

/// See the module's documentation.
#[derive(Debug, Clone, Default)]
pub struct Replies {
    /// By namespace and key: the second of two equal requests waits for the first one's reply.
    turns: Keyed<(Namespace, String), tokio::sync::Mutex<()>>,
}

/// A request by name and content.
#[derive(Debug, Clone)]
pub struct Identity {
    key: String,
    fingerprint: ContentHash,
}

impl Identity {
    /// Of a request to `method`. `key` is the caller's; empty: it wants none of this.
    ///
    /// # Errors
    /// Over the limit for a key.
    pub fn new(method: &str, key: &str, request: &impl Message) -> Result<Self> {
        if key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(Error::limit(
                "idempotency_key",
                format!("the idempotency key has {} bytes, the limit is {IDEMPOTENCY_KEY_BYTES_MAX}", key.len()),
            ));
        }
        let mut bytes = method.as_bytes().to_vec();
        bytes.push(0);
        request.encode(&mut bytes).map_err(|cause| Error::internal("cannot encode a request").caused_by(cause))?;
        Ok(Self { key: key.to_owned(), fingerprint: ContentHash::of(&bytes) })
    }
}

impl Replies {
    /// Does `work` unless its reply is stored already.
    ///
    /// # Errors
    /// Conflict if the key was used for another request; those of the work, which are not stored.
    pub async fn once<T: Message + Default>(
        &self,
        engines: &Engines,
        grant: &Grant,
        identity: &Identity,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if identity.key.is_empty() {
            return work.await;
        }
        let turn = self.turns.get((grant.namespace().clone(), identity.key.clone()));
        let _mine = turn.lock().await;
        if let Some(stored) = engines.catalog.stored_reply(grant.namespace(), &identity.key).await? {
            return first_reply(identity, &stored);
        }
        let reply = work.await?;
        let mut stored = identity.fingerprint.0.to_vec();
        reply.encode(&mut stored).map_err(|cause| Error::internal("cannot encode a reply").caused_by(cause))?;
        engines.catalog.remember_reply(grant.namespace(), &identity.key, &stored, engines.clock.now()).await?;
        Ok(reply)
    }
}

fn first_reply<T: Message + Default>(identity: &Identity, stored: &[u8]) -> Result<T> {
    let unreadable = || Error::new(Kind::Corrupt, "a stored reply cannot be read: use another idempotency key");
    let (fingerprint, reply) = stored.split_at_checked(identity.fingerprint.0.len()).ok_or_else(unreadable)?;
    if fingerprint != identity.fingerprint.0 {
        return Err(Error::new(
            Kind::Conflict,
            format!("idempotency key {:?} was used for another request: take a new key", identity.key),
        ));
    }
    T::decode(reply).map_err(|cause| unreadable().caused_by(cause))
}
