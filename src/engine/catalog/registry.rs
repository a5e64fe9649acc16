//! The part of the ground state that routing works on: node types, their versions, examples and outcomes.
//!
//! # Contract
//! - **Atomicity**: each change is one transaction.
//! - **Durability**: what returned `Ok` survives a kill of the process.
//! - **Idempotency**: registering what is stored already changes nothing; an example is stored once.
//! - **Versions**: a changed specification is the next version, older ones stay readable, and numbers are never used again.
//! - **Walls**: every call takes a namespace and neither returns nor changes anything of another.
//! - **Vectors**: the keys a live node claims keep their cached vectors; those of a removed one are dropped with it unless
//!   something else has them.

use async_trait::async_trait;

use crate::base::error::Result;
use crate::base::{EmbedKey, NodeId, Timestamp};
use crate::model::{Namespace, Node, NodeSpec, Outcome};

/// A node to be registered with the keys of the vectors that it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeWrite {
    /// What is registered; checked.
    pub spec: NodeSpec,
    /// Keys of all its texts, those of examples added earlier included.
    pub keys: Vec<EmbedKey>,
}

/// What registering one node did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// It is new, or was removed before.
    Added,
    /// It is a new version.
    Updated,
    /// It was stored already, the same.
    Unchanged,
}

/// A version of a node that is or was.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeVersion {
    /// Its number.
    pub version: u32,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// What was registered.
    pub spec: NodeSpec,
}

/// See the module's contract.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Stores nodes, in one transaction; tells of each in order what it did.
    async fn register_nodes(
        &self,
        namespace: &Namespace,
        writes: Vec<NodeWrite>,
        now: Timestamp,
    ) -> Result<Vec<(NodeId, Registered)>>;

    /// The live nodes with these names, or all, by name.
    async fn nodes(&self, namespace: &Namespace, names: Option<&[String]>) -> Result<Vec<Node>>;

    /// All versions of a node, newest first; none if there never was one of that name.
    async fn node_versions(&self, namespace: &Namespace, name: &str) -> Result<Vec<NodeVersion>>;

    /// Removes the live nodes with these names with their examples, outcomes and vectors; gives the ids of those that were
    /// there. Versions stay.
    async fn remove_nodes(&self, namespace: &Namespace, names: &[String]) -> Result<Vec<NodeId>>;

    /// Adds examples to a live node, with the keys of their vectors; gives how many are new.
    async fn add_examples(
        &self,
        namespace: &Namespace,
        node: NodeId,
        examples: &[(String, EmbedKey)],
        now: Timestamp,
    ) -> Result<u64>;

    /// Stores an outcome with the key of its goal's vector, and drops the oldest of the node beyond `kept`.
    async fn record_outcome(&self, namespace: &Namespace, outcome: &Outcome, key: EmbedKey, kept: usize) -> Result<()>;

    /// All outcomes of live nodes, oldest first.
    async fn outcomes(&self, namespace: &Namespace) -> Result<Vec<Outcome>>;
}
