//! Limits of a run and how patient it is. They are kept with the run, so that it resumes under the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::SwarmError;

/// What the server takes of any run, and what fits into one append; a limit beyond would only stop the run when it is met.
pub(super) const DEPTH_MAX: usize = 63;
const NODES_MAX: u64 = 100_000;
const FAN_OUT_MAX: usize = 700;

/// Most bytes of a value that an event carries: the server takes 1 MiB, with what stands around it.
pub(super) const VALUE_BYTES_MAX: usize = 960 * 1024;

/// See the fields. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Executions at the same time.
    pub parallel: usize,
    /// Nodes of the run, over its whole life.
    pub nodes_max: u64,
    /// Deepest node; the root is 0. The server has a limit of 63.
    pub depth_max: usize,
    /// Children of one node that one outcome may spawn, steps of a plan included.
    pub fan_out_max: usize,
    /// Executions of a node that may fail before the node has failed.
    pub attempts_max: u32,
    /// Wait after the first failure; doubles each time, with jitter.
    pub backoff_ms: u64,
    /// Longest wait between attempts.
    pub backoff_ms_max: u64,
    /// Time of one execution.
    pub node_timeout_ms: u64,
    /// Time of the run, from its start or resume. 0: none.
    pub run_timeout_ms: u64,
    /// Tokens of all model calls, in and out. 0: no limit.
    pub tokens_max: u64,
    /// Seeds the jitter.
    pub seed: u64,
    /// How long the lease holds without being renewed.
    pub lease_ms: u64,
    /// How long a server that does not answer is waited for.
    pub patience_ms: u64,
    /// Most bytes of a node's output or data.
    pub node_bytes_max: usize,
    /// Gather a context before each model call and remember each output.
    pub memory: bool,
    /// Tokens of the context of one node.
    pub context_tokens: u32,
    /// Tokens of the contexts of the nodes above that go before it.
    pub prefix_tokens_max: u32,
    /// Times a model is asked again when its reply can't be used.
    pub repairs_max: u32,
    /// Whether what is written is reviewed by another node.
    pub review: bool,
    /// Times something may be improved after a review or a failed test.
    pub rounds_max: u32,
    /// Ask people before each execution; a repeat of one that failed is not asked for again. Whoever resumes a run decides again.
    #[serde(skip)]
    pub approve: bool,
    /// How scripts are run. Never taken from a stored run: whoever resumes it decides again.
    #[serde(skip)]
    pub scripts: ScriptSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 8,
            nodes_max: 1_000,
            depth_max: 12,
            fan_out_max: 64,
            attempts_max: 3,
            backoff_ms: 500,
            backoff_ms_max: 30_000,
            node_timeout_ms: 600_000,
            run_timeout_ms: 0,
            tokens_max: 0,
            seed: 0,
            lease_ms: 15_000,
            patience_ms: 60_000,
            node_bytes_max: 256 * 1024,
            memory: true,
            context_tokens: 4_000,
            prefix_tokens_max: 8_000,
            repairs_max: 2,
            review: false,
            rounds_max: 2,
            approve: false,
            scripts: ScriptSettings::default(),
        }
    }
}

impl Settings {
    /// Refuses what the server would not take when the run gets there.
    pub(super) fn check(&self) -> Result<(), SwarmError> {
        let wanted = [
            ("depth_max", self.depth_max as u64, DEPTH_MAX as u64),
            ("nodes_max", self.nodes_max, NODES_MAX),
            ("fan_out_max", self.fan_out_max as u64, FAN_OUT_MAX as u64),
            ("node_bytes_max", self.node_bytes_max as u64, VALUE_BYTES_MAX as u64),
        ];
        match wanted.iter().find(|(_, wanted, most)| wanted > most) {
            None => Ok(()),
            Some((name, wanted, most)) => {
                Err(SwarmError::Invalid(format!("{name} is {wanted}, it can be {most} at most: choose less")))
            }
        }
    }
}

/// How scripts are run, and that they may be at all.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptSettings {
    /// Off unless somebody turned it on.
    pub enabled: bool,
    /// Language → command that the path of the script is given to.
    pub interpreters: BTreeMap<String, Vec<String>>,
    /// Folder under which each run has its own.
    pub work_dir: PathBuf,
    /// Where commands are looked for.
    pub path: String,
    /// Whether scripts may use the network.
    pub network: bool,
    /// Time on the clock.
    pub wall_ms: u64,
    /// Time on the processor, in seconds.
    pub cpu_s: u64,
    /// Address space of each process.
    pub memory_bytes: u64,
    /// Most bytes of stdout, and of each file that is written.
    pub output_bytes: u64,
    /// Processes of the user who runs it. The kernel does not hold root to it.
    pub processes: u64,
}

impl Default for ScriptSettings {
    fn default() -> Self {
        let interpreters = [
            ("python", &["python3"] as &[&str]),
            ("javascript", &["node"]),
            ("sh", &["sh"]),
            ("bash", &["bash"]),
            ("ruby", &["ruby"]),
            ("perl", &["perl"]),
        ];
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            enabled: false,
            interpreters: interpreters.into_iter().map(|(name, words)| (name.to_owned(), owned(words))).collect(),
            work_dir: PathBuf::from("hivemem-runs"),
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            network: false,
            wall_ms: 60_000,
            cpu_s: 60,
            memory_bytes: 2 * 1024 * 1024 * 1024,
            output_bytes: 1024 * 1024,
            processes: 256,
        }
    }
}
