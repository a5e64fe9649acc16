//! The knowledge graph at a million edges: loading it, what it takes, and each question about it.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::time::Instant;

use hivemem::base::{ContentHash, DocumentId, Timestamp};
use hivemem::engine::catalog::Source;
use hivemem::flow::Engines;
use hivemem::flow::access::{Access, Grant};
use hivemem::flow::relate::walk::Around;
use hivemem::flow::relate::{tree, walk};
use hivemem::model::{
    Document, DocumentKind, DocumentWrite, EdgeKind, FactNode, Facts, Lines, NodeKind, Reference, Role, Span, Trust,
};
use tokio::runtime::Runtime;

use common::model::Model;
use common::report::{Sample, heading, line, mib};
use common::server::resident;

mod common;

/// Files, definitions in each, and calls of each definition: with what follows from where they stand, a million edges.
const FILES: usize = 20_500;
const DEFINITIONS: usize = 12;
const CALLS: usize = 3;
/// Files of one folder.
const FILES_PER_FOLDER: usize = 40;
/// Documents written at a time.
const BATCH: usize = 500;
/// Times that each question is asked, of other nodes each time.
const ASKED: usize = 100;

fn main() {
    let Some(model) = Model::find().filter(|_| common::wanted("graph")) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    runtime.block_on(async {
        let engines = common::engines::open(dir.path(), &model).await;
        let grant = Access::default().authorize(None, common::NAMESPACE).expect("an open server");
        fill(&engines, &grant).await;
        measure(&engines, &grant).await;
    });
}

async fn fill(engines: &Engines, grant: &Grant) {
    let now = Timestamp(0);
    engines.catalog.create_namespace(grant.namespace(), now).await.expect("a namespace");
    let source = engines.catalog.ensure_source(grant.namespace(), "file:///big", now).await.expect("a source");
    for first in (0..FILES).step_by(BATCH) {
        let writes = (first..first + BATCH).map(|n| file(grant, &source, n)).collect();
        engines.catalog.write(grant.namespace(), "bench", writes).await.expect("a write");
    }
}

fn path(n: usize) -> String {
    format!("area{}/part{}/file{n}.rs", n / FILES_PER_FOLDER / 20, n / FILES_PER_FOLDER)
}

/// A number that looks like chance and is the same in every run.
fn mixed(n: usize) -> usize {
    let mut x = n as u64 ^ 0x9e37_79b9_7f4a_7c15;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 27)) as usize
}

/// A file of types with methods that call others, near and far.
fn file(grant: &Grant, source: &Source, n: usize) -> DocumentWrite {
    let uri = format!("file:///big/{}", path(n));
    let mut facts = Facts::default();
    for place in 0..DEFINITIONS {
        let line = place as u32 * 10 + 1;
        let is_type = place % 4 == 0;
        facts.nodes.push(FactNode {
            kind: if is_type { NodeKind::Type } else { NodeKind::Method },
            name: if is_type { format!("Type{n}x{place}") } else { format!("do{n}x{place}") },
            parent: (!is_type).then_some((place - place % 4) as u32),
            span: Span { start: u64::from(line), end: u64::from(line) + 9 },
            lines: Lines { first: line, last: line + 9 },
            signature: format!("fn do{n}x{place}(&self, other: &Type{n}x0) -> bool"),
            doc: String::new(),
            owner: String::new(),
            test: false,
        });
        for call in 0..CALLS {
            let chance = mixed(n * 100 + place * 7 + call);
            let far = if chance.is_multiple_of(3) { chance / 3 % FILES } else { (n / 40 * 40 + chance % 40) % FILES };
            let (owner, member) = (chance / 7 % 3 * 4, chance / 11 % 3 + 1);
            facts.references.push(Reference {
                kind: EdgeKind::Calls,
                from: Some(place as u32),
                name: format!("do{far}x{}", owner + member),
                scope: format!("Type{far}x{owner}"),
                at: u64::from(line),
                line,
                count: 1,
                alias: None,
                owner: String::new(),
            });
        }
    }
    let document = Document {
        id: DocumentId::derive(grant.namespace().as_str(), &uri),
        source: source.id,
        path: path(n),
        kind: DocumentKind::Code,
        role: Role::Main,
        media_type: "text/x-rust".into(),
        language: Some("rust".into()),
        title: None,
        content: ContentHash::of(uri.as_bytes()),
        bytes: 1_000,
        modified_at: None,
        mark: None,
        indexed_at: Timestamp(0),
        tags: Vec::new(),
        metadata: Default::default(),
        trust: Trust::Local,
        expires_at: None,
        repeats: None,
        uri,
    };
    DocumentWrite { document, chunks: Vec::new(), facts }
}

async fn measure(engines: &Engines, grant: &Grant) {
    let before = resident();
    let began = Instant::now();
    let loaded = engines.graphs.get(engines, grant.namespace()).await.expect("a graph");
    let seconds = began.elapsed().as_secs_f64();
    let (nodes, edges) = (loaded.read().nodes(), loaded.read().edges());
    heading(&format!("a graph of {FILES} files, {nodes} nodes, {edges} edges"));
    line("loading", &format!("{seconds:.2} s"), "<= 5 s");
    line("resident memory for it", &format!("{:.0} MiB", mib(resident().saturating_sub(before))), "<= 300 MB");

    let name = |n: usize| format!("do{}x{}", mixed(n) % FILES, mixed(n) % 3 + 1);
    let target = "p50 <= 10 ms";
    for depth in 1..=3 {
        let mut sample = Sample::default();
        for n in 0..ASKED {
            let around = Around { node: name(n), depth, limit: 200, ..Around::default() };
            let began = Instant::now();
            walk::neighbours(engines, grant, around).await.expect("neighbours");
            sample.push(began.elapsed());
        }
        sample.print(&format!("neighbours, depth {depth}, at most 200"), target);
    }
    let mut sample = Sample::default();
    for n in 0..ASKED {
        let began = Instant::now();
        walk::path(engines, grant, name(n), name(n + 7), 3, Vec::new()).await.expect("a path");
        sample.push(began.elapsed());
    }
    sample.print("path, at most 3 steps", target);
    let mut sample = Sample::default();
    for n in 0..ASKED {
        let began = Instant::now();
        walk::related(engines, grant, vec![name(n)], 20, Vec::new()).await.expect("related nodes");
        sample.push(began.elapsed());
    }
    sample.print("related", target);
    let mut sample = Sample::default();
    for n in 0..ASKED {
        let began = Instant::now();
        walk::resolve(engines, grant, name(n), 10).await.expect("candidates");
        sample.push(began.elapsed());
    }
    sample.print("resolve", target);
    let mut sample = Sample::default();
    for n in 0..ASKED {
        let began = Instant::now();
        tree::outline(engines, grant, path(mixed(n) % FILES), 500).await.expect("an outline");
        sample.push(began.elapsed());
    }
    sample.print("outline of a file", target);
    let mut sample = Sample::default();
    for n in 0..ASKED {
        let folder = format!("area{}", n % (FILES / FILES_PER_FOLDER / 20));
        let began = Instant::now();
        tree::tree(engines, grant, folder, 3, 500).await.expect("a tree");
        sample.push(began.elapsed());
    }
    sample.print("tree of a folder, depth 3", target);
    let mut sample = Sample::default();
    for _ in 0..5 {
        let began = Instant::now();
        tree::tree(engines, grant, String::new(), 2, 500).await.expect("a tree");
        sample.push(began.elapsed());
    }
    sample.print("tree of everything, depth 2", target);
}
