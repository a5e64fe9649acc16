//! (stub for the command line to compile against; the real one is the lead's)

use std::path::PathBuf;

use crate::base::{Error, Kind, Result};

/// How to start a server.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Configuration file.
    pub config: Option<PathBuf>,
    /// Data directory.
    pub data_dir: Option<PathBuf>,
    /// Address to listen on.
    pub listen: Option<String>,
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// Always, in this stub.
pub async fn serve(_options: ServeOptions) -> Result<()> {
    Err(Error::new(Kind::Precondition, "the server is not built in yet"))
}

/// A server within this process.
pub struct LocalServer(());

impl LocalServer {
    /// Opens the data directory.
    ///
    /// # Errors
    /// Always, in this stub.
    pub async fn start(_options: ServeOptions) -> Result<Self> {
        Err(Error::new(Kind::Precondition, "the server is not built in yet"))
    }

    /// A channel to it.
    ///
    /// # Errors
    /// Always, in this stub.
    pub async fn channel(&self) -> Result<tonic::transport::Channel> {
        Err(Error::new(Kind::Precondition, "the server is not built in yet"))
    }

    /// Flushes and stops.
    ///
    /// # Errors
    /// Never, in this stub.
    pub async fn stop(self) -> Result<()> {
        Ok(())
    }
}
