//! Facts of small texts, language by language, and of hostile ones.

use proptest::strategy::Strategy;

use super::super::language::Grammar;
use super::super::layout::Layout;
use super::super::syntax;
use super::*;
use crate::model::{EdgeKind, Facts};

fn facts_of(grammar: Grammar, text: &str) -> Facts {
    let found = syntax::analyse(text, grammar, &|_, _| false).unwrap();
    of_code(&Code { text, grammar, tree: &found.tree, symbols: &found.symbols, test: false })
}

/// `kind path`, the owner of a definition in front of it.
fn nodes(facts: &Facts) -> Vec<String> {
    let of = |at: usize| {
        let node = &facts.nodes[at];
        format!("{} {}{}", node.kind.as_str(), path(facts, Some(at as u32)), if node.test { " (test)" } else { "" })
    };
    (0..facts.nodes.len()).map(of).collect()
}

fn path(facts: &Facts, at: Option<u32>) -> String {
    let Some(at) = at else { return String::new() };
    let node = &facts.nodes[at as usize];
    let outer = path(facts, node.parent);
    let parts = [outer.as_str(), node.owner.as_str(), node.name.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// The references of one kind: `from: scope|name`, with the alias, the owner and the count where there are any.
fn said(facts: &Facts, kind: EdgeKind) -> Vec<String> {
    let of = facts.references.iter().filter(|reference| reference.kind == kind);
    of.map(|said| {
        let alias = said.alias.as_ref().map_or(String::new(), |alias| format!(" as {alias}"));
        let owner = if said.owner.is_empty() { String::new() } else { format!(" of {}", said.owner) };
        let count = if said.count > 1 { format!(" x{}", said.count) } else { String::new() };
        format!("{}: {}|{}{alias}{owner}{count}", path(facts, said.from), said.scope, said.name)
    })
    .collect()
}

/// What of `wanted` is missing in `found`.
fn check(found: &[String], wanted: &[&str]) {
    let missing: Vec<_> = wanted.iter().filter(|wanted| !found.iter().any(|found| found == **wanted)).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}\nfound: {found:#?}");
}

fn check_not(found: &[String], unwanted: &[&str]) {
    let there: Vec<_> = found.iter().filter(|found| unwanted.iter().any(|word| found.contains(word))).collect();
    assert!(there.is_empty(), "there: {there:#?}");
}

#[test]
fn rust() {
    let text = r#"
use std::{fmt::{self, Display}, io as sio};
use crate::base::{Clock as _, limits::*};
pub use self::pool::Pool as ThePool;
mod pool;

/// A server. See [`Pool::get`] and `run_it`.
#[derive(Debug, serde::Serialize)]
pub struct Server<T> { pool: Arc<Pool>, clock: Clock, items: Vec<T> }

impl<T> Server<T> {
    pub fn new(pool: Pool) -> Self { Self { pool: Arc::new(pool) } }
    fn run(&self, other: &Other) -> Result<Client, Error> {
        let conn = self.pool.get();
        conn.send(1).unwrap();
        other.go();
        let s = Server::new(conn);
        s.run(other)?.fetch();
        Self::helper(LIMIT);
        println!("{}", compute(self.items.len()), other.go2(), Other::<T>::build());
        text.lines().map(parse_line).collect()
    }
    fn helper(x: usize) {}
}
impl<T> Display for Server<T> { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "x") } }
fn parse_line(x: &str) {}
trait Store: Send + Base<u8> { fn get(&self) -> Item; }
impl Store for foo::Other { fn get(&self) -> Item { Item::A(3) } }
impl<T> Store for T { fn get(&self) -> Item { loop {} } }
const LIMIT: usize = 3;
#[cfg(test)]
mod tests {
    use super::*;
    fn helper() {}
    #[tokio::test]
    async fn test_server() { assert_eq!(Server::new(Pool::open(1)).run(&x), 3); }
}
"#;
    let facts = facts_of(Grammar::Rust, text);
    let wanted = ["type Server", "method Server/run", "method Server/fmt", "function parse_line", "interface Store"];
    check(&nodes(&facts), &wanted);
    let wanted = ["method Store/get", "method foo::Other/get", "constant LIMIT", "function tests/test_server (test)"];
    check(&nodes(&facts), &wanted);
    check(&nodes(&facts), &["function tests/helper (test)"]);
    check_not(&nodes(&facts), &["module pool"]);
    let imports = said(&facts, EdgeKind::Imports);
    let wanted = [": std|fmt", ": std::fmt|Display", ": std|io as sio", ": crate::base|Clock as _"];
    check(&imports, &wanted);
    check(&imports, &[": crate::base::limits|*", ": self::pool|Pool as ThePool", ": self|pool", "tests: super|*"]);
    let calls = said(&facts, EdgeKind::Calls);
    let run = ["Pool|get", "Pool.get().|send", "Other|go", "Server|new", "Server|run", "Client|fetch", "Server|helper"];
    check(&calls, &run.map(|call| format!("Server/run: {call}")).each_ref().map(String::as_str));
    check(&calls, &["Server/run: |compute", "Server/run: Other|go2", "Server/run: Other|build"]);
    check(&calls, &["tests/test_server: Server|new", "tests/test_server: Pool|open", "foo::Other/get: Item|A"]);
    check_not(&calls, &["unwrap", "println", "Arc|new x", "assert_eq"]);
    let wanted = ["Server: |Display", ": |Store of foo::Other"];
    assert_eq!(said(&facts, EdgeKind::Implements).len(), wanted.len());
    check(&said(&facts, EdgeKind::Implements), &wanted);
    assert_eq!(said(&facts, EdgeKind::Inherits), ["Store: |Base"]);
    check(&said(&facts, EdgeKind::Mentions), &["Server: Pool|get", "Server: |run_it"]);
    assert_eq!(said(&facts, EdgeKind::Tests), ["tests/test_server: |server"]);
    let uses = said(&facts, EdgeKind::Uses);
    check(&uses, &["Server: serde|Serialize", "Server/run: |LIMIT", "Server/run: |parse_line", "Server/run: |Client"]);
    check_not(&uses, &["|T", "usize", "|x", "Debug", "Self"]);
    let late =
        facts_of(Grammar::Rust, "impl Late { fn run() {} }\nstruct Late;\nmod m { impl super::Late { fn go() {} } }");
    let owners: Vec<_> = late.nodes.iter().map(|node| (node.name.as_str(), node.owner.as_str(), node.parent)).collect();
    let wanted = [("run", "Late", None), ("Late", "", None), ("m", "", None), ("go", "super::Late", Some(2))];
    assert_eq!(owners, wanted, "a type that is not before its methods is named");
    assert_eq!(facts.nodes[0].doc, "A server.");
    assert_eq!(facts.nodes[0].signature, "pub struct Server<T>");
}

#[test]
fn items_in_the_arguments_of_a_macro_are_not_called() {
    let text = "cfg_rt! { mod rt; pub fn spawn(a: A) { if(a) {} run(a, 'x', \"no()\"); x.go::<B>() } struct Wide; }";
    let facts = facts_of(Grammar::Rust, text);
    assert_eq!(said(&facts, EdgeKind::Imports), [": self|rt"]);
    assert_eq!(said(&facts, EdgeKind::Calls), [": |cfg_rt", ": |run", ": x.|go"]);
    check_not(&said(&facts, EdgeKind::Uses), &["Wide", "spawn"]);
}

#[test]
fn python() {
    let text = r#""""Module about `Client`."""
import os.path, numpy as np
from . import util
from .models import Request as Req, Response
from x import *

LIMIT = 3
app = App()
app.listen()

@decorators.cached(maxsize=LIMIT)
class Client(Base, pkg.Mixin):
    """A client. See :class:`Session`."""
    pool: Pool

    def __init__(self, session: Session | None, timeout: "Timeout" = DEFAULT):
        super().__init__()
        self.session = session
        self.helper = Helper(3)

    async def get(self, url: str, **kw) -> Response:
        req = Req(url)
        req.prepare()
        self.helper.help(util.join(url))
        self.pool.take()
        self._send(req).raise_for_status()
        resp = await self._send(req, auth=LIMIT)
        resp.close()
        other = util.make()
        other.go()
        os.path.join("a")
        def inner(x): return np.array(x)
        return list(map(process, inner(1)))

    def _send(self, r) -> Response: ...

class Shape(Protocol): ...
def process(x: Optional[Req]):
    if isinstance(x, Client): pass
def test_process(): process(Client().get())
"#;
    let facts = facts_of(Grammar::Python, text);
    let wanted = ["type Client", "method Client/get", "function Client/get/inner", "interface Shape", "constant LIMIT"];
    check(&nodes(&facts), &wanted);
    check(&nodes(&facts), &["function test_process (test)", "function process"]);
    let imports = said(&facts, EdgeKind::Imports);
    check(&imports, &[": os|path as os.path", ": |numpy as np", ": .|util", ": .models|Request as Req", ": x|*"]);
    let calls = said(&facts, EdgeKind::Calls);
    let get = ["|Req", "Req|prepare", "Helper|help", "util|join", "Pool|take", "Client|_send x2", "util.make().|go"];
    check(&calls, &get.map(|call| format!("Client/get: {call}")).each_ref().map(String::as_str));
    let wanted = ["Client/get: Response|raise_for_status", "Client/get: Response|close", "Client/get: os.path|join"];
    check(&calls, &wanted);
    check(&calls, &["Client/__init__: Base|__init__", "Client/get/inner: np|array", ": App|listen"]);
    check(&calls, &["test_process: Client|get", "test_process: |process"]);
    check_not(&calls, &["|map", "isinstance", "cached"]);
    let uses = said(&facts, EdgeKind::Uses);
    let wanted = ["Client: decorators|cached", "Client/__init__: |Timeout", "Client/__init__: |Session"];
    check(&uses, &wanted);
    check(&uses, &["Client/get: |process", "process: |Client", "process: |Req"]);
    check_not(&uses, &["|url", "|auth", "|maxsize", "|str", "|self"]);
    check(&said(&facts, EdgeKind::Inherits), &["Client: |Base", "Client: pkg|Mixin"]);
    check(&said(&facts, EdgeKind::Mentions), &[": |Client", "Client: |Session"]);
    assert_eq!(said(&facts, EdgeKind::Tests), ["test_process: |process"]);
}

#[test]
fn typescript_and_javascript() {
    let text = r#"
import d, { a as b, c } from './m';
import * as ns from "pkg/x";
import './side';
export * from './all';
export { q as r } from './q';
const fs = require('fs');
const { join, sep: s } = require('path');
/** See {@link Session#open} and `Foo.bar()`. */
export class Client<T> extends ns.Base<c> implements Face, Other {
  private pool: Pool;
  static make(x: T1): Client { return new Client(x, fs.readFileSync('a')); }
  constructor(private session: Session) { super(); this.cache = new Cache(); }
  @Input() get(url: string): Promise<Resp> {
    const conn = this.pool.take();
    conn.send(url);
    this.session.go();
    this.cache.put(b(url));
    Client.make(1).get().close();
    return lazy(() => import('./lazy'));
  }
}
function helper(c: Client) { c.get("x"); arr.map(x => helper(x)); }
interface Face extends Root { run(): void }
export const run = async (x: number) => { await helper(x) };
"#;
    for grammar in [Grammar::TypeScript, Grammar::Tsx] {
        let facts = facts_of(grammar, text);
        check(&nodes(&facts), &["type Client", "method Client/get", "interface Face", "function run"]);
        let imports = said(&facts, EdgeKind::Imports);
        let wanted = [": ./m|default as d", ": ./m|a as b", ": ./m|c", ": pkg/x|* as ns", ": ./side|*", ": ./all|*"];
        check(&imports, &wanted);
        check(&imports, &[": ./q|q as r", ": fs|* as fs", ": path|join", ": path|sep as s", "Client/get: ./lazy|*"]);
        let calls = said(&facts, EdgeKind::Calls);
        let get = ["Pool|take", "Pool.take().|send", "Session|go", "Cache|put", "|b", "Client|make", "Client|get"];
        check(&calls, &get.map(|call| format!("Client/get: {call}")).each_ref().map(String::as_str));
        check(&calls, &["Client/get: Resp|close", "Client/make: |Client", "Client/make: fs|readFileSync"]);
        check(&calls, &["helper: Client|get", "run: |helper"]);
        check_not(&calls, &["Input", "require", "arr"]);
        assert_eq!(said(&facts, EdgeKind::Inherits), ["Client: ns|Base", "Face: |Root"]);
        assert_eq!(said(&facts, EdgeKind::Implements), ["Client: |Face", "Client: |Other"]);
        check(&said(&facts, EdgeKind::Uses), &["Client/get: |Input", "Client/make: |T1"]);
        check(&said(&facts, EdgeKind::Mentions), &["Client: Session|open", "Client: Foo|bar"]);
    }
    let facts = facts_of(
        Grammar::JavaScript,
        "class A extends B { go() { this.run(); } run() {} }\nexports.x = () => new A();",
    );
    check(&said(&facts, EdgeKind::Calls), &["A/go: A|run", "x: |A"]);
    assert_eq!(said(&facts, EdgeKind::Inherits), ["A: |B"]);
}

#[test]
fn go() {
    let text = r#"package main
import (
	"fmt"
	foo "github.com/x/bar"
	. "dot/pkg"
)
// Server does. See `Pool.Get`.
type Server struct { pool *Pool; Embedded; log foo.Logger }
type Store interface { io.Reader; Get(id int) (*Item, error) }
const Max = 3
func NewServer(p *Pool) *Server { return &Server{pool: p} }
func (s *Server) Run(c *Client, n int) (*Resp, error) {
	s.pool.Get(n)
	s.log.Info("x")
	conn, err := c.Dial(foo.Default)
	conn.Close()
	x := NewServer(nil)
	x.Run(c, Max)
	z := Item{ID: 1}
	z.Save()
	fmt.Println(len(err))
	return nil, nil
}
func helper[T any](f T) {}
"#;
    let facts = facts_of(Grammar::Go, text);
    check(&nodes(&facts), &["type Server", "interface Store", "method Server/Run", "constant Max", "function helper"]);
    let imports = said(&facts, EdgeKind::Imports);
    assert_eq!(imports, [": |fmt", ": github.com/x|bar as foo", ": dot/pkg|*"]);
    let calls = said(&facts, EdgeKind::Calls);
    let run = ["Pool|Get", "foo.Logger|Info", "Client|Dial", "Client.Dial().|Close", "|NewServer", "Server|Run"];
    check(&calls, &run.map(|call| format!("Server/Run: {call}")).each_ref().map(String::as_str));
    check(&calls, &["Server/Run: Item|Save", "Server/Run: fmt|Println"]);
    check_not(&calls, &["len"]);
    assert_eq!(said(&facts, EdgeKind::Inherits), ["Server: |Embedded", "Store: io|Reader"]);
    check(&said(&facts, EdgeKind::Uses), &["Server/Run: |Resp", "Server/Run: foo|Default", "Server/Run: |Max"]);
    check_not(&said(&facts, EdgeKind::Uses), &["|ID", "|T", "|error"]);
    let test = "package a\nfunc TestServer_Run(t *testing.T) { NewServer() }";
    let found = syntax::analyse(test, Grammar::Go, &|_, _| false).unwrap();
    let code = Code { text: test, grammar: Grammar::Go, tree: &found.tree, symbols: &found.symbols, test: true };
    assert_eq!(said(&of_code(&code), EdgeKind::Tests), ["TestServer_Run: Server|Run"]);
}

#[test]
fn java() {
    let text = r#"package a.b;
import java.util.List;
import static a.C.help;
import x.y.*;
/** See {@link Pool#get}. */
public class Server<T> extends Base<T> implements Store, a.Other {
  private final Pool pool;
  static final int MAX = 3;
  public Server(Pool pool) { this.pool = pool; super.init(); }
  @Override @Inject public Resp run(Client c, List<Item> items) throws Bad {
    pool.get(MAX); this.pool.put();
    Conn conn = c.dial(); conn.close();
    var x = new Helper(1); x.go();
    helper(conn).send();
    for (Item i : items) i.save();
    Util.join("a"); System.out.println("x");
    return new Resp();
  }
  Conn helper(Conn c) { return c; }
  interface Inner extends A, B { void f(); }
  enum Kind { ONE, TWO }
  @Test void serverRuns() { new Server(null).run(null, null); }
}
class ServerTest { @Test void ok() {} }
"#;
    let facts = facts_of(Grammar::Java, text);
    let wanted = ["type Server", "method Server/run", "interface Server/Inner", "method Server/serverRuns (test)"];
    check(&nodes(&facts), &wanted);
    assert_eq!(said(&facts, EdgeKind::Imports), [": java.util|List", ": a.C|help", ": x.y|*"]);
    let calls = said(&facts, EdgeKind::Calls);
    let run = ["Pool|get", "Pool|put", "Client|dial", "Conn|close", "|Helper", "Helper|go", "|helper", "Conn|send"];
    check(&calls, &run.map(|call| format!("Server/run: {call}")).each_ref().map(String::as_str));
    check(&calls, &["Server/run: Item|save", "Server/run: Util|join", "Server/serverRuns: Server|run"]);
    check_not(&calls, &["println"]);
    assert_eq!(said(&facts, EdgeKind::Inherits), ["Server: |Base", "Server/Inner: |A", "Server/Inner: |B"]);
    assert_eq!(said(&facts, EdgeKind::Implements), ["Server: |Store", "Server: a|Other"]);
    check(&said(&facts, EdgeKind::Uses), &["Server/run: |Inject", "Server/run: |Bad", "Server/run: |MAX"]);
    check_not(&said(&facts, EdgeKind::Uses), &["Override", "ONE", "|var", "|String"]);
}

#[test]
fn c_and_cpp() {
    let text = r#"
#include "x/y.h"
#include <sys/stat.h>
using namespace a::b;
using a::c;
namespace fs = std::filesystem;
namespace n {
template <typename T> class Foo : public Base<T>, private p::Other {
 public:
  void run(Client& c, T t) { pool_->get(); c.dial(); this->stop(); helper(c); Bar bar(1); bar.go(); }
  void stop();
 private:
  Pool* pool_;
};
void Foo::stop() { n::free_fn(MAX); auto p = new Thing(1); p->run(); }
enum class Kind { A, B };
}
"#;
    let facts = facts_of(Grammar::Cpp, text);
    check(&nodes(&facts), &["module n", "type n/Foo", "method n/Foo/run", "method n/Foo/stop", "type n/Kind"]);
    assert_eq!(nodes(&facts).iter().filter(|node| *node == "method n/Foo/stop").count(), 2, "declared and defined");
    let imports = said(&facts, EdgeKind::Imports);
    check(&imports, &[": ./x|y.h", ": sys|stat.h", ": a::b|*", ": a|c", ": std|filesystem as fs"]);
    let calls = said(&facts, EdgeKind::Calls);
    let run = ["Pool|get", "Client|dial", "Foo|stop", "|helper", "Bar|go"];
    check(&calls, &run.map(|call| format!("n/Foo/run: {call}")).each_ref().map(String::as_str));
    check(&calls, &["n/Foo/stop: n|free_fn", "n/Foo/stop: |Thing", "n/Foo/stop: Thing|run"]);
    assert_eq!(said(&facts, EdgeKind::Inherits), ["n/Foo: |Base", "n/Foo: p|Other"]);
    check_not(&said(&facts, EdgeKind::Uses), &["|A", "|T", "Foo|stop"]);
    let text = "struct item { int x; };\nint make(struct item *i) { run(i); return LIMIT; }\nint main(void) { return make(0); }\n";
    let facts = facts_of(Grammar::C, text);
    check(&nodes(&facts), &["type item", "function make", "function main"]);
    check(&said(&facts, EdgeKind::Calls), &["make: |run", "main: |make"]);
    check(&said(&facts, EdgeKind::Uses), &["make: |item", "make: |LIMIT"]);
}

#[test]
fn ruby_and_bash_give_their_definitions() {
    let facts = facts_of(Grammar::Ruby, "# See `Pool#get`.\nclass Foo\n  def bar(x)\n    x.go\n  end\nend\n");
    assert_eq!(nodes(&facts), ["type Foo", "method Foo/bar"]);
    assert_eq!(said(&facts, EdgeKind::Mentions), ["Foo: Pool|get"]);
    let facts = facts_of(Grammar::Bash, "run() { echo hi; }\nfunction stop { run; }\n");
    assert_eq!(nodes(&facts), ["function run", "function stop"]);
}

#[test]
fn prose() {
    let text = "---\ntitle: x\n---\n# Guide\nSee [setup](docs/setup.md#Install) and [home](https://x.y).\n\n## The `run_all` way\n\
                Call `Server::run()`, `src/main.rs` or [[Other Page|it]], not `[[x]]`. We met Ada Lovelace.\n```py\nfoo.bar(1)\nx = MyType\n```\n\
                # End\n";
    let layout = super::super::headings::markdown(text);
    let facts = of_prose(text, &layout, Markup::Markdown);
    assert_eq!(nodes(&facts), ["section Guide", "section Guide/The run_all way", "section End"]);
    let links = said(&facts, EdgeKind::Links);
    assert_eq!(links, ["Guide: docs/setup.md|Install", "Guide/The run_all way: Other Page|Other Page"]);
    let here = "Guide/The run_all way";
    let wanted = ["|run_all", "Server|run", "src|main.rs", "foo|bar", "|MyType"];
    check(
        &said(&facts, EdgeKind::Mentions),
        &wanted.map(|name| format!("{here}: {name}")).each_ref().map(String::as_str),
    );
    assert_eq!((facts.nodes[0].lines.first, facts.nodes[0].lines.last), (4, 12));

    let text = "Title\n=====\nUse :class:`~a.Foo` and ``bar_baz`` or :doc:`intro`, `here <x.html>`_.\n\n\
                .. autofunction:: a.b.run\n\n.. toctree::\n   :maxdepth: 2\n\n   guide/one\n   Two <two>\n";
    let layout = super::super::headings::rst(text);
    let facts = of_prose(text, &layout, Markup::Rst);
    check(&said(&facts, EdgeKind::Mentions), &["Title: a|Foo", "Title: |bar_baz", "Title: a.b|run"]);
    let links = said(&facts, EdgeKind::Links);
    assert_eq!(links, ["Title: intro|intro", "Title: x.html|x.html", "Title: guide/one|one", "Title: two|two"]);
}

/// Facts hold together whatever the text is.
fn is_sound(facts: &Facts, text: &str) {
    let nodes = u32::try_from(facts.nodes.len()).unwrap();
    let mut starts = 0;
    for (at, node) in facts.nodes.iter().enumerate() {
        assert!(node.parent.is_none_or(|parent| (parent as usize) < at), "{node:?}");
        assert!(node.span.start <= node.span.end && node.span.end <= text.len() as u64, "{node:?}");
        assert!(text.is_char_boundary(node.span.start as usize) && text.is_char_boundary(node.span.end as usize));
        assert!(node.lines.first >= 1 && node.lines.first <= node.lines.last, "{node:?}");
        assert!(node.span.start >= starts && !node.name.is_empty(), "{node:?}");
        starts = node.span.start;
    }
    for said in &facts.references {
        assert!(said.from.is_none_or(|from| from < nodes) && said.at < text.len() as u64, "{said:?}");
        assert!(said.count >= 1 && !said.name.is_empty() && said.line >= 1, "{said:?}");
    }
    assert!(facts.references.is_sorted_by_key(|said| (said.from, said.at)));
}

#[test]
fn hostile_texts_are_read_in_time() {
    let long = "x".repeat(10_000_000);
    let wide = format!("let a = [{}];", "f(g), ".repeat(400_000));
    let deep = format!("{}1{}", "f(".repeat(20_000), ")".repeat(20_000));
    let chain = format!("a{}", ".b().c".repeat(20_000));
    let namesakes = "def same(a): a.same()\n".repeat(10_000);
    let marks = "// `[{".repeat(200_000);
    for text in [&long, &wide, &deep, &chain, &namesakes, &marks] {
        for grammar in [Grammar::Python, Grammar::Rust, Grammar::JavaScript] {
            let began = std::time::Instant::now();
            let Some(found) = syntax::analyse(text, grammar, &|_, _| false) else { continue };
            let parsed = began.elapsed();
            let code = Code { text, grammar, tree: &found.tree, symbols: &found.symbols, test: false };
            let facts = of_code(&code);
            is_sound(&facts, text);
            let spent = began.elapsed().saturating_sub(parsed);
            assert!(spent.as_secs() < 20, "{grammar:?} {:?}… took {spent:?} beside {parsed:?}", &text[..20]);
        }
        is_sound(&of_prose(text, &Layout::default(), Markup::Plain), text);
        is_sound(&of_prose(text, &super::super::headings::markdown(text), Markup::Markdown), text);
    }
}

#[test]
fn limits_cut_and_say_so() {
    let many = (0..25_000).map(|number| format!("def f{number}(): g{number}()\n")).collect::<String>();
    let facts = facts_of(Grammar::Python, &many);
    assert_eq!(facts.nodes.len(), crate::base::limits::FACT_NODES_MAX);
    assert!(facts.partial);
    let whole = facts_of(Grammar::Rust, "fn a() { b(); }\nfn c() { d() }\n");
    assert!(!whole.partial);
    let half = facts_of(Grammar::Rust, "fn a() { b(); }\nfn c() { d(); e(");
    assert!(half.partial);
    check(&said(&half, EdgeKind::Calls), &["a: |b"]);
}

#[test]
fn names_in_any_script_are_names() {
    let facts = facts_of(Grammar::Python, "class Größe:\n    def länge(self): return 名前(self)\n");
    check(&nodes(&facts), &["type Größe", "method Größe/länge"]);
    check(&said(&facts, EdgeKind::Calls), &["Größe/länge: |名前"]);
}

proptest::proptest! {
    #[test]
    fn any_text_gives_sound_facts(
        parts in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::sample::select(PARTS).prop_map(str::to_owned),
                "[a-zA-Zéß_]{1,4}",
                ".",
            ],
            0..60,
        ),
    ) {
        let text = parts.concat();
        for grammar in Grammar::ALL {
            if let Some(found) = syntax::analyse(&text, grammar, &|_, _| false) {
                let code = Code { text: &text, grammar, tree: &found.tree, symbols: &found.symbols, test: false };
                is_sound(&of_code(&code), &text);
            }
        }
        let layout = super::super::headings::markdown(&text);
        for markup in [Markup::Markdown, Markup::Rst, Markup::Plain] {
            is_sound(&of_prose(&text, &layout, markup), &text);
        }
    }
}

/// What code and prose are made of.
const PARTS: &[&str] = &[
    "fn f(",
    "impl A for B {",
    "class A(B):\n",
    "def g(self, x: T):\n  ",
    "use a::{b, self};",
    "import {a as b} from './c';",
    "let x = y.z();",
    "x := f()\n",
    "func (s *S) M() {",
    "#include \"a.h\"\n",
    "// `a::b` [`c`]\n",
    "/** {@link A#b} */",
    "\"\"\"d `e`\"\"\"\n",
    "@a.b(c)\n",
    "#[derive(A)]\n",
    "m!(a.b(c), D::e())",
    "new A<B>(c)",
    "self.a.b(",
    "a?.b!.c()",
    "# H\n",
    "[x](y#z)",
    "``a``",
    ":ref:`a <b>`",
    ".. toctree::\n",
    "\n\n",
    "  ",
    "{",
    "}",
    "(",
    ")",
    "<",
    ">",
    "::",
    ".",
    ";",
    "“Q R”",
    "5 May 2024",
    "Ada B. of C",
    "=====\n",
];
