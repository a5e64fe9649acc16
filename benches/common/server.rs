//! The real server as a process of its own (`hivemem serve` in all but name), so that its memory is its own, and a client on TCP.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use hivemem::server::ServeOptions;
use hivemem_client::{Client, ClientOptions};

/// How long a server may be busy before a bench gives up on it.
const BUSY_MAX: Duration = Duration::from_secs(600);
/// A server that used less than a fiftieth of a core for so long has nothing left to do.
const QUIET: Duration = Duration::from_secs(4);
/// Clock ticks of `/proc`, which are 100 a second on Linux.
const TICKS_PER_SECOND: u64 = 100;

/// First argument of a bench that is to be the server: cargo's target folder, where the server's binary lies, may be
/// shared with other work trees, while this program has the very code that is measured.
const SERVE: &str = "--hivemem-serve";

/// Variable that names a file with settings to try, without a table `[log]`.
const CONFIG: &str = "HIVEMEM_BENCH_CONFIG";

/// Serves and exits if this process was started by [`Server::start`]; the first thing that a bench calls.
pub fn serve_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != SERVE) {
        return;
    }
    let (config, data_dir) = (arguments.next().map(Into::into), arguments.next().map(Into::into));
    let options = ServeOptions { config, data_dir, listen: Some("127.0.0.1:0".to_owned()), ..ServeOptions::default() };
    std::thread::spawn(|| {
        // Ends when the bench does, however that ends.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let served = runtime.block_on(hivemem::server::serve(options));
    if let Err(error) = &served {
        eprintln!("the server failed: {error}");
    }
    std::process::exit(i32::from(served.is_err()));
}

/// A running server; stopped when dropped.
pub struct Server {
    child: Child,
    url: String,
    _lifeline: Option<ChildStdin>,
}

/// Memory of the server, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// Most that was ever resident.
    pub peak: u64,
    /// Resident without files: heap and stacks.
    pub anonymous: u64,
    /// Resident pages of mapped files, which the kernel can take back.
    pub mapped: u64,
}

impl Server {
    /// Starts the server on `data_dir` with a port of its own and the default configuration, over which the file named by
    /// [`CONFIG`] is laid.
    pub fn start(data_dir: &Path) -> Self {
        std::fs::create_dir_all(data_dir).expect("a writable target folder");
        let config = data_dir.with_extension("bench.toml");
        let more =
            std::env::var_os(CONFIG).map(|file| std::fs::read_to_string(file).expect("a readable configuration"));
        let text = format!("[log]\nfilter = \"warn,qdrant_edge=error\"\n{}", more.unwrap_or_default());
        std::fs::write(&config, text).expect("a writable target folder");
        let mut child = Command::new(std::env::current_exe().expect("the path of this program"))
            .arg(SERVE)
            .arg(config)
            .arg(data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server's binary");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut first).expect("its output");
        let url = first.trim().strip_prefix("listening on ").expect("a server that starts").to_owned();
        // Taken out of the child, because waiting for that would close it before the server has stopped.
        let lifeline = child.stdin.take();
        Self { child, url, _lifeline: lifeline }
    }

    /// A client in the namespace of the benches.
    pub async fn client(&self) -> Client {
        let options = ClientOptions { namespace: super::NAMESPACE.to_owned(), ..ClientOptions::default() };
        Client::connect(&self.url, options).await.expect("a server that answers")
    }

    /// Waits until both projections have followed the log and the server has nothing left to do.
    pub async fn settled(&self, client: &Client) {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < BUSY_MAX, "the server did not come to rest in {BUSY_MAX:?}");
            let stats = client.stats().await.expect("stats");
            let followed = stats.projections.iter().all(|projection| projection.applied_lsn == stats.lsn);
            let before = self.ticks();
            tokio::time::sleep(if followed { QUIET } else { Duration::from_millis(500) }).await;
            if followed && self.ticks() - before < QUIET.as_secs() * TICKS_PER_SECOND / 50 {
                return;
            }
        }
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    /// Processor time used so far.
    fn ticks(&self) -> u64 {
        let stat = self.proc("stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    /// Memory now; zeros where the system does not tell.
    pub fn memory(&self) -> Memory {
        memory_of(&self.proc("status"))
    }
}

/// Resident memory of this process, in bytes.
pub fn resident() -> u64 {
    memory_of(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()).resident
}

/// Reads `/proc/PID/status`.
fn memory_of(status: &str) -> Memory {
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Memory { resident: of("VmRSS"), peak: of("VmHWM"), anonymous: of("RssAnon"), mapped: of("RssFile") }
}

impl Drop for Server {
    fn drop(&mut self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
