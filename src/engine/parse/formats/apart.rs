//! Reading a document in a process of its own: one that overflows its stack, eats memory or never ends takes that process
//! with it and not the server.
//!
//! The process is this program again ([`serve`]): the document comes on its stdin, the answer goes to its stdout.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Extracted, Format, pdf};
use crate::base::limits::{DOCUMENT_BYTES_MAX, PACKED_BYTES_MAX, READING_TIME_MAX};
use crate::engine::parse::{Media, Skip};

/// How often a process is looked after. A page takes some 5 ms.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Where documents are read whose libraries can't be trusted with hostile files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reader {
    /// In this process: for tools and tests.
    #[default]
    Here,
    /// In a process of `program` that is started with `arguments`, each document in its own.
    Apart {
        /// The program; it calls [`serve`].
        program: PathBuf,
        /// What it is started with.
        arguments: Vec<String>,
    },
}

impl Reader {
    /// The text of `bytes`, already known to be `media`. Blocking.
    ///
    /// # Errors
    /// The reason to skip it.
    pub fn read(&self, bytes: &[u8], media: &Media) -> Result<Extracted, Skip> {
        match self {
            Self::Apart { program, arguments } if media.media_type == Format::Pdf.media_type() => {
                read_apart(program, arguments, bytes)
            }
            _ => crate::engine::parse::read(bytes, media),
        }
    }
}

fn read_apart(program: &Path, arguments: &[String], bytes: &[u8]) -> Result<Extracted, Skip> {
    let damaged = Skip::Damaged(Format::Pdf);
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|_| Skip::Unreadable)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // It may end before it has read everything.
            let _ = stdin.map(|mut stdin| stdin.write_all(bytes));
        });
        let answer = scope.spawn(move || {
            let mut answer = Vec::new();
            let room = 2 * DOCUMENT_BYTES_MAX;
            stdout.map(|stdout| stdout.take(room).read_to_end(&mut answer));
            answer
        });
        let ended = wait(&mut child);
        let answer = answer.join().map_err(|_| damaged)?;
        if !ended {
            return Err(Skip::TooSlow);
        }
        postcard::from_bytes::<Result<Extracted, Skip>>(&answer).map_err(|_| damaged)?
    })
}

/// Waits for its end, which comes by force when the time is up; whether it came by itself.
fn wait(child: &mut Child) -> bool {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return true,
            Ok(None) if begun.elapsed() < READING_TIME_MAX => std::thread::sleep(LOOK_EVERY),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// The other end: reads one PDF from `input` and writes what came of it to `output`.
///
/// # Errors
/// Those of the streams.
pub fn serve(input: impl Read, mut output: impl Write) -> std::io::Result<()> {
    bound_this_process();
    let mut bytes = Vec::new();
    input.take(PACKED_BYTES_MAX).read_to_end(&mut bytes)?;
    let answer = postcard::to_allocvec(&pdf::read(&bytes)).map_err(std::io::Error::other)?;
    output.write_all(&answer)?;
    output.flush()
}

/// Memory and time, for whoever waits may be gone, and no dump of memory where it ends early. The largest of 50 manuals took
/// 0.2 GB.
#[cfg(target_os = "linux")]
fn bound_this_process() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at = |limit| Rlimit { current: Some(limit), maximum: Some(limit) };
    let _ = setrlimit(Resource::Data, at(crate::base::limits::READING_MEMORY_MAX));
    let _ = setrlimit(Resource::Cpu, at(READING_TIME_MAX.as_secs()));
    let _ = setrlimit(Resource::Core, at(0));
}

#[cfg(not(target_os = "linux"))]
fn bound_this_process() {}
