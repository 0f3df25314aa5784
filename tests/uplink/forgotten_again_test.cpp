// What was found out about batches in doubt holds until they are lost again.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

TEST_CASE("forgotten: what was not there, was sent again and is lost again is looked for again") {
    constexpr std::int64_t day = 24 * 3600 * 1000;
    Rig rig;
    one_topic_forgotten(rig);
    rig.upstream.describes_producers = rig.upstream.shows_tail = true;
    rig.upstream.remembers_ms = day;
    rig.records_age = 2 * day;  // it has forgotten at once whatever it took
    rig.start();
    deliver_unnoticed(rig, 2);
    rig.silent = {1};
    for (int i = 2; i < 5; ++i) rig.append("t", {.count = 1, .first = i});
    rig.run();
    rig.cut_all(1);
    rig.silent.clear();
    rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
        rig.hold_answers = true;  // it arrives, and the answer does not
        return ErrorCode::none;
    };
    rig.pass(2'000);
    REQUIRE(rig.values("t") == numbers(0, 3));
    CHECK(rig.upstream.describe_requests == 1);
    rig.upstream.refuse = nullptr;
    rig.cut_all(1);
    rig.hold_answers = false;
    rig.pass(10'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.upstream.describe_requests == 2);
    CHECK(rig.status().doubts_lost == 0);
}
