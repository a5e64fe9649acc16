//! Exact, executable ways to get an object: through this server, and past it where its store has a tool of its own.
//!
//! Each is to be run as it stands: what it takes beside, a tool or a credential by name, is said with it.

use std::sync::Arc;
use std::time::Duration;

use super::{Known, address, is_inline, store_of, unknown};
use crate::base::Timestamp;
use crate::base::error::{Error, Result};
use crate::base::limits::PRESIGN_TTL_MAX;
use crate::engine::store::{Ways, shell_word};
use crate::flow::Engines;
use crate::flow::access::Grant;
use crate::model::StoreKind;

/// How callers reach this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// `HOST:PORT`.
    pub server: String,
    /// Whether it wants a token.
    pub token: bool,
}

/// One way to get an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// `grpc`, `cli`, `python`, `rust`, `presigned_url` or `native`.
    pub form: &'static str,
    /// To be run as it stands.
    pub text: String,
    /// What it takes.
    pub needs: String,
    /// Until when it works; none: as long as the object is there.
    pub valid_until: Option<Timestamp>,
}

/// The ways to an object, and where it lies.
///
/// # Errors
/// NotFound for an address that nobody ingested or registered; over a limit for the life of a presigned URL.
pub async fn locate(
    engines: &Engines,
    grant: &Grant,
    uri: &str,
    ttl: Duration,
    reach: &Reach,
) -> Result<(StoreKind, Vec<Recipe>)> {
    let uri = address(uri)?;
    if ttl.is_zero() || ttl > PRESIGN_TTL_MAX {
        let days = PRESIGN_TTL_MAX.as_secs() / 86_400;
        let message = format!("presigned URLs are to be good for {ttl:?}: give more than 0 and at most {days} days");
        return Err(Error::limit("presign_ttl", message));
    }
    let known = Known::of(engines, grant, &uri).await?;
    let below = engines.inventory.ingested(grant.namespace(), &uri, 1).await?.documents_total;
    if known.is_nothing() && below == 0 {
        return Err(unknown(&uri));
    }
    let store = StoreKind::of_uri(&uri);
    let mut recipes = Vec::new();
    let ways = ways(engines, &known, &uri, ttl).await?;
    // What the server itself can't read, it can't hand on; what lies in a repository or database is listed by other addresses.
    // A folder may be written without its slash; what lies below a page of the web are other pages.
    let holds = known.document.is_none() && below > 0 && store != StoreKind::Http;
    let single = known.is_single(&uri) && !holds;
    let readable = uri.starts_with("sqlite:") || store != StoreKind::Sql;
    if readable && (single || !matches!(store, StoreKind::Sql | StoreKind::Git)) {
        recipes.extend(through_server(grant.namespace().as_str(), &uri, !single, reach));
    }
    let named =
        ways.credential.as_ref().map(|name| format!("; this server uses [credentials.{name}]")).unwrap_or_default();
    if let Some(url) = ways.presigned {
        let until = Timestamp(engines.clock.now().0 + ttl.as_micros() as i64);
        let needs = "anything that speaks HTTP; whoever has it can read the object".to_owned();
        recipes.push(Recipe { form: "presigned_url", text: url, needs, valid_until: Some(until) });
    }
    if let Some(text) = ways.native {
        let tool = text.split(' ').next().unwrap_or_default();
        let place = if store == StoreKind::Local { ", on the server's machine" } else { "" };
        let needs = format!("{tool}{place}, with rights of your own{named}");
        recipes.push(Recipe { form: "native", text, needs, valid_until: None });
    }
    Ok((store, recipes))
}

/// What the store says of ways past this server; nothing where it can't say.
async fn ways(engines: &Engines, known: &Known, uri: &str, ttl: Duration) -> Result<Ways> {
    if is_inline(uri) {
        return Ok(Ways::default());
    }
    let Ok(store) = store_of(engines, uri, known.credential()).await else { return Ok(Ways::default()) };
    let (store, address) = (Arc::clone(&store), uri.to_owned());
    engines.far.run(move || Ok(store.ways(&address, ttl).unwrap_or_default())).await
}

/// The ways through this server; of a folder to list it.
fn through_server(namespace: &str, uri: &str, folder: bool, reach: &Reach) -> Vec<Recipe> {
    let server = &reach.server;
    let token = |needs: &str| {
        if reach.token { format!("{needs}, and the server's token in HIVEMEM_TOKEN") } else { needs.to_owned() }
    };
    let (call, field) = if folder { ("ListData", "prefix") } else { ("FetchData", "uri") };
    let message = serde_json::json!({"namespace": namespace, field: uri}).to_string();
    let header = if reach.token { " -H \"authorization: Bearer $HIVEMEM_TOKEN\"" } else { "" };
    let grpc = format!(
        "grpcurl -plaintext{header} -d {} {} hivemem.v1.DataView/{call}",
        shell_word(&message),
        shell_word(server)
    );
    let verb = if folder { "ls" } else { "get" };
    let cli = format!(
        "hivemem --server {} --namespace {} data {verb} {}",
        shell_word(&format!("http://{server}")),
        shell_word(namespace),
        shell_word(uri)
    );
    let recipe = |form, text, needs| Recipe { form, text, needs, valid_until: None };
    vec![
        recipe("grpc", grpc, token("grpcurl and this server running; bytes come in base64")),
        recipe("cli", cli, token("hivemem and this server running; the bytes go to stdout")),
        recipe("python", python(namespace, uri, folder, reach), token("the Python client and this server running")),
        recipe(
            "rust",
            rust(namespace, uri, folder, reach),
            token("the crates hivemem-client and tokio, and this server running"),
        ),
    ]
}

/// A literal of Python, of which JSON's texts are a part.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn python(namespace: &str, uri: &str, folder: bool, reach: &Reach) -> String {
    let (server, namespace, uri) = (literal(&format!("http://{}", reach.server)), literal(namespace), literal(uri));
    let (import, token) = if reach.token { ("import os\n", ", token=os.environ[\"HIVEMEM_TOKEN\"]") } else { ("", "") };
    let body = if folder {
        format!("    for entry in client.iter_data({uri}):\n        print(entry.uri)\n")
    } else {
        format!("    for piece in client.fetch_data({uri}):\n        sys.stdout.buffer.write(piece.data)\n")
    };
    format!(
        "{import}import sys\nimport hivemem\nwith hivemem.Client({server}, namespace={namespace}{token}) as client:\n{body}"
    )
}

fn rust(namespace: &str, uri: &str, folder: bool, reach: &Reach) -> String {
    let token = if reach.token { "std::env::var(\"HIVEMEM_TOKEN\").ok()" } else { "None" };
    let body = if folder {
        format!(
            "    let request = proto::ListDataRequest {{ prefix: {uri:?}.into(), ..Default::default() }};\n    \
             for entry in client.list_data(request).await?.entries {{\n        println!(\"{{}}\", entry.uri);\n    }}\n"
        )
    } else {
        format!(
            "    let request = proto::FetchDataRequest {{ uri: {uri:?}.into(), ..Default::default() }};\n    \
             let mut pieces = client.fetch_data(request).await?;\n    \
             while let Some(piece) = pieces.next_piece().await? {{\n        \
             std::io::Write::write_all(&mut std::io::stdout(), &piece.data)?;\n    }}\n"
        )
    };
    format!(
        "use hivemem_client::{{Client, ClientOptions, proto}};\n\n#[tokio::main]\nasync fn main() -> Result<(), Box<dyn \
         std::error::Error>> {{\n    let options = ClientOptions {{ namespace: {namespace:?}.into(), token: {token}, \
         ..Default::default() }};\n    let client = Client::connect({:?}, options).await?;\n{body}    Ok(())\n}}\n",
        format!("http://{}", reach.server)
    )
}
