#!/bin/sh
# Cross-builds the firmware images into a build folder of their own: build.sh SOURCE BUILD
set -eu
if ! command -v arm-none-eabi-g++ >/dev/null; then
    echo "arm-none-eabi-g++ is missing: apt-get install --no-install-recommends gcc-arm-none-eabi" \
         "libnewlib-arm-none-eabi libstdc++-arm-none-eabi-dev" >&2
    exit 1
fi
cmake -G Ninja -C "$1/cmake/presets/firmware.cmake" -S "$1" -B "$2" >"$2.log" 2>&1 || { cat "$2.log"; exit 1; }
ninja -C "$2" lm3s811evb-uart
