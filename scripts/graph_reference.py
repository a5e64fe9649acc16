#!/usr/bin/env python3
"""Makes the reference that the knowledge graph is checked against: definitions, imports and calls of real packages as a
compiler (Rust) or a language server's library (Python) sees them.

    scripts/graph_reference.py > tests/graph/reference.jsonl

Rust: rustc's HIR gives definitions and imports, its MIR the callees with their places (RUSTC_BOOTSTRAP, any stable
toolchain). The crates are taken from cargo's registry folder. Python: `ast` gives definitions and imports, jedi the
definitions that calls go to. The packages are wheels of plain Python, downloaded with pip.

Each line names a package with its version, a file and line in it, and what stands there; no source text. The samples are
seeded, so the same versions of the tools give the same lines.
"""

import ast
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

CRATES = ["ignore-0.4.34", "semver-1.0.28"]
PACKAGES = ["click==8.1.8", "httpx==0.28.1"]
# Per package and kind; two packages of a language give at least twice as many in all.
SAMPLES = 120
SEED = 4


def main():
    random.seed(SEED)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for crate in CRATES:
            rows += sampled(rust_crate(crate, pathlib.Path(scratch)))
        for package in PACKAGES:
            rows += python_package(package, pathlib.Path(scratch))
    for row in rows:
        print(json.dumps(row, ensure_ascii=False, separators=(",", ":")))


def sampled(rows):
    out = []
    for kind in ("defines", "imports", "calls"):
        of_kind = sorted((row for row in rows if row["kind"] == kind), key=lambda row: json.dumps(said(row)))
        out += random.sample(of_kind, min(SAMPLES, len(of_kind)))
    return sorted(out, key=lambda row: (row["file"], row["line"], row["kind"], row["name"]))


def said(row):
    """A row without what was looked up afterwards: that must not choose the sample."""
    return {key: value for key, value in row.items() if row["kind"] == "calls" or key not in ("to_file", "to_line")}


# Rust


def rust_crate(name, scratch):
    registries = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"), "registry/src")
    source = next((found for found in registries.glob(f"*/{name}")), None)
    if source is None:
        sys.exit(f"{name} is not in cargo's registry folder; cargo fetch a project that depends on it")
    root = scratch / name
    shutil.copytree(source, root)
    manifest = root / "Cargo.toml"
    sections = re.split(r"(?m)^(?=\[)", manifest.read_text())
    dropped = r"\[+(dev-dependencies|bench|test|example|bin|target\..*dev-dep)"
    kept = [section for section in sections if not re.match(dropped, section)]
    manifest.write_text("".join(kept) + "\n[workspace]\n")
    (root / "Cargo.lock").unlink(missing_ok=True)
    package, version = name.rsplit("-", 1)
    context = {"language": "rust", "package": package, "version": version}

    tree = rustc(root, ["-Zunpretty=hir-tree"])
    definitions, impls, imports = hir(tree, root)
    rows = [{**context, "kind": "defines", **row} for row in definitions.values() if row["own"]]
    rows += [{**context, "kind": "imports", **row, **imported(row["to"], package, definitions, root)} for row in imports]
    options = ["--emit=mir", "-Zmir-include-spans=on", "-Ztrim-diagnostic-paths=no"]
    rustc(root, options)
    mir = next((root / "target/debug/deps").glob("*.mir")).read_text()
    lines = {path: path.read_text().splitlines() for path in root.glob("src/**/*.rs")}
    written = lambda row: re.search(rf"\b{row['name']}\b", "\n".join(lines[root / row["file"]][row["line"] - 1:row["end"]]))
    # What the compiler puts in by itself (derived code, dereferencing) is no call that anybody wrote.
    rows += [{**context, "kind": "calls", **row} for row in calls(mir, definitions, impls) if written(row)]
    for row in rows:
        row.pop("own", None)
    return rows


def rustc(root, options):
    command = ["cargo", "rustc", "--offline", "--quiet", "--lib", "--", *options, "--cap-lints", "allow"]
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1", "CARGO_TARGET_DIR": str(root / "target")}
    return subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True).stdout


SPAN = r"(src/[^:\s]+):(\d+):(\d+): (\d+):(\d+)"
KINDS = {"Fn": "function", "Struct": "type", "Enum": "type", "Union": "type", "TyAlias": "type", "Trait": "interface",
         "Const": "constant", "Static": "constant", "Mod": "module", "Macro": "macro", "Method": "method"}


def hir(tree, root):
    """Definitions by path, self types of impls by place and by path, and imports."""
    blocks = re.split(r"(?m)^DefId\(0:\d+ ~ [\w-]+\[\w+\](?:::)?(.*)\) => OwnerNodes \{$", tree)
    pairs = list(zip(blocks[1::2], blocks[2::2]))
    impls, places = {}, {}
    for path, block in pairs:
        if re.search(r"(?m)^ {16}kind: Impl\(", block):
            target = re.search(r"self_ty: .*?res: (?:Def\(\s*\w+,\s*DefId\([\d:]+ ~ ([\w-]+)\[\w+\]::([^)]+)\)|(\w+))", block, re.S)
            span = re.search(rf"(?m)^ {{16}}span: {SPAN}", block)
            if target and target[2]:
                impls[path] = target[2]
                if span:
                    places[(span[1], int(span[2]))] = target[2]
    definitions, imports = {}, []
    for path, block in pairs:
        span = re.search(rf"(?m)^ {{16}}span: {SPAN} \(#0\)", block)
        kind = re.search(r"(?m)^ {16}kind: (\w+)", block)
        if not span or not kind:
            continue
        file, line, end = span[1], int(span[2]), int(span[4])
        if kind[1] == "Use":
            imports += use(path, block, file, line, end)
            continue
        outer, _, name = path.rpartition("::")
        owner = impls.get(outer)
        qualified = f"{owner}::{name}" if owner else path
        if kind[1] in KINDS and "{" not in qualified:
            kind_name = KINDS[kind[1]]
            in_type = owner or (outer in definitions and definitions[outer]["is"] == "interface")
            if kind_name == "function" and in_type:
                kind_name = "method"
            definitions.setdefault(qualified, {})
            definitions[path if path not in definitions or not owner else qualified] = {
                "file": file, "line": line, "end": end, "name": name, "from": "", "to": qualified, "is": kind_name,
                "own": True}
            definitions[qualified] = definitions.get(path, definitions[qualified])
    own = {}
    for row in definitions.values():
        if row:
            own[row["to"]] = row
    return own, places, imports


def use(path, block, file, line, end):
    """What one `use` brings in; what the compiler could not find is not in any namespace."""
    kind = re.search(r"(?m)^ {20}(Single\(\s*([\w]+)|Glob|ListStem)", block)
    if not kind or kind[1] == "ListStem":
        return []
    segments = re.findall(r"(?m)^ {32}ident: ([^#\s]+)#", block)
    target = re.search(r"(?:type|value|macro)_ns: Some\(\s*Def\(\s*[\w(), ]+?,?\s*DefId\([\d:]+ ~ ([\w-]+)\[\w+\](?:::([^)]*))?\)", block)
    if not segments or not target:
        return []
    glob = kind[1] == "Glob"
    name = "*" if glob else segments[-1]
    scope = "::".join(segments if glob else segments[:-1])
    local = block.split("\n", 1)[0]
    row = {"file": file, "line": line, "end": end, "from": path.rpartition("::")[0], "name": name,
           "scope": scope.removeprefix("{{root}}::"), "to": f"{target[1]}::{target[2] or ''}".removesuffix("::")}
    if not glob and kind[2] != name:
        row["alias"] = kind[2]
    return [row]


def imported(path, package, definitions, root):
    """Where the target of an import of the crate itself stands."""
    crate, _, inside = path.partition("::")
    if crate != package.replace("-", "_"):
        return {}
    found = definitions.get(inside)
    if found and found["is"] != "module":
        return {"to_file": found["file"], "to_line": found["line"]}
    folder = "src/" + inside.replace("::", "/")
    files = [f"{folder}.rs", f"{folder}/mod.rs"] if inside else ["src/lib.rs"]
    file = next((file for file in files if (root / file).is_file()), None)
    return {"to_file": file, "to_line": 1} if file else {}


def calls(mir, definitions, impls):
    """Calls of functions of the crate itself, where they are written (not in macros)."""
    seen, rows, function = set(), [], None
    for text in mir.splitlines():
        head = re.match(r"(?:fn|const|static(?: mut)?) ((?:<impl at [^>]*>|::|[^:(<])+)[:(]", text)
        if head:
            function = plain(head[1], impls)
            continue
        call = re.match(rf"\s+_\d+.* = (.+?)\((?:move|copy|const|\)|<|&).* -> \[return: .*; // scope \d+ at {SPAN}$", text) \
            or re.match(rf"\s+_\d+.* = (.+?)\(\) -> \[return: .*; // scope \d+ at {SPAN}$", text)
        if not call or not function:
            continue
        target = callee(call[1])
        found = target and definitions.get(target)
        if not found:
            continue
        file, line, end = call[2], int(call[3]), int(call[5])
        key = (file, line, target, function)
        if key not in seen and file == (definitions.get(function) or {"file": file})["file"]:
            seen.add(key)
            rows.append({"file": file, "line": line, "end": end, "from": function, "name": found["name"], "to": target,
                         "to_file": found["file"], "to_line": found["line"]})
    return rows


def plain(path, impls):
    """The path of a function with the type in the place of its impl, closures left out."""
    path = re.sub(r"(::\{closure#\d+\}|::promoted\[\d+\])", "", path)
    impl = re.search(r"(?:[\w:]+::)?<impl at (src/[^:]+):(\d+):\d+: [\d:]+>::(.+)", path)
    if impl:
        target = impls.get((impl[1], int(impl[2])))
        return f"{target}::{impl[3]}" if target else None
    return path


def callee(text):
    """The path of a callee without generics; `<T as Trait>::method` is a method of `T`, or of the trait."""
    text = text.strip()
    qualified = re.match(r"<(.+) as (.+)>::(\w+)(?:::<.*>)?$", text)
    if qualified:
        return f"{bare(qualified[1])}::{qualified[3]}"
    inherent = re.match(r"(?:[\w:]+::)?<impl (.+)>::(\w+)(?:::<.*>)?$", text)
    if inherent:
        return f"{bare(inherent[1])}::{inherent[2]}"
    return bare(text)


def bare(path):
    out, depth = "", 0
    for character in path.lstrip("&").removeprefix("mut ").strip():
        depth += character == "<"
        if depth == 0:
            out += character
        depth -= character == ">"
    return re.sub(r"(::)+", "::", out).strip(":")


# Python


def python_package(requirement, scratch):
    import jedi

    name, version = requirement.split("==")
    root = scratch / f"{name}-{version}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", requirement, "-t", str(root)]
    subprocess.run(command, check=True, capture_output=True)
    top = root / name
    context = {"language": "python", "package": name, "version": version}
    definitions, imports, sites = [], [], []
    for path in sorted(top.rglob("*.py")):
        read_python(path, root, definitions, imports, sites)
    rows = sampled([{**context, "kind": "defines", **row} for row in definitions]
                   + [{**context, "kind": "imports", **row} for row in imports])
    project = jedi.Project(str(top.parent), added_sys_path=[str(top.parent)])
    for row in rows:
        if row["kind"] == "imports":
            row.update(imported_module(jedi, row, root, project))
    random.shuffle(sites)
    found = []
    for path, site in sites:
        if len(found) == SAMPLES:
            break
        script = jedi.Script(path=str(path), project=project)
        try:
            targets = script.goto(site["name_line"], site["column"], follow_imports=True)
        except Exception:  # jedi's own failures say nothing of the package.
            continue
        target = next((target for target in targets if target.module_path), None)
        if len(targets) != 1 or not target or root not in pathlib.Path(target.module_path).parents:
            continue
        if target.type not in ("function", "class"):
            continue
        row = {key: value for key, value in site.items() if key not in ("name_line", "column")}
        row["to"] = target.full_name
        row["to_file"] = str(pathlib.Path(target.module_path).relative_to(root))
        row["to_line"] = target.line
        found.append({**context, "kind": "calls", **row})
    return rows + sorted(found, key=lambda row: (row["file"], row["line"], row["name"]))


def imported_module(jedi, row, root, project):
    """Where the target of an import within the package stands."""
    path = root / row["file"]
    script = jedi.Script(path=str(path), project=project)
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, (ast.Import, ast.ImportFrom)) or node.lineno != row["line"]:
            continue
        alias = next((alias for alias in node.names if alias.name == row["name"]), None)
        if alias is None or alias.name == "*":
            continue
        targets = script.goto(alias.lineno, alias.col_offset + len(alias.name) - 1, follow_imports=True)
        target = next((target for target in targets if target.module_path), None)
        if len(targets) == 1 and target and root in pathlib.Path(target.module_path).parents:
            return {"to_file": str(pathlib.Path(target.module_path).relative_to(root)), "to_line": target.line or 1}
    return {}


def read_python(path, root, definitions, imports, sites):
    file = str(path.relative_to(root))

    def visit(node, outer, kind):
        for child in ast.iter_child_nodes(node):
            inner, inner_kind = outer, kind
            place = {"file": file, "line": getattr(child, "lineno", 0), "end": getattr(child, "end_lineno", 0), "from": outer}
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                inner = f"{outer}.{child.name}" if outer else child.name
                is_class = isinstance(child, ast.ClassDef)
                named = "type" if is_class else "method" if kind == "class" else "function"
                first = min([child.lineno] + [mark.lineno for mark in child.decorator_list])
                definitions.append({**place, "line": first, "name": child.name, "to": inner, "is": named})
                inner_kind = "class" if is_class else "function"
            elif isinstance(child, ast.Import):
                for alias in child.names:
                    row = {**place, "name": alias.name, "scope": "", "to": alias.name}
                    imports.append({**row, "alias": alias.asname} if alias.asname not in (None, alias.name) else row)
            elif isinstance(child, ast.ImportFrom) and child.module != "__future__":
                scope = "." * child.level + (child.module or "")
                for alias in child.names:
                    row = {**place, "name": alias.name, "scope": scope, "to": f"{scope}.{alias.name}"}
                    imports.append({**row, "alias": alias.asname} if alias.asname not in (None, alias.name) else row)
            elif isinstance(child, ast.Call):
                callee = child.func
                if isinstance(callee, ast.Name):
                    sites.append((path, {**place, "name": callee.id, "name_line": callee.lineno, "column": callee.col_offset}))
                elif isinstance(callee, ast.Attribute):
                    column = callee.end_col_offset - len(callee.attr)
                    sites.append((path, {**place, "name": callee.attr, "name_line": callee.end_lineno, "column": column}))
            visit(child, inner, inner_kind)

    visit(ast.parse(path.read_text()), "", "module")


if __name__ == "__main__":
    main()
