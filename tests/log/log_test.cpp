#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("log: what is appended reads back in order, from memory and after a restart from flash") {
    SimStorage device({.seed = 1, .size = small_device});
    std::vector<std::vector<std::uint8_t>> sent;
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        for (std::uint64_t i = 0; i < 50; ++i) {
            const BatchSpec spec{.count = 3, .size = 100 + i * 37, .salt = i};
            const auto appended = rig.append(1, spec);
            REQUIRE(appended);
            CHECK(appended->base_offset == static_cast<Offset>(3 * i));
            sent.push_back(make_batch(spec));
            store_big<std::int64_t>(sent.back().data(), appended->base_offset);
            REQUIRE(rig.append(2, {.count = 1, .size = 10, .salt = i}));
            if (i % 7 == 0) rig.settle();
        }
        rig.settle();
        CHECK(rig.log->stream(1)->flushed == 150);
        const auto all = rig.read_all(1, 0);
        CHECK(!all.error);
        ByteView left = all.bytes;
        for (const auto& batch : sent) CHECK(equal(next_batch(left), batch));
        CHECK(left.empty());
        rig.close();
        CHECK(rig.log->closed());
    }
    Rig rig(device);
    REQUIRE(rig.open());
    CHECK(rig.log->status().was_sealed);
    CHECK(rig.log->status().cut_text == "");
    CHECK(rig.log->status().leader_epoch == 0);
    CHECK(rig.log->status().start_count == 2);
    REQUIRE(rig.log->declare_stream(1, {}));
    CHECK(rig.log->stream(1)->log_end == 150);
    const auto all = rig.read_all(1, 0);
    CHECK(!all.error);
    ByteView left = all.bytes;
    for (const auto& batch : sent) CHECK(equal(next_batch(left), batch));
    CHECK(left.empty());
    // From inside a batch: that whole batch comes first.
    const auto tail = rig.read_all(1, 100);
    ByteView rest = tail.bytes;
    CHECK(read_batch_fields(next_batch(rest))->base_offset == 99);
}
