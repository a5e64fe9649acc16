//! `hivemem fsck` and `hivemem compact`.

use std::fmt::Write as _;

use hivemem_client::proto::{FsckResponse, StoreCheck, StoreDifference};
use serde_json::{Value, json};

use super::args::{FsckArgs, Global};
use super::failure::Failure;
use super::output;
use super::render::{bytes, count, printable, table};
use super::session::Session;

/// Checks all stores; fails if something is wrong in the end.
pub(super) async fn fsck(args: FsckArgs, global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let outcome = session.client.fsck(args.repair).await.map_err(Failure::from);
    let reply = session.close(outcome).await?;
    if global.json {
        output::print_json(&fsck_json(&reply))?
    } else {
        output::print(&fsck_text(&reply))?
    }
    match (reply.clean, args.repair) {
        (true, _) => Ok(()),
        (false, false) => Err(Failure::failed("the stores differ; `hivemem fsck --repair` mends what can be mended")),
        (false, true) => Err(Failure::failed("not everything could be mended; see above, and use a backup if need be")),
    }
}

/// Gives space back.
pub(super) async fn compact(global: &Global) -> Result<(), Failure> {
    let session = Session::open(global).await?;
    let outcome = session.client.compact().await.map_err(Failure::from);
    let reply = session.close(outcome).await?;
    if global.json {
        return output::print_json(&json!({
            "disk_bytes_before": reply.disk_bytes_before,
            "disk_bytes_after": reply.disk_bytes_after,
            "log_entries": reply.log_entries,
        }));
    }
    let (before, after) = (bytes(reply.disk_bytes_before), bytes(reply.disk_bytes_after));
    output::print(&format!("{before} before, {after} now; {} log entries dropped", count(reply.log_entries)))
}

fn fsck_json(reply: &FsckResponse) -> Value {
    json!({
        "clean": reply.clean,
        "repaired": reply.repaired,
        "lsn": reply.lsn,
        "stores": reply.stores.iter().map(store_json).collect::<Vec<_>>(),
        "left": reply.left.iter().map(store_json).collect::<Vec<_>>(),
    })
}

fn store_json(store: &StoreCheck) -> Value {
    let difference = |one: &StoreDifference| {
        json!({
            "missing": one.missing,
            "namespace": one.namespace,
            "document_id": one.document_id,
            "chunk_id": one.chunk_id,
            "uri": one.uri,
        })
    };
    json!({
        "name": store.name,
        "expected": store.expected,
        "found": store.found,
        "missing": store.missing,
        "surplus": store.surplus,
        "first": store.first.iter().map(difference).collect::<Vec<_>>(),
        "problems": store.problems,
    })
}

fn fsck_text(reply: &FsckResponse) -> String {
    let mut out = stores_text(&reply.stores);
    if reply.repaired {
        let _ = write!(out, "\nafter the repair\n{}", stores_text(&reply.left));
    }
    let verdict = match (reply.clean, reply.repaired) {
        (true, false) => "clean",
        (true, true) => "repaired, clean now",
        (false, _) => "not clean",
    };
    let _ = writeln!(out, "{verdict} at lsn {}", reply.lsn);
    out
}

fn stores_text(stores: &[StoreCheck]) -> String {
    let head = ["store", "expected", "found", "missing", "surplus"].map(str::to_owned);
    let figures = |store: &StoreCheck| [store.expected, store.found, store.missing, store.surplus].map(count);
    let rows: Vec<Vec<String>> =
        stores.iter().map(|store| [vec![store.name.clone()], figures(store).to_vec()].concat()).collect();
    let mut out = table(&head, &rows);
    for store in stores {
        for problem in &store.problems {
            let _ = writeln!(out, "{}: {}", store.name, printable(problem));
        }
        for one in &store.first {
            let what = if one.missing { "lacks" } else { "has, but should not," };
            let part = if one.chunk_id.is_empty() { &one.document_id } else { &one.chunk_id };
            let of = if one.uri.is_empty() { format!("document {}", one.document_id) } else { printable(&one.uri) };
            let _ = writeln!(out, "{}: {what} {part} of {of} in {}", store.name, printable(&one.namespace));
        }
        let beyond = (store.missing + store.surplus).saturating_sub(store.first.len() as u64);
        if beyond > 0 && !store.first.is_empty() {
            let _ = writeln!(out, "{}: and {} more", store.name, count(beyond));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> FsckResponse {
        let difference = StoreDifference {
            missing: true,
            namespace: "team".into(),
            document_id: "d1".into(),
            chunk_id: "c1".into(),
            uri: "file:///a.rs".into(),
        };
        let store = StoreCheck {
            name: "vector".into(),
            expected: 1_200,
            found: 1_178,
            missing: 22,
            first: vec![difference],
            problems: vec!["the counter says 7".into()],
            ..StoreCheck::default()
        };
        FsckResponse { stores: vec![store], lsn: 9, ..FsckResponse::default() }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_address() {
        let text = fsck_text(&reply());
        for part in ["1,178", "lacks c1 of file:///a.rs in team", "and 21 more", "the counter says 7", "not clean"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn the_json_says_the_same() {
        let value = fsck_json(&reply());
        assert_eq!((&value["clean"], &value["stores"][0]["missing"]), (&json!(false), &json!(22)));
        assert_eq!(value["stores"][0]["first"][0]["chunk_id"], "c1");
    }
}
