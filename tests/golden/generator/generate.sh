#!/bin/sh
# Makes the vectors again: sh tests/golden/generator/generate.sh. Needs Java 17 and Maven. Deterministic: the
# same Kafka release gives the same messages (git diff is empty when nothing changed).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mvn -q -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/lib"
java -XX:+UseSerialGC -Xmx512m -cp "$work/lib/*" "$here/GenerateVectors.java" "$here/../vectors"
