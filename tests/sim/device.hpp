// A device: sensors that produce at their own pace into an SDK producer made of the client and
// cluster rooms.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "sdk/client/accumulator.hpp"
#include "sdk/host/codecs.hpp"
#include "tests/sim/router_driver.hpp"

namespace leat::sim {

/// One stream of records: who sent it, and its number there.
struct Sent {
    std::string topic;
    std::int32_t partition = 0;
    std::uint32_t accepted = 0;      ///< records 0 .. accepted-1 were taken by the producer
    std::uint32_t acknowledged = 0;  ///< ... of which so many, in order
    std::int32_t refused = 0;        ///< reports with an error: none may come, nothing times out
    wire::ErrorCode error = wire::ErrorCode::none;  ///< of the last of them
};

class Device final : public Actor, public client::Deliveries {
public:
    static constexpr std::size_t streams = 2;
    Device(World& world, Network& network, std::uint32_t number, std::string gateway);

    void run_until(Instant end) { stops_at_ = end; }
    bool is_drained() const { return accumulator_->is_drained(); }
    const std::array<Sent, streams>& sent() const { return sent_; }
    std::uint32_t number() const { return number_; }
    std::string state() const;  ///< of queues and links, for the text of a failure
    static std::string value(std::uint32_t device, std::size_t stream, std::uint32_t sequence);

    Instant deadline() const override;
    void on_deadline() override;
    void drain() override;

private:
    struct Lane {
        client::TakenBatch window[client::in_flight_max];
        std::unique_ptr<client::PartitionQueue> queue;
    };
    static constexpr std::size_t buffers = 12, buffer_bytes = 1024;

    void sample();
    void delivered(const client::DeliveryReport& report) override;

    World& world_;
    std::uint32_t number_;
    RouterDriver net_;
    std::array<Sent, streams> sent_;
    std::array<client::Accumulator::Slot, streams> slots_{};
    std::array<client::Accumulator::Buffer, buffers> buffers_{};
    std::vector<std::uint8_t> memory_;
    host::Compressor compressor_;  // the first device does without
    std::array<std::uint8_t, buffer_bytes> compress_room_;
    std::unique_ptr<client::Accumulator> accumulator_;
    std::array<Lane, streams> lanes_;
    Instant next_sample_;
    Instant stops_at_ = never;
};

}  // namespace leat::sim
