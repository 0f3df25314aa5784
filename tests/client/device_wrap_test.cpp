// The clock of the smallest profile wraps after 24 days: nothing may notice.
#include <doctest/doctest.h>

#include "leat/device.hpp"
#include "tests/support/model_broker.hpp"

using namespace leat;
using namespace leat::testing;
using namespace std::chrono_literals;

TEST_CASE("wrapping time: order around the wrap, and `never` is no time of the clock") {
    const std::int64_t wrap = std::int64_t{1} << 31;
    for (std::int64_t start : {std::int64_t{0}, std::int64_t{1}, wrap / 2, wrap - 3, wrap - 1}) {
        const Instant now = instant_ms(start);
        CHECK(now < now + 1ms);
        CHECK(now + 5ms > now);
        CHECK((now + 5ms) - now == 5ms);
        CHECK(now <= now);
        CHECK(now + 12 * 24h > now);
        CHECK(now != never);
        CHECK(earlier(now, never) == now);
        CHECK(earlier(never, now + 1ms) == now + 1ms);
        CHECK(earlier(now + 2ms, now + 1ms) == now + 1ms);
    }
}

TEST_CASE("device: outages, resends and back-offs on both sides of the clock's wrap") {
    struct Clock final : port::Clock {
        std::int64_t ms = 0;
        Instant monotonic() override { return instant_ms(ms); }
        WallTime wall() override { return wall_ms(ms); }
    };
    struct Wire final : port::Transport {
        ModelBroker* broker = nullptr;
        Bytes up, down;
        bool alive = true;
        Result<std::size_t> read(std::span<std::uint8_t> into) override {
            const std::size_t size = std::min(into.size(), down.size());
            std::copy_n(down.begin(), size, into.begin());
            down.erase(down.begin(), down.begin() + static_cast<std::ptrdiff_t>(size));
            return size;
        }
        Result<std::size_t> write(std::span<const std::uint8_t> bytes) override {
            if (alive) up.insert(up.end(), bytes.begin(), bytes.end());
            return bytes.size();
        }
        void restart() override { down.clear(); }
        void serve() {
            while (alive && up.size() >= 4) {
                const auto size = load_big<std::uint32_t>(up.data());
                if (size > 100'000) return up.clear();
                if (up.size() - 4 < size) return;
                auto answer = broker->handle(ByteView(up).subspan(4, size));
                if (!answer) return up.clear();
                up.erase(up.begin(), up.begin() + 4 + size);
                down.insert(down.end(), answer->begin(), answer->end());
            }
        }
    };
    const std::int64_t wraps[] = {std::int64_t{1} << 30, std::int64_t{1} << 31,
                                  std::int64_t{1} << 32};
    for (std::int64_t wrap : wraps)
        for (std::int64_t before = 0; before < 4000; before += 97) {
            ModelBroker broker;
            Clock clock;
            clock.ms = wrap - before;
            Wire wire;
            wire.broker = &broker;
            device::ProducerMemory<2, 256, 3, 160, 192> memory;
            device::Producer producer(memory, clock, wire,
                                      {.client_id = "pump",
                                       .topic = "t",
                                       .request_timeout = 300ms,
                                       .delivery_timeout = 0ms});
            std::vector<std::string> sent;
            for (int step = 0; step < 1000; ++step, clock.ms += 5) {
                wire.alive = step < 100 || step > 400;
                if (step == 100) wire.up.clear();
                if (step % 10 == 0 && step < 600) {
                    const std::string value = std::to_string(step);
                    if (producer.send({.value = bytes_of(value)})) sent.push_back(value);
                }
                producer.poll();
                wire.serve();
            }
            INFO("wrap=", wrap, " before=", before);
            CHECK(producer.is_drained());
            CHECK(producer.is_connected());
            CHECK(broker.at("t", 0).values() == sent);
        }
}
