// Kafka forgets a producer by the time stamp of its last record, and takes what it has already once
// more then. What is in doubt is looked for in its log.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

using Route = config::Route;
constexpr std::int64_t day = 24 * 3600 * 1000;

/// An upstream that has all it takes, and forgets after a day.
void prepare(Rig& rig) {
    one_topic_forgotten(rig);
    rig.upstream.describes_producers = rig.upstream.shows_tail = true;
    rig.upstream.remembers_ms = day;
}

int questions(const Rig& rig) {
    return rig.upstream.describe_requests + rig.upstream.tail_requests;
}

/// Batches of one record are sent and not answered; the link is down from then on.
void send_unanswered(Rig& rig, int count, int first, bool arrive) {
    rig.hold_answers = true;
    if (!arrive) rig.silent = {1};
    for (int i = 0; i < count; ++i) rig.append("t", {.count = 1, .first = first + i});
    rig.run();
    rig.upstream_is_down = true;
    rig.run();
    rig.silent.clear();
    rig.hold_answers = false;
}

void days_later(Rig& rig) {
    rig.now += milliseconds{3 * day};
    rig.upstream_is_down = false;
    rig.pass(30'000);
}

/// What somebody else sends to the upstream's partition.
void append_foreign(Rig& rig, std::size_t bytes) {
    Partition& partition = rig.upstream.topics["t"][0];
    const Bytes batch = make_batch({.count = 1, .first = 1000, .padding = bytes});
    const auto view = wire::BatchView::parse(batch);
    REQUIRE(view);
    Stored stored{view->header(), {view->records().begin(), view->records().end()}};
    stored.header.base_offset = partition.log_end();
    partition.batches.push_back(std::move(stored));
}

std::vector<std::string> own_values(Rig& rig) {
    std::vector<std::string> all = rig.values("t");
    std::erase(all, "v1000");
    return all;
}

enum class Way { whole, headers, merged, pinned, by_key };

void go(Rig& rig, Way way) {
    Route& route = rig.config.routes[0];
    route.headers = way == Way::headers;
    route.merge_bytes = way == Way::merged ? 4096 : 0;
    if (way == Way::pinned) route.mapping = Route::Mapping::pinned;
    if (way == Way::by_key) route.mapping = Route::Mapping::by_key;
}

}  // namespace

TEST_CASE("forgotten: what had arrived when the answer was lost does not go again days later") {
    for (const Way way : {Way::whole, Way::headers, Way::merged, Way::pinned, Way::by_key})
        for (const int before : {0, 1, 7})
            for (const bool arrive : {true, false})
                for (const int count : {1, 3, 8}) {
                    Rig rig;
                    INFO("way=" << static_cast<int>(way) << " before=" << before
                                << " arrive=" << arrive << " count=" << count);
                    prepare(rig);
                    go(rig, way);
                    rig.start();
                    deliver_unnoticed(rig, before);
                    send_unanswered(rig, count, before, arrive);
                    CHECK(questions(rig) == 0);
                    days_later(rig);
                    rig.append("t", {.count = 2, .first = before + count});
                    rig.pass(10'000);
                    CHECK(rig.values("t") == numbers(0, before + count + 2));
                    // By key a lane, and with it the producer id, comes with the first batch.
                    CHECK((questions(rig) > 0) == (way != Way::by_key || before > 0));
                    CHECK(rig.status().doubts_lost == 0);
                    CHECK(rig.status().backlog_records == 0);
                    CHECK(rig.status().in_flight_bytes == 0);
                }
}

TEST_CASE("forgotten: what had arrived before a kill does not go again days later") {
    for (const Way way : {Way::whole, Way::headers})
        for (const int interval : {1, 60'000})
            for (int there = 0; there < 12; ++there) {
                Rig rig;
                INFO("way=" << static_cast<int>(way) << " interval=" << interval
                            << " there=" << there);
                prepare(rig);
                go(rig, way);
                rig.config.cursor_interval = milliseconds{interval};
                rig.start();
                for (int i = 0; i < 3; ++i) append_foreign(rig, 10);
                deliver_unnoticed(rig, 3);
                rig.pass(100);
                deliver_unnoticed(rig, there, 3);
                send_unanswered(rig, 9, 3 + there, false);
                rig.kill();
                append_foreign(rig, 10);
                rig.start();
                days_later(rig);
                rig.append("t", {.count = 2, .first = 12 + there});
                rig.pass(10'000);
                CHECK(own_values(rig) == numbers(0, 14 + there));
                CHECK(rig.status().doubts_lost == 0);
                CHECK(rig.status().backlog_records == 0);
            }
}

// The worst that can be: a backlog so old that the upstream has forgotten at once whatever it took.
TEST_CASE("forgotten: cut and killed at any step, with an upstream that never remembers") {
    for (const Way way : {Way::whole, Way::headers})
        for (int step = 0; step < 60; ++step)
            for (const bool loses_answer : {false, true}) {
                Rig rig;
                INFO("way=" << static_cast<int>(way) << " step=" << step
                            << " loses_answer=" << loses_answer);
                prepare(rig);
                go(rig, way);
                rig.records_age = 2 * day;
                rig.config.cursor_interval = milliseconds{step % 3 == 0 ? 1 : 60'000};
                rig.cut_at_step = step;
                rig.cut_loses_answer = loses_answer;
                rig.start();
                int sent = 0;
                for (int life = 0; life < 4; ++life) {
                    for (int i = 0; i < 7; ++i, ++sent) {
                        rig.append("t", {.count = 1 + step % 2, .first = sent * (1 + step % 2)});
                        if (i % 2 == 0) rig.run();
                    }
                    rig.hold_answers = life % 2 == 0;
                    rig.run();
                    if (step % 4 < 2) rig.kill();
                    rig.hold_answers = false;
                    if (rig.uplink == nullptr)
                        rig.start();
                    else
                        rig.cut_all(1);
                    if (life == 1) rig.cut_at_step = rig.steps + step % 9;
                    rig.pass(life == 2 ? 0 : 5'000);
                }
                rig.pass(60'000);
                CHECK(rig.values("t") == numbers(0, sent * (1 + step % 2)));
                CHECK(rig.status().doubts_lost == 0);
            }
}

TEST_CASE("forgotten: without a doubt nothing is asked, however old the records are") {
    Rig rig;
    prepare(rig);
    rig.config.cursor_interval = milliseconds{1};
    rig.records_age = 2 * day;
    rig.start();
    for (int life = 0; life < 3; ++life) {
        for (int i = 0; i < 20; ++i) {
            rig.append("t", {.count = 1, .first = life * 20 + i});
            if (i % 3 == 0) rig.pass(1'000);
        }
        rig.cut_all(1);  // nothing is in flight
        rig.now += milliseconds{3 * day};
        rig.pass(10'000);
        rig.kill();
        rig.start();
    }
    rig.pass(10'000);
    CHECK(rig.values("t") == numbers(0, 60));
    CHECK(questions(rig) == 0);
}

TEST_CASE("forgotten: a lost answer is no doubt while the upstream must still know the producer") {
    Rig rig;
    prepare(rig);
    rig.start();
    deliver_unnoticed(rig, 2);
    send_unanswered(rig, 5, 2, true);
    rig.upstream_is_down = false;
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 7));
    CHECK(questions(rig) == 0);
}

TEST_CASE("forgotten: whose clock cannot be right asks, and who is known sends as before") {
    for (const int wrong : {0, 1, 2}) {
        Rig rig;
        INFO("wrong=" << wrong);
        prepare(rig);
        rig.start();
        send_unanswered(rig, 3, 0, true);
        rig.upstream_is_down = false;
        if (wrong == 0) rig.log.trusted = false;
        if (wrong == 1) rig.records_age = -day;
        if (wrong == 2) rig.records_age = day / 2;
        rig.pass(30'000);
        CHECK(rig.values("t") == numbers(0, 3));
        CHECK(rig.upstream.describe_requests == 1);
        CHECK(rig.upstream.tail_requests == 0);
    }
}

TEST_CASE(
    "forgotten: where the log cannot be looked at, what may come twice is told, at least once") {
    enum Why { acl, acl_of_all, gone, cleaned, long_tail, never_copied, log_is_another };
    for (const Why why : {acl, acl_of_all, gone, cleaned, long_tail, never_copied, log_is_another})
        for (const bool killed : {false, true}) {
            Rig rig;
            INFO("why=" << why << " killed=" << killed);
            prepare(rig);
            rig.config.cursor_interval = milliseconds{1};
            rig.start();
            append_foreign(rig, 10);
            append_foreign(rig, 10);
            deliver_unnoticed(rig, 3);
            rig.pass(100);
            const bool arrive = why != long_tail;
            send_unanswered(rig, 4, 3, arrive);
            if (killed) rig.kill();
            Partition& partition = rig.upstream.topics["t"][0];
            if (why == acl) rig.upstream.fetching = ErrorCode::topic_authorization_failed;
            if (why == acl_of_all) rig.upstream.describing = ErrorCode::topic_authorization_failed;
            if (why == gone) partition.log_start = 7;
            if (why == cleaned) partition.batches.erase(partition.batches.begin() + 6);
            if (why == long_tail)
                for (int i = 0; i < 20; ++i) append_foreign(rig, 1'000'000);
            if (why == never_copied) partition.high_watermark = 6;
            if (why == log_is_another) partition.batches.resize(3);
            if (killed) rig.start();
            days_later(rig);
            rig.pass(100'000);
            rig.append("t", {.count = 1, .first = 7});
            rig.pass(10'000);
            const std::vector<std::string> first = first_arrivals(own_values(rig));
            if (why == cleaned)
                CHECK(first.size() == 8);  // the one that was cleaned goes again
            else if (why != log_is_another)
                CHECK(first == numbers(0, 8));
            // Nobody says that it forgot.
            CHECK(rig.status().doubts_lost == (why == acl_of_all ? 0 : 1));
            CHECK(rig.was_told("does not know any more what it took of t-0") ==
                  (why != acl_of_all));
            CHECK(rig.status().backlog_records == 0);
            CHECK(rig.upstream.tail_requests < 250);
            // What was seen is not sent again all the same.
            if (why == cleaned) CHECK(own_values(rig).size() == 8);
        }
}

TEST_CASE("forgotten: what is not copied yet, or not to be had for a moment, is waited for") {
    for (const bool killed : {false, true}) {
        Rig rig;
        INFO("killed=" << killed);
        prepare(rig);
        rig.start();
        deliver_unnoticed(rig, 2);
        send_unanswered(rig, 3, 2, true);
        rig.upstream.topics["t"][0].high_watermark = 3;
        if (killed) {
            rig.kill();
            rig.start();
        }
        days_later(rig);
        CHECK(rig.values("t") == numbers(0, 5));
        CHECK(rig.status().backlog_records == (killed ? 5 : 3));
        rig.upstream.fetching = ErrorCode::leader_not_available;
        rig.pass(5'000);
        CHECK(rig.status().backlog_records == (killed ? 5 : 3));
        rig.upstream.topics["t"][0].high_watermark = 100;
        rig.upstream.fetching = ErrorCode::none;
        rig.pass(10'000);
        CHECK(rig.values("t") == numbers(0, 5));
        CHECK(rig.status().backlog_records == 0);
        CHECK(rig.status().doubts_lost == 0);
    }
}

TEST_CASE("forgotten: behind what is looked for the log may be as long as it likes") {
    Rig rig;
    prepare(rig);
    rig.start();
    deliver_unnoticed(rig, 2);
    send_unanswered(rig, 3, 2, true);
    for (int i = 0; i < 20; ++i) append_foreign(rig, 1'000'000);
    days_later(rig);
    CHECK(own_values(rig) == numbers(0, 5));
    CHECK(rig.status().doubts_lost == 0);
    CHECK(rig.upstream.tail_requests <= 3);  // the first answer is longer than the memory for it
}

TEST_CASE("forgotten: before what is looked for the log may be as long as it likes") {
    for (const bool killed : {false, true})
        for (const int again : {0, 1, 2}) {  // lives between the cursor and the doubt
            Rig rig;
            INFO("killed=" << killed << " again=" << again);
            prepare(rig);
            rig.config.cursor_interval = milliseconds{1};
            for (int i = 0; i < 20; ++i) append_foreign(rig, 1'000'000);
            rig.start();
            deliver_unnoticed(rig, 2);
            for (int life = 0; life < again; ++life) {
                rig.pass(100);
                rig.kill();
                rig.start();
            }
            if (again == 2) deliver_unnoticed(rig, 1, 2);
            rig.pass(100);
            const int before = again == 2 ? 3 : 2;
            send_unanswered(rig, 3, before, true);
            if (killed) {
                rig.kill();
                rig.start();
            }
            days_later(rig);
            CHECK(own_values(rig) == numbers(0, before + 3));
            CHECK(rig.status().doubts_lost == 0);
        }
}

TEST_CASE("forgotten: a hole in what was found moves no record onto another's number") {
    for (int hole = 3; hole < 7; ++hole) {
        Rig rig;
        INFO("hole=" << hole);
        prepare(rig);
        rig.config.cursor_interval = milliseconds{1};
        rig.start();
        deliver_unnoticed(rig, 3);
        rig.pass(100);
        send_unanswered(rig, 4, 3, true);
        rig.append("t", {.count = 4, .first = 7});
        rig.run();
        rig.kill();
        Partition& partition = rig.upstream.topics["t"][0];
        partition.batches.erase(partition.batches.begin() + hole);
        rig.now += milliseconds{3 * day};
        rig.upstream_is_down = false;
        // What is behind the four is not taken: the numbers that the cursor keeps are needed again.
        rig.upstream.refuse = [](const std::string&, std::int32_t, const wire::BatchHeader& batch) {
            return batch.record_count == 4 ? ErrorCode::not_enough_replicas : ErrorCode::none;
        };
        rig.start();
        rig.pass(5'000);
        rig.kill();
        rig.upstream.refuse = nullptr;
        rig.start();
        rig.pass(10'000);
        const std::vector<std::string> there = rig.values("t");
        CHECK(there.size() == 11);
        CHECK(std::set(there.begin(), there.end()).size() == 11);
        std::int32_t next = 0;
        for (const Stored& batch : partition.batches)
            next = std::max(next, batch.header.base_sequence + batch.header.record_count);
        CHECK(next == 11);
    }
}

TEST_CASE("forgotten: batches longer than the memory for answers, and leaders that moved") {
    Rig rig;
    rig.upstream.broker_count = 2;
    prepare(rig);
    rig.start();
    deliver_unnoticed(rig, 2);
    for (int i = 0; i < 4; ++i) append_foreign(rig, 1'000'000);
    send_unanswered(rig, 3, 2, true);
    rig.upstream.topics["t"][0].leader = 2;
    days_later(rig);
    CHECK(own_values(rig) == numbers(0, 5));
    CHECK(rig.status().doubts_lost == 0);
}

TEST_CASE("forgotten: an upstream without DescribeProducers is looked at, too") {
    for (const bool killed : {false, true}) {
        Rig rig;
        prepare(rig);
        rig.upstream.describes_producers = false;
        rig.start();
        deliver_unnoticed(rig, 2);
        send_unanswered(rig, 3, 2, true);
        if (killed) rig.kill();
        if (killed) rig.start();
        days_later(rig);
        CHECK(rig.values("t") == numbers(0, 5));
        CHECK(rig.status().doubts_lost == 0);
    }
}
