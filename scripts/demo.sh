#!/usr/bin/env bash
# Shows hivemem at work: a server on a free loopback port with throw-away data, two repositories ingested (this one and
# tokio's sources from cargo's registry), three searches and a context pack. Nothing is left behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hivemem=${CARGO_TARGET_DIR:-target}/release/hivemem
start_s_max=60
work=$(mktemp -d)
server_pid=

stop() {
    if [[ -n $server_pid ]] && kill -0 "$server_pid" 2>/dev/null; then
        kill "$server_pid" || true
        wait "$server_pid" || true
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    printf 'demo: %s\n' "$*" >&2
    if [[ -s $work/server.err ]]; then tail -n 20 "$work/server.err" >&2; fi
    exit 1
}

heading() {
    if [[ -t 1 ]]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n== %s\n' "$*"; fi
}

# Prints a command the way a reader would type it, then runs it against the demo's server.
show() {
    local word line='$ hivemem'
    for word in "$@"; do
        if [[ $word == *[[:space:]]* ]]; then line+=" \"$word\""; else line+=" $word"; fi
    done
    printf '%s\n' "$line"
    "$hivemem" "$@" --server "$url" || fail "hivemem $1 failed"
}

# The newest tokio among the crates that cargo has unpacked; nothing if there is none.
newest_tokio() {
    local folder
    for folder in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/tokio-1.*; do
        if [[ -d $folder ]]; then printf '%s\t%s\n' "${folder##*/}" "$folder"; fi
    done | sort -V | tail -n 1 | cut -f 2
}

[[ -x $hivemem ]] || fail "$hivemem is not built: run make build"

heading "Starting a server on a free port of 127.0.0.1"
"$hivemem" serve --listen 127.0.0.1:0 --data-dir "$work/data" </dev/null >"$work/server.out" 2>"$work/server.err" &
server_pid=$!
url=
deadline=$((SECONDS + start_s_max))
while [[ -z $url ]]; do
    kill -0 "$server_pid" 2>/dev/null || fail "the server ended before it was ready"
    ((SECONDS < deadline)) || fail "the server was not ready after $start_s_max s"
    url=$(sed -n 's/^listening on \(http:[^ ]*\).*/\1/p' "$work/server.out" | head -n 1)
    sleep 0.1
done
until "$hivemem" namespace ls --server "$url" >/dev/null 2>&1; do
    kill -0 "$server_pid" 2>/dev/null || fail "the server ended before it was ready"
    ((SECONDS < deadline)) || fail "the server at $url did not answer within $start_s_max s"
    sleep 0.2
done
printf 'ready at %s\n' "$url"

heading "Ingesting this repository"
show ingest .

tokio=$(newest_tokio)
[[ -n $tokio ]] || fail "no sources of tokio in cargo's registry: run cargo fetch"
heading "Ingesting the sources of ${tokio##*/}"
show ingest "$tokio"

heading "A question about this repository"
show search "how is the embedding model made ready on a new machine" -k 3

heading "An identifier"
show search "spawn_blocking" -k 3

heading "A question about tokio"
show search "how does the runtime steal tasks from another worker's queue" -k 3

heading "A context pack for an agent's task, at most 1500 tokens"
show context "limit how many requests run at the same time with a semaphore" --budget 1500

heading "Stopping the server"
