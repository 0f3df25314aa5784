// What is delivered and what is not: order, faults, back-off, memory, cursors.
#include "broker/uplink/uplink.hpp"

#include "sdk/cluster/partitioner.hpp"
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

TEST_CASE("uplink: whole batches arrive, bytes 61 to the end identical, with every codec") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    std::vector<Bytes> sent;
    int first = 0;
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        const BatchSpec spec{.count = 50, .first = first, .codec = codec};
        sent.push_back(make_batch(spec));
        rig.append("t", spec);
        first += 50;
    }
    rig.start();
    const auto& batches = rig.upstream.topics["t"][0].batches;
    REQUIRE(batches.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
        CHECK(equal(batches[i].records, ByteView(sent[i]).subspan(61)));
        CHECK(batches[i].header.attributes == wire::read_batch_header(sent[i].data()).attributes);
        CHECK(batches[i].header.base_timestamp == 1'700'000'000'000);
        CHECK(batches[i].header.max_timestamp == 1'700'000'000'049);
    }
    CHECK(rig.values("t") == numbers(0, 250));
    CHECK(rig.log.stream(rig.stream("t"))->release == 0);  // it comes with the written cursor
    rig.pass(250);
    CHECK(rig.log.stream(rig.stream("t"))->release == 250);
    CHECK(rig.uplink->uplinked_offset(rig.stream("t")) == 250);
    const RouteStatus status = rig.status();
    CHECK(status.link == LinkState::connected);
    CHECK(status.cluster_id == "upstream-cluster");
    CHECK(status.delivered_records == 250);
    CHECK(status.backlog_records == 0);
    CHECK(status.backlog_age == milliseconds{0});
    CHECK(status.in_flight_bytes == 0);
    CHECK(status.last_error.empty());
    CHECK_FALSE(rig.upstream.auto_creation_asked);
}

TEST_CASE("uplink: a commit that is held back is not forwarded") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 2});
    rig.start();
    rig.log.auto_flush = false;
    rig.append("t", {.count = 2, .first = 2});
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 2));
    CHECK(rig.log.stream(rig.stream("t"))->release == 2);
    rig.log.flush();
    rig.run();
    CHECK(rig.values("t") == numbers(0, 4));
}

TEST_CASE("uplink: a connection cut at any step loses nothing, repeats nothing, keeps the order") {
    for (const bool loses_answer : {false, true}) {
        int step = 0;
        for (;; ++step) {
            Rig rig;
            rig.make_topic("t", 2);
            rig.upstream.make_topic("t", 2);
            rig.cut_at_step = step;
            rig.cut_loses_answer = loses_answer;
            for (int i = 0; i < 8; ++i) rig.append("t", {.count = 2, .first = i * 2}, 0);
            rig.append("t", {.count = 5}, 1);
            rig.start();
            for (int i = 8; i < 12; ++i) {
                rig.append("t", {.count = 2, .first = i * 2}, 0);
                rig.pass(10);
            }
            rig.pass(60'000);
            INFO("step=" << step << " loses_answer=" << loses_answer);
            CHECK(rig.values("t", 0) == numbers(0, 24));
            CHECK(rig.values("t", 1) == numbers(0, 5));
            CHECK(rig.log.stream(rig.stream("t", 0))->release == 24);
            CHECK(rig.status().in_flight_bytes == 0);
            if (rig.steps <= step) break;
        }
        CHECK(step > 10);
    }
}

TEST_CASE("uplink: killed at any step it goes on from its cursor, once and in order") {
    for (int kill_after = 0; kill_after < 14; ++kill_after) {
        Rig rig;
        INFO("kill_after=" << kill_after);
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        rig.start();
        for (int i = 0; i < 14; ++i) {
            rig.append("t", {.count = 3, .first = i * 3});
            rig.pass(300);
            if (i == kill_after) {
                rig.kill();
                rig.start();
            }
        }
        rig.pass(60'000);
        CHECK(rig.values("t") == numbers(0, 42));
        CHECK(rig.status().doubts_lost == 0);
    }
}

TEST_CASE("uplink: a cursor that was written is where the next life begins") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 10});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 10));
    rig.kill();
    rig.append("t", {.count = 10, .first = 10});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 20));  // nothing twice
    rig.uplink->stop(rig.now);
    rig.kill();
    rig.start();
    CHECK(rig.values("t") == numbers(0, 20));
    CHECK(rig.log.stream(rig.stream("t"))->release == 20);
}

TEST_CASE("uplink: an upstream that is away for hours gets everything; nothing times out") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.start();
    rig.upstream_is_down = true;
    for (int i = 0; i < 100; ++i) {
        rig.append("t", {.count = 10, .first = i * 10});
        rig.pass(60'000);
    }
    CHECK(rig.values("t").empty());
    CHECK(rig.status().link == LinkState::waiting);
    CHECK(rig.status().backlog_records == 1000);
    CHECK(rig.status().backlog_bytes > 1000);
    CHECK(rig.status().backlog_age >= milliseconds{99 * 60'000});
    CHECK(rig.status().backlog_age <= milliseconds{101 * 60'000});
    CHECK(rig.log.stream(rig.stream("t"))->release == 0);
    CHECK(rig.was_told("cannot connect to up1:9001"));
    CHECK(rig.events.size() < 10);  // told once, not at each of hundreds of tries
    rig.upstream_is_down = false;
    rig.pass(30'000);
    CHECK(rig.values("t") == numbers(0, 1000));
    CHECK(rig.status().last_error.empty());
    CHECK(rig.was_told("connected to up1:9001"));
}

TEST_CASE("uplink: tries come with a back-off that grows and has a bound") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream_is_down = true;
    rig.config.routes[0].backoff = milliseconds{100};
    rig.config.routes[0].backoff_max = milliseconds{5'000};
    rig.start();
    const auto tries = [&](std::int64_t ms) {
        const int before = rig.steps;
        rig.upstream_is_down = false;
        rig.cut_at_step = -1;
        // Each try is one step, refused: the model counts them while nobody is there.
        rig.upstream_is_down = true;
        int count = 0;
        const Instant until = rig.now + milliseconds{ms};
        while (rig.uplink->deadline() <= until) {
            rig.now = std::max(rig.now, rig.uplink->deadline());
            rig.uplink->on_deadline(rig.now);
            while (const auto action = rig.uplink->poll_link_action())
                if (action->kind == LinkAction::Kind::connect) {
                    ++count;
                    rig.uplink->link_closed(rig.now, action->link, Error::refused);
                }
        }
        rig.now = until;
        rig.steps = before;
        return count;
    };
    CHECK(tries(1'000) >= 3);
    (void)tries(20'000);
    const int later = tries(60'000);
    CHECK(later >= 10);
    CHECK(later <= 20);
}

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

TEST_CASE("uplink: one bad answer in the middle of a full window keeps the order") {
    for (int bad = 0; bad < 20; ++bad) {
        Rig rig;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        int seen = 0;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return seen++ == bad ? ErrorCode::invalid_record : ErrorCode::none;
        };
        rig.hold_answers = false;
        for (int i = 0; i < 20; ++i) rig.append("t", {.count = 1, .first = i});
        rig.start();
        rig.pass(60'000);
        INFO("bad=" << bad);
        CHECK(first_arrivals(rig.values("t")) == numbers(0, 20));
        CHECK(rig.values("t").size() == 20);
    }
}

TEST_CASE("uplink: errors that pass are retried without a word") {
    for (const ErrorCode error : {ErrorCode::not_enough_replicas, ErrorCode::not_leader_or_follower,
                                  ErrorCode::corrupt_message, ErrorCode::kafka_storage_error,
                                  ErrorCode::request_timed_out}) {
        Rig rig;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        int left = 3;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return left > 0 && left-- > 0 ? error : ErrorCode::none;
        };
        for (int i = 0; i < 7; ++i) rig.append("t", {.count = 1, .first = i});
        rig.start();
        rig.pass(60'000);
        INFO("error=" << static_cast<int>(error));
        CHECK(rig.values("t") == numbers(0, 7));
        CHECK(rig.status().refused_batches == 0);
    }
}

// Seen with a full leatd as the center: connected, no error, nothing stalled, and the backlog grew.
TEST_CASE("uplink: errors that should pass and do not are told, and that they are over") {
    for (const ErrorCode error :
         {ErrorCode::not_enough_replicas, ErrorCode::kafka_storage_error,
          ErrorCode::corrupt_message, ErrorCode::unknown_topic_or_partition}) {
        Rig rig;
        rig.make_topic("t", 1);
        rig.upstream.make_topic("t", 1);
        bool refusing = true;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return refusing ? error : ErrorCode::none;
        };
        for (int i = 0; i < 7; ++i) rig.append("t", {.count = 1, .first = i});
        rig.start();
        rig.pass(300'000);
        INFO("error=" << static_cast<int>(error));
        CHECK(rig.was_told("does not take t-0 now, and says " + std::string(wire::name(error))));
        CHECK(rig.status().last_error.find(wire::name(error)) != std::string::npos);
        CHECK(rig.status().stalled == 1);
        CHECK(rig.events.size() < 5);
        refusing = false;
        rig.pass(60'000);
        CHECK(rig.values("t") == numbers(0, 7));
        CHECK(rig.status().stalled == 0);
        CHECK(rig.status().last_error.empty());
    }
}

TEST_CASE("uplink: a long batch does not wait for partitions that are refused") {
    Rig rig;
    rig.config.routes[0].in_flight_bytes = 256 * 1024;
    for (const char* name : {"refused", "long"}) {
        rig.make_topic(name, 1);
        rig.upstream.make_topic(name, 1);
    }
    rig.upstream.refuse = [&](const std::string& topic, std::int32_t, const wire::BatchHeader&) {
        return topic == "refused" ? ErrorCode::not_enough_replicas : ErrorCode::none;
    };
    for (int i = 0; i < 40; ++i) rig.append("refused", {.count = 1, .first = i, .padding = 10'000});
    rig.start();
    rig.pass(10'000);
    REQUIRE(rig.status().in_flight_bytes > 56 * 1024);
    for (int i = 0; i < 4; ++i) rig.append("long", {.count = 1, .first = i, .padding = 200 * 1024});
    rig.pass(60'000);
    CHECK(rig.values("long") == numbers(0, 4));
    CHECK(rig.status().in_flight_bytes <= 512 * 1024);
}

TEST_CASE("uplink: a partition that stays without a leader is told, an election is not") {
    Rig rig;
    rig.make_topic("t", 2);
    rig.upstream.make_topic("t", 2);
    rig.append("t", {.count = 2}, 0);
    rig.append("t", {.count = 2}, 1);
    rig.upstream.topics["t"][1].leader = -1;
    rig.start();
    rig.pass(10'000);
    CHECK(rig.values("t", 0) == numbers(0, 2));
    CHECK(rig.status().last_error.empty());
    rig.pass(120'000);
    CHECK(rig.was_told("upstream topic t has no leader for partition 1"));
    CHECK(rig.status().last_error.find("no leader") != std::string::npos);
    CHECK(rig.events.size() < 4);
    rig.upstream.topics["t"][1].leader = 1;
    rig.pass(30'000);
    CHECK(rig.values("t", 1) == numbers(0, 2));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("uplink: a producer id that should come soon and does not is told") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 1});
    rig.upstream.producer_id_error = ErrorCode::coordinator_load_in_progress;
    rig.start();
    rig.pass(300'000);
    CHECK(rig.was_told("refuses a producer id with COORDINATOR_LOAD_IN_PROGRESS: see"));
    rig.upstream.producer_id_error = ErrorCode::none;
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 1));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE(
    "uplink: an upstream that forgot our producer id is told a new epoch, and nothing is lost") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 5});
    rig.start();
    rig.upstream.topics["t"][0].producers.clear();  // expired after days
    bool once = true;
    rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
        return std::exchange(once, false) ? ErrorCode::unknown_producer_id : ErrorCode::none;
    };
    rig.append("t", {.count = 5, .first = 5});
    rig.pass(10'000);
    CHECK(rig.values("t") == numbers(0, 10));
    CHECK(rig.upstream.topics["t"][0].batches.back().header.producer_epoch == 1);
}

TEST_CASE("uplink: several brokers, leaders that move, a broker that goes") {
    Rig rig;
    rig.upstream.broker_count = 3;
    rig.make_topic("t", 6);
    rig.upstream.make_topic("t", 6);
    for (std::size_t p = 0; p < 6; ++p)
        for (int i = 0; i < 4; ++i) rig.append("t", {.count = 2, .first = i * 2}, p);
    rig.start();
    rig.pass(1'000);
    for (std::size_t p = 0; p < 6; ++p)
        rig.upstream.topics["t"][p].leader = 1 + static_cast<int>(p + 1) % 3;
    for (std::size_t p = 0; p < 6; ++p)
        for (int i = 4; i < 8; ++i) rig.append("t", {.count = 2, .first = i * 2}, p);
    rig.pass(30'000);
    for (std::size_t p = 0; p < 6; ++p) CHECK(rig.values("t", p) == numbers(0, 16));
}

TEST_CASE("uplink: control batches are passed over, and the cursor with them") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 2});
    rig.append("t", {.count = 1, .control = true});
    rig.append("t", {.count = 2, .first = 2});
    rig.append("t", {.count = 1, .control = true});
    rig.start();
    rig.pass(1'000);
    CHECK(rig.values("t") == numbers(0, 4));
    CHECK(rig.log.stream(rig.stream("t"))->release == 6);
}

TEST_CASE(
    "uplink: memory is bounded, a batch beyond the bound goes alone, all partitions progress") {
    Rig rig;
    rig.config.routes[0].in_flight_bytes = 64 * 1024;
    rig.make_topic("t", 12);
    rig.upstream.make_topic("t", 12);
    for (std::size_t p = 0; p < 12; ++p)
        for (int i = 0; i < 10; ++i)
            rig.append("t", {.count = 2, .first = i * 2, .padding = 5'000}, p);
    rig.append("t", {.count = 1, .first = 20, .padding = 300'000}, 5);
    rig.hold_answers = true;
    rig.start();
    CHECK(rig.status().in_flight_bytes <= 64 * 1024);
    rig.hold_answers = false;
    rig.pass(60'000);
    for (std::size_t p = 0; p < 12; ++p) CHECK(rig.values("t", p) == numbers(0, p == 5 ? 21 : 20));
    CHECK(rig.status().in_flight_bytes == 0);
}

TEST_CASE(
    "uplink: records that are gone before they were delivered are counted and told, the rest goes "
    "on") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.start();
    rig.upstream_is_down = true;
    rig.run();
    for (int i = 0; i < 4; ++i) rig.append("t", {.count = 5, .first = i * 5});
    rig.run();
    REQUIRE(rig.log.set_log_start(rig.now, rig.stream("t"), 10));
    rig.upstream_is_down = false;
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(10, 10));
    CHECK(rig.status().lost_records == 10);
    CHECK(rig.was_told("records 0 to 9 were deleted before they were delivered"));
}

TEST_CASE("uplink: a log that is behind its cursor is raised to it, and says so") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 10});
    rig.start();
    rig.pass(5'000);
    rig.kill();
    rig.log.drop_stream(rig.stream("t"));  // the device lost it all
    REQUIRE(rig.log.declare_stream(rig.stream("t"), {}));
    rig.start();
    CHECK(rig.log.stream(rig.stream("t"))->log_end == 10);
    CHECK(rig.was_told("the storage lied about a flush"));
    rig.append("t", {.count = 2, .first = 10});
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 12));
}

TEST_CASE("uplink: a log that answers a read with nothing is asked again later, not in a loop") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.start();
    rig.append("t", {.count = 3});
    rig.run();
    // Offsets that hold no batch and still are not before the log's start.
    rig.tamper = [](log::ReadDone& done) {
        done.bytes = std::size_t{0};
        done.next = 3;
    };
    const std::size_t before = rig.log.reads_started;
    rig.append("t", {.count = 2, .first = 3});
    rig.pass(10'000);  // run() fails when something spins
    CHECK(rig.log.reads_started - before >= 5);
    CHECK(rig.log.reads_started - before <= 20);
    rig.tamper = nullptr;
    rig.pass(2'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.log.stream(rig.stream("t"))->release == 5);
}

TEST_CASE("uplink: a read that the device fails is told, and tried again until it works") {
    Rig rig;
    rig.make_topic("t", 2);
    rig.upstream.make_topic("t", 2);
    int failures = 5;
    rig.tamper = [&](log::ReadDone& done) {
        if (failures > 0 && failures-- > 0) done.bytes = fail(Error::storage);
    };
    rig.append("t", {.count = 3}, 0);
    rig.append("t", {.count = 3}, 1);
    rig.start();
    CHECK(rig.was_told("cannot be read"));
    rig.pass(500);
    CHECK(rig.values("t", 0).empty());
    rig.pass(10'000);
    CHECK(rig.values("t", 0) == numbers(0, 3));
    CHECK(rig.values("t", 1) == numbers(0, 3));
    CHECK(rig.status().last_error.empty());
    CHECK(rig.status().lost_records == 0);
}

TEST_CASE(
    "uplink: damage on the device costs what is damaged, says how much, and goes on behind it") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    bool damaged = true;
    rig.tamper = [&](log::ReadDone& done) {
        if (!std::exchange(damaged, false)) return;
        done.bytes = fail(Error::corrupt);
        done.next = 4;
    };
    for (int i = 0; i < 5; ++i) rig.append("t", {.count = 2, .first = i * 2});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(4, 6));
    CHECK(rig.status().lost_records == 4);
    CHECK(rig.was_told("t-0: records 0 to 3 are damaged"));
    CHECK(rig.log.stream(rig.stream("t"))->release == 10);
}
