//! What the graph makes of small sets of documents.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Graph, GraphDocument, NodeId, Overlay, Toward};
use crate::base::{ContentHash, DocumentId, SourceId};
use crate::model::{Alias, EdgeKind, FactNode, Facts, Lines, Mention, NodeKind, Reference, Role, Span};

/// A document at `path` with nothing in it.
fn document(path: &str) -> GraphDocument {
    let uri = format!("file:///repo/{path}");
    GraphDocument {
        id: DocumentId::derive("default", &uri),
        source: SourceId::derive("default", "file:///repo"),
        language: path.rsplit_once('.').and_then(|(_, extension)| match extension {
            "rs" => Some("rust".to_owned()),
            "py" => Some("python".to_owned()),
            "go" => Some("go".to_owned()),
            _ => None,
        }),
        prose: path.ends_with(".md"),
        memory: false,
        uri,
        path: path.to_owned(),
        role: Role::Main,
        title: None,
        content: ContentHash::of(path.as_bytes()),
        chunks: vec![Span { start: 0, end: 500 }, Span { start: 500, end: 1_000 }],
        labels: Vec::new(),
        overlay: None,
        facts: Facts::default(),
    }
}

impl GraphDocument {
    /// Adds a definition, `Outer::name` standing in `Outer`, which was defined before.
    fn defines(mut self, kind: NodeKind, path: &str) -> Self {
        let (outer, name) = path.rsplit_once("::").map_or((None, path), |(outer, name)| (Some(outer), name));
        let parent = outer.map(|outer| self.facts.nodes.iter().position(|node| node.name == outer).unwrap() as u32);
        let line = self.facts.nodes.len() as u32 + 1;
        self.facts.nodes.push(FactNode {
            kind,
            name: name.to_owned(),
            parent,
            span: Span { start: u64::from(line) * 10, end: u64::from(line) * 10 + 9 },
            lines: Lines { first: line, last: line },
            signature: String::new(),
            doc: String::new(),
            owner: String::new(),
            test: false,
        });
        self
    }

    /// Adds a reference from a definition (`""`: the document) to `scope name`.
    fn says(mut self, from: &str, kind: EdgeKind, scope: &str, name: &str) -> Self {
        let from = self.facts.nodes.iter().position(|node| node.name == from).map(|place| place as u32);
        let (name, alias) =
            name.split_once(" as ").map_or((name, None), |(name, alias)| (name, Some(alias.to_owned())));
        let at = self.facts.references.len() as u64;
        let (scope, name) = (scope.to_owned(), name.to_owned());
        self.facts.references.push(Reference {
            kind,
            from,
            name,
            scope,
            alias,
            owner: String::new(),
            at,
            line: at as u32 + 1,
            count: 1,
        });
        self
    }

    /// Adds what prose names in its first chunk.
    fn names(mut self, keys: &[&str]) -> Self {
        let mention = |key: &&str| Mention { key: (*key).to_owned(), at: Some(5), strong: true };
        self.facts.mentions.extend(keys.iter().map(mention));
        self.facts.terms = vec![vec![1, 2], vec![3]];
        self
    }

    /// Says in its first chunk that `name` is another name of `of`.
    fn same(mut self, name: &str, of: &str) -> Self {
        self.facts.aliases.push(Alias { name: name.to_owned(), of: of.to_owned(), at: 5 });
        self
    }

    fn titled(mut self, title: &str) -> Self {
        self.facts.titles.push(title.to_owned());
        self.title = Some(title.to_owned());
        self
    }
}

fn graph(documents: Vec<GraphDocument>) -> Graph {
    let mut graph = Graph::default();
    graph.load(documents);
    graph.settle_all();
    graph
}

fn all_nodes(graph: &Graph) -> Vec<NodeId> {
    graph.graph.node_indices().map(NodeId::of).collect()
}

/// Every edge by addresses.
fn edges(graph: &Graph) -> Vec<(String, EdgeKind, String, u32)> {
    let mut edges = Vec::new();
    for node in all_nodes(graph) {
        for edge in graph.edges_at(node, Toward::Out, usize::MAX) {
            let (from, to) = (graph.address(node).unwrap(), graph.address(edge.other).unwrap());
            edges.push((from, edge.kind, to, (edge.confidence * 255.0).round() as u32));
        }
    }
    edges.sort();
    edges
}

/// What a reference of `kind` from `from` means, by the paths of its targets.
fn meant(graph: &Graph, from: &str, kind: EdgeKind) -> Vec<String> {
    let (node, _) = graph.candidates_for(from, 1);
    let out = graph.edges_at(node[0], Toward::Out, usize::MAX).into_iter().filter(|edge| edge.kind == kind);
    let mut found: Vec<String> = out
        .map(|edge| {
            let view = graph.view(edge.other).unwrap();
            format!("{}#{}", view.path, view.qualified)
        })
        .collect();
    found.sort();
    found
}

use EdgeKind::{Calls, Imports, Inherits, Links, Mentions};
use NodeKind::{Function, Interface, Method, Section, Type};

#[test]
fn names_mean_what_stands_around_them_then_what_is_imported() {
    let graph = graph(vec![
        document("src/a.rs").defines(Function, "run").defines(Function, "helper").says("run", Calls, "", "helper"),
        document("src/b.rs").defines(Function, "helper"),
        document("src/c.rs")
            .defines(Function, "start")
            .says("", Imports, "crate::b", "helper as other")
            .says("start", Calls, "", "other")
            .says("start", Calls, "crate::a", "run"),
    ]);
    assert_eq!(meant(&graph, "run", Calls), ["src/a.rs#helper"]);
    assert_eq!(meant(&graph, "start", Calls), ["src/a.rs#run", "src/b.rs#helper"]);
    assert_eq!(meant(&graph, "src/c.rs", Imports), ["src/b.rs#helper"]);
}

#[test]
fn members_are_found_by_their_type_and_through_what_it_inherits() {
    let graph = graph(vec![
        document("pkg/base.py").defines(Type, "Base").defines(Method, "Base::close"),
        document("pkg/client.py")
            .says("", Imports, ".base", "Base")
            .defines(Type, "Client")
            .says("Client", Inherits, "", "Base")
            .defines(Method, "Client::send")
            .defines(Method, "Client::finish")
            .says("finish", Calls, "self", "send")
            .says("finish", Calls, "self", "close"),
        document("pkg/other.py").defines(Type, "Other").defines(Method, "Other::send"),
        document("app.py")
            .says("", Imports, "pkg.client", "Client")
            .defines(Function, "main")
            .says("main", Calls, "Client", "send"),
    ]);
    assert_eq!(meant(&graph, "Client", Inherits), ["pkg/base.py#Base"]);
    assert_eq!(meant(&graph, "finish", Calls), ["pkg/base.py#Base::close", "pkg/client.py#Client::send"]);
    assert_eq!(meant(&graph, "main", Calls), ["pkg/client.py#Client::send"]);
}

#[test]
fn what_is_passed_on_is_followed_to_its_definition() {
    let graph = graph(vec![
        document("src/lib.rs").says("", Imports, "self::inner::deep", "Thing").says("", Imports, "self::glob", "*"),
        document("src/inner/deep.rs").defines(Type, "Thing"),
        document("src/glob.rs").defines(Function, "anywhere"),
        document("tests/it.rs")
            .says("", Imports, "repo", "Thing")
            .defines(Function, "check")
            .says("check", Calls, "crate", "anywhere"),
    ]);
    assert_eq!(meant(&graph, "src/lib.rs", Imports), ["src/glob.rs#", "src/inner/deep.rs#Thing"]);
}

#[test]
fn packages_share_names_and_strangers_do_not() {
    let graph = graph(vec![
        document("net/a.go").defines(Function, "Dial").says("Dial", Calls, "", "resolve"),
        document("net/b.go").defines(Function, "resolve"),
        document("web/c.go").defines(Function, "resolve"),
        document("x.py").defines(Function, "resolve"),
    ]);
    assert_eq!(meant(&graph, "Dial", Calls), ["net/b.go#resolve"]);
}

#[test]
fn documents_lead_to_code_and_to_each_other() {
    let guide = document("docs/guide.md")
        .defines(Section, "Install")
        .says("Install", Links, "../README.md#first-steps", "first-steps")
        .says("Install", Mentions, "", "Pool")
        .says("Install", Mentions, "", "src/pool.rs");
    let graph = graph(vec![
        guide,
        document("README.md").defines(Section, "First steps"),
        document("src/pool.rs").defines(Type, "Pool"),
    ]);
    assert_eq!(meant(&graph, "Install", Links), ["README.md#First steps"]);
    assert_eq!(meant(&graph, "Install", Mentions), ["src/pool.rs#", "src/pool.rs#Pool"]);
}

#[test]
fn a_name_of_ten_thousand_things_means_none_of_them() {
    let mut documents: Vec<GraphDocument> =
        (0..10_000).map(|n| document(&format!("d{}/f{n}.rs", n % 100)).defines(Function, "new")).collect();
    documents.push(
        document("main.rs").defines(Function, "main").says("main", Calls, "", "new").says("main", Calls, "f7", "new"),
    );
    let graph = graph(documents);
    assert_eq!(meant(&graph, "main", Calls), ["d7/f7.rs#new"], "a path tells it apart, the name alone does not");
}

#[test]
fn a_name_that_one_file_defines_thousands_of_times_has_as_many_addresses() {
    let mut crowded = document("src/crowd.rs");
    for _ in 0..2_000 {
        crowded = crowded.defines(Function, "new");
    }
    let graph = graph(vec![crowded.says("new", Calls, "", "new")]);
    let defined = all_nodes(&graph).into_iter().filter(|node| graph.kind(*node) == Some(NodeKind::Function));
    let addresses: Vec<String> = defined.filter_map(|node| graph.address(node)).collect();
    assert_eq!(addresses.len(), 2_000);
    let different: BTreeSet<&String> = addresses.iter().collect();
    assert_eq!(different.len(), addresses.len());
    assert!(different.contains(&"file:///repo/src/crowd.rs#new~2000".to_owned()));
}

#[test]
fn passages_with_a_rare_name_in_common_are_linked_and_pages_about_it_more() {
    let graph = graph(vec![
        document("a.md").names(&["hello love", "england"]),
        document("b.md").names(&["hello love"]),
        document("c.md").titled("hello love").names(&["singer"]),
        document("d.md").names(&["nothing shared"]),
    ]);
    let passage =
        |path: &str| graph.passage(DocumentId::derive("default", &format!("file:///repo/{path}")), 0).unwrap();
    let links = graph.links(passage("a.md"), &[], &|_| false);
    let to: Vec<(NodeId, bool)> = links.iter().map(|link| (link.to, link.about)).collect();
    assert!(to.contains(&(passage("b.md"), false)) && to.contains(&(passage("c.md"), true)), "{links:?}");
    assert!(!to.iter().any(|(node, _)| *node == passage("d.md") || *node == passage("a.md")));
    assert!(graph.links(passage("a.md"), &[], &|name| name == "hello love").is_empty(), "what is known is no news");
    let words = |text: &str| -> Vec<(String, bool, bool)> {
        text.split(' ').map(|word| (word.to_lowercase(), word.starts_with(char::is_uppercase), false)).collect()
    };
    let named = graph.titles_in(&words("who sang hello love first"));
    assert_eq!(named.iter().flat_map(|entity| graph.about(*entity)).next(), Some(passage("c.md")));
    assert!(graph.titles_in(&words("hello there")).is_empty());
}

#[test]
fn another_name_leads_where_the_first_one_does_while_it_is_the_only_one() {
    let page = document("c.md").titled("bayerische motoren werke");
    let says = document("a.md").same("bmw", "bayerische motoren werke");
    let mut graph = graph(vec![page, says, document("b.md").names(&["bmw"])]);
    let passage = |graph: &Graph, path: &str| {
        graph.passage(DocumentId::derive("default", &format!("file:///repo/{path}")), 0).unwrap()
    };
    let leads = |graph: &Graph| -> Vec<(NodeId, bool)> {
        graph.links(passage(graph, "b.md"), &[], &|_| false).iter().map(|link| (link.to, link.about)).collect()
    };
    assert!(leads(&graph).contains(&(passage(&graph, "c.md"), true)), "to the page of the long name");
    assert!(graph.links(passage(&graph, "b.md"), &[], &|name| name == "bayerische motoren werke").is_empty());
    let asked = [("bmw".to_owned(), true, false)];
    let named = graph.titles_in(&asked);
    assert_eq!(named.iter().flat_map(|entity| graph.about(*entity)).next(), Some(passage(&graph, "c.md")));
    assert_eq!(graph.candidates_for("BMW", 9).0.len(), 2);
    graph.put(vec![document("d.md").same("bmw", "brood mare weekly")]);
    assert!(!leads(&graph).iter().any(|(_, about)| *about), "a name of two things leads to none");
    assert!(graph.titles_in(&asked).is_empty());
    graph.remove(&["a.md", "d.md"].map(|path| DocumentId::derive("default", &format!("file:///repo/{path}"))));
    assert!(!leads(&graph).iter().any(|(_, about)| *about), "nobody says so any more");
}

#[test]
fn a_memory_is_about_what_it_names_without_being_the_page_of_it() {
    let memory = GraphDocument { memory: true, ..document("m.md").names(&["ada"]).says("", Mentions, "", "parse") };
    let code = document("src/a.rs").defines(Function, "parse");
    let graph = graph(vec![memory, code, document("b.md").names(&["ada"])]);
    let said = |kind| edges(&graph).into_iter().filter(|(_, own, _, _)| *own == kind).count();
    assert_eq!((said(EdgeKind::About), said(Mentions)), (2, 1), "{:?}", edges(&graph));
    assert!(graph.titles_in(&[("ada".to_owned(), true, false)]).is_empty());
}

#[test]
fn turns_follow_each_other_by_their_number_and_title() {
    let mut turns = ["chat/1.md", "chat/2.md", "chat/4.md"].map(|path| document(path).titled("session"));
    turns[0].chunks.truncate(1);
    let mut graph = graph(turns.to_vec());
    let passage = |graph: &Graph, n: u32, at| {
        graph.passage(DocumentId::derive("default", &format!("file:///repo/chat/{n}.md")), at).unwrap()
    };
    assert_eq!(graph.beside(passage(&graph, 1, 0), 1), Some(passage(&graph, 2, 0)));
    assert_eq!(graph.beside(passage(&graph, 2, 600), -1), None, "its second chunk has its first before it");
    assert_eq!(graph.beside(passage(&graph, 2, 600), 1), None, "there is no third");
    graph.put(vec![document("chat/3.md").titled("session")]);
    assert_eq!(graph.beside(passage(&graph, 2, 600), 1), Some(passage(&graph, 3, 0)));
    let order = |graph: &Graph| edges(graph).into_iter().filter(|(_, kind, _, _)| *kind == EdgeKind::Precedes).count();
    assert_eq!(order(&graph), 3);
    graph.put(vec![document("chat/3.md").titled("session")]);
    assert_eq!(order(&graph), 3, "put again it stands where it stood");
    graph.remove(&[DocumentId::derive("default", "file:///repo/chat/2.md")]);
    assert_eq!((graph.beside(passage(&graph, 1, 0), 1), order(&graph)), (None, 1));
}

#[test]
fn links_lie_over_the_graph_and_outlive_new_versions() {
    let mut link = document("link.md");
    let end = |path: &str| format!("file:///repo/{path}");
    let (from, to) = (end("a.rs#run"), end("b.rs"));
    link.overlay = Some(Overlay { from, to, kind: EdgeKind::Related, note: "why".into() });
    let code = || document("a.rs").defines(Function, "run");
    let mut graph = graph(vec![link, code(), document("b.rs")]);
    assert_eq!(meant(&graph, "run", EdgeKind::Related), ["b.rs#"]);
    graph.put(vec![code().defines(Function, "more")]);
    assert_eq!(meant(&graph, "run", EdgeKind::Related), ["b.rs#"]);
    graph.remove(&[DocumentId::derive("default", "file:///repo/link.md")]);
    assert!(meant(&graph, "run", EdgeKind::Related).is_empty());
}

#[test]
fn names_find_addresses_paths_and_parts_of_them() {
    let graph = graph(vec![
        document("src/net/pool.rs").defines(Type, "Pool").defines(Method, "Pool::get"),
        document("src/pool.rs").defines(Interface, "Pool").defines(Function, "get").defines(Function, "get"),
    ]);
    let found = |name: &str| -> Vec<String> {
        graph
            .candidates_for(name, 10)
            .0
            .iter()
            .map(|node| graph.address(*node).unwrap().replace("file:///repo/", ""))
            .collect()
    };
    assert_eq!(found("Pool::get"), ["src/net/pool.rs#Pool::get"]);
    assert_eq!(found("net/pool.rs"), ["src/net/pool.rs"]);
    assert_eq!(found("pool.rs"), ["src/pool.rs", "src/net/pool.rs"], "the shallower first");
    assert_eq!(found("file:///repo/src/pool.rs#get~2"), ["src/pool.rs#get~2"]);
    assert_eq!(found("src"), ["src/"]);
    assert!(found("nothing").is_empty());
    let mut elsewhere = document("src/more.rs").defines(Method, "extra");
    elsewhere.facts.nodes[0].owner = "Pool".to_owned();
    let mut graph = graph;
    graph.put(vec![elsewhere]);
    let (extra, _) = graph.candidates_for("Pool::extra", 10);
    assert_eq!(
        graph.address(extra[0]).unwrap(),
        "file:///repo/src/more.rs#Pool::extra",
        "by its type though that is elsewhere"
    );
    for node in all_nodes(&graph) {
        let address = graph.address(node).unwrap();
        if graph.kind(node) != Some(NodeKind::Passage) {
            assert_eq!(graph.find(&address), Some(node), "{address}");
        }
    }
}

#[test]
fn files_that_change_together_are_joined_while_both_are_there() {
    let mut guide = document("docs/guide.md");
    let partners = [("src/a.rs", 0.5, 4), ("src/gone.rs", 0.9, 9), ("a.rs", 0.2, 2)];
    let stated = partners.map(|(path, share, commits)| Reference::changes_with(path.to_owned(), share, commits));
    guide.facts.references.extend(stated);
    let mut graph = graph(vec![guide, document("src/a.rs")]);
    let found = |graph: &Graph| -> Vec<(String, u32, u32)> {
        let (node, _) = graph.candidates_for("docs/guide.md", 1);
        let out = graph.edges_at(node[0], Toward::Out, usize::MAX).into_iter();
        let out = out.filter(|edge| edge.kind == EdgeKind::ChangesWith);
        let shown = |edge: crate::engine::graph::EdgeView| {
            (graph.view(edge.other).unwrap().path, (edge.confidence * 100.0).round() as u32, edge.count)
        };
        out.map(shown).collect()
    };
    assert_eq!(found(&graph), [("src/a.rs".to_owned(), 50, 4)], "the whole document is joined, with its weight");
    graph.put(vec![document("src/gone.rs")]);
    assert_eq!(found(&graph).len(), 2, "a partner that comes later is joined, too");
    graph.remove(&[document("src/a.rs").id]);
    assert_eq!(found(&graph), [("src/gone.rs".to_owned(), 90, 9)]);
    graph.put(vec![document("docs/guide.md")]);
    assert!(found(&graph).is_empty() && graph.users.values().all(|users| !users.is_empty()));
}

const PATHS: [&str; 8] =
    ["a.rs", "src/b.rs", "src/c/mod.rs", "src/c/d.rs", "src/lib.rs", "notes.md", "part-1.md", "part-2.md"];
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "d"];
const SCOPES: [&str; 7] = ["", "self", "alpha", "crate::c", "super", "b", "crate"];

prop_compose! {
    fn any_document(path: usize)(
        types in prop::collection::vec(0..NAMES.len(), 0..3),
        functions in prop::collection::vec(0..NAMES.len(), 0..3),
        said in prop::collection::vec((0..NAMES.len(), 0..SCOPES.len(), 0..NAMES.len(), 0..4_u8, prop::bool::weighted(0.3)), 0..6),
        mentions in prop::collection::vec(0..NAMES.len(), 0..3),
        partners in prop::collection::btree_set(0..PATHS.len(), 0..3),
        same in prop::option::of((0..NAMES.len(), 0..NAMES.len())),
    ) -> GraphDocument {
        let mut made = document(PATHS[path]);
        for name in types {
            made = made.defines(Type, NAMES[name]);
            made = made.defines(Method, &format!("{0}::{0}", NAMES[name]));
        }
        for name in functions {
            made = made.defines(Function, NAMES[name]);
        }
        for (from, scope, name, kind, all) in said {
            let kind = [Calls, Imports, Inherits, Mentions][kind as usize];
            let name = if kind == Imports && all { "*" } else { NAMES[name] };
            made = made.says(NAMES[from], kind, SCOPES[scope], name);
        }
        let partner = |other: usize| Reference::changes_with(PATHS[other].to_owned(), 0.4, 3);
        made.facts.references.extend(partners.into_iter().map(partner));
        if made.prose {
            made = made.names(&mentions.iter().map(|name| NAMES[*name]).collect::<Vec<_>>()).titled("beta");
            made = same.into_iter().filter(|(a, b)| a != b).fold(made, |made, (a, b)| made.same(NAMES[a], NAMES[b]));
        }
        made
    }
}

/// A version of the document at some path, or its removal.
fn any_change() -> impl Strategy<Value = (usize, Option<GraphDocument>)> {
    (0..PATHS.len()).prop_flat_map(|path| (Just(path), prop::option::weighted(0.8, any_document(path))))
}

/// A document of `source` with an address of its own.
fn addressed(source: &str, uri: &str, path: &str) -> GraphDocument {
    let id = DocumentId::derive("default", uri);
    GraphDocument { id, source: SourceId::derive("default", source), uri: uri.to_owned(), ..document(path) }
}

#[test]
fn folders_have_addresses_whatever_their_documents_are_called() {
    for (source, uri, path, root, folder) in [
        ("file:///repo", "file:///repo/my%20dir/50%25.md", "my dir/50%.md", "file:///repo/", "file:///repo/my%20dir/"),
        ("git+https://h/r", "git+https://h/r#a%23b/c.md", "a#b/c.md", "git+https://h/r#", "git+https://h/r#a%23b/"),
        ("s3://bucket/p", "s3://bucket/p/my dir/a.md", "my dir/a.md", "s3://bucket/p/", "s3://bucket/p/my dir/"),
        ("test:", "test:notes/a.md", "notes/a.md", "test:", "test:notes/"),
        // Neither a page nor a table nor a thread has an address that ends with its path.
        ("site:https://h/", "https://h/guide/start", "guide/start.html", "site:https://h/", "site:https://h/guide/"),
        ("github:o/r", "github:o/r/issues/7", "issues/7.md", "github:o/r/", "github:o/r/issues/"),
        ("sqlite:///x.db", "sqlite:///x.db#users", "users.md", "sqlite:///x.db/", "sqlite:///x.db/"),
    ] {
        let mut graph = Graph::default();
        graph.name_sources([(SourceId::derive("default", source), source.to_owned())]);
        graph.put(vec![addressed(source, uri, path)]);
        let roots: Vec<String> = graph.roots().into_iter().filter_map(|node| graph.address(node)).collect();
        assert_eq!(roots, [root], "{uri}");
        for asked in [root, root.trim_end_matches('/'), folder, folder.trim_end_matches('/')] {
            assert!(graph.find(asked).is_some_and(|node| graph.kind(node) == Some(NodeKind::Folder)), "{asked}");
        }
        assert_eq!(graph.find(folder).and_then(|node| graph.address(node)).as_deref(), Some(folder));
    }
    let odd = addressed("file:///repo", "file:///repo/a%20b.md", "a b.md");
    let graph = graph(vec![odd, document("my dir/c.md")]);
    assert_eq!(graph.find("file:///repo/my dir"), graph.find("file:///repo/my%20dir/"), "as it is written, too");
    assert_eq!(graph.roots().len(), 1);
}

proptest! {
    /// The oracle is a graph that is loaded with what is there in the end.
    #[test]
    fn any_history_ends_in_the_graph_of_what_is_there(changes in prop::collection::vec(any_change(), 1..12)) {
        let mut lived = Graph::default();
        let mut there: std::collections::BTreeMap<usize, GraphDocument> = std::collections::BTreeMap::new();
        for (path, version) in changes {
            match version {
                Some(version) => {
                    there.insert(path, version.clone());
                    lived.put(vec![version]);
                }
                None => {
                    there.remove(&path);
                    lived.remove(&[document(PATHS[path]).id]);
                }
            }
        }
        let fresh = graph(there.into_values().rev().collect());
        prop_assert_eq!(edges(&lived), edges(&fresh));
        let addresses = |graph: &Graph| -> BTreeSet<String> {
            all_nodes(graph).into_iter().filter_map(|node| graph.address(node)).collect()
        };
        prop_assert_eq!(addresses(&lived), addresses(&fresh));
        prop_assert_eq!(lived.nodes(), fresh.nodes());
        prop_assert_eq!(lived.frequency.len(), fresh.frequency.len());
        let users = |graph: &Graph| graph.users.values().map(|users| users.len()).sum::<usize>();
        prop_assert_eq!(users(&lived), users(&fresh));
    }
}
