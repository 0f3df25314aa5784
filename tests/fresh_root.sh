#!/bin/sh
# Runs commands in a fresh, minimal Debian 12 with a clone of this checkout in /leat: what a stranger would see.
#
#   sh tests/fresh_root.sh FOLDER 'sh tests/run.sh' 'sh firmware-examples/demo.sh'
#
# As root. FOLDER is made, and removed again if all commands succeed. The mirror, certificates and settings of the
# package clients are this machine's own; nothing else is, but for what LEAT_FRESH_CCACHE names, a folder of ccache: with
# it the fresh root takes from there what this very compiler made of the same sources. Without it all is compiled anew.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/need.sh"
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
[ "$(id -u)" = 0 ] || die "a fresh root takes root: debootstrap and chroot."
mkdir -p "$1"
folder=$(cd "$1" && pwd); shift
need_packages "$folder/apt.log" debootstrap git

# The first Debian mirror of this machine, in either of apt's two notations.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -n 's/^URIs: *\([^ ]*\/debian\)\/*$/\1/p; s/^deb \(\[[^]]*\] \)*\([^ ]*\/debian\)\/* .*/\2/p' | head -n 1)
[ -n "$mirror" ] || die "no Debian mirror in /etc/apt: cannot make a fresh root."

fresh=$folder/root
rm -rf "$fresh"
say "making a minimal Debian 12 in $fresh"
retry 3 debootstrap --variant=minbase --include=ca-certificates bookworm "$fresh" "$mirror" >"$folder/debootstrap.log" 2>&1 ||
    { tail -n 20 "$folder/debootstrap.log" >&2; die "debootstrap failed."; }
cp -L /etc/resolv.conf /etc/hosts "$fresh/etc/"
for file in /etc/pip.conf /root/.m2/settings.xml /etc/npmrc /root/.npmrc; do
    [ ! -e $file ] || { mkdir -p "$fresh$(dirname $file)"; cp -L $file "$fresh$file"; }
done
if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
    cp /usr/local/share/ca-certificates/*.crt "$fresh/usr/local/share/ca-certificates/"
fi
git clone -q "$root" "$fresh/leat"
mkdir -p "$fresh/root/.cache/ccache"

cat >"$fresh/leat-run.sh" <<'INSIDE'
set -eu
update-ca-certificates >/dev/null 2>&1
cd /leat
for command in "$@"; do
    echo "== fresh root: $command"
    sh -c "$command"
done
INSIDE
# Mounts live in a name space of their own: they are gone with the last process, whatever ends it.
# The root is bound to itself: programs inside look for the mount that holds their files, as they would find it elsewhere.
FRESH=$fresh unshare -m --propagation private sh -eu -c '
    mount --bind "$FRESH" "$FRESH"
    mount -t proc proc "$FRESH/proc"
    mount --rbind /sys "$FRESH/sys"
    mount --rbind /dev "$FRESH/dev"
    mount -t tmpfs tmpfs "$FRESH/tmp"
    [ -z "${LEAT_FRESH_CCACHE:-}" ] || mount --bind "$LEAT_FRESH_CCACHE" "$FRESH/root/.cache/ccache"
    exec chroot "$FRESH" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        LANG=C.UTF-8 CI="${CI:-}" http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
        NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-}" sh /leat-run.sh "$@"
' fresh "$@" || die "in the fresh root: exit code $?" "It is left in $fresh; its logs are in $fresh/leat/build."
rm -rf "$folder"
