// Nothing goes upstream under a name that a power cut could take: a new life could not send it
// again under the same numbers, and it would come twice.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

namespace {

void append_durably(Rig& rig, int first, int count, const char* topic = "t") {
    for (int i = 0; i < count; ++i) rig.append(topic, {.count = 1, .first = first + i});
    rig.log.flush();
}

void power_cut(Rig& rig) {
    rig.log.lose_lazy();
    rig.log.give_up();
    rig.kill();
    rig.log.auto_flush = true;
    rig.start();
}

void commit(Rig& rig) {
    rig.log.flush();
    rig.run();
}

std::int16_t newest_epoch(Rig& rig) {
    std::int16_t epoch = -1;
    for (const Stored& batch : rig.upstream.topics["t"][0].batches)
        epoch = std::max(epoch, batch.header.producer_epoch);
    return epoch;
}

/// The upstream is another cluster from now on, that gave us the same producer id.
void become_another(Rig& rig) {
    rig.upstream.cluster_id = "another-cluster";
    rig.upstream.next_producer_id = 7'000;
    rig.upstream.topics["t"][0] = {};
}

void swap_cluster(Rig& rig) {
    become_another(rig);
    rig.cut_all(1);
    rig.pass(5'000);
}

/// Without the rig, which looks at no deadline between an answer and on_deadline.
void answer_all(Rig& rig, LinkId link) {
    Bytes sent;
    for (const ByteView piece : rig.uplink->link_poll_write(link))
        sent.insert(sent.end(), piece.begin(), piece.end());
    rig.uplink->link_sent(rig.now, link, sent.size());
    for (std::size_t at = 0; at < sent.size();) {
        const auto size = static_cast<std::size_t>(load_big<std::int32_t>(sent.data() + at));
        const Bytes answer = rig.upstream.answer(1, ByteView(sent).subspan(at + 4, size));
        at += 4 + size;
        rig.uplink->link_received(rig.now, link, answer);
    }
}

void meet_another(Rig& rig) {
    rig.refusing = {1};
    rig.cut_all(1);
    rig.run();
    become_another(rig);
    for (int turn = 0; turn < 100; ++turn) {
        while (const auto action = rig.uplink->poll_link_action())
            if (action->kind == LinkAction::Kind::connect)
                rig.uplink->link_opened(rig.now, action->link);
        while (const auto link = rig.uplink->link_ready()) {
            answer_all(rig, *link);
            if (rig.status().cluster_id == rig.upstream.cluster_id) return;
        }
        rig.now = std::max(rig.now, rig.uplink->deadline());
        rig.uplink->on_deadline(rig.now);
    }
    FAIL("the uplink does not see it");
}

}  // namespace

TEST_CASE("kept: a power cut takes no name under which something was sent") {
    for (const bool cut : {false, true}) {
        Rig rig;
        INFO("cut=" << cut);
        one_topic_forgotten(rig);
        append_durably(rig, 0, 5);
        rig.log.auto_flush = false;
        rig.start();
        rig.pass(5'000);
        CHECK(rig.upstream.produce_requests == 0);
        CHECK(rig.log.hurried_facts == 1);
        if (cut)
            power_cut(rig);
        else
            commit(rig);
        CHECK(rig.values("t") == numbers(0, 5));  // and no time passed
        CHECK(rig.log.hurried_facts == (cut ? 2 : 1));
        power_cut(rig);
        CHECK(rig.values("t") == numbers(0, 5));
        CHECK(rig.status().doubts_lost == 0);
        CHECK(rig.status().backlog_records == 0);
        CHECK_FALSE(rig.was_told("does not keep"));
    }
}

// What was sent and refused for its number goes again under the next epoch, though it was taken
// out of the lane long ago.
TEST_CASE("kept: nothing goes under the next epoch before that is durable") {
    for (const bool cut : {false, true})
        for (const bool in_doubt : {false, true}) {
            Rig rig;
            INFO("cut=" << cut << " in_doubt=" << in_doubt);
            one_topic_forgotten(rig);
            rig.start();
            deliver_unnoticed(rig, 3);
            if (in_doubt) {
                rig.upstream_is_down = true;
                rig.run();
                append_durably(rig, 3, 4);
                rig.kill();
                rig.upstream_is_down = false;
                // The first of the doubt is taken; then the upstream loses the end of its log.
                rig.upstream.refuse = [&](const std::string&, std::int32_t,
                                          const wire::BatchHeader& batch) {
                    return batch.base_sequence > 2 ? ErrorCode::not_enough_replicas
                                                   : ErrorCode::none;
                };
                rig.start();
                rig.pass(1'000);
                rig.upstream.refuse = nullptr;
            }
            rig.log.auto_flush = false;
            Partition& partition = rig.upstream.topics["t"][0];
            partition.batches.pop_back();
            for (auto& [id, entry] : partition.producers) entry.last.pop_back();
            if (!in_doubt) append_durably(rig, 3, 4);
            rig.pass(5'000);
            CHECK(newest_epoch(rig) == 0);
            if (cut)
                power_cut(rig);
            else
                commit(rig);
            rig.pass(5'000);
            const std::vector<std::string> there = rig.values("t");
            CHECK(there == first_arrivals(there));
            REQUIRE(there.size() >= 6);
            CHECK(std::vector<std::string>(there.end() - 4, there.end()) == numbers(3, 4));
            CHECK(newest_epoch(rig) == (cut ? 0 : 1));
            power_cut(rig);
            rig.pass(5'000);
            CHECK(rig.values("t") == there);
            CHECK(rig.status().doubts_lost == 0);
        }
}

TEST_CASE("kept: another cluster that gives the same producer id gets a name of its own") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.start();
    deliver_unnoticed(rig, 4);
    swap_cluster(rig);
    deliver_unnoticed(rig, 3, 4);
    REQUIRE(rig.values("t") == numbers(4, 3));
    power_cut(rig);
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(4, 3));
    CHECK(rig.status().doubts_lost == 0);
}

TEST_CASE("kept: a log that takes no fact holds nothing up, and that is told") {
    for (const bool fails : {false, true}) {
        Rig rig;
        INFO("fails=" << fails);
        one_topic_forgotten(rig);
        append_durably(rig, 0, 5);
        (fails ? rig.log.is_read_only : rig.log.facts_full) = true;
        rig.start();
        CHECK(rig.values("t") == numbers(0, 5));
        CHECK(rig.was_told("the log does not keep now under which name records go upstream"));
        rig.log.is_read_only = rig.log.facts_full = false;
        rig.pass(120'000);  // with the cursor
        power_cut(rig);
        CHECK(rig.values("t") == numbers(0, 5));
    }
}

TEST_CASE("kept: a log whose commits do not end holds it up once, for seconds, and that is told") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.make_topic("u", 1);
    append_durably(rig, 0, 5);
    append_durably(rig, 0, 5, "u");
    rig.log.auto_flush = false;
    rig.start();
    rig.pass(14'000);
    CHECK(rig.values("t").empty());
    CHECK_FALSE(rig.was_told("does not keep"));
    rig.pass(2'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.was_told("the log does not keep now under which name records go upstream"));
    rig.upstream.make_topic("u", 1);
    rig.pass(11'000);
    CHECK(rig.values("u") == numbers(0, 5));
    rig.log.auto_flush = true;
    rig.pass(1'000);
    power_cut(rig);
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.values("u") == numbers(0, 5));
}

TEST_CASE("kept: a name whose commit was given up is written again") {
    Rig rig;
    one_topic_forgotten(rig);
    append_durably(rig, 0, 5);
    rig.log.auto_flush = false;
    rig.start();
    REQUIRE(rig.log.hurried_facts == 1);
    rig.log.give_up();
    commit(rig);
    CHECK(rig.log.hurried_facts == 2);
    CHECK(rig.upstream.produce_requests == 0);
    commit(rig);
    CHECK(rig.values("t") == numbers(0, 5));
    power_cut(rig);
    CHECK(rig.values("t") == numbers(0, 5));
}

TEST_CASE("kept: who waits for a commit while the cluster changes waits from then on") {
    Rig rig;
    one_topic_forgotten(rig);
    append_durably(rig, 0, 5);
    rig.log.auto_flush = false;
    rig.start();
    rig.pass(10'000);
    swap_cluster(rig);  // takes 5 s
    rig.pass(9'000);
    CHECK(rig.values("t").empty());
    CHECK_FALSE(rig.was_told("does not keep"));
    rig.pass(2'000);
    CHECK(rig.values("t") == numbers(0, 5));
}

TEST_CASE("kept: who waits for a commit is looked at again at once when the cluster changes") {
    Rig rig;
    one_topic_forgotten(rig);
    append_durably(rig, 0, 5);
    rig.log.auto_flush = false;
    rig.start();
    rig.pass(1'000);
    meet_another(rig);
    CHECK(rig.uplink->deadline() == rig.now);
}

TEST_CASE("kept: who begins to wait right after a commit does not hide it from the others") {
    Rig rig;
    one_topic_forgotten(rig);
    rig.make_topic("u", 1);
    rig.upstream.make_topic("u", 1);
    append_durably(rig, 0, 5);
    rig.log.auto_flush = false;
    rig.start();
    append_durably(rig, 0, 5, "u");
    rig.log.on_storage(rig.now);
    rig.uplink->readable(rig.now, rig.stream("u"));
    while (const auto done = rig.log.poll_read()) REQUIRE(rig.uplink->on_read(rig.now, *done));
    CHECK(rig.log.hurried_facts == 2);
    rig.run();
    CHECK(rig.values("t") == numbers(0, 5));  // and no time passed
    CHECK(rig.values("u").empty());
    commit(rig);
    CHECK(rig.values("u") == numbers(0, 5));
}

// t's leader is away when its name is durable, so nothing is sent under it yet.
TEST_CASE("kept: who comes later does not put an older name over one that is durable") {
    Rig rig;
    rig.upstream.broker_count = 2;
    one_topic_forgotten(rig);
    rig.make_topic("u", 1);
    rig.upstream.make_topic("u", 1);
    rig.upstream.topics["u"][0].leader = 2;
    append_durably(rig, 0, 5);
    rig.upstream.refuse = [](const std::string&, std::int32_t, const wire::BatchHeader&) {
        return ErrorCode::topic_authorization_failed;
    };
    rig.log.facts_full = true;  // so nobody is named ahead of its turn
    rig.start();
    rig.log.facts_full = rig.log.auto_flush = false;
    rig.upstream.refuse = nullptr;
    rig.pass(1'000);
    REQUIRE(rig.log.hurried_facts == 1);  // the next epoch's
    rig.refusing = {1};
    rig.cut_all(1);
    commit(rig);
    append_durably(rig, 0, 5, "u");
    rig.run();
    CHECK(rig.log.hurried_facts == 2);
    commit(rig);
    CHECK(rig.values("u") == numbers(0, 5));
    CHECK(rig.values("t").empty());
    rig.refusing.clear();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(newest_epoch(rig) == 1);
    power_cut(rig);
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.status().doubts_lost == 0);
}

TEST_CASE("kept: a full group takes the other names after its commit") {
    Rig rig;
    for (const char* topic : {"t", "u", "w"}) {
        rig.make_topic(topic, 1);
        rig.upstream.make_topic(topic, 1);
        append_durably(rig, 0, 5, topic);
    }
    rig.log.auto_flush = false;
    rig.log.group_facts_max = 1;
    rig.start();
    CHECK(rig.upstream.produce_requests == 0);
    for (int i = 0; i < 3; ++i) commit(rig);
    for (const char* topic : {"t", "u", "w"}) CHECK(rig.values(topic) == numbers(0, 5));
    CHECK_FALSE(rig.was_told("does not keep"));
}

TEST_CASE("kept: the names of all partitions with a backlog go in one commit, once") {
    constexpr int partitions = 400;
    Rig rig;
    rig.config.cursor_interval = milliseconds{60'000};
    rig.config.routes[0].in_flight_bytes = 256 * 1024;
    rig.make_topic("t", partitions);
    rig.upstream.make_topic("t", partitions);
    for (std::size_t p = 0; p < partitions; p += 2)
        rig.append("t", {.count = 1, .padding = 12'000}, p);
    rig.log.flush();
    rig.log.auto_flush = false;
    rig.start();
    CHECK(rig.upstream.produce_requests == 0);
    int commits = 0;
    for (; rig.status().backlog_records > 0 && commits < partitions; ++commits) commit(rig);
    CHECK(commits == 1);
    CHECK(rig.log.hurried_facts == partitions / 2);
    for (std::size_t p = 0; p < partitions; p += 2) REQUIRE(rig.values("t", p) == numbers(0, 1));
    // Steady: nobody waits.
    for (int round = 1; round < 4; ++round) {
        for (std::size_t p = 0; p < partitions; p += 2) rig.append("t", {.first = round}, p);
        commit(rig);
        CHECK(rig.status().backlog_records == 0);
    }
    CHECK(rig.log.hurried_facts == partitions / 2);
}
