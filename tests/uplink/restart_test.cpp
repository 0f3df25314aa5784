// A new life sends what was in doubt under its old numbers: nothing is lost whatever the upstream
// still knows, and nothing comes twice while it knows enough.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

/// Whether a cursor keeps under which numbers its records went.
bool keeps_numbers(Rig& rig) {
    bool keeps = false;
    rig.log.for_each_fact(log::FactKind::cursor,
                          [&](ByteView, ByteView value) { keeps = keeps || value[0] != 0; });
    return keeps;
}

void restart(Rig& rig) {
    rig.kill();
    rig.start();
    rig.pass(10'000);
}

}  // namespace

TEST_CASE("restart: older than the last five is passed, and the last five prove it") {
    for (int count = 1; count < 30; ++count) {
        Rig rig;
        INFO("count=" << count);
        one_topic_forgotten(rig);
        rig.start();
        deliver_unnoticed(rig, count);
        REQUIRE(rig.values("t") == numbers(0, count));
        CHECK(keeps_numbers(rig));
        restart(rig);
        CHECK(rig.values("t") == numbers(0, count));
        CHECK(rig.status().backlog_records == 0);
        CHECK(rig.status().delivered_records == static_cast<std::uint64_t>(count));
        restart(rig);  // before the cursor was written
        rig.append("t", {.count = 2, .first = count});
        rig.pass(10'000);
        CHECK(rig.values("t") == numbers(0, count + 2));
        CHECK(rig.status().doubts_lost == 0);
        CHECK(rig.status().in_flight_bytes == 0);
    }
}

TEST_CASE("restart: what had not arrived arrives, behind what had") {
    for (int there = 0; there < 12; ++there) {
        Rig rig;
        INFO("there=" << there);
        one_topic_forgotten(rig);
        rig.start();
        deliver_unnoticed(rig, there);
        rig.upstream_is_down = true;
        rig.run();
        for (int i = there; i < 20; ++i) rig.append("t", {.count = 1, .first = i});
        rig.run();
        rig.kill();
        rig.upstream_is_down = false;
        rig.start();
        rig.append("t", {.count = 3, .first = 20});
        rig.pass(10'000);
        CHECK(rig.values("t") == numbers(0, 23));
        CHECK(rig.status().stalled == 0);
    }
}

TEST_CASE("restart: cut and killed at any step, again and again, each arrives once") {
    for (int step = 0; step < 60; ++step) {
        for (const bool loses_answer : {false, true}) {
            Rig rig;
            INFO("step=" << step << " loses_answer=" << loses_answer);
            one_topic_forgotten(rig);
            rig.upstream.describes_producers = step % 2 == 0;
            rig.config.cursor_interval = milliseconds{step % 3 == 0 ? 1 : 60'000};
            rig.cut_at_step = step;
            rig.cut_loses_answer = loses_answer;
            rig.start();
            int sent = 0;
            for (int life = 0; life < 4; ++life) {
                for (int i = 0; i < 7; ++i, ++sent) {
                    rig.append("t", {.count = 1, .first = sent});
                    if (i % 2 == 0) rig.run();
                }
                rig.hold_answers = life % 2 == 0;
                rig.run();
                rig.kill();
                rig.hold_answers = false;
                rig.start();
                if (life == 1) rig.cut_at_step = rig.steps + step % 9;
                rig.pass(life == 2 ? 0 : 5'000);
            }
            rig.pass(60'000);
            CHECK(rig.values("t") == numbers(0, sent));
        }
    }
}

// The cursor rides with the next commit: a power cut takes the newest ones of a gateway to which
// nothing came behind them.
TEST_CASE("restart: a cursor that the power cut took costs sending again, and nothing comes twice") {
    for (int count = 1; count < 30; ++count) {
        for (const int quiet : {1, 3, count}) {
            Rig rig;
            INFO("count=" << count << " quiet=" << quiet);
            one_topic_forgotten(rig);
            rig.config.cursor_interval = milliseconds{1};
            rig.log.lazy_waits = true;
            rig.start();
            for (int i = 0; i < count; ++i) {
                rig.append("t", {.count = 1, .first = i});
                if (i >= count - quiet) rig.pass(10);
            }
            rig.pass(10'000);
            REQUIRE(rig.values("t") == numbers(0, count));
            CHECK(rig.log.lazy_facts > 0);
            CHECK(rig.log.hurried_facts <= 1);  // the name, once; no cursor made a commit due
            rig.kill();
            rig.log.lose_lazy();
            rig.start();
            rig.append("t", {.count = 2, .first = count});
            rig.pass(10'000);
            CHECK(rig.values("t") == numbers(0, count + 2));
            CHECK(rig.status().doubts_lost == 0);
            CHECK(rig.status().backlog_records == 0);
        }
    }
}

TEST_CASE("restart: an upstream that forgot the producer gets it again, all and in order") {
    for (const ErrorCode says :
         {ErrorCode::none, ErrorCode::unknown_producer_id, ErrorCode::invalid_producer_epoch}) {
        Rig rig;
        INFO("says=" << static_cast<int>(says));
        one_topic_forgotten(rig);
        rig.start();
        deliver_unnoticed(rig, 9);
        rig.kill();
        rig.upstream.topics["t"][0].producers.clear();
        bool once = true;
        rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
            return std::exchange(once, false) ? says : ErrorCode::none;
        };
        rig.start();
        rig.append("t", {.count = 1, .first = 9});
        rig.pass(10'000);
        CHECK(first_arrivals(rig.values("t")) == numbers(0, 10));
        CHECK(rig.status().doubts_lost == (says == ErrorCode::none ? 0 : 1));
        CHECK(rig.status().stalled == 0);
    }
}

// Kafka drops a producer producer.id.expiration.ms after the time stamp of its last record, which
// is at once for a backlog that is older, and takes any number of it from then on.
TEST_CASE("restart: an upstream that says it forgot the producer may get it twice: that is told") {
    for (const bool forgot : {false, true}) {
        for (const bool says : {false, true}) {
            Rig rig;
            INFO("forgot=" << forgot << " says=" << says);
            one_topic_forgotten(rig);
            rig.upstream.describes_producers = true;
            if (!says) rig.upstream.describing = ErrorCode::topic_authorization_failed;
            rig.start();
            deliver_unnoticed(rig, 9);
            CHECK(rig.upstream.describe_requests == 0);
            rig.kill();
            if (forgot) rig.upstream.topics["t"][0].producers.clear();
            rig.start();
            rig.append("t", {.count = 1, .first = 9});
            rig.pass(10'000);
            CHECK(first_arrivals(rig.values("t")) == numbers(0, 10));
            CHECK((rig.values("t").size() > 10) == forgot);
            CHECK(rig.status().doubts_lost == (forgot && says ? 1 : 0));
            CHECK(rig.upstream.describe_requests == 1);
            CHECK(rig.status().backlog_records == 0);
        }
    }
}

TEST_CASE("restart: an upstream that never says whether it knows the producer gets everything") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.upstream.describes_producers = rig.upstream.describes_never = true;
    rig.start();
    deliver_unnoticed(rig, 9);
    rig.kill();
    rig.start();
    rig.append("t", {.count = 1, .first = 9});
    rig.pass(300'000);
    CHECK(rig.values("t") == numbers(0, 10));
    CHECK(rig.upstream.describe_requests == 3);
    CHECK(rig.status().backlog_records == 0);
}

TEST_CASE("restart: an upstream that lost its tail meanwhile gets everything from the cursor on") {
    for (std::size_t left = 0; left < 9; ++left) {
        Rig rig;
        INFO("left=" << left);
        one_topic_forgotten(rig);
        rig.start();
        deliver_unnoticed(rig, 3);
        rig.uplink->stop(rig.now);
        rig.kill();
        rig.start();  // the cursor is at 3
        deliver_unnoticed(rig, 9, 3);
        rig.kill();
        // A leader that had not copied everything: batches are gone, and what was known of them.
        auto& partition = rig.upstream.topics["t"][0];
        partition.batches.resize(left);
        for (auto& [id, entry] : partition.producers) {
            entry.last.clear();
            for (const Stored& batch : partition.batches)
                if (batch.header.producer_id == id)
                    entry.last.emplace_back(batch.header.base_sequence, batch.header.base_sequence);
            if (entry.last.size() > 5) entry.last.erase(entry.last.begin(), entry.last.end() - 5);
            if (entry.last.empty()) entry.epoch = -1;
        }
        rig.start();
        rig.append("t", {.count = 1, .first = 12});
        rig.pass(30'000);
        // What was lost from before the cursor was acknowledged: that is the upstream's loss.
        const std::vector<std::string> there = first_arrivals(rig.values("t"));
        for (const std::string& value : numbers(3, 10))
            CHECK(std::find(there.begin(), there.end(), value) != there.end());
        CHECK(rig.status().backlog_records == 0);
        CHECK(rig.status().stalled == 0);
    }
}

TEST_CASE("restart: refused while in doubt, it waits and loses nothing") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.start();
    deliver_unnoticed(rig, 8);
    rig.kill();
    bool refusing = true;
    rig.upstream.refuse = [&](const std::string&, std::int32_t, const wire::BatchHeader&) {
        return refusing ? ErrorCode::topic_authorization_failed : ErrorCode::none;
    };
    rig.start();
    rig.append("t", {.count = 1, .first = 8});
    rig.pass(30'000);
    CHECK(rig.was_told("upstream refuses the next batch of t-0"));
    refusing = false;
    rig.pass(30'000);
    CHECK(rig.values("t") == numbers(0, 9));  // it says nothing of what is there
    CHECK(rig.status().doubts_lost == 0);
}

TEST_CASE("restart: two topics that share an upstream partition lose nothing to each other") {
    Rig rig;
    rig.config.cursor_interval = milliseconds{60'000};
    rig.config.routes[0].upstream_topic = "all";
    rig.make_topic("a", 1);
    rig.make_topic("b", 1);
    rig.upstream.make_topic("all", 1);
    rig.start();
    for (int life = 0; life < 4; ++life) {
        for (int i = 0; i < 6; ++i) {
            rig.append(i % 2 ? "a" : "b", {.count = 1, .first = life * 6 + i});
            rig.run();
        }
        if (life == 1) rig.uplink->stop(rig.now);
        rig.kill();
        rig.start();
        rig.pass(5'000);
    }
    CHECK_FALSE(keeps_numbers(rig));  // they would be mixed with those of the other
    std::vector<std::string> there = rig.values("all");
    for (const std::string& value : numbers(0, 24))
        CHECK(std::find(there.begin(), there.end(), value) != there.end());
}

TEST_CASE("restart: damage between the lives moves no record onto another's number") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.start();
    rig.hold_answers = true;
    for (int i = 0; i < 3; ++i) rig.append("t", {.count = 1, .first = i});
    rig.run();
    const std::vector<std::string> before = rig.values("t");
    rig.hold_answers = false;
    rig.kill();
    bool damaged = true;
    rig.tamper = [&](log::ReadDone& done) {
        if (!std::exchange(damaged, false)) return;
        done.bytes = fail(Error::corrupt);
        done.next = 1;
    };
    rig.start();
    rig.pass(10'000);
    CHECK(rig.status().lost_records == 1);
    const std::vector<std::string> there = rig.values("t");
    for (const std::string& value : numbers(1, 2))
        CHECK(std::find(there.begin(), there.end(), value) != there.end());
}

TEST_CASE("restart: a device that lost what it called durable gives its numbers to nobody else") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.start();
    deliver_unnoticed(rig, 4);
    for (int life = 0; life < 2; ++life) {
        rig.kill();
        if (life == 0) {
            // Only record 0 is left, and 1 to 3 are taken by others.
            const auto fact_survives = rig.log.stream(rig.stream("t"))->flushed;
            REQUIRE(fact_survives == 4);
            rig.log.drop_stream(rig.stream("t"));
            REQUIRE(rig.log.declare_stream(rig.stream("t"), {}));
            rig.append("t", {.count = 1, .first = 0});
            rig.upstream_is_down = true;
            rig.start();
            for (int i = 0; i < 3; ++i) rig.append("t", {.count = 1, .first = 11 + i});
            rig.run();
        } else {
            rig.upstream_is_down = false;
            rig.start();
        }
    }
    rig.pass(30'000);
    CHECK(first_arrivals(rig.values("t")) ==
          std::vector<std::string>{"v0", "v1", "v2", "v3", "v11", "v12", "v13"});
}

TEST_CASE("restart: merged and keyed routes keep no numbers, and lose nothing") {
    for (const bool merged : {true, false}) {
        Rig rig;
        INFO("merged=" << merged);
        one_topic_forgotten(rig);
        if (merged)
            rig.config.routes[0].merge_bytes = 4096;
        else
            rig.config.routes[0].mapping = config::Route::Mapping::by_key;
        rig.start();
        deliver_unnoticed(rig, 9);
        restart(rig);
        CHECK_FALSE(keeps_numbers(rig));
        rig.append("t", {.count = 1, .first = 9});
        rig.pass(5'000);
        CHECK(first_arrivals(rig.values("t")) == numbers(0, 10));
        // The same route, exact from now on: it begins to count anew.
        rig.config.routes[0].merge_bytes = 0;
        rig.config.routes[0].mapping = config::Route::Mapping::same_partition;
        restart(rig);
        rig.append("t", {.count = 1, .first = 10});
        restart(rig);
        CHECK(first_arrivals(rig.values("t")) == numbers(0, 11));
    }
}

TEST_CASE("copied card: held connects to nobody and lets nothing go; later it goes on as before") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.start();
    deliver_unnoticed(rig, 3);
    rig.kill();
    rig.begin = Begin::held;
    rig.start();
    rig.append("t", {.count = 2, .first = 3});
    rig.pass(120'000);
    CHECK(rig.values("t") == numbers(0, 3));
    CHECK(rig.status().link == LinkState::held);
    CHECK(rig.status().last_error.find("--adopt") != std::string::npos);
    CHECK(rig.log.stream(rig.stream("t"))->release < 4);  // what waits may not be freed
    rig.kill();
    rig.begin = Begin::forward;  // adopted
    rig.start();
    rig.pass(10'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("copied card: a fork forwards what comes from now on, under numbers of its own") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.start();
    deliver_unnoticed(rig, 2);
    rig.upstream_is_down = true;
    rig.append("t", {.count = 3, .first = 2});  // the original delivers these
    rig.run();
    rig.kill();
    rig.upstream_is_down = false;
    rig.begin = Begin::at_end;
    rig.start();
    rig.append("t", {.count = 2, .first = 100});
    rig.pass(10'000);
    std::vector<std::string> expected = numbers(0, 2);
    for (const std::string& own : numbers(100, 2)) expected.push_back(own);
    CHECK(rig.values("t") == expected);
    rig.kill();
    rig.begin = Begin::forward;  // and so it stays
    rig.start();
    rig.append("t", {.count = 1, .first = 102});
    rig.pass(10'000);
    expected.push_back(numbers(102, 1).front());
    CHECK(rig.values("t") == expected);
}
