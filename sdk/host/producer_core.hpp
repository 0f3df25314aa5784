// The hosted producer's state: an Accumulator whose memory grows as it is needed, a queue per
// partition.
#pragma once

#include <deque>
#include <unordered_map>

#include "leat/producer.hpp"
#include "sdk/client/accumulator.hpp"
#include "sdk/cluster/partitioner.hpp"
#include "sdk/host/client_core.hpp"
#include "sdk/host/codecs.hpp"

namespace leat {

struct PendingDelivery::State {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Delivery> delivery;
};

class Producer::Impl final : public host::ClientCore, private client::Deliveries {
public:
    Impl(Loop::Impl& loop, cluster::RouterConfig config, const ProducerConfig& settings);
    ~Impl();

    Status send(const ProducerRecord& record, OnDelivery on_delivery);
    Status flush(milliseconds timeout);
    Status close(milliseconds timeout);
    ProducerStats stats();

private:
    struct TopicText {
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
        using is_transparent = void;
    };
    struct Topic {
        std::vector<std::int32_t> slots;  // by partition; -1: not produced to yet
    };
    struct Waiting {
        std::uint64_t record = 0;  // its number in the slot
        OnDelivery on_delivery;
    };
    struct Partition {
        Partition(std::string_view topic, std::int32_t number, client::BatchSource& source,
                  std::uint16_t slot)
            : queue(topic, number, source, slot, window) {}
        client::TakenBatch window[client::in_flight_max];
        client::PartitionQueue queue;
        std::deque<Waiting> waiting;  // records with a callback, in order
        std::uint64_t settled = 0;    // records whose delivery is known
    };
    struct Memory {
        std::vector<client::Accumulator::Buffer> buffers;
        std::unique_ptr<std::uint8_t[]> bytes;
    };
    struct Due {
        OnDelivery on_delivery;
        Delivery delivery;
    };

    Result<std::uint16_t> slot_of(Instant now, std::string_view topic, std::int32_t partition);
    Result<std::int32_t> choose(const ProducerRecord& record, const wire::RecordInput& input);
    Status try_send(Instant now, const ProducerRecord& record, OnDelivery& on_delivery);
    bool grow(std::size_t record_bytes);
    bool is_settled() const { return accumulator_.is_drained() && due_.empty() && !is_calling_; }

    // client::Deliveries, from within the router
    void delivered(const client::DeliveryReport& report) override;
    // ClientCore
    void on_router_event(const cluster::RouterEvent& event) override;
    void on_time(Instant now) override;
    Instant next_time() const override { return accumulator_.deadline(); }
    void run_callbacks() override;

    ProducerConfig settings_;
    host::Compressor compressor_;
    std::vector<std::uint8_t> compress_room_;
    std::vector<client::Accumulator::Slot> slots_;
    client::Accumulator accumulator_;
    cluster::StickyPartitioner sticky_;
    std::unordered_map<std::string, Topic, TopicText, std::equal_to<>>
        topics_;                                          // names outlive their views
    std::vector<std::unique_ptr<Partition>> partitions_;  // by slot
    std::deque<Memory> memory_;
    bool has_long_ = false;  // among them is one for a record that is longer than a batch
    std::vector<Due> due_;
    std::uint64_t due_count_ = 0, called_count_ = 0;  // ever put into due_, ever run
    ProducerStats stats_;
    bool is_closed_ = false;
    bool is_calling_ = false;  // callbacks of `due_` taken out are running
};

}  // namespace leat
