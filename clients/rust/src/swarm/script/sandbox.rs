//! What the kernel lends to keep a script in: resource limits, namespaces of its own, and a group to kill.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::swarm::settings::ScriptSettings;

/// Sets the limits and becomes the command that follows, with its input from the file that is named first. `ulimit` is the shell's
/// own and there everywhere; dash calls the limit of processes -p, others -u.
///
/// Its own stdin is a pipe that the client holds open and never writes to. A process beside the command waits for its end, which
/// comes however the client ends, SIGKILL too, and kills the group then: what a run left in one client may not go on beside its
/// repetition in another. The kernel's own signal on the death of a parent is no help: it comes on the death of the *thread* that
/// started the child, and a change of user, as in a namespace, takes it away.
const BEGIN: &str = "exec 3<&0; ({ read -r _ <&3; kill -9 0; } >/dev/null 2>&1 &); exec <\"$1\" 3<&- || exit 125; shift; \
     ulimit -c 0 -t \"$1\" 2>/dev/null || { ulimit -c 0; ulimit -t \"$1\"; }; ulimit -v \"$2\" || exit 125; \
     ulimit -f \"$3\" || exit 125; ulimit -u \"$4\" 2>/dev/null || ulimit -p \"$4\" 2>/dev/null; shift 4; exec \"$@\"";

/// A user namespace, in it processes that die with their first one; with `-n` no network either.
const UNSHARE: [&str; 5] = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"];

/// What was found to work on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sandbox {
    namespaces: bool,
    network: bool,
}

/// Tries it once in the life of the process.
pub(super) async fn probe() -> Sandbox {
    static FOUND: OnceCell<Sandbox> = OnceCell::const_new();
    *FOUND
        .get_or_init(|| async {
            let namespaces = works(&[]).await;
            Sandbox { namespaces, network: namespaces && works(&["--net"]).await }
        })
        .await
}

async fn works(more: &[&str]) -> bool {
    let (first, rest) = (UNSHARE[0], &UNSHARE[1..]);
    let mut command = Command::new(first);
    command.args(rest).args(more).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}

impl Sandbox {
    /// What is put before the interpreter, which reads the file `input`: arguments of `sh`.
    pub fn words(self, settings: &ScriptSettings, input: &Path) -> Vec<OsString> {
        let limits =
            [settings.cpu_s, settings.memory_bytes / 1024, settings.output_bytes.div_ceil(512), settings.processes];
        let mut words: Vec<OsString> = ["-c", BEGIN, "sh"].map(OsString::from).into();
        words.push(input.into());
        words.extend(limits.iter().map(|limit| limit.to_string().into()));
        if self.namespaces {
            words.extend(UNSHARE.map(OsString::from));
            if self.network && !settings.network {
                words.push("--net".into());
            }
            words.push("--".into());
        }
        words
    }

    /// What could not be kept from a script, for people.
    pub fn missing(self, settings: &ScriptSettings) -> Option<String> {
        match (self.namespaces, self.network || settings.network) {
            (true, true) => None,
            (true, false) => Some("the script had the network: this kernel lends no network namespace".to_owned()),
            (false, _) => Some(
                "the script had the network, and what it detached may live on: this kernel lends no namespaces"
                    .to_owned(),
            ),
        }
    }
}

/// A process group that is killed when this is dropped.
pub(super) struct Group(Option<Pid>);

impl Group {
    pub fn new(leader: Option<u32>) -> Self {
        Self(leader.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Nobody left to kill is fine.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
