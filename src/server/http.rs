//! The plain HTTP paths beside gRPC: `/healthz` for load balancers and `/metrics` in Prometheus' text format.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tonic_web::GrpcWebLayer;

use crate::base::files;
use crate::rpc;

/// Adds the paths to the gRPC routes, which then share one port. Browsers may call the latter as gRPC-Web; the layer for that
/// refuses all else that comes over HTTP/1, so the plain paths stand outside of it.
pub fn with_plain_paths(routes: tonic::service::Routes, context: rpc::Context) -> tonic::service::Routes {
    let health = context.clone();
    let router: Router = routes
        .into_axum_router()
        .layer(GrpcWebLayer::new())
        .route("/healthz", get(move || healthz(health)))
        .route("/metrics", get(move || metrics(context)));
    tonic::service::Routes::from(router)
}

/// 200 if the catalogue answers and both followers can follow, else 503 with what is wrong.
async fn healthz(context: rpc::Context) -> (StatusCode, String) {
    let state = context.projector.state();
    let mut problems = Vec::new();
    if let Err(error) = context.engines.catalog.head().await {
        problems.push(format!("catalogue: {error}"));
    }
    problems.extend(state.lexical_problem.map(|problem| format!("lexical: {problem}")));
    problems.extend(state.vector_problem.map(|problem| format!("vector: {problem}")));
    if problems.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
    }
}

async fn metrics(context: rpc::Context) -> (StatusCode, String) {
    let state = context.projector.state();
    let head = match context.engines.catalog.head().await {
        Ok(head) => head,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, format!("# {error}\n")),
    };
    let mut text = String::new();
    let mut line = |name: &str, kind: &str, help: &str, value: u64| {
        text.push_str(&format!("# HELP hivemem_{name} {help}\n# TYPE hivemem_{name} {kind}\nhivemem_{name} {value}\n"));
    };
    line("log_head", "gauge", "Newest position of the operation log.", head.0);
    line("lexical_applied", "gauge", "Log position that lexical search reflects.", state.lexical.0);
    line("vector_applied", "gauge", "Log position that vector search reflects.", state.vector.0);
    line("chunks_embedded_total", "counter", "Chunks embedded since the start.", state.embedded);
    line("chunks_cached_total", "counter", "Chunks whose vector came from the cache since the start.", state.cached);
    line("resident_bytes", "gauge", "Resident memory of the process.", files::resident_bytes().unwrap_or(0));
    (StatusCode::OK, text)
}
