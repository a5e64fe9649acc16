//! Listening and stopping.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::wire::Assembly;
use super::{ServeOptions, http};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::limits::REQUESTS_IN_FLIGHT_MAX;
use crate::base::memory;
use crate::flow::own_docs;
use crate::rpc;

/// Runs the server until SIGINT or SIGTERM. Prints `listening on http://HOST:PORT` on standard output once it does.
///
/// # Errors
/// Precondition for a bad configuration or an address that can't be listened on; those of the engines.
pub async fn serve(options: ServeOptions) -> Result<()> {
    let mut config = options.config()?;
    init_log(&config.log_filter)?;
    let listener = listen(&config.listen).await?;
    let address = listener.local_addr().context(Kind::Internal, || "the listener has no address")?;
    // With port 0 only the listener knows the real one.
    config.listen = address.to_string();
    let assembly = Assembly::open(&config, true).await?;
    let context = &assembly.context;
    let documentation = own_docs::put_in_background(context.engines.clone(), Arc::clone(&context.projector));
    context.projector.keep(tokio::spawn(documentation));
    println!("listening on http://{address}");
    let _ = std::io::stdout().flush();
    tracing::info!(%address, data_dir = %config.data_dir.display(), "serving");
    let tidy = tokio::spawn(memory::give_back());
    let served = run(listener, assembly, stopped()).await;
    tidy.abort();
    served
}

async fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|cause| {
        let what = match cause.kind() {
            std::io::ErrorKind::AddrInUse => "another server runs there; stop it or choose another address",
            std::io::ErrorKind::PermissionDenied => "this user may not; choose a port above 1023",
            _ => "choose an address of this machine",
        };
        Error::new(Kind::Precondition, format!("cannot listen on {address}: {what} with --listen")).caused_by(cause)
    })
}

/// Serves on `listener` until `shutdown`, then lets requests finish, commits and flushes.
///
/// # Errors
/// Internal if the transport or a follower fails.
pub(super) async fn run(
    listener: TcpListener,
    assembly: Assembly,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let routes = http::with_plain_paths(rpc::routes(assembly.context.clone()).await?, assembly.context.clone());
    let context = assembly.context.clone();
    // Not by the builder's `tcp_nodelay`, which does not reach sockets that somebody else accepts: without it each reply
    // waits 40 ms for the client's delayed acknowledgement.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = Server::builder()
        .accept_http1(true)
        .concurrency_limit_per_connection(REQUESTS_IN_FLIGHT_MAX)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, async move {
            shutdown.await;
            tracing::info!("stopping");
            // Streams that wait for followers end with this, or a graceful stop would wait for them.
            Assembly::stop(&context);
        })
        .await;
    assembly.close().await?;
    served.context(Kind::Internal, || "the server ended with a transport error")
}

/// Completes at SIGINT or SIGTERM.
async fn stopped() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

pub(super) fn init_log(filter: &str) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .context(Kind::Precondition, || format!("bad configuration: log.filter {filter:?} is not a filter"))?;
    // A second server in one process (tests, in-process use) keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_taken_or_foreign_is_told_apart() {
        let first = listen("127.0.0.1:0").await.unwrap();
        let taken = first.local_addr().unwrap().to_string();
        let error = listen(&taken).await.unwrap_err();
        assert!(error.message().contains(&taken) && error.message().contains("another server runs there"), "{error}");
        // A documentation address (RFC 5737), which no machine has.
        let error = listen("192.0.2.1:0").await.unwrap_err();
        assert!(error.message().contains("an address of this machine"), "{error}");
    }
}
