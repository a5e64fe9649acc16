#!/usr/bin/env python3
"""Run a command beside a PostgreSQL server of its own: `postgres.py FOLDER COMMAND…`.

The server is that of the system if `initdb` is on the PATH; else it comes out of the wheel of `pgserver`, fetched with pip into FOLDER
and checked against its SHA-256 sum. It listens on a free port of this machine, keeps its data in a temporary folder, and ends with
the command, which finds where it is in HIVEMEM_POSTGRES (HOST:PORT) and its password in HIVEMEM_POSTGRES_PASSWORD; the user is
`postgres`. Where no server is to be had, that is said, and the command runs without: what needs one leaves itself out.
"""

import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VERSION = "0.1.4"
# Any of its wheels holds the same server; this one needs no particular Python.
SHA256 = {"x86_64": "d595789b47624a3d963aa9aa6359da9be31beb7e61f1a45541953242068b8813"}
PLATFORM = "manylinux2014_x86_64"
# PostgreSQL does not run as root.
NOBODY = 65534


class NoServer(Exception):
    """Why there is none."""


def binaries(folder):
    """Where initdb and pg_ctl are, and what has to be copied to where everybody may read it."""
    found = shutil.which("initdb")
    if found:
        return Path(os.path.realpath(found)).parent, None
    machine = os.uname().machine
    if machine not in SHA256:
        raise NoServer(f"no wheel is known for {machine}: install PostgreSQL and put initdb on the PATH")
    programs = Path("pgserver", "pginstall", "bin")
    if not (folder / programs / "initdb").exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-deps", "--only-binary=:all:", "--python-version", "311", "--platform", PLATFORM]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", *options, "--dest", str(folder)]
        subprocess.run([*pip, f"pgserver=={VERSION}"], check=True)
        wheel = next(folder.glob("pgserver-*.whl"))
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256[machine]:
            raise NoServer(f"{wheel} is not the wheel that is known: remove it and run this again")
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                path = Path(archive.extract(entry, folder))
                # Zip files keep modes where extraction does not look.
                path.chmod((entry.external_attr >> 16) & 0o777 | 0o600)
    return programs, folder


def start(folder, home):
    """Starts a server that lives in `home`; its environment for others, and how to stop it."""
    programs, copied = binaries(folder)
    if copied:
        # Whoever the server runs as has to reach its programs: those of a home folder may be closed to others.
        wheels = shutil.ignore_patterns("*.whl")
        programs = Path(shutil.copytree(copied, home / "programs", symlinks=True, ignore=wheels)) / programs
    own, password = home / "own", secrets.token_hex(16)
    own.mkdir()
    (home / "password").write_text(password)
    identity = {}
    if os.geteuid() == 0:
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        home.chmod(0o755)
        (home / "password").chmod(0o644)
        os.chown(own, NOBODY, NOBODY)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    def run(name, *arguments):
        command = [str(programs / name), "-D", str(own / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=own, timeout=120, **identity)

    run("initdb", "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={home / 'password'}")
    run("pg_ctl", "start", "-w", "-l", str(own / "log"), "-o", f"-p {port} -h 127.0.0.1 -k {own}")
    where = {"HIVEMEM_POSTGRES": f"127.0.0.1:{port}", "HIVEMEM_POSTGRES_PASSWORD": password}
    return where, lambda: run("pg_ctl", "stop", "-m", "immediate")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(prefix="hivemem-postgres-") as home:
        try:
            where, stop = start(Path(sys.argv[1]).absolute(), Path(home))
        except (NoServer, OSError, subprocess.SubprocessError) as error:
            print(f"postgres: there is no server, what needs one is left out: {error}", file=sys.stderr, flush=True)
            where, stop = {}, lambda: None
        try:
            done = subprocess.run(sys.argv[2:], env={**os.environ, **where})
        finally:
            stop()
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
