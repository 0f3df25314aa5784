#!/bin/sh
# Installs what the tests need, builds, passes all tests.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/tests
mkdir -p "$build"
if ! dpkg -s ccache libasio-dev nlohmann-json3-dev libmbedtls-dev doctest-dev libcli11-dev >/dev/null 2>&1; then
    apt-get -o DPkg::Lock::Timeout=600 update -q
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends \
        g++ cmake ninja-build ccache libasio-dev nlohmann-json3-dev libmbedtls-dev doctest-dev libcli11-dev \
        liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev
fi
cmake -G Ninja -C "$root/cmake/presets/release.cmake" -S "$root" -B "$build"
ninja -C "$build"
cd "$build" && ctest -j 2 --output-on-failure
