//! Contexts stay within their budget and cite what they hold.

use crate::support::{Server, repository};

#[tokio::test(flavor = "multi_thread")]
async fn a_context_never_exceeds_its_budget_and_cites_its_items() {
    let (server, repo) = (Server::start().await, repository());
    server.ingest(repo.path()).await;
    let encoding = tiktoken_rs::o200k_base().unwrap();
    let mut last = 0;
    for budget in [1, 20, 60, 120, 400, 4_000] {
        let pack = server.context("how does the connection pool hand out connections", budget).await;
        let counted = encoding.encode_ordinary(&pack.text).len() as u32;
        assert_eq!(pack.tokens, counted, "the count is exact");
        assert!(pack.tokens <= budget, "{} tokens for a budget of {budget}", pack.tokens);
        assert!(pack.tokens >= last, "more room never gives less");
        last = pack.tokens;
        let begins = pack.items.first().map_or(pack.text.len(), |item| item.text_start as usize);
        let mark = encoding.encode_ordinary(&pack.text[..begins]).len() as u32;
        let items: u32 = pack.items.iter().map(|item| item.tokens).sum();
        assert_eq!(mark + items, pack.tokens, "the items add up to the whole");
        for item in &pack.items {
            assert!(item.citation.contains("@") && item.citation.contains("#L"), "{}", item.citation);
            let text = &pack.text[item.text_start as usize..item.text_end as usize];
            assert!(text.starts_with(&format!("### {}", item.path)), "{text}");
        }
    }
    let pack = server.context("how does the connection pool hand out connections", 4_000).await;
    assert!(pack.text.contains("pub fn acquire"));
    assert_eq!(pack.items[0].path, "src/pool.rs");
    assert_eq!(pack, server.context("how does the connection pool hand out connections", 4_000).await, "stable");
}
