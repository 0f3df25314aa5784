// A log that is full to the brim of records which nobody may drop: what is deleted makes room, in the
// smallest log, too.
#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

struct Brim {
    std::uint32_t segments, page;
    std::size_t size;    ///< of a batch
    std::uint64_t each;  ///< so many make a commit
};

class FullLog {
public:
    explicit FullLog(const Brim& brim, StreamId streams = 4)
        : brim_(brim),
          streams_(streams),
          device_({.seed = 1,
                   .size = 32 * KiB + std::uint64_t{brim.segments} * small_segment}) {
        start();
    }
    Rig& rig() { return *rig_; }

    /// All streams in turn, until none of them is taken any more.
    void fill() {
        for (int refused = 0; refused < 100; rig_->pass(refused > 0 ? 100 : 1))
            refused = add() == 0 ? refused + 1 : 0;
        REQUIRE(taken_ > 0);
    }
    std::uint64_t add() {
        std::uint64_t some = 0;
        for (std::uint64_t i = 0; i < brim_.each; ++i) {
            const StreamId id = 1 + next_++ % streams_;
            if (rig_->log->stream(id) == nullptr) continue;
            some += rig_->append(id, {.size = brim_.size, .salt = next_}) ? 1 : 0;
        }
        rig_->settle();
        taken_ += some;
        return some;
    }
    /// Commits that a group makes one after the other; milliseconds that the longest of them waited.
    std::int64_t commit_offsets(int count) {
        std::int64_t longest = 0;
        for (int i = 0; i < count; ++i) {
            const std::int64_t began = rig_->now;
            while (!commit(++serial_)) {
                if (rig_->now - began >= 10'000) return rig_->now - began;
                rig_->pass(10);
            }
            longest = std::max(longest, rig_->now - began);
        }
        return longest;
    }
    /// Milliseconds until more segments are free than `before`; none: not within `patience`.
    std::optional<std::int64_t> makes_room(std::uint32_t before, std::int64_t patience) {
        const std::int64_t began = rig_->now;
        for (; rig_->now - began < patience; rig_->pass(100))
            if (rig_->log->status().segments_free > before) return rig_->now - began;
        return std::nullopt;
    }
    bool takes_again(std::int64_t patience) {
        for (const std::int64_t began = rig_->now; rig_->now - began < patience; rig_->pass(100))
            if (add() > 0) return true;
        return false;
    }
    void restart(bool cut) {
        if (!cut) rig_->close();
        rig_.reset();
        device_.power_cycle();
        start();
    }
    std::string text() {
        const LogStatus status = rig_->log->status();
        const LogCounters& counters = rig_->log->counters();
        return std::to_string(status.segments_free) + " of " + std::to_string(status.segments) +
               " free, " + std::to_string(taken_) + " taken, copied " +
               std::to_string(counters.cleaner_copied) + ", freed " +
               std::to_string(counters.cleaner_freed) + ", recycled " +
               std::to_string(counters.segments_recycled);
    }

private:
    void start() {
        LogConfig config = small_config();
        config.page_bytes = brim_.page;
        rig_.emplace(device_, config);
        REQUIRE(rig_->open());
        for (StreamId id = 1; id <= streams_; ++id)
            if (next_ == 0 || rig_->log->stream(id) != nullptr)
                REQUIRE(rig_->log->declare_stream(id, {.when_full = WhenFull::reject}));
    }
    bool commit(int value) {
        const auto put = rig_->log->put_fact(rig_->at(), FactKind::group, bytes_of("g"),
                                             bytes_of(std::to_string(value)));
        rig_->settle();
        return put && rig_->log->flushed_commit() >= *put;
    }
    Brim brim_;
    StreamId streams_;
    SimStorage device_;
    std::optional<Rig> rig_;
    std::uint64_t next_ = 0, taken_ = 0;
    int serial_ = 0;
};

// Commits of one batch, most of a page empty; dense ones; a larger log; batches that are some of a
// segment, or some of two thirds of one; pages of 16 KiB, of which such a segment holds two.
constexpr Brim brims[] = {
    {15, 4 * KiB, 400, 1},    {16, 4 * KiB, 400, 1},    {15, 4 * KiB, 400, 24},
    {16, 4 * KiB, 400, 24},   {31, 4 * KiB, 400, 24},   {16, 4 * KiB, 7'000, 4},
    {15, 4 * KiB, 3'000, 4},  {16, 4 * KiB, 3'000, 4},  {31, 4 * KiB, 3'000, 4},
    {16, 4 * KiB, 13'000, 1}, {16, 16 * KiB, 400, 1},   {16, 16 * KiB, 400, 24},
    {31, 16 * KiB, 3'000, 4}, {16, 16 * KiB, 7'000, 2}, {31, 16 * KiB, 7'000, 4}};

std::string name(const Brim& brim) {
    return std::to_string(brim.segments) + " segments, pages of " + std::to_string(brim.page) +
           ", " + std::to_string(brim.each) + " batches of " + std::to_string(brim.size);
}

}  // namespace

TEST_CASE("full: a quarter of everything that is deleted makes room, wherever it lies") {
    for (const Brim& brim : brims)
        for (const int commits : {0, 5, 300})
            for (const bool restart : {false, true}) {
                INFO(name(brim), ", ", commits, " commits", restart ? ", a power cut" : "");
                FullLog log(brim);
                log.fill();
                CHECK(log.commit_offsets(commits) <= 1'000);
                const std::uint32_t free = log.rig().log->status().segments_free;
                log.rig().log->drop_stream(3);
                log.rig().settle();
                if (restart) log.restart(true);
                const auto room = log.makes_room(free, 30'000);
                INFO(log.text());
                CHECK(room);
                CHECK(log.takes_again(30'000));
                CHECK(log.commit_offsets(100) <= 1'000);
            }
}

TEST_CASE("full: what is deleted of each segment makes room, though it is a little") {
    constexpr Brim some[] = {{16, 4 * KiB, 400, 24},  {31, 4 * KiB, 400, 24},
                             {31, 4 * KiB, 3'000, 8}, {64, 4 * KiB, 400, 24},
                             {64, 4 * KiB, 1'500, 8}, {31, 4 * KiB, 7'000, 8}};
    for (const Brim& brim : some)
        for (const int commits : {0, 300}) {
            INFO(name(brim), ", ", commits, " commits");
            FullLog log(brim, 8);
            log.fill();
            CHECK(log.commit_offsets(commits) <= 1'000);
            const std::uint64_t copied = log.rig().log->counters().cleaner_copied;
            log.rig().log->drop_stream(3);
            log.rig().settle();
            CHECK(log.takes_again(30'000));
            // What there is is pushed together once, and then it rests.
            log.rig().pass(60'000);
            INFO(log.text());
            CHECK(log.rig().log->counters().cleaner_copied - copied <=
                  3 * brim.segments * small_segment);
        }
}

TEST_CASE("full: what a flood drops in a moment is not packed before, nor waited for") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 31 * std::uint64_t{small_segment}});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {.when_full = WhenFull::drop_oldest, .priority = 1}));
    REQUIRE(rig.log->declare_stream(2, {.when_full = WhenFull::reject}));
    std::uint64_t kept = 0, refused = 0;
    // One step of whatever goes on beside it for each batch that comes.
    const auto step = [&] {
        rig.log->on_storage(rig.at());
        rig.now += 1;
        rig.wall += 1;
        rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
    };
    const auto flood = [&](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i, step()) {
            if (i % 200 == 0 && kept < 60) kept += rig.append_durably(2, {.size = 200, .salt = i});
            for (int waits = 0; !rig.append(1, {.size = 2'700, .salt = i}); step(), ++refused)
                REQUIRE(++waits < 2'000);
        }
    };
    flood(4'000);  // eight times round, some of it before anything has to be dropped
    const LogCounters before = rig.log->counters();
    refused = 0;
    flood(6'000);
    const LogCounters& after = rig.log->counters();
    const std::uint64_t copied = after.cleaner_copied - before.cleaner_copied;
    const std::uint64_t freed = after.cleaner_freed - before.cleaner_freed;
    std::printf("flood: %.2f bytes copied per byte freed, %.2f per byte taken, %llu waits\n",
                static_cast<double>(copied) / static_cast<double>(std::max<std::uint64_t>(freed, 1)),
                static_cast<double>(copied) / static_cast<double>(after.payload - before.payload),
                static_cast<unsigned long long>(refused));
    CHECK(copied <= 3 * freed);
    CHECK(refused < 6'000);  // less than once for each that comes
    CHECK(after.dropped_records - before.dropped_records > 5'500);
    CHECK(kept > 40);
    rig.settle();
    CHECK(base_offsets(rig.read_all(2, 0).bytes).size() == kept);
}
