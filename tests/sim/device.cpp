#include "tests/sim/device.hpp"

namespace leat::sim {
namespace {

cluster::RouterConfig router_config(std::uint32_t number, std::string gateway) {
    cluster::RouterConfig config;
    config.client_id = "device-" + std::to_string(number);
    config.bootstrap = {{gateway, 9092}};
    config.sender.delivery_timeout = milliseconds{0};  // a sensor's record has nowhere else to go
    config.sender.request_timeout = milliseconds{3000};
    config.request_timeout = milliseconds{3000};
    config.connect_timeout = milliseconds{2000};
    config.seed = number + 1;
    return config;
}

}  // namespace

std::string Device::value(std::uint32_t device, std::size_t stream, std::uint32_t sequence) {
    std::string text = "d" + std::to_string(device) + " s" + std::to_string(stream) + " n" +
                       std::to_string(sequence) + " ";
    text.resize(40 + (sequence * 7 + device) % 60, 'x');
    return text;
}

Device::Device(World& world, Network& network, std::uint32_t number, std::string gateway)
    : world_(world),
      number_(number),
      net_(world, network, router_config(number, std::move(gateway))),
      memory_(buffers * buffer_bytes),
      compressor_(number % 3 == 1 ? Codec::gzip : Codec::zstd),
      next_sample_(world.now() + world.between(0, 100)) {
    accumulator_ = std::make_unique<client::Accumulator>(
        slots_, client::AccumulatorConfig{.linger = milliseconds{20}, .batch_bytes = buffer_bytes},
        this, number % 3 != 0 ? &compressor_ : nullptr, compress_room_);
    accumulator_->add_buffers(buffers_, memory_);
    for (std::size_t i = 0; i < streams; ++i) {
        // One topic of its own, one partition shared with the other devices.
        sent_[i].topic = i == 0 ? "own-" + std::to_string(number) : "shared";
        sent_[i].partition = i == 0 ? 0 : 1;
        lanes_[i].queue = std::make_unique<client::PartitionQueue>(
            sent_[i].topic, sent_[i].partition, *accumulator_, static_cast<std::uint16_t>(i),
            lanes_[i].window);
        accumulator_->attach(static_cast<std::uint16_t>(i), *lanes_[i].queue);
        net_.router.route(world_.now(), *lanes_[i].queue);
    }
    world_.add(*this);
}

Instant Device::deadline() const {
    const Instant inner = earlier(net_.router.deadline(), accumulator_->deadline());
    return next_sample_ < stops_at_ ? earlier(inner, next_sample_) : inner;
}

void Device::on_deadline() {
    const Instant now = world_.now();
    if (next_sample_ <= now && next_sample_ < stops_at_) sample();
    accumulator_->on_deadline(now);
    net_.router.on_deadline(now);
    net_.router.pump(now);
}

/// A burst of readings now and then; when the buffers are full, the sensor keeps its reading and
/// comes again.
void Device::sample() {
    next_sample_ = world_.now() + world_.between(20, 200);
    for (std::uint64_t burst = 1 + world_.random.below(4); burst > 0; --burst) {
        const std::size_t stream = world_.random.below(streams);
        Sent& sent = sent_[stream];
        const std::string key = "device-" + std::to_string(number_);
        const std::string text = value(number_, stream, sent.accepted);
        wire::RecordInput record;
        record.key = bytes_of(key);
        record.value = bytes_of(text);
        record.timestamp = 1'790'000'000'000 + world_.now().time_since_epoch().count();
        if (!accumulator_->append(static_cast<std::uint16_t>(stream), world_.now(), record)) return;
        ++sent.accepted;
    }
}

void Device::delivered(const client::DeliveryReport& report) {
    Sent& sent = sent_[report.slot];
    world_.note("acknowledged", number_, {});
    if (report.error != wire::ErrorCode::none) {
        ++sent.refused;
        sent.error = report.error;
    } else if (report.first_record == sent.acknowledged)
        sent.acknowledged += static_cast<std::uint32_t>(report.record_count);
}

std::string Device::state() const {
    std::string text = std::to_string(net_.router.connected_count()) +
                       " connected, next deadline " +
                       std::to_string(deadline().time_since_epoch().count());
    for (const Lane& lane : lanes_)
        text += "; queue " + std::string(lane.queue->topic()) + ": " +
                std::to_string(lane.queue->in_flight_count()) + " in flight of " +
                std::to_string(lane.queue->unsettled_count()) + ", lent " +
                (lane.queue->lent_to() ? "yes" : "no") + ", producer " +
                std::to_string(lane.queue->sending_as().producer_id) + " epoch " +
                std::to_string(lane.queue->sending_as().producer_epoch) + " sequence " +
                std::to_string(lane.queue->sending_as().next_sequence);
    return text;
}

void Device::drain() {
    while (net_.router.poll_event()) {
    }
    net_.drain();
}

}  // namespace leat::sim
