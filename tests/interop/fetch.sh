#!/bin/sh
# Fetches what the interoperability tests need from registries: Kafka's jars (Maven) and a virtual environment with the
# newest confluent-kafka, kafka-python and aiokafka with the codecs they ask for (PyPI).   fetch.sh VENV_DIR     with LEAT_KAFKA_JARS set to the jars' folder
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
        confluent-kafka kafka-python aiokafka cramjam python-snappy lz4 zstandard && : >"$venv/.complete" && return 0
    # An older copy that works is better than none when the registry is away.
    [ -e "$venv/.complete" ] && say "PyPI is away: going on with the clients that are here" && return 0
    die "pip could not install the Python clients from PyPI in four tries."
}

sh "$here/kafka/kafka.sh" jars &
jars=$!
clients
wait $jars
