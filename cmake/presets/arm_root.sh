#!/bin/sh
# Makes a folder with Debian's libraries for ARM Linux, for the presets armhf and arm64:
#
#   sh cmake/presets/arm_root.sh armhf|arm64 FOLDER
#
# They are downloaded with this machine's own apt sources and unpacked below FOLDER; nothing is installed, and this
# machine's list of architectures stays as it is. The cross compiler and the emulator are installed (as root).
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
. "$here/tests/need.sh"
case ${1:-} in
armhf) compiler=g++-arm-linux-gnueabihf ;;
arm64) compiler=g++-aarch64-linux-gnu ;;
*) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
[ $# = 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
arch=$1
mkdir -p "$2"
root=$(cd "$2" && pwd)
[ ! -e "$root/.complete" ] || exit 0
need_packages "$root/apt.log" "$compiler" qemu-user-static dpkg

# An apt of its own for the other architecture: own lists, own state, the machine's sources and keys.
mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial" "$root/debs"
: >"$root/apt/status"
arm_apt() {
    apt-get -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o Dir::State="$root/apt" \
        -o Dir::State::status="$root/apt/status" -o Dir::Cache="$root/apt" -o APT::Sandbox::User=root \
        -o Acquire::Retries=3 -o Acquire::http::Timeout=60 "$@"
}
arm_download() {
    # Updating may fail for one of several sources and still do for the rest: downloading is what decides.
    arm_apt update >"$root/update.log" 2>&1 || true
    (cd "$root/debs" && arm_apt download libmbedtls-dev zlib1g-dev liblz4-dev libzstd-dev libsnappy-dev \
        libasio-dev nlohmann-json3-dev libcli11-dev doctest-dev) >"$root/download.log" 2>&1
}
retry 3 arm_download || {
    tail -n 20 "$root/update.log" "$root/download.log" >&2
    die "apt could not fetch Debian's $arch libraries." "Does the mirror carry $arch? The logs are in $root."
}
for deb in "$root"/debs/*.deb; do
    dpkg -x "$deb" "$root"
done
rm -rf "$root/apt" "$root/debs"
: >"$root/.complete"
say "libraries for $arch are in $root"
