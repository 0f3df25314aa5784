// A sensor that delivers to Kafka over a UART: samples the potentiometer ten times a second and
// sends each sample as one record, idempotently, through restarts of the gateway at the other end
// of the wire.
#include "board.hpp"
#include "leat/device.hpp"
#include "sample_text.hpp"
#include "sdk/device/producer_of.hpp"
#include "sdk/device/tick_clock.hpp"
#include "sdk/device/uart_transport.hpp"

namespace {

using namespace std::chrono_literals;

constexpr std::string_view topic = "lm3s811";
constexpr std::string_view device = "pump-7";
constexpr std::uint32_t sample_ms = 100;
/// Told in each record, so that a reader sees a board that started again. There is no entropy on
/// this board.
constexpr std::uint32_t run_id = 1;

using Transport = leat::device::UartTransport<board::Uart0, 64>;
constinit leat::device::TickClock ticks;
constinit Transport transport;
constinit leat::device::ProducerOf<leat::device::TickClock, Transport> producer;

}  // namespace

extern "C" void on_systick() { ticks.on_tick(); }
extern "C" void on_uart0() { transport.on_interrupt(); }

extern "C" [[noreturn]] void run() {
    board::start(sample_ms);
    producer.start(
        ticks, transport,
        {.client_id = device, .topic = topic, .request_timeout = 2000ms, .delivery_timeout = 0ms});
    Sample next{.run = run_id};
    std::uint32_t due_ms = 0;
    for (;;) {
        const std::uint32_t now_ms = ticks.uptime_ms();
        if (now_ms - due_ms < 0x80000000) {
            due_ms += sample_ms;
            next.uptime_ms = now_ms;
            next.value = board::sample();
            SampleText text(next);
            // Full: the gateway is away for longer than memory lasts. The sample is skipped and the
            // next record tells how many were; sequence numbers are for records that were taken.
            if (producer.send({.timestamp = ticks.wall().time_since_epoch().count(),
                               .key = leat::bytes_of(device),
                               .value = text.bytes()})) {
                ++next.sequence;
                next.skipped = 0;
            } else {
                ++next.skipped;
            }
        }
        producer.poll();
        board::sleep_until_interrupt();
    }
}
