//! `hivemem data …`: all data that there is, and getting at it.

use hivemem_client::Client;
use hivemem_client::proto::{
    DataEntry, DataFilter, DataHit, DataRecipe, FetchAndIngestRequest, FetchPlan, ListDataRequest, LocateDataRequest,
    SearchDataRequest, UnregisterDataRequest, VerifyDataRequest,
};
use serde_json::{Value, json};

use super::args::{DataCommand, DataFilterArgs, Global};
use super::failure::Failure;
use super::ingest::{absolute_source, finished};
use super::progress::IngestBar;
use super::session::Session;
use super::{output, render};

mod get;
mod register;
mod stat;

/// Runs the command.
pub(super) async fn run(command: DataCommand, global: &Global) -> Result<(), Failure> {
    // Before anything is opened: a file that is not there needs no server.
    let objects = match &command {
        DataCommand::Register(args) => Some(register::read(args)?),
        _ => None,
    };
    let session = Session::open(global).await?;
    let outcome = dispatch(&session.client, command, objects.unwrap_or_default(), global.json).await;
    session.close(outcome).await
}

async fn dispatch(
    client: &Client,
    command: DataCommand,
    objects: Vec<hivemem_client::proto::DataObject>,
    as_json: bool,
) -> Result<(), Failure> {
    match command {
        DataCommand::Ls { prefix, flat, filter: wanted, limit, after } => {
            let request = ListDataRequest {
                prefix: prefix.map_or(Ok(String::new()), |prefix| place(&prefix))?,
                filter: Some(filter(wanted)),
                tree: !flat,
                page_size: limit,
                page_token: after.unwrap_or_default(),
                ..ListDataRequest::default()
            };
            list(client, request, as_json).await
        }
        DataCommand::Stat { uri, offline } => stat::run(client, place(&uri)?, offline, as_json).await,
        DataCommand::Locate { uri, ttl, form } => {
            let presign_ttl = ttl.map(|ttl| hivemem_client::proto::Duration {
                seconds: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX),
                nanos: ttl.subsec_nanos() as i32,
            });
            let request = LocateDataRequest { uri: place(&uri)?, presign_ttl, ..LocateDataRequest::default() };
            locate(client, request, form.as_deref(), as_json).await
        }
        DataCommand::Get { uri, output, offset, length, expect_hash, user } => {
            let wanted = get::Wanted {
                uri: place(&uri)?,
                offset,
                length,
                expect_hash: expect_hash.unwrap_or_default(),
                user: user.unwrap_or_default(),
            };
            get::run(client, wanted, output, as_json).await
        }
        DataCommand::Register(args) => register::run(client, objects, args.contents, as_json).await,
        DataCommand::Verify { uri, read } => {
            verify(client, VerifyDataRequest { uri: place(&uri)?, read, ..VerifyDataRequest::default() }, as_json).await
        }
        DataCommand::Search { query, filter: wanted, k } => {
            let filter = Some(filter(wanted));
            search(client, SearchDataRequest { query, filter, k: Some(k), ..SearchDataRequest::default() }, as_json)
                .await
        }
        DataCommand::Rm { uris, prefix } => {
            let uris = uris.iter().map(|uri| place(uri)).collect::<Result<Vec<_>, _>>()?;
            let prefix = prefix.map_or(Ok(String::new()), |prefix| place(&prefix))?;
            let request = UnregisterDataRequest { uris, prefix, ..UnregisterDataRequest::default() };
            let removed = client.unregister_data(request).await?.removed;
            if as_json {
                output::print_json(&json!({"removed": removed}))
            } else {
                output::print(&format!("removed {}", render::plural(removed, "object")))
            }
        }
        DataCommand::Fetch { uri, include, exclude, tags, no_wait, user } => {
            let (uri, user) = (place(&uri)?, user.unwrap_or_default());
            let mut bar = IngestBar::new(&uri);
            let request = FetchAndIngestRequest {
                uri: uri.clone(),
                include,
                exclude,
                tags,
                no_wait,
                user,
                ..FetchAndIngestRequest::default()
            };
            let outcome =
                async { client.fetch_and_ingest(request).await?.finish(|progress| bar.observe(progress)).await }.await;
            bar.clear();
            finished(&uri, outcome, as_json)
        }
    }
}

/// An address as the server needs it: what has a scheme as it is, a path from the root. Data may have any scheme, `note:1`; a
/// path with a colon in its first part is given as `./note:1`.
fn place(address: &str) -> Result<String, Failure> {
    let scheme = address.split_once(':').map_or("", |(scheme, _)| scheme);
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(sound) {
        return Ok(address.to_owned());
    }
    let is_folder = address.ends_with('/');
    let whole = absolute_source(address)?;
    Ok(if is_folder && !whole.ends_with('/') { format!("{whole}/") } else { whole })
}

fn filter(args: DataFilterArgs) -> DataFilter {
    let indexed = if args.indexed { Some(true) } else { args.not_indexed.then_some(false) };
    DataFilter { kinds: args.kinds, stores: args.stores, tags: args.tags, owners: args.owners, indexed }
}

fn entry_json(entry: &DataEntry) -> Value {
    json!({
        "uri": entry.uri, "name": entry.name, "kind": entry.kind, "store": entry.store,
        "media_type": entry.media_type, "bytes": entry.bytes, "indexed": entry.indexed,
        "registered": entry.registered, "description": entry.description,
    })
}

fn entry_line(entry: &DataEntry) -> String {
    let size = entry.bytes.map_or("?".to_owned(), render::bytes);
    let state = match (entry.indexed, entry.registered) {
        (true, _) => "indexed",
        (false, _) => "not indexed",
    };
    let kind = if entry.kind == "object" { String::new() } else { format!("  {}", entry.kind) };
    let text = format!("{}  {size}{kind}  {state}  {}", entry.uri, entry.description);
    render::cut(text.trim_end(), output::columns())
}

async fn list(client: &Client, request: ListDataRequest, as_json: bool) -> Result<(), Failure> {
    let page = client.list_data(request).await?;
    if as_json {
        let folders = page
            .folders
            .iter()
            .map(|folder| json!({"uri": folder.uri, "objects": folder.objects, "at_least": folder.at_least}));
        return output::print_json(&json!({
            "folders": folders.collect::<Vec<_>>(),
            "entries": page.entries.iter().map(entry_json).collect::<Vec<_>>(),
            "next": page.next_page_token,
        }));
    }
    let mut text = String::new();
    for folder in &page.folders {
        let more = if folder.at_least { "more than " } else { "" };
        let objects = render::plural(folder.objects, "object");
        text.push_str(&format!("{}  {more}{objects}\n", render::printable(&folder.uri)));
    }
    for entry in &page.entries {
        text.push_str(&entry_line(entry));
        text.push('\n');
    }
    if !page.next_page_token.is_empty() {
        output::note(format!("there is more: --after {}", page.next_page_token));
    }
    output::print(&text)
}

async fn locate(client: &Client, request: LocateDataRequest, form: Option<&str>, as_json: bool) -> Result<(), Failure> {
    let located = client.locate_data(request).await?;
    let recipes: Vec<_> = located.recipes.iter().filter(|recipe| form.is_none_or(|form| form == recipe.form)).collect();
    if let (Some(form), true) = (form, recipes.is_empty()) {
        let known: Vec<&str> = located.recipes.iter().map(|recipe| recipe.form.as_str()).collect();
        return Err(Failure::failed(format!("there is no way {form:?} to it; there are {}", known.join(", "))));
    }
    if as_json {
        let recipes = recipes
            .iter()
            .map(|recipe| {
                json!({
                    "form": recipe.form, "text": recipe.text, "needs": recipe.needs,
                    "valid_until": render::time_json(&recipe.valid_until),
                })
            })
            .collect::<Vec<_>>();
        return output::print_json(&json!({"uri": located.uri, "store": located.store, "recipes": recipes}));
    }
    if let (Some(_), [only]) = (form, recipes.as_slice()) {
        // As it stands, to be piped on.
        return output::print(&only.text);
    }
    output::print(&recipes_text(&recipes))
}

/// Ways to an object, each under what it needs.
pub(super) fn recipes_text(recipes: &[&DataRecipe]) -> String {
    let shown = |recipe: &&DataRecipe| format!("# {}: needs {}\n{}", recipe.form, recipe.needs, recipe.text.trim_end());
    recipes.iter().map(shown).collect::<Vec<_>>().join("\n\n")
}

async fn verify(client: &Client, request: VerifyDataRequest, as_json: bool) -> Result<(), Failure> {
    let uri = request.uri.clone();
    let verdict = client.verify_data(request).await?;
    let seconds = verdict.elapsed.map_or(0.0, |elapsed| elapsed.seconds as f64 + f64::from(elapsed.nanos) / 1e9);
    if as_json {
        output::print_json(&json!({
            "uri": uri, "exists": verdict.exists, "verdict": verdict.verdict, "reason": verdict.reason,
            "seconds": seconds, "bytes": verdict.bytes, "version": verdict.version,
            "content_hash": verdict.content_hash,
        }))?;
    } else {
        let (verdict, reason) = (&verdict.verdict, &verdict.reason);
        output::print(&format!("{verdict}: {reason} ({:.0} ms)", seconds * 1e3))?;
    }
    // For scripts: what changed or is gone is a failure of what was to be verified.
    if verdict.verdict == "changed" { Err(Failure::failed("it is not what it was")) } else { Ok(()) }
}

async fn search(client: &Client, request: SearchDataRequest, as_json: bool) -> Result<(), Failure> {
    let hits = client.search_data(request).await?.hits;
    if as_json {
        return output::print_json(&hits_json(&hits));
    }
    let mut text = String::new();
    for hit in &hits {
        let line = hit.entry.as_ref().map(entry_line).unwrap_or_default();
        text.push_str(&format!("{:.3}  {line}\n", hit.score));
        text.push_str(&format!("       {}\n", render::cut(&hit.reasons.join("; "), output::columns())));
        if let Some(plan) = &hit.plan {
            text.push_str(&format!("       {}\n", render::cut(&plan_line(plan), output::columns())));
        }
    }
    if hits.is_empty() {
        output::note("nothing that fits is registered or ingested");
    }
    output::print(&text)
}

/// What was found, with a plan for what is not ingested.
pub(super) fn hits_json(hits: &[DataHit]) -> Value {
    let hit = |hit: &DataHit| {
        let (entry, plan) = (hit.entry.as_ref().map(entry_json), hit.plan.as_ref().map(plan_json));
        json!({"entry": entry, "score": render::float(hit.score), "reasons": hit.reasons, "plan": plan})
    };
    json!({"hits": hits.iter().map(hit).collect::<Vec<_>>()})
}

fn plan_seconds(plan: &FetchPlan) -> Option<f64> {
    plan.estimated.as_ref().map(|time| time.seconds as f64 + f64::from(time.nanos) / 1e9)
}

fn plan_json(plan: &FetchPlan) -> Value {
    json!({
        "uri": plan.uri, "steps": plan.steps, "bytes": plan.bytes, "documents": plan.documents,
        "seconds": plan_seconds(plan), "cost_class": plan.cost_class, "credential": plan.credential,
        "obstacle": plan.obstacle,
    })
}

fn plan_line(plan: &FetchPlan) -> String {
    if !plan.obstacle.is_empty() {
        return format!("can't be ingested: {}", plan.obstacle);
    }
    let size = plan.bytes.map_or("of unknown size".to_owned(), render::bytes);
    let time = plan_seconds(plan).map_or(String::new(), |seconds| format!(", about {seconds:.0} s"));
    format!("to ingest ({size}{time}, {}): hivemem data fetch {}", plan.cost_class, plan.uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_scheme_is_an_address_and_the_rest_are_paths() {
        for address in ["note:1", "memory:7", "view+x:y/z", "s3://b/", "git@github.com:o/r", "github:o/r"] {
            assert_eq!(place(address).unwrap(), address);
        }
        let here = place(".").unwrap();
        assert_eq!(place("./note:1").unwrap(), format!("{here}/note:1"));
        assert_eq!(place("a b:c/").unwrap(), format!("{here}/a b:c/"));
        assert_eq!(place("/a/").unwrap(), "/a/");
    }
}
