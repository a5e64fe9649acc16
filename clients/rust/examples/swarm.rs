//! Runs a goal with a local model, such as one of Ollama or llama.cpp. Start a server and the model first:
//!
//! ```text
//! hivemem serve &
//! ollama serve & ollama pull qwen3:8b
//! export HIVEMEM_LLM_BASE_URL=http://127.0.0.1:11434/v1 HIVEMEM_LLM_MODEL=qwen3:8b
//! cargo run -p hivemem-client --features swarm --example swarm -- "explain what a lease with fencing is for"
//! ```
//!
//! llama.cpp is at `http://127.0.0.1:8080/v1` (`llama-server -m MODEL.gguf`). `HIVEMEM_LLM_API_KEY` is for endpoints that want one.

use std::sync::Arc;
use std::time::Duration;

use hivemem_client::proto::RunEvent;
use hivemem_client::swarm::{Observer, OpenAi, ServerBackend, Settings, Swarm};
use hivemem_client::{Client, ClientOptions};

/// Prints each event.
struct Printed;

impl Observer for Printed {
    fn event(&self, event: &RunEvent) {
        println!("{:>4}  {:<12} {:<8} {}", event.sequence, format!("{:?}", event.kind()), event.node, event.node_type);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let goal = std::env::args().nth(1).ok_or("which goal? give it as the first argument")?;
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let url = setting("HIVEMEM_LLM_BASE_URL", "http://127.0.0.1:11434/v1");
    let (model, key) = (setting("HIVEMEM_LLM_MODEL", "qwen3:8b"), setting("HIVEMEM_LLM_API_KEY", ""));
    let model = OpenAi::new(&url, &model, &key, Duration::from_secs(300))?;

    let server = setting("HIVEMEM_SERVER", "http://127.0.0.1:7411");
    let client = Client::connect(&server, ClientOptions::default()).await?;
    let swarm = Swarm::new(Arc::new(ServerBackend::new(client)))
        .with_model(Arc::new(model))
        .with_settings(Settings { nodes_max: 50, parallel: 2, ..Settings::default() })
        .observed_by(Arc::new(Printed));
    let end = swarm.run(&goal).await?;
    println!("\n{:?} after {} nodes and {} tokens\n{}", end.status, end.nodes, end.tokens, end.output);
    Ok(())
}
