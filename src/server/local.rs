//! A server inside the process, reached over in-memory connections: the same code path without a port.

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Server};

use super::ServeOptions;
use super::run::init_log;
use super::wire::Assembly;
use crate::base::error::{Context, Error, Kind, Result};
use crate::rpc;

/// Bytes in flight of one in-memory connection.
const PIPE_BYTES: usize = 256 * 1024;

/// See the module's documentation. Dropping it without [`LocalServer::stop`] loses no acknowledged data, but the last
/// projections are applied again at the next start.
#[derive(Debug)]
pub struct LocalServer {
    connect: mpsc::Sender<std::io::Result<DuplexStream>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl LocalServer {
    /// Opens the data directory and starts serving it in the background.
    ///
    /// # Errors
    /// Those of the configuration and the engines.
    pub async fn start(options: ServeOptions) -> Result<Self> {
        let mut config = options.config()?;
        if options.config.is_none() {
            // In process the log would mix with the command's own messages.
            config.log_filter = "warn,qdrant_edge=error,notify=error".to_owned();
        }
        init_log(&config.log_filter)?;
        let assembly = Assembly::open(&config, !options.one_command).await?;
        let (connect, incoming) = mpsc::channel(8);
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = rpc::routes(assembly.context.clone()).await?;
        let task = tokio::spawn(async move {
            let context = assembly.context.clone();
            // Never ends: an end of the connections could be seen before the shutdown, which would then be skipped, and
            // open streams would keep the server for ever.
            let incoming = ReceiverStream::new(incoming).chain(tokio_stream::pending());
            let served = Server::builder()
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, async move {
                    let _ = stopped.await;
                    Assembly::stop(&context);
                })
                .await;
            assembly.close().await?;
            served.context(Kind::Internal, || "the in-process server ended with a transport error")
        });
        Ok(Self { connect, stop, task })
    }

    /// A channel to it.
    ///
    /// # Errors
    /// Unavailable if the server ended.
    pub async fn channel(&self) -> Result<Channel> {
        let connect = self.connect.clone();
        Endpoint::from_static("http://in-process")
            .connect_with_connector(tower::service_fn(move |_| {
                let connect = connect.clone();
                async move {
                    let (client, server) = tokio::io::duplex(PIPE_BYTES);
                    connect.send(Ok(server)).await.map_err(std::io::Error::other)?;
                    Ok::<_, std::io::Error>(TokioIo::new(client))
                }
            }))
            .await
            .context(Kind::Unavailable, || "the in-process server is gone")
    }

    /// Stops it after a last commit and flush.
    ///
    /// # Errors
    /// Internal if it failed.
    pub async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        drop(self.connect);
        self.task.await.map_err(|cause| Error::internal("the in-process server ended early").caused_by(cause))?
    }
}
