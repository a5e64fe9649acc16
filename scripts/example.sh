#!/usr/bin/env bash
# Shows a swarm at work: it ingests a repository (REPOSITORY, else this one's Rust client), documents it, is killed in the middle
# and goes on. The model is that of HIVEMEM_LLM_BASE_URL, or a scripted one in the process. Nothing is left behind.
# Takes a Python that has the package hivemem[swarm].
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/throwaway.sh

python=${1:?which python? run make example}
repository=${REPOSITORY:-clients/rust}
# With some nodes done and others in the middle of their work, as the scripted model goes.
kill_after=${KILL_AFTER:-40}
killed=137
lines_shown=40
line_shown=140

# Prints the command the way a reader would type it, then runs it against the server, with its output into example.out as well.
document() {
    printf '$ python clients/python/examples/document_repository.py %s\n' "$*"
    "$python" clients/python/examples/document_repository.py "$@" --server "$url" | tee "$work/example.out"
}

start_server

heading "Documenting $repository, and ending the process after $kill_after events"
status=0
document "$repository" --out "$work/out" --kill-after "$kill_after" || status=$?
((status == killed || status == 0)) || fail "the example failed"

run=$(sed -n 's/^run //p' "$work/example.out")
if ((status == killed)); then
    heading "Going on with the run"
    document --resume "$run" || fail "the run was not finished"
fi

heading "The first $lines_shown lines of what it wrote"
head -n "$lines_shown" "$work/out/DOCUMENTATION.md"

heading "The run, as the server keeps it"
"$hivemem" swarm show "$run" --namespace documentation --server "$url" | cut -c "1-$line_shown" || fail "hivemem swarm show failed"

heading "Stopping the server"
