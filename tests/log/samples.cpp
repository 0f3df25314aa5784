// Writes small logs of many kinds into a folder, for readers that know FORMAT.md only
// (dump_from_format.py): clean and cut, recycled, with failed writes, and damaged in every place.
#include <cstdio>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr StreamId streams = 4;

class Maker {
public:
    /// forked: goes on in another device; lone: small batches, each in a commit of its own, all kept;
    /// smaller: of 26 segments at first, 15 at last; torn: the power fails in a write that carries
    /// a footer and the next segment's opening
    enum class Cards : std::uint8_t { one, forked, lone, smaller, torn };

    explicit Maker(std::string folder) : folder_(std::move(folder)) {}

    bool keep(const SimImage& image, const std::string& name) {
        std::vector<std::uint8_t> bytes(image.size());
        image.read(0, bytes);
        std::FILE* file = std::fopen((folder_ + "/" + name + ".log").c_str(), "wb");
        if (file == nullptr) return false;
        const bool whole = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
        return std::fclose(file) == 0 && whole;
    }

    /// Some runs of a log; `steps` of 350 turn the ring of 16 segments a few times.
    bool run(std::uint64_t seed, int steps, std::uint64_t failures, Cards cards = Cards::one) {
        SimRandom random(seed);
        const bool lone = cards == Cards::lone;
        const bool smaller = cards == Cards::smaller;
        SimStorage device({.seed = seed, .size = small_device + (smaller ? 10 * small_segment : 0)});
        for (int life = 0; life < 3; ++life) {
            LogConfig config = small_config();
            config.group_bytes_max = seed % 2 == 0 ? 16 * KiB : 64 * KiB;
            config.device_identity = life > 0 && cards == Cards::forked ? "b" : "a";
            config.foreign = ForeignLog::fork;
            if (smaller)
                config.budget_bytes = small_device + 10 * small_segment -
                                      static_cast<std::uint64_t>(life) * 5 * small_segment;
            Rig rig(device, config, {}, seed * 10 + static_cast<std::uint64_t>(life));
            if (!rig.open()) return false;
            for (StreamId id = 1; id <= streams; ++id) {
                StreamPolicy policy;
                policy.retention_bytes = id == 3 || lone ? -1 : 60'000;
                if (id == 3 && !lone) policy.when_full = WhenFull::drop_oldest;
                (void)rig.log->declare_stream(id, policy);
                rig.log->set_release(id, lone ? 0 : INT64_MAX);
            }
            int torn = 0;
            bool kept = true;
            device.on_write = [&] {
                if (cards != Cards::torn || !device.newest_write_crosses(32 * KiB, small_segment))
                    return;
                const std::string name = "torn-" + std::to_string(life) + "-";
                for (const Tear tear : {Tear::suffix, Tear::subset, Tear::one_missing})
                    if (torn < 12)
                        kept = keep(device.crash_image(tear, random),
                                    name + std::to_string(torn++)) && kept;
            };
            for (int i = 0; i < steps && !lone; ++i) step(rig, device, random, failures);
            device.on_write = {};
            if (!kept) return false;
            for (int i = 0; i < 40 && smaller; ++i) rig.pass(25);
            for (int i = 0; i < steps && lone; ++i) {
                const auto id = static_cast<StreamId>(1 + random.below(streams));
                (void)rig.append_durably(id, {.size = 20 + random.below(200), .salt = ++serial_});
                if (random.chance(5))
                    (void)rig.log->set_log_start(rig.at(), id, rig.log->stream(id)->flushed / 2);
                rig.pass(30);
            }
            const std::string name = "run-" + std::to_string(seed) + "-" + std::to_string(life);
            if (life == 1) {
                rig.close();
                if (!keep(device.image(), name + "-sealed")) return false;
            }
            for (const Tear tear : {Tear::dropped, Tear::prefix, Tear::garbage})
                if (!keep(device.crash_image(tear, random),
                          name + "-cut-" + std::to_string(static_cast<int>(tear))))
                    return false;
            if (!damage(device.image(), name, random)) return false;
            device.power_cycle();
            device.fail_next(0, 0);
        }
        return true;
    }

private:
    void step(Rig& rig, SimStorage& device, SimRandom& random, std::uint64_t failures) {
        BatchSpec spec;
        spec.count = 1 + static_cast<std::uint32_t>(random.below(5));
        spec.size = random.chance(5) ? 26'000 : 20 + random.below(2'000);
        spec.salt = ++serial_;
        const auto id = static_cast<StreamId>(1 + random.below(streams));
        (void)rig.append(id, spec);
        if (random.chance(30)) {
            const std::string key = "key-" + std::to_string(random.below(9));
            const std::string value(random.below(200), 'v');
            if (random.chance(20))
                (void)rig.log->erase_fact(rig.at(), FactKind::cursor, bytes_of(key));
            else
                (void)rig.log->put_fact(rig.at(), FactKind::cursor, bytes_of(key), bytes_of(value));
        }
        if (random.chance(failures > 1 ? 15 : 3) && rig.log->stream(id) != nullptr)
            (void)rig.log->set_log_start(rig.at(), id, rig.log->stream(id)->flushed);
        if (failures > 0 && random.chance(2)) device.fail_next(random.below(4), failures);
        if (random.chance(60)) rig.settle();
        if (random.chance(20)) rig.pass(300);
    }

    /// One flipped byte, or a page that is lost, somewhere in the log; several of each.
    bool damage(const SimImage& image, const std::string& name, SimRandom& random) {
        for (int i = 0; i < 12; ++i) {
            SimImage hurt = image;
            const bool page = i % 2 == 1;
            const std::uint64_t from = i < 8 ? 32 * KiB : 0;  // superblocks too
            std::uint64_t at = from + random.below(image.size() - from);
            if (i < 4)
                at = 32 * KiB + at / (64 * KiB) * (64 * KiB) - 1 - random.below(4'096);  // ends
            std::vector<std::uint8_t> bytes(page ? 4'096 : 1);
            if (page) at = at / 4'096 * 4'096;
            at = std::min<std::uint64_t>(at, image.size() - bytes.size());
            hurt.read(at, bytes);
            for (std::uint8_t& byte : bytes)
                byte = static_cast<std::uint8_t>(page ? 0 : byte ^ 0x10);
            hurt.write(at, bytes);
            if (!keep(hurt, name + "-hurt-" + std::to_string(i))) return false;
        }
        return true;
    }

    std::string folder_;
    std::uint64_t serial_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    Maker maker(argv[1]);
    const bool made = maker.run(1, 350, 0) && maker.run(2, 60, 0) && maker.run(3, 200, 1) &&
                      maker.run(4, 200, 2) && maker.run(5, 250, 2) && maker.run(6, 250, 3) &&
                      maker.run(7, 80, 0, Maker::Cards::forked) &&
                      maker.run(8, 250, 0, Maker::Cards::lone) &&
                      maker.run(9, 250, 0, Maker::Cards::smaller) &&
                      maker.run(10, 120, 0, Maker::Cards::smaller) &&
                      maker.run(11, 150, 0, Maker::Cards::torn);
    return made ? 0 : 1;
}
