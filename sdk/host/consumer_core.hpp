// The hosted consumer's state: assigned partitions, and what a poll copies out of the fetchers'
// memory.
#pragma once

#include <deque>

#include "leat/consumer.hpp"
#include "sdk/host/client_core.hpp"
#include "sdk/host/codecs.hpp"

namespace leat {

class Consumer::Impl final : public host::ClientCore {
public:
    /// The decompressor is a base's neighbour, not a member: the router that borrows it is made
    /// first.
    static std::shared_ptr<Impl> make(Loop::Impl& loop, cluster::RouterConfig config);
    Impl(Loop::Impl& loop, cluster::RouterConfig config,
         std::unique_ptr<host::Decompressor> decompressor);
    ~Impl();

    Result<std::int32_t> partition_count(std::string_view topic, milliseconds timeout);
    Status assign(const std::vector<TopicPartition>& partitions, StartAt start);
    Status seek(const TopicPartition& partition, std::int64_t offset);
    Status seek_to_time(const TopicPartition& partition, std::int64_t timestamp);
    Status pause(const TopicPartition& partition, bool paused);
    Result<std::int64_t> position(const TopicPartition& partition);
    Result<std::int64_t> high_watermark(const TopicPartition& partition);
    std::optional<ConsumerEvent> poll_event();
    void close();

    using Take = void (*)(void* user, const client::FetchedRecord& record,
                          const std::shared_ptr<const std::string>& topic);
    /// Hands out up to `records_max` records; waits up to `timeout` for the first.
    void poll(milliseconds timeout, std::size_t records_max, Take take, void* user);

private:
    struct Assigned {
        std::shared_ptr<const std::string> topic;
        client::FetchPartition fetch;
    };
    using Key = std::pair<std::string, std::int32_t>;

    Assigned* find(const TopicPartition& partition);
    void on_router_event(const cluster::RouterEvent& event) override;

    static constexpr std::size_t events_max = 256;  // then the oldest goes
    std::unique_ptr<host::Decompressor> decompressor_;
    bool auto_create_;
    std::map<Key, std::unique_ptr<Assigned>> assigned_;
    std::map<std::uint16_t, Assigned*> by_slot_;
    std::uint16_t next_slot_ = 0;
    std::deque<ConsumerEvent> events_;
};

}  // namespace leat
