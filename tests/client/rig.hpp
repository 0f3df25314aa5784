// A producer on a simulated wire: the real Connection, Sender, Accumulator and queues, a
// ModelBroker, and a test that moves bytes and time between them and breaks what it likes.
#pragma once

#include <memory>

#include "sdk/client/accumulator.hpp"
#include "sdk/client/connection.hpp"
#include "sdk/client/handshake.hpp"
#include "sdk/client/sender.hpp"
#include "tests/support/model_broker.hpp"

namespace leat::testing {

/// Connection memory that a std::vector holds.
struct ConnectionMemory {
    Bytes receive, send;
    std::vector<ByteView> pieces;
    std::vector<client::Connection::InFlight> in_flight;
    explicit ConnectionMemory(std::size_t requests = 5, std::size_t bytes = 4096)
        : receive(bytes), send(bytes), pieces(64), in_flight(requests) {}
    operator client::Connection::Memory() { return {receive, send, pieces, in_flight}; }
};

/// One connection to one broker: bytes wait in both directions until the test moves them.
class Link {
public:
    Link(ModelBroker& broker, client::Handshake* handshake = nullptr)
        : broker_(broker), connection(memory, "test", handshake) {}

    /// The client's bytes onto the wire.
    void write(Instant now) {
        for (;;) {
            auto pieces = connection.poll_write();
            if (pieces.empty()) return;
            std::size_t size = 0;
            for (ByteView piece : pieces) {
                to_broker.insert(to_broker.end(), piece.begin(), piece.end());
                size += piece.size();
            }
            connection.on_written(now, size);
        }
    }
    /// The broker handles one whole request, if one is there.
    bool serve_one() {
        if (to_broker.size() < 4) return false;
        const auto size = load_big<std::uint32_t>(to_broker.data());
        if (to_broker.size() - 4 < size) return false;
        std::optional<Bytes> answer = broker_.handle(ByteView(to_broker).subspan(4, size));
        to_broker.erase(to_broker.begin(), to_broker.begin() + 4 + size);
        if (answer) to_client.insert(to_client.end(), answer->begin(), answer->end());
        return true;
    }
    void cut() {
        to_broker.clear();
        to_client.clear();
    }

    Bytes to_broker, to_client;

private:
    ModelBroker& broker_;

public:
    ConnectionMemory memory;
    client::Connection connection;
};

/// A producer with `partitions` partitions of topic "t" (odd ones of topic "u") on one link.
struct Rig : client::Deliveries {
    struct Options {
        std::size_t partitions = 1;
        std::size_t window = 5;
        std::size_t buffers = 16;
        std::size_t buffer_bytes = 512;
        client::SenderConfig sender{};
        milliseconds linger{0};
        client::Handshake* handshake = nullptr;
    };
    explicit Rig(ModelBroker& broker, const Options& options)
        : link(broker, options.handshake),
          slots(options.partitions),
          buffers(options.buffers),
          memory(options.buffers * options.buffer_bytes),
          accumulator(slots,
                      {.linger = options.linger,
                       .batch_bytes = static_cast<std::uint32_t>(options.buffer_bytes)},
                      this),
          sender(link.connection, identity, options.sender, 1, 7) {
        accumulator.add_buffers(buffers, memory);
        for (std::size_t i = 0; i < options.partitions; ++i) {
            windows.emplace_back(options.window);
            queues.push_back(std::make_unique<client::PartitionQueue>(
                i % 2 ? "u" : "t", static_cast<std::int32_t>(i), accumulator,
                static_cast<std::uint16_t>(i), windows.back()));
            accumulator.attach(static_cast<std::uint16_t>(i), *queues.back());
            sender.lend(now, *queues.back());
        }
        reports.resize(options.partitions);
    }
    void delivered(const client::DeliveryReport& report) override {
        for (std::int32_t i = 0; i < report.record_count; ++i)
            reports[report.slot].push_back(report.error);
    }

    void connect() {
        link.connection.on_connected(now);
        drain();
    }
    Status append(const std::string& value, std::uint16_t slot = 0) {
        auto number = accumulator.append(slot, now, {.timestamp = 1000, .value = bytes_of(value)});
        if (!number) return fail(number.error());
        sender.pump(now);
        return ok();
    }
    void drain() {
        while (auto event = link.connection.poll_event(now)) {
            if (event->kind == client::Event::Kind::closed) {
                closed = true;
                why_closed = event->error;
                link.cut();
            }
            sender.on_event(now, *event);
        }
        while (auto event = sender.poll_event()) events.push_back(*event);
    }
    /// At most `most` answer bytes reach the client.
    void receive(std::size_t most = SIZE_MAX) {
        const std::size_t size = std::min(most, link.to_client.size());
        std::size_t taken = 0;
        while (taken < size) {
            taken += link.connection.on_bytes(
                now, ByteView(link.to_client).subspan(taken, size - taken));
            drain();
            if (closed) return;
        }
        link.to_client.erase(link.to_client.begin(),
                             link.to_client.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    void disconnect() {
        link.connection.on_disconnected(now);
        drain();
    }
    void pass(milliseconds time) {
        now += time;
        link.connection.on_deadline(now);
        drain();
        accumulator.on_deadline(now);
        sender.on_deadline(now);
        drain();
    }
    /// Everything moves until nothing does.
    void settle() {
        for (bool moved = true; moved && !closed;) {
            sender.pump(now);
            link.write(now);
            drain();
            moved = link.serve_one();
            moved |= !link.to_client.empty();
            receive();
        }
    }
    /// Time passes and everything works until all is delivered.
    bool settle_all(int rounds = 1000) {
        for (int i = 0; i < rounds; ++i) {
            if (closed) {
                closed = false;
                connect();
            }
            settle();
            if (accumulator.is_drained()) return true;
            pass(milliseconds{50});
        }
        return false;
    }

    Instant now = instant_ms(1'000'000);
    Link link;
    std::vector<client::Accumulator::Slot> slots;
    std::vector<client::Accumulator::Buffer> buffers;
    Bytes memory;
    client::ProducerIdentity identity;
    client::Accumulator accumulator;
    client::Sender sender;
    std::deque<std::vector<client::TakenBatch>> windows;
    std::vector<std::unique_ptr<client::PartitionQueue>> queues;
    std::vector<std::vector<wire::ErrorCode>> reports;  ///< per slot and record, in order
    std::vector<client::SenderEvent> events;
    bool closed = false;
    Error why_closed{};
};

inline std::vector<std::string> numbered(int count) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back("r" + std::to_string(i));
    return all;
}

/// One batch per record: the next one is appended only when the one before was taken.
inline void append_each(Rig& rig, int from, int to) {
    for (int i = from; i < to; ++i) {
        REQUIRE(rig.append("r" + std::to_string(i)));
        rig.settle();
    }
}

}  // namespace leat::testing
