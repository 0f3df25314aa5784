// A read that waits for the device while records come.
#include <doctest/doctest.h>

#include <deque>
#include <set>

#include "tests/log/planted.hpp"
#include "tests/support/storage_over.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

/// A device that writes first, as long as it is busy.
class Busy final : public leat::test::StorageOver {
public:
    explicit Busy(SimStorage& below) : StorageOver(below) {}
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        reads_.insert(ticket);
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        while (auto done = below_.poll_done()) {
            if (reads_.erase(done->ticket) == 0) return done;
            held_.push_back(*done);
        }
        if (busy || held_.empty()) return std::nullopt;
        const port::StorageDone done = held_.front();
        held_.pop_front();
        return done;
    }
    bool busy = false;

private:
    std::set<std::uint64_t> reads_;
    std::deque<port::StorageDone> held_;
};

}  // namespace

TEST_CASE("read: what is hurt at the end of a stream costs nothing of what came meanwhile") {
    SimStorage device({.seed = 1, .size = small_device});
    LogConfig config = small_config();
    config.recent_bytes = 4096;  // what was written is read from the device
    Busy poor(device);
    Rig rig(device, config);
    rig.log = make_log(poor, rig.entropy, config);
    REQUIRE(rig.open());
    declare_both(rig);
    const BatchSpec hurt{.size = 5'000, .salt = 1}, later{.size = 500, .salt = 2};
    REQUIRE(rig.append_durably(1, hurt));
    for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(rig.append_durably(2, {.salt = 10 + i}));
    const std::uint64_t at =
        find(device.image(), ByteView(make_batch(hurt)).subspan(batch_header_bytes));
    device.image().write(at + 100, std::vector<std::uint8_t>(64));

    poor.busy = true;
    std::vector<std::uint8_t> into(16 * KiB);
    const auto ticket =
        rig.log->start_read(rig.at(), {.stream = 1, .from = 0, .until = INT64_MAX}, into);
    REQUIRE(ticket);
    REQUIRE_FALSE(rig.log->poll_read());  // it waits
    REQUIRE(rig.append_durably(1, later));
    poor.busy = false;
    std::optional<ReadDone> done;
    for (int i = 0; i < 100 && !done; ++i) {
        rig.log->on_storage(rig.at());
        if (rig.log->deadline() <= rig.at()) rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
        done = rig.log->poll_read();
    }
    REQUIRE(done);
    CHECK(done->bytes.error() == Error::corrupt);
    CHECK(done->next == 1);
    rig.settle();
    REQUIRE(rig.log->stream(1)->flushed == 2);
    for (const Loss& loss : rig.log->books(1).losses) CHECK(loss.to <= 1);
    CHECK(base_offsets(rig.read_all(1, 1).bytes) == std::vector<Offset>{1});
}
