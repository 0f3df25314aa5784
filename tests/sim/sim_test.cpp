// SEED=n runs one seed, twice; SEEDS=n runs seeds 1 to n. Neither: the canonical 200.
// TRACE=path with SEED=n writes path.1 and path.2, a line per event of each run, to see where two
// runs part.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/scenario.hpp"

namespace {

leat::sim::Outcome run(std::uint64_t seed, const char* suffix) {
    const char* path = std::getenv("TRACE");
    std::FILE* trace = path ? std::fopen((std::string(path) + suffix).c_str(), "w") : nullptr;
    const leat::sim::Outcome outcome = leat::sim::run_scenario({.seed = seed, .trace = trace});
    if (trace) std::fclose(trace);
    return outcome;
}

/// A checker that never fails proves nothing: acknowledgements from a device's cache must be found
/// out.
bool sees_a_lying_device() {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const leat::sim::Outcome outcome =
            leat::sim::run_scenario({.seed = seed, .lying_flash = true});
        if (outcome.failure.empty()) continue;
        std::printf(
            "planted fault, a device that lies about durability, is seen at seed %llu: %s\n",
            static_cast<unsigned long long>(seed),
            outcome.failure.substr(0, outcome.failure.find('\n')).c_str());
        return true;
    }
    std::printf("failed: a device that lies about durability went unnoticed for 40 seeds\n");
    return false;
}

}  // namespace

int main() {
    const char* one = std::getenv("SEED");
    const char* many = std::getenv("SEEDS");
    const std::uint64_t first = one ? std::strtoull(one, nullptr, 10) : 1;
    const std::uint64_t last = one ? first : many ? std::strtoull(many, nullptr, 10) : 200;
    std::uint64_t failed = 0, records = 0, at_center = 0, duplicates = 0, starts = 0, recycled = 0,
                  works = 0;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        const leat::sim::Outcome outcome = run(seed, ".1");
        records += outcome.acknowledged;
        at_center += outcome.at_center;
        duplicates += outcome.duplicates;
        recycled += outcome.recycled;
        works += outcome.works;
        starts += outcome.gateway_starts + outcome.center_starts;
        if (!outcome.failure.empty()) {
            std::printf("SEED=%llu failed: %s\n", static_cast<unsigned long long>(seed),
                        outcome.failure.c_str());
            ++failed;
        }
        if (one || seed % 50 == 1) {
            const leat::sim::Outcome again = run(seed, ".2");
            if (again.trace_hash != outcome.trace_hash) {
                std::printf("SEED=%llu failed: two runs differ: trace %016llx and %016llx\n",
                            static_cast<unsigned long long>(seed),
                            static_cast<unsigned long long>(outcome.trace_hash),
                            static_cast<unsigned long long>(again.trace_hash));
                ++failed;
            }
        }
        std::fflush(stdout);
    }
    std::printf(
        "%llu seeds, %llu failed: %llu records acknowledged, %llu at the center, %llu twice, %llu "
        "starts of a broker, %llu segments recycled, %llu compressed requests judged beside the "
        "loop\n",
        static_cast<unsigned long long>(last - first + 1), static_cast<unsigned long long>(failed),
        static_cast<unsigned long long>(records), static_cast<unsigned long long>(at_center),
        static_cast<unsigned long long>(duplicates), static_cast<unsigned long long>(starts),
        static_cast<unsigned long long>(recycled), static_cast<unsigned long long>(works));
    if (works == 0) {
        std::printf("failed: nothing was compressed, so nothing was claimed about its order\n");
        return 1;
    }
    if (!one && recycled == 0) {
        std::printf("failed: no ring turned, so nothing was claimed about one that does\n");
        return 1;
    }
    if (!one && failed == 0 && !sees_a_lying_device()) return 1;
    return failed == 0 ? 0 : 1;
}
