//! Stores two memories, searches, and gathers a context. Start a server first:
//!
//! ```text
//! hivemem serve &
//! cargo run -p hivemem-client --example quickstart -- http://127.0.0.1:7411
//! ```

use hivemem_client::{Client, ClientError, ClientOptions, proto};

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:7411".to_owned());
    let client = Client::connect(&url, ClientOptions::default()).await?;

    for text in ["The staging database is rebuilt every Monday.", "Deploys need two approvals on Fridays."] {
        let memory = proto::RememberRequest { text: text.into(), tags: vec!["ops".into()], ..Default::default() };
        println!("remembered {}", client.remember(memory).await?.uri);
    }

    let query = proto::SearchRequest { query: "when is staging reset".into(), k: Some(3), ..Default::default() };
    for hit in client.search(query).await?.hits {
        println!("{:.3}  {}  {}", hit.score, hit.citation, hit.text);
    }

    let task = proto::GatherContextRequest {
        task: "plan a deploy for Friday".into(),
        budget_tokens: Some(500),
        ..Default::default()
    };
    let context = client.gather_context(task).await?;
    println!("{} of {} tokens\n{}", context.tokens, context.budget_tokens, context.text);
    Ok(())
}
