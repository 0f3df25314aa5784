// What the log's writes cost on flash: NAND bytes per payload byte on a model of a device
// (ftl_model.hpp), in budgets. Payload is the records' values, 200 B each. Simulated, so the
// figures are exact; a change that raises one of them has to say why.
#include <doctest/doctest.h>

#include <cstdio>

#include "tests/log/rig.hpp"
#include "tests/support/ftl_model.hpp"
#include "tests/support/storage_over.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;
using leat::test::FtlModel;

namespace {

constexpr std::uint64_t log_bytes = 32 * KiB + 64 * MiB;
/// What tests/bench/wear.py gives the log, which makes 63 segments of 2 MiB of it.
constexpr std::uint64_t bench_bytes = 128 * MiB;
/// The log is a sixteenth of a device that is full of other things: what garbage collection meets
/// on a gateway, where 7 % of spare flash are much more than the log.
constexpr std::uint64_t flash_bytes = 1024 * MiB;

/// A simulated device whose writes also go through the model, each with the flush that makes it
/// durable.
class FtlStorage final : public leat::test::StorageOver {
public:
    explicit FtlStorage(SimStorage& below) : StorageOver(below) { model.write(0, flash_bytes); }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        model.write(at, bytes.size());
        model.flush();
        if (touch(at, bytes.size()) && bytes.size() < 12 * KiB) ++into_reserved;
        return below_.start_write(ticket, at, bytes);
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t at, std::uint64_t size) override {
        model.write(at, size);
        model.flush();
        touch(at, size);
        return below_.start_erase(ticket, at, size);
    }

    FtlModel model{{.bytes = flash_bytes}};
    /// Small writes into blocks that were only reserved until then: each costs a journal commit of
    /// the file system (broker/log/zeroing.hpp).
    std::uint64_t into_reserved = 0;

private:
    bool touch(std::uint64_t at, std::uint64_t size) {
        bool reserved = false;
        for (std::uint64_t block = at / 4096; block < (at + size + 4095) / 4096; ++block) {
            reserved = reserved || !written_[block];
            written_[block] = true;
        }
        return reserved;
    }
    std::vector<bool> written_ = std::vector<bool>(bench_bytes / 4096);
};

constexpr std::size_t value_bytes = 200;
constexpr std::size_t record_bytes = 209;  ///< with what Kafka puts around it

/// A log on the model that has gone around once; then counted.
struct Wear {
    SimStorage memory;
    FtlStorage device{memory};
    LogConfig config;
    Rig rig;
    std::uint64_t salt = 0, records = 0, refused = 0;
    std::uint64_t nand_before = 0, host_before = 0, copied_before = 0, records_before = 0,
                  index_before = 0, zeros_before = 0;

    explicit Wear(std::uint32_t segment_bytes, std::uint64_t size = log_bytes)
        : memory({.seed = 1, .size = size}),
          config(config_with(segment_bytes)),
          rig(memory, config) {
        rig.log = make_faulty_log(device, rig.entropy, config, {});
        REQUIRE(rig.open());
    }
    static LogConfig config_with(std::uint32_t segment_bytes) {
        LogConfig config = small_config();
        config.segment_bytes = segment_bytes;
        return config;
    }
    void send(StreamId stream, std::uint32_t count) {
        const BatchSpec batch{.count = count, .size = count * record_bytes, .salt = ++salt};
        const auto appended = rig.append(stream, batch);
        if (appended)
            records += count;
        else
            ++refused;
    }
    /// Until so many segments were used again, in all.
    template <class Round>
    void run(std::uint64_t recycled, Round round) {
        for (int rounds = 0; rig.log->counters().segments_recycled < recycled; ++rounds) {
            REQUIRE(rounds < 100'000);
            round();
        }
    }
    /// A stream that keeps so many bytes, and whose records may go.
    void declare(StreamId stream, std::int64_t retention_bytes) {
        REQUIRE(rig.log->declare_stream(stream, {.retention_bytes = retention_bytes}));
        rig.log->set_release(stream, INT64_MAX);
    }
    /// What `round` costs: counted from `first` segments that were used again up to `until`.
    template <class Round>
    double measure(const char* name, std::uint64_t first, std::uint64_t until, Round round) {
        run(first, round);
        begin_counting();
        run(until, round);
        return nand_per_byte(name);
    }
    void begin_counting() {
        nand_before = device.model.nand_bytes();
        host_before = device.model.host_bytes();
        copied_before = device.model.copied_bytes();
        records_before = records;
        index_before = index_bytes();
        zeros_before = rig.log->counters().written_zeros;
    }
    std::uint64_t index_bytes() const {
        const LogCounters& counters = rig.log->counters();
        return counters.written_footer + counters.written_checkpoint;
    }
    /// Without the zeros, which a segment gets once in its life.
    std::uint64_t host_bytes() const {
        return device.model.host_bytes() - host_before -
               (rig.log->counters().written_zeros - zeros_before);
    }
    /// Of what reached the device, footers and checkpoints.
    double index_share() const {
        return static_cast<double>(index_bytes() - index_before) /
               static_cast<double>(host_bytes());
    }
    double host_per_byte() const {
        return static_cast<double>(host_bytes()) /
               static_cast<double>((records - records_before) * value_bytes);
    }
    double nand_per_byte(const char* name) {
        const auto payload = static_cast<double>((records - records_before) * value_bytes);
        const double nand = static_cast<double>(device.model.nand_bytes() - nand_before) / payload;
        std::printf(
            "%s: %.2f NAND bytes per payload byte (%.3f to the device, %.2f copied by it); "
            "%.2f bytes copied by the log per byte freed; %.2f %% index; %llu refused\n",
            name, nand, host_per_byte(),
            static_cast<double>(device.model.copied_bytes() - copied_before) / payload,
            static_cast<double>(rig.log->counters().cleaner_copied) /
                static_cast<double>(std::max<std::uint64_t>(rig.log->counters().cleaner_freed, 1)),
            100 * index_share(), static_cast<unsigned long long>(refused));
        return nand;
    }
};

}  // namespace

TEST_CASE("ftl: random writes cost the model what theory says, and a flush costs a whole page") {
    // Uniform random units, greedy collection: 2.48 with 28 % of spare flash, 1.72 with 50 %.
    struct Point {
        std::uint32_t spare_permille;
        double expected;
    };
    for (const Point point : {Point{280, 2.48}, Point{500, 1.72}}) {
        constexpr std::uint64_t units = 32'768;
        FtlModel model({.bytes = units * 4096,
                        .units_per_page = 1,
                        .pages_per_block = 64,
                        .spare_permille = point.spare_permille});
        SimRandom random(3);
        model.write(0, units * 4096);
        for (std::uint64_t i = 0; i < 6 * units; ++i) model.write(random.below(units) * 4096, 4096);
        const std::uint64_t nand = model.nand_bytes(), host = model.host_bytes();
        for (std::uint64_t i = 0; i < 6 * units; ++i) model.write(random.below(units) * 4096, 4096);
        const double amplification = static_cast<double>(model.nand_bytes() - nand) /
                                     static_cast<double>(model.host_bytes() - host);
        CHECK(amplification == doctest::Approx(point.expected).epsilon(0.03));
    }
    FtlModel model({.bytes = 64 * MiB});
    model.write(0, 4096);
    CHECK(model.nand_bytes() == 0);
    model.flush();
    CHECK(model.nand_bytes() == 16 * KiB);
    model.flush();
    model.write(4096, 16 * KiB);
    model.flush();
    CHECK(model.nand_bytes() == 32 * KiB);
    // A ring that overwrites whole blocks in order never has to copy.
    for (int round = 0; round < 5; ++round) model.write(0, 64 * MiB);
    CHECK(model.copied_bytes() == 0);
    CHECK(model.erases() > 60);
}

TEST_CASE("ftl: lone synced records") {
    Wear wear(4 * MiB);
    wear.declare(1, 1'500'000);
    const auto round = [&] {
        wear.send(1, 1);
        wear.rig.pass(10);
    };
    CHECK(wear.measure("lone synced records", 16, 48, round) <= 104);
}

TEST_CASE("ftl: what a checkpoint writes is a small share, in segments as a log of this size has them") {
    Wear wear(1 * MiB);
    wear.declare(1, 1'500'000);
    const auto round = [&] {
        wear.send(1, 1);
        wear.rig.pass(10);
    };
    (void)wear.measure("lone synced records, segments of 1 MiB", 200, 400, round);
    CHECK(wear.host_per_byte() <= 20.8);
}

// The goals on a device are 20.8 and 1.28: the rest is left to the file system's journal, which
// writes three pages or four every five seconds.
TEST_CASE("ftl: lone records and groups of fifty, in a log as tests/bench has it") {
    Wear wear(2 * MiB, bench_bytes);
    wear.declare(1, 1'500'000);
    const auto lone = [&] {
        wear.send(1, 1);
        wear.rig.pass(10);
    };
    const auto group = [&] {
        wear.send(1, 50);
        wear.rig.pass(10);
    };
    (void)wear.measure("lone records, as in the bench", 80, 120, lone);
    CHECK(wear.host_per_byte() <= 20.63);
    (void)wear.measure("groups of 50, as in the bench", 121, 160, group);
    CHECK(wear.host_per_byte() <= 1.24);
}

TEST_CASE("ftl: in a log's first pass hardly any small write meets a block that is only reserved") {
    Wear wear(1 * MiB);
    REQUIRE(wear.rig.log->declare_stream(1, {.retention_bytes = 1'500'000}));
    wear.rig.log->set_release(1, INT64_MAX);
    const std::uint64_t lone = 60 * 255;  // not around yet
    std::uint64_t starts = 0, checkpoints = 0;
    for (std::uint64_t i = 0; i < lone; ++i) {
        if (i % 1'500 == 1'000) {  // the power fails: the tail goes on as it was
            ++starts;
            checkpoints += wear.rig.log->counters().written_checkpoint;
            wear.rig.log.reset();
            wear.memory.power_cycle();
            wear.rig.log = make_faulty_log(wear.device, wear.rig.entropy, wear.config, {});
            REQUIRE(wear.rig.open());
            REQUIRE(wear.rig.log->declare_stream(1, {.retention_bytes = 1'500'000}));
            wear.rig.log->set_release(1, INT64_MAX);
        }
        wear.send(1, 1);
        wear.rig.pass(10);
    }
    std::printf("first pass: %llu of %llu lone records went into reserved blocks, %llu starts\n",
                static_cast<unsigned long long>(wear.device.into_reserved),
                static_cast<unsigned long long>(lone), static_cast<unsigned long long>(starts));
    CHECK(checkpoints > 0);
    CHECK(wear.device.into_reserved <= 12);
}

TEST_CASE("ftl: ten records in a group every 100 ms") {
    Wear wear(4 * MiB);
    wear.declare(1, 15'000'000);
    const auto round = [&] {
        wear.send(1, 10);
        wear.rig.pass(100);
    };
    CHECK(wear.measure("ten records every 100 ms", 16, 48, round) <= 10.4);
}

TEST_CASE("ftl: ten topics every 100 ms, one of them kept: the ring turns and the cleaner copies") {
    Wear wear(1 * MiB);
    for (StreamId id = 1; id <= 9; ++id) wear.declare(id, 1'500'000);
    wear.declare(10, 8'000'000);
    const auto round = [&] {
        for (StreamId id = 1; id <= 10; ++id) wear.send(id, 1);
        wear.rig.pass(100);
    };
    CHECK(wear.measure("ten topics every 100 ms, one of them kept", 64, 256, round) <= 10.9);
    CHECK(wear.rig.log->counters().cleaner_copied > 0);
    CHECK(wear.index_share() <= 0.016);  // the goal is 4 %
}

TEST_CASE("ftl: of ten topics' batches a hundredth is index, in a log as the bench has it") {
    Wear wear(2 * MiB, bench_bytes);
    for (StreamId id = 1; id <= 10; ++id) wear.declare(id, 1'500'000);
    const auto round = [&] {
        for (StreamId id = 1; id <= 10; ++id) wear.send(id, 1);
        wear.rig.pass(100);
    };
    (void)wear.measure("ten topics every 100 ms, as in the bench", 64, 128, round);
    CHECK(wear.index_share() <= 0.012);  // the goal is 4 %
    CHECK(wear.host_per_byte() <= 2.1);  // ... and 2.2 on a device
}
