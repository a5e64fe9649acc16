//! The process: configuration, the one composition root, listening and stopping. Environment variables and signals
//! are read here and nowhere else.

use std::path::PathBuf;

use crate::base::error::Result;
use crate::engine::parse::formats::apart::{self, Reader};

mod config;
mod credentials;
mod environment;
mod http;
mod local;
mod restore;
mod run;
pub mod sets;
mod wire;

pub use config::Config;
pub use local::LocalServer;
pub use restore::{Restored, restore};
pub use run::serve;

/// What the command line says; what it leaves out comes from the configuration.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Configuration file.
    pub config: Option<PathBuf>,
    /// Overrides `data_dir`.
    pub data_dir: Option<PathBuf>,
    /// Overrides `listen`.
    pub listen: Option<String>,
    /// Overrides `token`.
    pub token: Option<String>,
    /// For a server in process that lives for one command: sources that the data directory has as followed are not
    /// taken up, and what this one follows ends with it; and the model that made its vectors answers, whatever is configured.
    pub one_command: bool,
    /// This program, if it answers [`READ_COMMAND`]: PDFs are then read in processes of their own, and a hostile one can't
    /// end the server.
    pub program: Option<PathBuf>,
}

/// The argument with which a program is started that is to call [`read_document`].
pub const READ_COMMAND: &str = "read-document";

/// Reads a document from stdin and writes what came of it to stdout, for a server that reads documents apart.
///
/// # Errors
/// Those of the streams.
pub fn read_document() -> std::io::Result<()> {
    apart::serve(std::io::stdin().lock(), std::io::stdout().lock())
}

impl ServeOptions {
    /// The data directory that these options come down to.
    ///
    /// # Errors
    /// Precondition, as for serving.
    pub fn resolved_data_dir(&self) -> Result<PathBuf> {
        Ok(self.config()?.data_dir)
    }

    /// The validated configuration.
    ///
    /// # Errors
    /// Precondition, naming the file and the key, or the option, that is wrong.
    fn config(&self) -> Result<Config> {
        let mut config = Config::load(self.config.as_deref(), &environment::Environment::read())?;
        if let Some(data_dir) = &self.data_dir {
            config.data_dir.clone_from(data_dir);
        }
        if let Some(listen) = &self.listen {
            config::check_listen("--listen", listen)?;
            config.listen.clone_from(listen);
        }
        if let Some(token) = self.token.as_ref().filter(|token| !token.is_empty()) {
            config.token = Some(token.clone());
        }
        if let Some(program) = &self.program {
            config.reader = Reader::Apart { program: program.clone(), arguments: vec![READ_COMMAND.to_owned()] };
        }
        Ok(config)
    }
}
