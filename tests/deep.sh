# shellcheck shell=sh
# Sourced by run.sh --deep: what takes too long for every change, at most 70 minutes in all.

deep_failed=
deep_step() {  # NAME COMMAND...: goes on after a failure, so that one run tells everything
    step=$1; shift
    stage "deep: $step"
    if "$@" >"$build/deep-$step.log" 2>&1; then
        tail -n 3 "$build/deep-$step.log"
    else
        tail -n 40 "$build/deep-$step.log" >&2
        deep_failed="$deep_failed $step"
    fi
}

# sanitized PRESET "TARGET..." CTEST_OPTION...: everything but what measures size and symbols, or drives a real Kafka.
# Twice as many side by side as there are cores: half of these tests mostly wait, and have five times as long as else.
sanitized() {
    preset=$1 targets=$2; shift 2
    make_build "$build/$preset" "$preset" $targets &&
        (cd "$build/$preset" && ctest -j $((cores * 2)) --output-on-failure --no-label-summary -LE 'interop|footprint|firmware' \
            -E "^(tidy.*|fuzz_.*|package.*)\$" "$@" 8>&- </dev/null)
}
# Where more than one thread runs; the rest has nothing to race.
threaded="leatd leat file_storage_test host_test host_group_test net_test ops_test cli_test cli_groups_test
    tour_produce tour_consume tour_group tour_admin"
# fuzz_one FUZZER: 90 seconds of one of them; what it finds stays in build/tests/fuzz/finds.
fuzz_one() {
    name=$(basename "$1" _fuzz)
    finds=$build/fuzz/finds/$name
    seeds=$build/release/tests/fuzz/seeds/$name
    mkdir -p "$finds"
    rm -f "$finds.failed"
    [ -d "$seeds" ] || seeds=
    "$1" -max_total_time=90 -timeout=20 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
        "-artifact_prefix=$finds/" "$finds" "$root/tests/fuzz/corpus/$name" $seeds >"$finds.log" 2>&1 || : >"$finds.failed"
}
long_fuzz() {  # as many side by side as there are cores
    running=0 group=
    for fuzzer in "$build"/fuzz/tests/fuzz/*_fuzz; do
        [ "$(basename "$fuzzer")" != planted_fuzz ] || continue
        fuzz_one "$fuzzer" 8>&- &
        running=$((running + 1)) group="$group $!"
        [ $((running % cores)) -ne 0 ] || { wait $group; group=; }
    done
    [ -z "$group" ] || wait $group
    found=
    for fuzzer in "$build"/fuzz/tests/fuzz/*_fuzz; do
        name=$(basename "$fuzzer" _fuzz)
        [ "$name" != planted ] || continue
        echo "== $name"
        cat "$build/fuzz/finds/$name.log"
        [ ! -e "$build/fuzz/finds/$name.failed" ] || found="$found $name"
    done
    [ -z "$found" ] || { echo "inputs that fail, in $build/fuzz/finds:$found"; return 1; }
    echo "every fuzzer ran for 90 seconds, nothing found"
}
# Both halves of the crash sweep side by side, from another first seed than the test command's, and their table.
long_crash() {
    sweep() {
        LEAT_CRASH_SEED=100001 LEAT_CRASH_IMAGES=500000 LEAT_CRASH_FOLDER=$build "$build/release/tests/log/log_crash_test" "$@"
    }
    sweep "-tc=*first half*" >"$build/deep-crash.first.log" 2>&1 8>&- &
    first=$!
    crash_rc=0
    sweep "-tc=*second half*" || crash_rc=1
    wait "$first" || crash_rc=1
    cat "$build/deep-crash.first.log"
    sweep "-tc=*one table*" || crash_rc=1
    return $crash_rc
}
# beside STEP COMMAND...: what waits for disks and clients more than it computes, beside the next steps. `joined` waits for all.
beside=
beside() {
    beside="$beside $1"
    rm -f "$build/deep-$1.ended"
    (deep_failed='' && deep_step "$@"; printf '%s\n' "$deep_failed" >"$build/deep-$1.ended") 8>&- &
}
joined() {
    wait
    for step in $beside; do
        deep_failed="$deep_failed$(cat "$build/deep-$step.ended" 2>/dev/null || echo " $step")"
    done
}
leatd=$(find "$build/release" -type f -name leatd -perm -u+x | head -n 1)

# Both commands of the README, where nothing but Debian is: the tests run there, and not here, too, if that can be.
fresh_summary() { grep -E '^[0-9]+% tests passed' "$build/deep-fresh.log" | head -n 1; }
if [ "$(id -u)" = 0 ]; then
    deep_step fresh env LEAT_FRESH_CCACHE="$(ccache -k cache_dir)" sh "$root/tests/fresh_root.sh" "$build/fresh" 'sh tests/run.sh' 'sh firmware-examples/demo.sh'
fi
deep_step asan sanitized asan all
deep_step tsan sanitized tsan "$threaded" -R "^(file_storage|host|net|ops|cli_|process|tour|kills)"
beside seasons "$LEAT_PYTHON" -B "$root/tests/interop/seasons.py" --leatd "$leatd" --work "$build/deep" --rounds 40
deep_step fuzz long_fuzz
deep_step crash long_crash
beside kills "$LEAT_PYTHON" -B "$root/tests/interop/kills.py" --leatd "$leatd" --work "$build/deep" --kills 1000
deep_step arm env LEAT_BUILD="$build/armhf" sh "$root/tests/arm.sh" armhf
joined
if [ "$(id -u)" = 0 ]; then
    deep_step bench env LEAT_BENCH="$build/bench" sh "$root/tests/bench/run.sh" --quick
else
    say "not root: no bench and no fresh Debian (both need mounts)"
fi
[ -z "$deep_failed" ] || die "deep:$deep_failed did not pass." "The logs are $build/deep-*.log."
