# shellcheck shell=sh
# Sourced by tests/run.sh and firmware-examples/demo.sh: Debian packages, tool versions, retries.

say() { printf '== %s\n' "$*"; }
die() {  # what failed, then what to do, a line each
    printf '\n!! %s\n' "$1" >&2; shift
    for line in "$@"; do printf '   %s\n' "$line" >&2; done
    exit 1
}

# retry N COMMAND...: again after 5, 10, 15... seconds until it works, N times at most.
retry() {
    tries=$1; shift
    try=1
    until "$@"; do
        [ "$try" -lt "$tries" ] || return 1
        say "failed (try $try of $tries), again in $((try * 5)) s: $*"
        sleep $((try * 5)); try=$((try + 1))
    done
}

# at_least HAVE WANT: compares dotted versions.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# check_version TOOL HAVE WANT ADVICE: a tool that is there but too old ends the run at once.
check_version() { at_least "$2" "$3" || die "$1 is version $2; Leat needs $3 or newer." "$4"; }

# check_versions [must]: compiler, CMake and Python, as far as they are there; with `must` they have to be.
check_versions() {
    cxx=${CXX:-g++}
    advice="Debian 12 has it: apt-get install g++. Another compiler: CXX=/path/to/g++ in front of this command"
    if command -v "$cxx" >/dev/null 2>&1; then
        case $("$cxx" --version | head -n 1) in
        *clang*) check_version "$cxx" "$("$cxx" -dumpversion)" 14 "$advice" ;;
        *) check_version "$cxx" "$("$cxx" -dumpfullversion 2>/dev/null || "$cxx" -dumpversion)" 12 "$advice" ;;
        esac
    elif [ "${1:-}" = must ]; then
        die "there is no C++ compiler ($cxx)." "Install one: apt-get install g++"
    fi
    for tool in cmake:3.25 python3:3.9; do
        want=${tool#*:} tool=${tool%:*}
        if command -v "$tool" >/dev/null 2>&1; then
            check_version "$tool" "$("$tool" --version 2>/dev/null | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')" "$want" \
                "Debian 12 has it: apt-get install $tool. If it is there, another one stands before it in PATH: $(command -v "$tool")"
        elif [ "${1:-}" = must ]; then
            die "there is no $tool." "Install it: apt-get install $tool"
        fi
    done
}

# check_java: Apache Kafka 4.3.1 needs it. One that tells no version is taken as it is.
check_java() {
    command -v java >/dev/null 2>&1 || return 0
    have=$(java -version 2>&1 | sed -n 's/.*version "\([0-9.]*\).*/\1/p' | head -n 1)
    [ -z "$have" ] || check_version java "$have" 17 \
        "Debian 12 has it: apt-get install openjdk-17-jre-headless. If it is there, choose it: update-alternatives --config java"
}

# missing_packages NAME...: those of the Debian packages that are not installed, a line each.
missing_packages() {
    for package in "$@"; do
        case $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null) in
        ii*|hi*) ;;
        *) echo "$package" ;;
        esac
    done
}

apt() {
    DEBIAN_FRONTEND=noninteractive $as_root apt-get -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
        -o Acquire::http::Timeout=60 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

apt_install() {
    # Updating may fail for one of several sources and still do for the rest: installing is what decides.
    apt update >"$apt_log" 2>&1 || true
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends $missing >>"$apt_log" 2>&1
}

# need_packages LOG NAME...: installs the Debian packages that are missing, and only those.
need_packages() {
    apt_log=$1; shift
    if ! command -v dpkg-query >/dev/null 2>&1; then
        say "this is not a Debian: expecting the tools and libraries that these packages have: $*"
        return 0
    fi
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root="sudo -n"
        sudo -n true 2>/dev/null || die "these Debian packages are missing: $missing" \
            "and only root may install them. As root:" \
            "apt-get update && apt-get install -y --no-install-recommends $missing"
    fi
    say "installing: $missing"
    retry 4 apt_install || {
        tail -n 25 "$apt_log" >&2
        die "apt-get could not install: $missing" "The log is $apt_log. Once apt-get works again, run this script again."
    }
}

# unpack_packages FOLDER NAME...: Debian packages with those that they need and that are missing, unpacked there and not
# installed: what a server's package installs is also started, and some exclude each other.
unpack_packages() {
    folder=$1; shift
    mkdir -p "$folder/packages"
    # shellcheck disable=SC2046
    (cd "$folder/packages" && LC_ALL=C apt-get -q download "$@" $(LC_ALL=C apt-get -s install --no-install-recommends \
        "$@" 2>/dev/null | sed -n 's/^Inst \([^ ]*\) .*/\1/p')) || { as_root=; [ "$(id -u)" = 0 ] || as_root="sudo -n"
        apt update || true; return 1; }  # the package lists may be old or missing: the next try has new ones
    for package in "$folder"/packages/*.deb; do dpkg -x "$package" "$folder" || return 1; done
}
