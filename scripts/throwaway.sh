# For scripts that show something: a server on a free loopback port with throw-away data, and words for what goes on. It is
# sourced, from the root of the repository; when the script ends, so does the server, and nothing is left behind.
# Gives: $hivemem (the binary: HIVEMEM_BINARY, else what is built here), $work (a folder), heading, fail, and start_server,
# which sets $url.

hivemem=${HIVEMEM_BINARY:-${CARGO_TARGET_DIR:-target}/release/hivemem}
start_s_max=60
work=$(mktemp -d)
server_pid=
url=

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
    printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    if [[ -s $work/server.err ]]; then tail -n 20 "$work/server.err" >&2; fi
    exit 1
}

heading() {
    if [[ -t 1 ]]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n== %s\n' "$*"; fi
}

start_server() {
    local deadline=$((SECONDS + start_s_max))
    [[ -x $hivemem ]] || fail "$hivemem is not built: run make build"
    heading "Starting a server on a free port of 127.0.0.1"
    # There before the server is, because it is read at once.
    : >"$work/server.out"
    "$hivemem" serve --listen 127.0.0.1:0 --data-dir "$work/data" </dev/null >"$work/server.out" 2>"$work/server.err" &
    server_pid=$!
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
}
