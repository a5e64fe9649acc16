//! What counts as a definition in each language, how it is called, and that doc comments stay with it.

use super::*;

/// The definitions of `text`, everything in functions left out.
fn symbols(text: &str, grammar: Grammar) -> Vec<Symbol> {
    analyse(text, grammar, &|_, _| false).map(|found| found.symbols).unwrap_or_default()
}

/// The symbols of `text` as `breadcrumb | signature`.
fn outline(grammar: Grammar, text: &str) -> Vec<String> {
    let all = symbols(text, grammar);
    let path = |symbol: &Symbol| {
        let mut labels = vec![symbol.label.clone()];
        let mut parent = symbol.parent;
        while let Some(at) = parent {
            labels.insert(0, all[at].label.clone());
            parent = all[at].parent;
        }
        labels.join(" > ")
    };
    all.iter().map(|symbol| format!("{} | {}", path(symbol), symbol.signature)).collect()
}

fn symbol(grammar: Grammar, text: &str, name: &str) -> (String, Option<String>) {
    let all = symbols(text, grammar);
    let found = all.iter().find(|symbol| symbol.name == name).unwrap_or_else(|| panic!("no {name} in {all:#?}"));
    let doc = found.doc.clone().and_then(|doc| first_sentence(&text[doc]));
    (text[found.span.clone()].to_owned(), doc)
}

#[test]
fn rust() {
    let text = r#"
use std::fmt;
/// A port.
#[derive(Debug)]
pub struct Port(u16);
enum Kind { A, B }
impl<T: fmt::Debug> fmt::Display for Wrapper<T>
where
    T: Clone,
{
    const LIMIT: usize = 3;
    /// Shows it. And more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() }
}
pub(crate) mod inner {
    pub async fn run<T>(
        input: T,
    ) -> Result<()> {
        fn local() {}
    }
}
trait Shape { fn area(&self) -> f64; }
macro_rules! square { ($x:expr) => { $x * $x }; }
static NAMES: &[&str] = &[
    "a",
];
type Alias = Vec<u8>;
"#;
    assert_eq!(
        outline(Grammar::Rust, text),
        [
            "struct Port | pub struct Port(u16)",
            "enum Kind | enum Kind",
            "impl fmt::Display for Wrapper<T> | impl<T: fmt::Debug> fmt::Display for Wrapper<T> where T: Clone,",
            "impl fmt::Display for Wrapper<T> > const LIMIT | const LIMIT: usize = 3",
            "impl fmt::Display for Wrapper<T> > fn fmt | fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result",
            "mod inner | pub(crate) mod inner",
            "mod inner > fn run | pub async fn run<T>( input: T, ) -> Result<()>",
            "trait Shape | trait Shape",
            "trait Shape > fn area | fn area(&self) -> f64",
            "macro_rules! square | macro_rules! square",
            "static NAMES | static NAMES: &[&str] = &[",
            "type Alias | type Alias = Vec<u8>",
        ]
    );
    let (span, doc) = symbol(Grammar::Rust, text, "Port");
    assert_eq!(span, "/// A port.\n#[derive(Debug)]\npub struct Port(u16);");
    assert_eq!(doc.as_deref(), Some("A port."));
    assert_eq!(symbol(Grammar::Rust, text, "fmt").1.as_deref(), Some("Shows it."));
}

#[test]
fn python() {
    let text = r#"
import os
LIMIT = 3
name = "not a constant"
if os.name == "nt":
    def only_there():
        pass
@decorated
@twice(1)
class Server(Base):
    """Serves things. Well."""
    TIMEOUT: int = 5

    @property
    async def run(self, *args) -> None:
        """
        Runs it
        for long.
        """
        def local(): pass
# Free comment.

# Its comment.
def free(a,
         b=1): return a
"#;
    assert_eq!(
        outline(Grammar::Python, text),
        [
            "LIMIT | LIMIT = 3",
            "def only_there | def only_there()",
            "class Server | class Server(Base)",
            "class Server > TIMEOUT | TIMEOUT: int = 5",
            "class Server > def run | async def run(self, *args) -> None",
            "def free | def free(a, b=1)",
        ]
    );
    let (span, doc) = symbol(Grammar::Python, text, "Server");
    assert!(span.starts_with("@decorated\n@twice(1)\nclass Server"), "{span}");
    assert_eq!(doc.as_deref(), Some("Serves things."));
    assert_eq!(symbol(Grammar::Python, text, "run").1.as_deref(), Some("Runs it for long."));
    assert_eq!(symbol(Grammar::Python, text, "free").1.as_deref(), Some("Its comment."));
}

#[test]
fn typescript() {
    let text = r#"
import { a } from "b";
/** Adds. */
export const add = (x: number, y: number): number => x + y;
const secret = 3;
export default function main() {}
export abstract class Shape<T> extends Base implements I {
  @Input() size = 1;
  private readonly handler = async () => { };
  constructor(private x: number) { super(); }
  /** The area. */
  abstract area(): number;
  get side() { return 1; }
}
export interface Options { a?: string; run(): void }
type Id = string | number;
export enum Color { Red, Green }
declare function external(x: string): void;
namespace Inner { export function deep() {} }
const { x, y } = z;
const fs = require("fs");
"#;
    let expected = [
        "const add | const add = (x: number, y: number): number =>",
        "const secret | const secret = 3",
        "function main | function main()",
        "class Shape | abstract class Shape<T> extends Base implements I",
        "class Shape > method constructor | constructor(private x: number)",
        "class Shape > method area | abstract area(): number",
        "class Shape > method side | get side()",
        "interface Options | interface Options",
        "type Id | type Id = string | number",
        "enum Color | enum Color",
        "function external | function external(x: string): void",
        "namespace Inner | namespace Inner",
        "namespace Inner > function deep | function deep()",
    ];
    assert_eq!(outline(Grammar::TypeScript, text), expected);
    assert_eq!(outline(Grammar::Tsx, text), expected);
    let (span, doc) = symbol(Grammar::TypeScript, text, "add");
    assert!(span.starts_with("/** Adds. */\nexport const add") || span.starts_with("/** Adds. */\n"), "{span}");
    assert_eq!(doc.as_deref(), Some("Adds."));
}

#[test]
fn javascript() {
    let text = r#"
"use strict";
const path = require("path");
module.exports.send = function send(body) { return 1; };
Server.prototype.listen = function (port) { };
exports.limit = 3;
export const view = () => <div/>;
export function* items() {}
class A extends B {
  static #hidden() {}
  async go() {}
}
const Wrapped = class { inner() {} };
let counter;
"#;
    assert_eq!(
        outline(Grammar::JavaScript, text),
        [
            "function send | module.exports.send = function send(body)",
            "function listen | Server.prototype.listen = function (port)",
            "exports limit | exports.limit = 3",
            "const view | const view = () =>",
            "function items | function* items()",
            "class A | class A extends B",
            "class A > method #hidden | static #hidden()",
            "class A > method go | async go()",
            "const Wrapped | const Wrapped = class",
            "const counter | let counter",
        ]
    );
}

#[test]
fn go() {
    let text = r#"
package main

import "fmt"

// Server serves.
// It does.
type Server[T any] struct { port int }

type (
	// Handler handles.
	Handler func(string) error
	Other   = int
)

const Limit = 3

const (
	A = iota
	B
)

// Run runs.
func (s *Server[T]) Run(ctx context.Context) error { return nil }

func (Handler) Plain() {}

func free[T any](x T) (int, error) { return 0, nil }
"#;
    assert_eq!(
        outline(Grammar::Go, text),
        [
            "type Server | type Server[T any] struct { port int }",
            "type Handler | type Handler func(string) error",
            "type Other | type Other = int",
            "const Limit | const Limit = 3",
            "const A | const A = iota",
            "const B | const B",
            "Server > func Run | func (s *Server[T]) Run(ctx context.Context) error",
            "Handler > func Plain | func (Handler) Plain()",
            "func free | func free[T any](x T) (int, error)",
        ]
    );
    let (span, doc) = symbol(Grammar::Go, text, "Server");
    assert!(span.starts_with("// Server serves.\n// It does.\ntype Server[T any]"), "{span}");
    assert_eq!(doc.as_deref(), Some("Server serves."));
    assert_eq!(symbol(Grammar::Go, text, "Handler").1.as_deref(), Some("Handler handles."));
}

#[test]
fn java() {
    let text = r#"
package a.b;
import x.Y;
/** A server. */
@Component
public class Server<T> extends Base implements Runnable {
    private static final int MAX_PORT = 3;
    private int port;
    public Server(int port) { }
    /**
     * Runs it.
     * @param x nothing
     */
    @Override
    public void run() throws IOException { }
    enum Mode { A, B; void go() {} }
}
record Point(int x, int y) { }
interface Shape { double area(); }
"#;
    assert_eq!(
        outline(Grammar::Java, text),
        [
            "class Server | public class Server<T> extends Base implements Runnable",
            "class Server > field MAX_PORT | private static final int MAX_PORT = 3",
            "class Server > constructor Server | public Server(int port)",
            "class Server > method run | public void run() throws IOException",
            "class Server > enum Mode | enum Mode",
            "class Server > enum Mode > method go | void go()",
            "record Point | record Point(int x, int y)",
            "interface Shape | interface Shape",
            "interface Shape > method area | double area()",
        ]
    );
    assert_eq!(symbol(Grammar::Java, text, "run").1.as_deref(), Some("Runs it."));
}

#[test]
fn c_and_cpp() {
    let c = r#"
#ifndef A_H
#define A_H
#include <stdio.h>
#define LIMIT 3
#define SQUARE(x) ((x) * (x))
typedef struct node { int x; } node_t;
struct tree { struct node *root; };
struct forward;
enum color { RED };
/* Adds. */
static inline int *
add(int a, int (*f)(void))
{
    return 0;
}
int prototype(const char *name);
static const struct ops table[] = { 1 };
int plain;
#endif
"#;
    assert_eq!(
        outline(Grammar::C, c),
        [
            "#define LIMIT | #define LIMIT 3",
            "#define SQUARE | #define SQUARE(x) ((x) * (x))",
            "typedef node_t | typedef struct node { int x; } node_t",
            "struct tree | struct tree",
            "enum color | enum color",
            "function add | static inline int * add(int a, int (*f)(void))",
            "function prototype | int prototype(const char *name)",
            "table | static const struct ops table[] = { 1 }",
        ]
    );
    assert_eq!(symbol(Grammar::C, c, "add").1.as_deref(), Some("Adds."));
    let cpp = r#"
namespace a::b {
template <typename T>
class Box : public Base<T> {
 public:
  explicit Box(int size);
  ~Box() {}
  T get() const { return value; }
  void (*callback)(int);
 private:
  T value;
};
using Alias = Box<int>;
}
int a::b::Thing::run(int x) { return x; }
bool operator==(const A& l, const A& r) { return true; }
extern "C" {
void exported(void) {}
}
"#;
    assert_eq!(
        outline(Grammar::Cpp, cpp),
        [
            "namespace a::b | namespace a::b",
            "namespace a::b > class Box | class Box : public Base<T>",
            "namespace a::b > class Box > function Box | explicit Box(int size)",
            "namespace a::b > class Box > function ~Box | ~Box()",
            "namespace a::b > class Box > function get | T get() const",
            "namespace a::b > using Alias | using Alias = Box<int>",
            "a > b > Thing > function run | int a::b::Thing::run(int x)",
            "function operator== | bool operator==(const A& l, const A& r)",
            "function exported | void exported(void)",
        ]
    );
}

#[test]
fn ruby_and_bash() {
    let ruby = r#"
require "x"
# A server.
module Net
  class Server < Base
    LIMIT = 3
    attr_reader :port
    # Runs it.
    def run(port, &block)
      1
    end
    def self.build = new
    class << self
      def hidden; end
    end
  end
end
"#;
    assert_eq!(
        outline(Grammar::Ruby, ruby),
        [
            "module Net | module Net",
            "module Net > class Server | class Server < Base",
            "module Net > class Server > LIMIT | LIMIT = 3",
            "module Net > class Server > def run | def run(port, &block)",
            "module Net > class Server > def self.build | def self.build",
            "module Net > class Server > def hidden | def hidden; end",
        ]
    );
    assert_eq!(symbol(Grammar::Ruby, ruby, "run").1.as_deref(), Some("Runs it."));
    let bash = "#!/bin/sh\nset -e\n# Builds.\nbuild() {\n  echo\n}\nif x; then\nfunction other { :; }\nfi\n";
    assert_eq!(outline(Grammar::Bash, bash), ["function build | build()", "function other | function other"]);
}

#[test]
fn what_is_found_in_broken_code_is_kept() {
    let text = "fn good() {}\n\nfn bad( {\n\nstruct S;\nfn later() { ) }\n";
    let names: Vec<_> = symbols(text, Grammar::Rust).into_iter().map(|symbol| symbol.name).collect();
    assert!(names.contains(&"good".to_owned()), "{names:?}");
    assert!(names.contains(&"S".to_owned()) || names.contains(&"later".to_owned()), "{names:?}");
}

#[test]
fn a_parse_that_goes_nowhere_is_given_up() {
    assert!(analyse(&"a\n==\n".repeat(3_000), Grammar::Ruby, &|_, _| true).is_none());
    assert!(analyse(&"[a](".repeat(20_000), Grammar::Bash, &|_, _| true).is_none());
    // The parser is fit for use afterwards.
    assert_eq!(symbols("def a; end", Grammar::Ruby).len(), 1);
}

#[test]
fn breaks_ascend_stand_at_line_starts_and_keep_comments_with_their_item() {
    let text = "use a;\n\n/// Doc.\n#[x]\nfn one() {}\n\n// loose\n\nfn two() {} // behind\nfn three() {}\n";
    let found = analyse(text, Grammar::Rust, &|_, _| false).unwrap();
    let starts: Vec<&str> = found.breaks.iter().map(|cut| text[cut.at..].lines().next().unwrap()).collect();
    assert_eq!(starts, ["use a;", "/// Doc.", "// loose", "fn two() {} // behind", "fn three() {}"]);
}

#[test]
fn first_sentences() {
    for (doc, expected) in [
        ("/// Adds two. Or more.", Some("Adds two.")),
        ("/**\n * Long\n * one\n *\n * rest\n */", Some("Long one")),
        ("# Ruby or shell", Some("Ruby or shell")),
        ("\"\"\"Short.\"\"\"", Some("Short.")),
        ("#[derive(Debug)]", None),
        ("/**/", None),
    ] {
        assert_eq!(first_sentence(doc).as_deref(), expected, "{doc}");
    }
}

#[test]
fn braces_before_far_characters_do_not_end_the_process() {
    for far in ['\u{e5816}', '\u{10f028}', '\u{2a6df}', '中'] {
        let text = format!("run() {{ echo {{{far}..{far}}}; }}\n").repeat(20);
        let names: Vec<String> = symbols(&text, Grammar::Bash).into_iter().map(|symbol| symbol.name).collect();
        assert!(!names.is_empty() && names.iter().all(|name| name == "run"), "{names:?}");
    }
}
