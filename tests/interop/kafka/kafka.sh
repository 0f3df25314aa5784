#!/bin/sh
# A real Apache Kafka 4.3.1 (one KRaft node) for tests, benches and the demo.
#
#   kafka.sh jars                   fetches the jars once; prints their folder
#   kafka.sh start DIR [k=v ...]    a fresh node in DIR on free ports; prints HOST:PORT when it answers
#   kafka.sh kill DIR               SIGKILL
#   kafka.sh again DIR              starts the killed or stopped node on its old ports and data
#   kafka.sh halt DIR               SIGTERM, keeps the data
#   kafka.sh stop DIR               SIGKILL and removes DIR
#   kafka.sh run CLASS [ARG ...]    one of Kafka's Java tools, Connect or MirrorMaker
#
# DIR ends up with: bootstrap (HOST:PORT), pid, log, server.properties, data/.
# LEAT_KAFKA_JARS   where the jars are or shall be (default: build/kafka-4.3.1 of this checkout)
# LEAT_KAFKA_HEAP   the broker's heap (default 384m)
# LEAT_KAFKA_TOOL_HEAP  that of a tool (default 192m)
# LEAT_KAFKA_OWNER  a process id: the broker ends with it, however that ends
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
jars=${LEAT_KAFKA_JARS:-$root/build/kafka-4.3.1}
heap=${LEAT_KAFKA_HEAP:-384m}

say() { echo "kafka.sh: $*" >&2; }
die() { say "$@"; exit 1; }

# The folder may be of an earlier checkout, whose pom.xml asked for fewer jars.
fetched() { [ -e "$jars/.complete" ] && cmp -s "$here/pom.xml" "$jars/pom.xml"; }

fetch_jars() {
    fetched && return 0
    command -v mvn >/dev/null || die "Maven is not installed (apt-get install maven)"
    mkdir -p "$jars"
    exec 9>"$jars/.lock"
    flock 9
    if ! fetched; then
        rm -f "$jars/.complete"
        # The pom is copied: Maven must not write into the source tree, and two runs not share a target folder.
        cp "$here/pom.xml" "$jars/pom.xml"
        try=1
        until timeout 400 mvn -q -B -f "$jars/pom.xml" dependency:copy-dependencies \
                -DincludeScope=runtime "-DoutputDirectory=$jars" >"$jars/.fetch.log" 2>&1; do
            [ $try -lt 4 ] || { tail -n 15 "$jars/.fetch.log" >&2
                die "could not fetch Kafka's jars from the Maven registry in $try tries: is it reachable?"; }
            say "fetching Kafka's jars failed (try $try of 4), again in $((try * 10)) s"
            sleep $((try * 10)); try=$((try + 1))
        done
        ls "$jars"/kafka_2.13-4.3.1.jar "$jars"/kafka-tools-4.3.1.jar >/dev/null
        : >"$jars/.complete"
    fi
    flock -u 9
}

launch() {  # DIR: starts the node of DIR and waits until it serves
    dir=$1
    : >"$dir/log"
    # shellcheck disable=SC2086
    setsid java -Xms128m "-Xmx$heap" -XX:+UseSerialGC -XX:MaxDirectMemorySize=128m -Xss512k \
        -XX:TieredStopAtLevel=${LEAT_KAFKA_TIER:-4} -Djava.awt.headless=true \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info \
        -cp "$jars/*" kafka.Kafka "$dir/server.properties" >"$dir/log" 2>&1 9>&- </dev/null &
    pid=$!
    echo $pid >"$dir/pid"
    if [ -n "${LEAT_KAFKA_OWNER:-}" ]; then
        ( while kill -0 "$LEAT_KAFKA_OWNER" 2>/dev/null; do kill -0 $pid 2>/dev/null || exit 0; sleep 1; done
          kill -9 $pid 2>/dev/null ) >/dev/null 2>&1 9>&- </dev/null &
    fi
    waited=0
    until grep -q 'Kafka Server started' "$dir/log"; do
        kill -0 $pid 2>/dev/null || return 1
        [ $waited -lt 1200 ] || { kill -9 $pid; say "Kafka did not start within 120 s"; return 1; }
        sleep 0.1; waited=$((waited + 1))
    done
}

configure() {  # DIR [k=v ...]
    dir=$1; shift
    # shellcheck disable=SC2046
    set -- $(python3 "$here/free_ports.py" 2) "$@"
    port=$1 controller=$2; shift 2
    rm -rf "$dir/data"
    cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
controller.quorum.bootstrap.servers=127.0.0.1:$controller
log.dirs=$dir/data
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
num.network.threads=2
num.io.threads=4
PROPERTIES
    for setting in "$@"; do echo "$setting" >>"$dir/server.properties"; done
    echo "127.0.0.1:$port" >"$dir/bootstrap"
    java -cp "$jars/*" -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
        kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$dir/server.properties" \
        --standalone >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; return 1; }
}

node_pid() { [ -s "$1/pid" ] && cat "$1/pid"; }

end() {  # SIGNAL DIR
    pid=$(node_pid "$2") || return 0
    kill "-$1" "$pid" 2>/dev/null || return 0
    waited=0
    # A child of a script that has not reaped it yet stays visible as a zombie: that is ended, too.
    while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do
        [ $waited -lt 300 ] || { kill -9 "$pid"; break; }
        sleep 0.1; waited=$((waited + 1))
    done
}

verb=${1:-}; [ $# -gt 0 ] && shift
case $verb in
jars)
    fetch_jars; echo "$jars" ;;
start)
    [ $# -ge 1 ] || die "start needs a folder"
    fetch_jars
    mkdir -p "$1"; dir=$(cd "$1" && pwd); shift
    for try in 1 2 3; do    # a port may be taken between the look and the start
        configure "$dir" "$@" && launch "$dir" && { cat "$dir/bootstrap"; exit 0; }
        say "start failed (try $try of 3): $(tail -n 3 "$dir/log" 2>/dev/null)"
    done
    die "Kafka does not start; its log is $dir/log" ;;
again)
    dir=$(cd "$1" && pwd)
    launch "$dir" || { tail -n 20 "$dir/log" >&2; die "Kafka does not start again; its log is $dir/log"; }
    cat "$dir/bootstrap" ;;
kill) end KILL "$1" ;;
halt) end TERM "$1" ;;
stop) end KILL "$1"; rm -rf "$1" ;;
run)
    fetch_jars
    exec java "-Xmx${LEAT_KAFKA_TOOL_HEAP:-192m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*" "$@" ;;
*)
    sed -n '2,17p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2 ;;
esac
