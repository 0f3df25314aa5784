// A source that finds out by itself what became of batches without an answer, before they go again.
#include <doctest/doctest.h>

#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;
using wire::ErrorCode;

namespace {

struct Holding final : BatchSource {
    explicit Holding(Accumulator& accumulator) : inner(accumulator) {}
    Peek peek(std::uint16_t slot, Instant now, SourceBatch& out) override {
        return inner.peek(slot, now, out);
    }
    void take(std::uint16_t slot, Ticket ticket) override { inner.take(slot, ticket); }
    void settle(std::uint16_t slot, Ticket ticket, const Outcome& outcome) override {
        inner.settle(slot, ticket, outcome);
    }
    Instant oldest(std::uint16_t slot) const override { return inner.oldest(slot); }
    bool may_send_again(std::uint16_t, Instant) override {
        ++asked;
        return knows;
    }

    bool may_send_renamed(std::uint16_t) override { return renames; }

    Accumulator& inner;
    int asked = 0;
    bool knows = false, renames = true;
};

}  // namespace

TEST_CASE("sender: what a source holds back waits, what it found is delivered, the rest goes") {
    for (int arrived = 0; arrived <= 3; ++arrived) {
        INFO("arrived=" << arrived);
        ModelBroker broker;
        Rig rig(broker, {});
        Holding source(rig.accumulator);
        std::vector<TakenBatch> window(5);
        PartitionQueue queue("t", 0, source, 0, window);
        rig.sender.recall(*rig.queues[0]);
        rig.drain();
        rig.accumulator.attach(0, queue);
        rig.sender.lend(rig.now, queue);
        rig.connect();
        append_each(rig, 0, 1);
        CHECK(queue.losses() == 0);
        for (int i = 1; i <= 3; ++i) {
            REQUIRE(rig.append("r" + std::to_string(i)));
            rig.link.write(rig.now);
            if (i <= arrived) REQUIRE(rig.link.serve_one());
        }
        rig.link.cut();
        rig.disconnect();
        CHECK(queue.losses() == 3);
        CHECK(source.asked == 0);
        broker.at("t", 0).producers.clear();

        rig.closed = false;
        rig.connect();
        for (int i = 0; i < 100; ++i) rig.pass(milliseconds{50});
        rig.settle();
        CHECK(source.asked > 0);
        CHECK(rig.link.to_broker.empty());
        CHECK(rig.reports[0].size() == 1);

        source.knows = true;
        queue.settle_found([&](std::int32_t first, std::int32_t count) {
            CHECK(count == 1);
            return first <= arrived;
        });
        CHECK(rig.reports[0].size() == 1u + static_cast<std::size_t>(arrived));
        queue.wake();
        rig.sender.pump(rig.now);
        CHECK(queue.in_flight_count() == (arrived < 3 ? 1 : 0));  // forgotten: it goes alone
        REQUIRE(rig.settle_all());
        append_each(rig, 4, 6);
        CHECK(broker.at("t", 0).values() == numbered(6));
        CHECK(rig.reports[0] == std::vector<ErrorCode>(6, ErrorCode::none));
        CHECK(queue.sending_as().next_sequence == 6);
        CHECK(queue.sending_as().producer_epoch == 0);
        broker.at("t", 0).producers.clear();
        queue.skip(2);
        append_each(rig, 6, 7);
        CHECK(wire::read_batch_header(broker.at("t", 0).log.back().batch.data()).base_sequence ==
              6 + 2);
    }
}

TEST_CASE("sender: what was sent goes under the next epoch once its source agrees") {
    ModelBroker broker;
    Rig rig(broker, {});
    Holding source(rig.accumulator);
    std::vector<TakenBatch> window(5);
    PartitionQueue queue("t", 0, source, 0, window);
    rig.sender.recall(*rig.queues[0]);
    rig.drain();
    rig.accumulator.attach(0, queue);
    rig.sender.lend(rig.now, queue);
    rig.connect();
    append_each(rig, 0, 3);
    source.renames = false;  // the first send under a name is the peek's affair
    broker.at("t", 0).producers.begin()->second.batches.pop_back();  // it lost its tail
    REQUIRE(rig.append("r3"));
    for (int i = 0; i < 100; ++i) {
        rig.settle();
        rig.pass(milliseconds{50});
    }
    CHECK(queue.sending_as().producer_epoch == 1);
    CHECK(queue.open_sequence() == 0);
    CHECK(rig.reports[0].size() == 3);
    source.renames = true;
    queue.wake();
    REQUIRE(rig.settle_all());
    CHECK(broker.at("t", 0).values() == numbered(4));
    CHECK(queue.open_sequence() == 1);
}
