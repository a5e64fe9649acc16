//! Servers in process for tests of stores: one that speaks S3 over a folder, one that does whatever a test says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

use super::credentials::{Credential, Secret};

/// A key that the S3 server knows, and its secret.
pub const KEYS: (&str, &str) = ("test-key", "test-secret");

/// TLS for clients, as the server installs it at its start.
pub fn tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Serves the folders in `root` as buckets.
pub async fn s3(root: &std::path::Path) -> SocketAddr {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    service.set_auth(SimpleAuth::from_single(KEYS.0, KEYS.1));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// A credential of the name `lake` for such a server, for all of `s3://`.
pub fn s3_credential(address: SocketAddr, secret: &str) -> Credential {
    let secrets = [("access_key_id", KEYS.0), ("secret_access_key", secret)];
    Credential {
        name: "lake".to_owned(),
        kind: "s3".to_owned(),
        prefixes: vec!["s3://".to_owned()],
        settings: BTreeMap::from([("endpoint".to_owned(), format!("http://{address}"))]),
        secrets: secrets.into_iter().map(|(key, text)| (key.to_owned(), Secret::new(text))).collect(),
    }
}

/// Requests as `METHOD path?query`, in order.
pub type Seen = Arc<Mutex<Vec<String>>>;

/// Answers every request with what `answer` says, and notes it.
pub async fn http<F>(answer: impl Fn(Request) -> F + Clone + Send + Sync + 'static) -> (SocketAddr, Seen)
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let app = axum::Router::new().fallback(move |request: Request| {
        noted.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        answer(request)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}
