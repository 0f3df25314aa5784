// What the upstream refuses for what it is: it waits and nothing overtakes it, or it is skipped and
// entered as lost.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

using Ranges = std::vector<std::pair<log::Offset, log::Offset>>;

/// What the ledger was told to have been refused.
Ranges lost(Rig& rig) {
    Ranges ranges;
    for (const log::Loss& loss : rig.log.losses[rig.stream("t")]) {
        CHECK(loss.reason == log::LossReason::refused);
        ranges.emplace_back(loss.from, loss.to);
    }
    return ranges;
}

}  // namespace

TEST_CASE("uplink: a record that the upstream refuses is never skipped, and nothing overtakes it") {
    for (const ErrorCode poison :
         {ErrorCode::unsupported_compression_type, ErrorCode::invalid_timestamp,
          ErrorCode::invalid_record, ErrorCode::topic_authorization_failed}) {
        Rig rig;
        rig.make_topic("t", 2);
        rig.upstream.make_topic("t", 2);
        bool refusing = true;
        rig.upstream.refuse = [&](const std::string&, std::int32_t partition,
                                  const wire::BatchHeader& header) {
            return refusing && partition == 0 && header.record_count == 7 ? poison
                                                                          : ErrorCode::none;
        };
        rig.append("t", {.count = 3});
        rig.append("t", {.count = 7, .first = 3});
        for (int i = 0; i < 6; ++i) rig.append("t", {.count = 2, .first = 10 + i * 2});
        rig.append("t", {.count = 4}, 1);
        rig.start();
        rig.pass(120'000);
        INFO("poison=" << static_cast<int>(poison));
        CHECK(rig.values("t", 0) == numbers(0, 3));
        CHECK(rig.values("t", 1) == numbers(0, 4));  // others go on
        CHECK(rig.log.stream(rig.stream("t", 0))->release == 3);
        CHECK(rig.status().stalled == 1);
        CHECK(rig.status().refused_batches > 5);
        CHECK(rig.status().refused_batches < 60);
        CHECK(rig.status().backlog_records == 19);
        CHECK(rig.status().in_flight_bytes == 0);  // what waits is read again then
        CHECK(rig.was_told("upstream refuses the next batch of t-0"));
        CHECK(rig.status().last_error.find("t-0") != std::string::npos);
        rig.append("t", {.count = 1, .first = 4}, 1);
        rig.pass(1'000);
        CHECK(rig.values("t", 1) == numbers(0, 5));
        refusing = false;
        rig.pass(30'000);
        CHECK(rig.values("t", 0) == numbers(0, 22));  // in order, once
        CHECK(rig.status().stalled == 0);
        CHECK(rig.status().last_error.empty());
        CHECK(rig.was_told("is delivered again"));
    }
}

// The refused one's source hears of it only after the one before it; what was read meanwhile was
// sent before it, and once more behind it.
TEST_CASE("uplink: nothing overtakes what is refused while the one before it is tried again") {
    for (const ErrorCode passing :
         {ErrorCode::not_enough_replicas, ErrorCode::request_timed_out}) {
        Rig rig;
        INFO("passing=" << static_cast<int>(passing));
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        rig.append("t", {.count = 1});
        rig.start();
        rig.pass(1'000);
        bool refusing = true;
        bool later = true;
        rig.upstream.refuse = [&](const std::string&, std::int32_t,
                                  const wire::BatchHeader& header) {
            if (header.record_count == 3 && std::exchange(later, false)) return passing;
            return refusing && header.record_count == 7 ? ErrorCode::invalid_timestamp
                                                        : ErrorCode::none;
        };
        rig.hold_answers = true;
        rig.append("t", {.count = 3, .first = 1});
        rig.append("t", {.count = 4, .first = 4});
        rig.append("t", {.count = 7, .first = 8});
        for (int i = 0; i < 10; ++i) rig.append("t", {.count = 2, .first = 15 + i * 2});
        rig.run();
        rig.hold_answers = false;
        rig.pass(30'000);
        CHECK(rig.values("t") == numbers(0, 8));
        refusing = false;
        rig.pass(30'000);
        CHECK(rig.values("t") == numbers(0, 35));
    }
}

TEST_CASE("uplink: a route that skips leaves out what is refused for what it is, and says so") {
    using Mapping = config::Route::Mapping;
    for (const Mapping mapping : {Mapping::same_partition, Mapping::pinned, Mapping::by_key})
        for (const ErrorCode error : {ErrorCode::invalid_timestamp, ErrorCode::invalid_record,
                                      ErrorCode::topic_authorization_failed}) {
            Rig rig;
            INFO("mapping=" << static_cast<int>(mapping) << " error=" << static_cast<int>(error));
            rig.config.routes[0].mapping = mapping;
            rig.config.routes[0].on_poison = config::Route::OnPoison::skip;
            rig.make_topic("t", 1);
            rig.upstream.make_topic("t", 1);
            rig.upstream.refuse = [&](const std::string&, std::int32_t,
                                      const wire::BatchHeader& header) {
                return header.record_count == 7 ? error : ErrorCode::none;
            };
            for (int i = 0; i < 3; ++i) {
                rig.append("t", {.count = 3, .first = i * 10});
                rig.append("t", {.count = 7, .first = i * 10 + 3});
            }
            rig.append("t", {.count = 2, .first = 30});
            rig.start();
            rig.pass(30'000);
            std::vector<std::string> expected = numbers(0, 3);
            if (error ==
                ErrorCode::topic_authorization_failed) {  // nothing is wrong with the batch
                CHECK(rig.values("t") == expected);
                CHECK(rig.status().skipped_records == 0);
                CHECK(rig.status().stalled == 1);
                continue;
            }
            for (const auto& more : {numbers(10, 3), numbers(20, 3), numbers(30, 2)})
                expected.insert(expected.end(), more.begin(), more.end());
            CHECK(rig.values("t") == expected);
            CHECK(rig.status().skipped_batches == 3);
            CHECK(rig.status().skipped_records == 21);
            CHECK(rig.status().delivered_records == 11);
            CHECK(rig.status().backlog_records == 0);
            CHECK(rig.status().stalled == 0);
            CHECK(rig.status().in_flight_bytes == 0);
            CHECK(rig.was_told("7 records of t-0 from offset 13 on will not go upstream"));
            CHECK(rig.log.stream(rig.stream("t"))->release == 32);
            CHECK(lost(rig) == Ranges{{3, 10}, {13, 20}, {23, 30}});
            rig.kill();
            rig.start();
            rig.append("t", {.count = 1, .first = 32});
            rig.pass(5'000);
            expected.push_back("v32");
            CHECK(rig.values("t") == expected);
            CHECK(rig.status().skipped_records == 0);
            CHECK(lost(rig).size() == 3);
        }
}

TEST_CASE("uplink: of a batch that goes apart by key only the refused part is entered as lost") {
    Rig rig;
    rig.config.routes[0].mapping = config::Route::Mapping::by_key;
    rig.config.routes[0].on_poison = config::Route::OnPoison::skip;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 2);
    rig.upstream.refuse = [&](const std::string&, std::int32_t partition,
                              const wire::BatchHeader&) {
        return partition == 1 ? ErrorCode::invalid_record : ErrorCode::none;
    };
    rig.append("t", {.count = 5});
    rig.append("t", {.count = 40, .first = 5});
    rig.start();
    rig.pass(10'000);
    std::vector<std::string> missing = numbers(0, 45);
    for (const std::string& value : rig.values("t", 0)) std::erase(missing, value);
    CHECK(missing.size() > 5);
    CHECK(missing.size() < 40);
    std::vector<std::string> entered;
    for (const auto& [from, to] : lost(rig))
        for (log::Offset at = from; at < to; ++at) entered.push_back("v" + std::to_string(at));
    CHECK(entered == missing);
    CHECK(rig.status().backlog_records == 0);
}

TEST_CASE("uplink: what is skipped costs a request each, not a back-off") {
    Rig rig;
    rig.config.routes[0].on_poison = config::Route::OnPoison::skip;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader& header) {
        return header.record_count == 7 ? ErrorCode::invalid_timestamp : ErrorCode::none;
    };
    for (int i = 0; i < 200; ++i) rig.append("t", {.count = 7, .first = i * 7});
    rig.append("t", {.count = 1, .first = 1400});
    rig.start();
    rig.pass(1'000);
    CHECK(rig.values("t") == numbers(1400, 1));
    CHECK(rig.status().skipped_batches == 200);
}
