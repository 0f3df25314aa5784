// What the upstream refuses as too large goes again in parts, in order and once, also over a kill.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

using Mapping = config::Route::Mapping;

std::size_t largest(Rig& rig) {
    std::size_t most = 0;
    for (const Stored& batch : rig.upstream.topics["t"][0].batches)
        most = std::max(most, batch.records.size() + wire::batch_header_size);
    return most;
}

}  // namespace

TEST_CASE("refused: a batch that is too large goes in parts, whatever the route and the codec") {
    for (const Mapping mapping : {Mapping::same_partition, Mapping::pinned, Mapping::by_key})
        for (const Codec codec : {Codec::none, Codec::lz4, Codec::zstd})
            for (const int variant : {0, 1, 2}) {
                Rig rig;
                INFO("mapping=" << static_cast<int>(mapping) << " codec=" << static_cast<int>(codec)
                                << " variant=" << variant);
                rig.config.routes[0].mapping = mapping;
                rig.config.routes[0].headers = variant == 1;
                rig.config.routes[0].merge_bytes = variant == 2 ? 100'000 : 0;
                one_topic(rig);
                rig.upstream.batch_bytes_max = codec == Codec::none ? 3'000 : 1'000;
                if (variant == 1) rig.upstream.too_large = ErrorCode::record_list_too_large;
                int first = 0;
                for (const int count : {1, 200, 3, 150, 150, 1}) {
                    rig.append("t",
                               {.count = count, .first = first, .codec = codec, .padding = 200});
                    first += count;
                }
                rig.start();
                rig.pass(1'000);  // no back-off either
                CHECK(rig.values("t") == numbers(0, first));
                CHECK(largest(rig) <= rig.upstream.batch_bytes_max);
                CHECK(rig.status().stalled == 0);
                CHECK(rig.status().refused_batches > 0);
                CHECK(rig.status().refused_batches < 20);
                CHECK(rig.status().in_flight_bytes == 0);
                CHECK(rig.status().last_error.empty());
                CHECK(rig.was_told("it goes again in smaller ones"));
                CHECK(rig.log.stream(rig.stream("t"))->release == first);
                CHECK(rig.arrived("t").back().timestamp == 1'700'000'000'000);
                CHECK(rig.arrived("t")[1].timestamp == 1'700'000'000'000);
                CHECK(rig.arrived("t")[200].timestamp == 1'700'000'000'199);
            }
}

TEST_CASE("refused: only a single record that is too large is in the way, or is skipped alone") {
    for (const Mapping mapping : {Mapping::same_partition, Mapping::by_key})
        for (const bool skip : {false, true}) {
            Rig rig;
            INFO("mapping=" << static_cast<int>(mapping) << " skip=" << skip);
            rig.config.routes[0].mapping = mapping;
            if (skip) rig.config.routes[0].on_poison = config::Route::OnPoison::skip;
            one_topic(rig);
            rig.upstream.batch_bytes_max = 2'000;
            // One batch: 40 small records, a long one, 40 small ones.
            Bytes memory(64 * KiB);
            wire::BatchBuilder builder{MutableBytes(memory)};
            for (int i = 0; i < 81; ++i) {
                const std::string value =
                    "v" + std::to_string(i) + std::string(i == 40 ? 5'000 : 60, '.');
                REQUIRE(builder.append({.timestamp = 1'700'000'000'000, .value = bytes_of(value)}));
            }
            REQUIRE(rig.log.append(
                rig.now, wall_ms(0),
                {.stream = rig.stream("t"), .batch = builder.finish({}), .log_append_time = {}}));
            rig.append("t", {.count = 2, .first = 81});
            rig.start();
            rig.pass(60'000);
            std::vector<std::string> expected = numbers(0, 40);
            if (!skip) {
                CHECK(rig.values("t") == expected);
                CHECK(rig.status().stalled == 1);
                CHECK(
                    rig.was_told("upstream refuses the next batch of t-0 with MESSAGE_TOO_LARGE"));
                if (mapping != Mapping::by_key)  // by key it is all of a batch or nothing
                    CHECK(rig.log.stream(rig.stream("t"))->release == 40);
                rig.upstream.batch_bytes_max = 10'000;
                rig.pass(60'000);
                CHECK(rig.values("t") == numbers(0, 83));
                CHECK(rig.status().stalled == 0);
                continue;
            }
            for (const std::string& value : numbers(41, 42)) expected.push_back(value);
            CHECK(rig.values("t") == expected);
            REQUIRE(rig.log.losses[rig.stream("t")].size() == 1);
            CHECK(rig.log.losses[rig.stream("t")][0].from == 40);
            CHECK(rig.log.losses[rig.stream("t")][0].to == 41);
            CHECK(rig.log.losses[rig.stream("t")][0].bytes > 5'000);
            CHECK(rig.status().skipped_records == 1);
            CHECK(rig.log.stream(rig.stream("t"))->release == 83);
        }
}

TEST_CASE("refused: records that cannot be taken apart wait, and are asked for with a back-off") {
    for (const Mapping mapping : {Mapping::same_partition, Mapping::by_key}) {
        Rig rig;
        rig.config.routes[0].mapping = mapping;
        one_topic(rig);
        rig.upstream.batch_bytes_max = 500;
        Bytes batch = make_batch({.count = 9, .padding = 300});
        wire::BatchHeader header = wire::read_batch_header(batch.data());
        header.attributes = static_cast<std::int16_t>(Codec::zstd);  // which it is not
        wire::seal_batch_header(header, ByteView(batch).subspan(wire::batch_header_size),
                                batch.data());
        REQUIRE(rig.log.append(rig.now, wall_ms(0),
                               {.stream = rig.stream("t"), .batch = batch, .log_append_time = {}}));
        rig.start();
        rig.pass(60'000);
        CHECK(rig.status().stalled == 1);
        CHECK(rig.status().refused_batches > 2);
        CHECK(rig.status().refused_batches < 40);
        rig.upstream.batch_bytes_max = 50'000;
        rig.pass(60'000);
        CHECK(rig.upstream.topics["t"][0].batches.size() == 1);
    }
}

TEST_CASE("refused: killed and cut at any step, what goes in parts arrives once") {
    int exact = 0;
    for (int step = 0; step < 60; ++step)
        for (const bool loses_answer : {false, true}) {
            Rig rig;
            INFO("step=" << step << " loses_answer=" << loses_answer);
            rig.config.cursor_interval = milliseconds{60'000};  // only what is written at once
            one_topic(rig);
            rig.upstream.batch_bytes_max = 1'500;
            rig.cut_at_step = step;
            rig.cut_loses_answer = loses_answer;
            rig.start();
            int sent = 0;
            std::uint64_t doubts_lost = 0;
            for (int life = 0; life < 3; ++life) {
                for (const int count : {1, 40, 3}) {
                    rig.append("t", {.count = count, .first = sent, .padding = 100});
                    sent += count;
                }
                rig.hold_answers = life == 1;
                rig.run();
                if (step % 2 == 0) rig.pass(5'000);
                doubts_lost += rig.status().doubts_lost;
                rig.kill();
                rig.hold_answers = false;
                rig.start();
                rig.pass(step % 3 == 0 ? 0 : 5'000);
            }
            rig.pass(60'000);
            CHECK(first_arrivals(rig.values("t")) == numbers(0, sent));
            doubts_lost += rig.status().doubts_lost;
            // Twice only where a life ended before it knew what is too large, and then it is told.
            if (doubts_lost == 0) CHECK(rig.values("t") == numbers(0, sent));
            exact += doubts_lost == 0;
            CHECK(rig.status().stalled == 0);
            CHECK(rig.status().backlog_records == 0);
        }
    CHECK(exact >= 60);
    MESSAGE(exact << " of 120 without a doubt lost");
}

// The one in front goes again under the next epoch; the one behind it is refused for good and has
// no number any more.
TEST_CASE("refused: a batch that is refused behind one that goes again moves no number") {
    Rig rig;
    one_topic(rig);
    rig.config.cursor_interval = milliseconds{1};
    rig.start();
    deliver_unnoticed(rig, 2);
    rig.pass(100);
    bool once = true;
    rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader& batch) {
        if (batch.producer_epoch > 0) return ErrorCode::none;
        if (batch.base_sequence == 2 && std::exchange(once, false))
            return ErrorCode::not_enough_replicas;
        return batch.base_sequence == 3 ? ErrorCode::invalid_timestamp : ErrorCode::none;
    };
    rig.hold_answers = true;
    rig.append("t", {.count = 1, .first = 2});
    rig.append("t", {.count = 1, .first = 3});
    rig.run();
    rig.hold_answers = false;
    rig.run();
    REQUIRE(rig.values("t") == numbers(0, 2));
    for (int i = 0; i < 2'000 && rig.values("t").size() < 3; ++i) rig.pass(1);
    rig.pass(2);  // the cursor is written
    REQUIRE(rig.values("t") == numbers(0, 3));
    rig.kill();
    rig.upstream.refuse = nullptr;
    rig.start();
    rig.pass(10'000);
    CHECK(rig.values("t").size() == 4);
    CHECK(rig.values("t") == numbers(0, 4));
    CHECK(rig.status().backlog_records == 0);
}
