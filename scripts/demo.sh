#!/usr/bin/env bash
# Shows hivemem at work: a server on a free loopback port with throw-away data, two repositories ingested (this one and
# tokio's sources from cargo's registry), three searches and a context pack. Nothing is left behind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

source scripts/throwaway.sh

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

start_server

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
