//! Which server a command talks to: the one that listens, or one in this process over a data directory.

use std::time::Duration;

use hivemem_client::{Client, ClientOptions, ErrorKind};

use crate::server::{LocalServer, ServeOptions};

use super::args::Global;
use super::failure::Failure;
use super::output::note;

/// Calls of people may meet a server that is loading its model or ingesting; a minute is where patience ends.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client, and the server behind it where that runs in this process.
pub(super) struct Session {
    /// Speaks in the namespace of the command line.
    pub client: Client,
    local: Option<LocalServer>,
}

impl Session {
    /// Connects to the server; where none listens, opens the data directory in process.
    pub async fn open(global: &Global) -> Result<Self, Failure> {
        let url = server_url(&global.server);
        match (Client::connect(&url, options(global)).await, &global.data_dir) {
            (Ok(client), data_dir) => {
                if let Some(dir) = data_dir {
                    note(format!("note: using the server at {url}; --data-dir {} is not opened", dir.display()));
                }
                Ok(Self { client, local: None })
            }
            (Err(error), Some(dir)) if error.kind() == ErrorKind::Connect => {
                let serve = ServeOptions {
                    config: global.config.clone(),
                    token: global.token.clone(),
                    data_dir: Some(dir.clone()),
                    one_command: true,
                    program: super::this_program(),
                    ..ServeOptions::default()
                };
                Self::start(serve, options(global)).await.map_err(|failure| failure.about(dir.display()))
            }
            (Err(error), None) if error.kind() == ErrorKind::Connect => Err(Failure::failed(format!(
                "{}; start one with `hivemem serve`, name another with --server URL, or open a data directory without a \
                 server with --data-dir DIR",
                error.message()
            ))),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Starts a server in this process.
    pub async fn start(serve: ServeOptions, options: ClientOptions) -> Result<Self, Failure> {
        let local = LocalServer::start(serve).await?;
        let client = Client::from_channel(local.channel().await?, options)?;
        Ok(Self { client, local: Some(local) })
    }

    /// Ends the session; a server in this process flushes and stops. Keeps the first of both failures.
    pub async fn close<T>(self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        drop(self.client);
        let stopped = match self.local {
            Some(local) => local.stop().await.map_err(Failure::from),
            None => Ok(()),
        };
        let value = outcome?;
        stopped.map(|()| value)
    }
}

/// The client's options from the command line.
pub(super) fn options(global: &Global) -> ClientOptions {
    ClientOptions {
        token: global.token.clone().filter(|token| !token.is_empty()),
        namespace: global.namespace.clone(),
        timeout: TIMEOUT,
    }
}

/// `host:port` is what people type; the scheme goes without saying.
pub(super) fn server_url(server: &str) -> String {
    if server.contains("://") { server.to_owned() } else { format!("http://{server}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_address_becomes_a_url() {
        assert_eq!(server_url("127.0.0.1:7411"), "http://127.0.0.1:7411");
        assert_eq!(server_url("http://h:1"), "http://h:1");
    }
}
