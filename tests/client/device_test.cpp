// The device's Producer on a simulated UART: bytes get lost, the peer is exchanged, nobody tells.
#include <doctest/doctest.h>

#include <random>

#include "leat/device.hpp"
#include "sdk/device/tick_clock.hpp"
#include "sdk/device/uart_transport.hpp"
#include "tests/support/model_broker.hpp"

using namespace leat;
using namespace leat::testing;
using namespace std::chrono_literals;

namespace {

struct TestClock final : port::Clock {
    Instant now = instant_ms(1000);
    Instant monotonic() override { return now; }
    WallTime wall() override { return wall_ms(0); }
};

/// A wire with a broker at its end. The broker's connection closes when a frame makes no sense to
/// it.
struct Wire final : port::Transport {
    explicit Wire(ModelBroker& b) : broker(b) {}
    Result<std::size_t> read(std::span<std::uint8_t> into) override {
        const std::size_t size = std::min(into.size(), to_device.size());
        std::copy_n(to_device.begin(), size, into.begin());
        to_device.erase(to_device.begin(), to_device.begin() + static_cast<std::ptrdiff_t>(size));
        return size;
    }
    Result<std::size_t> write(std::span<const std::uint8_t> bytes) override {
        const std::size_t size = std::min<std::size_t>(bytes.size(), 16);  // a UART's FIFO
        if (up)
            to_broker.insert(to_broker.end(), bytes.begin(),
                             bytes.begin() + static_cast<std::ptrdiff_t>(size));
        return size;
    }
    void restart() override {
        ++restarts;
        to_device.clear();
    }
    void serve() {
        while (up && to_broker.size() >= 4) {
            const auto size = load_big<std::uint32_t>(to_broker.data());
            if (size > 100'000) return hang_up();
            if (to_broker.size() - 4 < size) return;
            auto answer = broker.handle(ByteView(to_broker).subspan(4, size));
            if (!answer) return hang_up();
            to_broker.erase(to_broker.begin(), to_broker.begin() + 4 + size);
            to_device.insert(to_device.end(), answer->begin(), answer->end());
        }
    }
    /// The TCP side closes and comes back by itself; the UART goes on as if nothing was.
    void hang_up() { to_broker.clear(); }

    ModelBroker& broker;
    Bytes to_broker, to_device;
    bool up = true;
    int restarts = 0;
};

struct Device {
    explicit Device(ModelBroker& broker,
                    const device::ProducerConfig& config = {.client_id = "pump",
                                                            .topic = "t",
                                                            .request_timeout = 300ms,
                                                            .delivery_timeout = 0ms})
        : wire(broker), producer(memory, clock, wire, config) {}
    void turn(milliseconds time = 5ms) {
        producer.poll();
        wire.serve();
        clock.now += time;
    }
    device::ProducerMemory<2, 256, 3, 160, 192> memory;
    TestClock clock;
    Wire wire;
    device::Producer producer;
};

}  // namespace

TEST_CASE("device: records arrive, and the counters tell") {
    ModelBroker broker;
    Device d(broker);
    for (int i = 0; i < 50; ++i) {
        while (!d.producer.send({.timestamp = i, .value = bytes_of(std::to_string(i))})) d.turn();
        d.turn();
    }
    for (int i = 0; i < 50 && !d.producer.is_drained(); ++i) d.turn();
    CHECK(d.producer.is_drained());
    CHECK(d.producer.delivered() == 50);
    CHECK(d.producer.failed() == 0);
    CHECK(d.producer.is_connected());
    CHECK(d.wire.restarts == 1);  // the start itself
    CHECK(broker.at("t", 0).values().size() == 50);
}

TEST_CASE("device: memory for so many records and no more, then full until one is acknowledged") {
    ModelBroker broker;
    Device d(broker);
    d.wire.up = false;
    const std::string value(150, 'v');
    CHECK(d.producer.send({.value = bytes_of(std::string(300, 'v'))}).error() == Error::too_large);
    int taken = 0;
    while (d.producer.send({.value = bytes_of(value)})) ++taken;
    CHECK(taken == 3);
    CHECK(d.producer.send({.value = bytes_of(value)}).error() == Error::full);
    d.wire.up = true;
    for (int i = 0; i < 600 && !d.producer.is_drained(); ++i) d.turn();
    CHECK(d.producer.delivered() == 3);
    CHECK(d.producer.send({.value = bytes_of(value)}));
}

TEST_CASE("device: an answer cut in its middle is not continued with the next one's bytes") {
    // Which names let the mixture pass for an answer is luck, so many are tried.
    for (std::size_t name = 1; name < 40; ++name)
        for (std::size_t cut = 1; cut < 100; ++cut) {
            const std::string topic(name, 't');
            ModelBroker broker;
            // A request time-out that is longer than the outage: only the pause in the answer
            // tells.
            Device d(broker, {.client_id = "pump",
                              .topic = topic,
                              .request_timeout = 3000ms,
                              .delivery_timeout = 0ms});
            REQUIRE(d.producer.send({.value = bytes_of("first")}));
            for (int i = 0; i < 20; ++i) d.turn();
            CHECK(d.producer.delivered() == 1);
            // The broker takes the second record's batch no more: it refuses, is killed while it
            // says so, and its successor accepts.
            broker.on_batch = [](auto&, auto) {
                return ModelBroker::Fault{wire::ErrorCode::not_enough_replicas};
            };
            REQUIRE(d.producer.send({.value = bytes_of("second")}));
            d.producer.poll();
            d.producer.poll();
            d.wire.serve();
            if (d.wire.to_device.size() <= cut) break;
            d.wire.to_device.resize(cut);
            d.wire.hang_up();
            broker.on_batch = {};
            d.turn();
            d.clock.now += 700ms;  // until QEMU, or a bridge, has connected again
            REQUIRE(d.producer.send({.value = bytes_of("third")}));
            for (int i = 0; i < 800 && !d.producer.is_drained(); ++i) d.turn();
            INFO("cut=", cut, " name=", name);
            CHECK(d.producer.delivered() == 3);
            CHECK(broker.at(topic, 0).values() ==
                  std::vector<std::string>{"first", "second", "third"});
        }
}

TEST_CASE("device: noise, outages and exchanged brokers: each record once, in order, by itself") {
    int recognised = 0, restarts = 0;
    for (std::uint32_t seed = 1; seed <= 60; ++seed) {
        ModelBroker broker;
        Device d(broker);
        std::mt19937 random(seed);
        std::vector<std::string> accepted;
        for (int step = 0; step < 3000; ++step) {
            if (step < 2000) {
                if (random() % 4 == 0) {
                    const std::string value = std::to_string(accepted.size());
                    if (d.producer.send({.value = bytes_of(value)})) accepted.push_back(value);
                }
                // Whole frames get lost on the way (a broker that dies), and now and then the rest
                // of one.
                if (random() % 60 == 0) d.wire.hang_up();
                if (random() % 90 == 0) d.wire.to_device.clear();
                if (random() % 200 == 0) d.wire.up = false;
                if (random() % 100 == 0) d.wire.up = true;
            } else {
                d.wire.up = true;
                if (d.producer.is_drained()) break;
            }
            d.turn();
        }
        INFO("SEED=", seed);
        CHECK(d.producer.is_drained());
        CHECK(d.producer.delivered() == accepted.size());
        CHECK(broker.at("t", 0).values() == accepted);
        recognised += broker.duplicates;
        restarts += d.wire.restarts;
    }
    CHECK(recognised > 20);
    CHECK(restarts > 50);
}

TEST_CASE("device: a record that waits for its linger is sent at the deadline that was told") {
    if constexpr (!profile.lingers) return;
    ModelBroker broker;
    Device d(broker, {.client_id = "pump", .topic = "t", .linger = 40ms});
    for (int i = 0; i < 10; ++i) d.turn(1ms);
    CHECK(d.producer.deadline() == never);
    REQUIRE(d.producer.send({.value = bytes_of("r")}));
    const Instant due = d.producer.deadline();
    CHECK(due == d.clock.now + 40ms);
    while (d.clock.now < due) d.turn(1ms);
    CHECK(broker.at("t", 0).values().empty());
    for (int i = 0; i < 20; ++i) d.turn(0ms);
    CHECK(broker.at("t", 0).values().size() == 1);
}

TEST_CASE("tick clock: counts past 32 bits") {
    device::TickClock clock(0x80000000);
    for (int i = 0; i < 5; ++i) clock.on_tick();
    CHECK(clock.monotonic() == instant_ms(5LL * 0x80000000));
    CHECK(clock.wall() == wall_ms(5LL * 0x80000000));
    clock.set_wall(wall_ms(7));
    CHECK(clock.wall() == wall_ms(7));
}

TEST_CASE(
    "uart transport: the ring keeps Size bytes, what comes after is lost, restart empties it") {
    struct Pins {
        static Bytes& in() {
            static Bytes bytes;
            return bytes;
        }
        static int& room() {
            static int free = 0;
            return free;
        }
        bool can_read() const { return !in().empty(); }
        std::uint8_t read() {
            const std::uint8_t byte = in().front();
            in().erase(in().begin());
            return byte;
        }
        bool can_write() const { return room() > 0; }
        void write(std::uint8_t) { --room(); }
    };
    device::UartTransport<Pins, 8> uart;
    for (std::uint8_t i = 0; i < 11; ++i) Pins::in().push_back(i);
    uart.on_interrupt();
    std::uint8_t into[5];
    CHECK(*uart.read(into) == 5);
    CHECK(into[4] == 4);
    Pins::in() = {20, 21};
    uart.on_interrupt();
    CHECK(*uart.read(into) == 5);
    CHECK(into[2] == 7);
    CHECK(into[3] == 20);
    CHECK(*uart.read(into) == 0);
    Pins::in() = {30};
    uart.on_interrupt();
    uart.restart();
    CHECK(*uart.read(into) == 0);
    Pins::room() = 3;
    CHECK(*uart.write(into) == 3);
}
