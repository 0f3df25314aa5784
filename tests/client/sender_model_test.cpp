// Two Senders on two connections to the same broker, partitions moving between them, everything
// failing at random; then quiet. Whatever happened: each accepted record once, in order (or told to
// have failed).
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;
using wire::ErrorCode;

namespace {

struct World : Deliveries {
    struct Fate {
        std::string value;
        bool settled = false;
        ErrorCode error = ErrorCode::none;
    };
    World(std::uint32_t seed, milliseconds delivery_timeout)
        : random(seed),
          memory(buffers_count * 160),
          buffers(buffers_count),
          slots(partitions),
          accumulator(slots, {.linger = milliseconds{seed % 3 * 4}, .batch_bytes = 160}, this) {
        accumulator.add_buffers(buffers, memory);
        broker.on_batch = [this](auto&, auto) { return fault(); };
        const SenderConfig config{.request_timeout = milliseconds{300},
                                  .delivery_timeout = delivery_timeout,
                                  .retry = {milliseconds{10}, milliseconds{100}},
                                  .request_batches_max = static_cast<std::uint16_t>(1 + seed % 3)};
        for (std::size_t i = 0; i < 2; ++i) {
            links.push_back(std::make_unique<Link>(broker));
            senders.push_back(
                std::make_unique<Sender>(links[i]->connection, identity, config, 1, seed + 1));
        }
        for (std::uint16_t i = 0; i < partitions; ++i) {
            windows.emplace_back(1 + (seed + i) % 5);
            queues.push_back(
                std::make_unique<PartitionQueue>("t", i, accumulator, i, windows.back()));
            accumulator.attach(i, *queues.back());
            senders[i % 2]->lend(now, *queues.back());
        }
    }
    std::uint32_t pick(std::uint32_t n) { return random() % n; }

    ModelBroker::Fault fault() {
        if (quiet || pick(6) != 0) return {};
        constexpr ErrorCode errors[] = {
            ErrorCode::not_leader_or_follower, ErrorCode::not_enough_replicas,
            ErrorCode::request_timed_out, ErrorCode::not_enough_replicas_after_append};
        const ErrorCode error = errors[pick(4)];
        const bool unsure = error == ErrorCode::request_timed_out ||
                            error == ErrorCode::not_enough_replicas_after_append;
        return {error, unsure && pick(2) == 0};
    }
    void delivered(const DeliveryReport& report) override {
        for (std::int32_t i = 0; i < report.record_count; ++i) {
            Fate& fate = fates[report.slot][static_cast<std::size_t>(report.first_record) +
                                            static_cast<std::size_t>(i)];
            CHECK(!fate.settled);
            fate.settled = true;
            fate.error = report.error;
        }
    }
    void drain(std::size_t i) {
        Link& link = *links[i];
        while (auto event = link.connection.poll_event(now)) {
            if (event->kind == Event::Kind::closed) {
                link.cut();
                frames[i] = {};
                dead[i] = false;
            }
            senders[i]->on_event(now, *event);
        }
        while (auto event = senders[i]->poll_event())
            if (event->kind == SenderEvent::Kind::returned)
                senders[pick(2)]->lend(now, *event->queue);
    }
    void receive(std::size_t i, std::size_t most) {
        Link& link = *links[i];
        const std::size_t size = std::min(most, link.to_client.size());
        const Bytes part(link.to_client.begin(),
                         link.to_client.begin() + static_cast<std::ptrdiff_t>(size));
        link.to_client.erase(link.to_client.begin(),
                             link.to_client.begin() + static_cast<std::ptrdiff_t>(size));
        for (std::uint8_t byte : part) track(i, byte);
        for (std::size_t taken = 0;
             taken < part.size() && link.connection.state() == Connection::State::ready;) {
            taken += link.connection.on_bytes(now, ByteView(part).subspan(taken));
            drain(i);
        }
    }
    /// Follows the frames, to know whether the client sits in the middle of one.
    void track(std::size_t i, std::uint8_t byte) {
        Frame& frame = frames[i];
        if (frame.length_bytes < 4) {
            frame.left = frame.left << 8 | byte;
            if (++frame.length_bytes < 4 || frame.left > 0) return;
        } else if (--frame.left > 0) {
            return;
        }
        frame = {};
    }
    /// What is under way is gone, and nobody is told. Kafka's answers carry no checksum, so a
    /// stream that goes on in the middle of a frame would lie: there the wire stays dead until the
    /// time-out, as TCP's does.
    void cut_silently(std::size_t i) {
        links[i]->cut();
        if (frames[i].length_bytes > 0) dead[i] = true;
    }
    void step() {
        const std::size_t i = pick(2);
        Link& link = *links[i];
        if (link.connection.state() == Connection::State::idle) {
            if (pick(quiet ? 1 : 8) == 0) link.connection.on_connected(now);
        } else {
            switch (pick(quiet ? 5 : 7)) {
                case 0:
                    link.write(now);
                    break;
                case 1:
                    link.serve_one();
                    break;
                case 2:
                    receive(i, 1 + pick(40));
                    break;
                case 3:
                    receive(i, SIZE_MAX);
                    break;
                case 4:
                    while (link.serve_one()) {
                    }
                    break;
                case 5:
                    if (pick(12) == 0) cut_silently(i);
                    break;  // the request time-out finds it
                case 6:
                    if (pick(8) == 0) link.connection.on_disconnected(now);
                    break;
            }
        }
        if (!quiet && pick(3) == 0) {
            const auto slot = static_cast<std::uint16_t>(pick(partitions));
            const std::string value =
                std::to_string(slot) + ":" + std::to_string(fates[slot].size());
            if (accumulator.append(slot, now, {.timestamp = 5, .value = bytes_of(value)}))
                fates[slot].push_back({.value = value});
        }
        if (!quiet && pick(40) == 0) {
            PartitionQueue& queue = *queues[pick(partitions)];
            for (auto& sender : senders)
                if (queue.lent_to() == sender.get()) sender->recall(queue);
            for (std::size_t k = 0; k < 2; ++k) drain(k);
        }
        if (dead[i]) link.cut();
        now += milliseconds{pick(4)};
        accumulator.on_deadline(now);
        for (std::size_t k = 0; k < 2; ++k) {
            links[k]->connection.on_deadline(now);
            drain(k);
            senders[k]->on_deadline(now);
            drain(k);
        }
    }
    bool run() {
        for (int i = 0; i < 3000; ++i) step();
        quiet = true;
        for (int i = 0; i < 20000 && !accumulator.is_drained(); ++i) step();
        return accumulator.is_drained();
    }

    struct Frame {
        std::uint32_t left = 0;
        int length_bytes = 0;
    } frames[2];
    bool dead[2] = {};
    static constexpr std::uint16_t partitions = 3;
    static constexpr std::size_t buffers_count = 24;
    std::mt19937 random;
    bool quiet = false;
    Instant now = instant_ms(1000);
    ModelBroker broker;
    Bytes memory;
    std::vector<Accumulator::Buffer> buffers;
    std::vector<Accumulator::Slot> slots;
    Accumulator accumulator;
    ProducerIdentity identity;
    std::vector<std::unique_ptr<Link>> links;
    std::vector<std::unique_ptr<Sender>> senders;
    std::deque<std::vector<TakenBatch>> windows;
    std::vector<std::unique_ptr<PartitionQueue>> queues;
    std::vector<Fate> fates[partitions];
};

/// 200 seeds, or LEAT_SEEDS of them.
std::uint32_t seeds() {
    const char* text = std::getenv("LEAT_SEEDS");
    return text ? static_cast<std::uint32_t>(std::atoi(text)) : 200;
}

}  // namespace

TEST_CASE(
    "sender model: without a delivery timeout every accepted record arrives exactly once, in "
    "order") {
    int duplicates = 0, out_of_order = 0, records = 0;
    for (std::uint32_t seed = 1; seed <= seeds(); ++seed) {
        World world(seed, milliseconds{0});
        INFO("SEED=", seed);
        REQUIRE(world.run());
        for (std::uint16_t slot = 0; slot < World::partitions; ++slot) {
            std::vector<std::string> accepted;
            for (const auto& fate : world.fates[slot]) {
                CHECK(fate.settled);
                CHECK(fate.error == ErrorCode::none);
                accepted.push_back(fate.value);
            }
            CHECK(world.broker.at("t", slot).values() == accepted);
            records += static_cast<int>(accepted.size());
            CHECK(world.queues[slot]->sending_as().producer_epoch <=
                  0);  // nothing ever failed: no bump either
        }
        duplicates += world.broker.duplicates;
        out_of_order += world.broker.out_of_order;
    }
    MESSAGE(records, " records, ", duplicates, " resends recognised, ", out_of_order,
            " out of order");
    CHECK(duplicates > 100);  // the faults did happen
    CHECK(out_of_order > 100);
}

TEST_CASE("sender model: batches that are too large go in parts, each record once, in order") {
    for (std::uint32_t seed = 1; seed <= seeds() / 4; ++seed)
        for (const int timeout_ms : {0, 400}) {
            World world(seed, milliseconds{timeout_ms});
            world.broker.batch_bytes_max = 80 + seed % 5 * 20;
            INFO("SEED=", seed, " timeout_ms=", timeout_ms);
            REQUIRE(world.run());
            for (std::uint16_t slot = 0; slot < World::partitions; ++slot) {
                std::vector<std::string> delivered, left = world.broker.at("t", slot).values();
                for (const auto& fate : world.fates[slot]) {
                    CHECK(fate.settled);
                    if (timeout_ms == 0) CHECK(fate.error == ErrorCode::none);
                    if (fate.error == ErrorCode::none) delivered.push_back(fate.value);
                }
                // What was given up may be there (its answer was lost), but nothing twice.
                std::set<std::string> once(left.begin(), left.end());
                CHECK(once.size() == left.size());
                std::erase_if(left, [&](const std::string& value) {
                    return std::find(delivered.begin(), delivered.end(), value) == delivered.end();
                });
                CHECK(left == delivered);
            }
        }
}

TEST_CASE(
    "sender model: with a delivery timeout the delivered ones arrive once and in order, no record "
    "twice") {
    int failed = 0;
    for (std::uint32_t seed = 1; seed <= seeds(); ++seed) {
        World world(seed, milliseconds{400});
        INFO("SEED=", seed);
        REQUIRE(world.run());
        for (std::uint16_t slot = 0; slot < World::partitions; ++slot) {
            const std::vector<std::string> log = world.broker.at("t", slot).values();
            std::size_t at = 0;
            for (const auto& fate : world.fates[slot]) {
                CHECK(fate.settled);
                const bool here = at < log.size() && log[at] == fate.value;
                if (fate.error == ErrorCode::none)
                    CHECK(here);
                else
                    ++failed;
                if (here) ++at;
            }
            CHECK(at == log.size());  // the log holds nothing else: no copy, no invention
        }
    }
    MESSAGE(failed, " given up");
    CHECK(failed > 100);
}
