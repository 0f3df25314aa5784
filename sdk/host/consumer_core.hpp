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
    Status assign(const std::vector<TopicPartition>& partitions, StartAt where);
    Status seek(const TopicPartition& partition, std::int64_t offset, std::int32_t leader_epoch);
    Status seek_to_time(const TopicPartition& partition, std::int64_t timestamp);
    Status pause(const TopicPartition& partition, bool paused);
    Result<std::int64_t> position(const TopicPartition& partition);
    Result<std::int64_t> high_watermark(const TopicPartition& partition);
    std::optional<ConsumerEvent> poll_event();
    void close();

    Status use_group(const ConsumerConfig& settings);
    Status subscribe(std::vector<std::string> topics, std::function<bool(std::string_view)> matches,
                     RebalanceCallbacks callbacks);
    Status subscribe_pattern(std::string regex, RebalanceCallbacks callbacks);
    std::vector<TopicPartition> assignment();
    GroupMetadata group_metadata();
    Status commit(std::optional<Offsets> offsets, std::optional<milliseconds> timeout);
    Result<Offsets> committed(const std::vector<TopicPartition>& partitions, milliseconds timeout);
    Status leave(milliseconds timeout);

    using Take = void (*)(void* user, const client::FetchedRecord& record,
                          const std::shared_ptr<const std::string>& topic);
    /// Hands out up to `records_max` records; waits up to `timeout` for the first.
    void poll(milliseconds timeout, std::size_t records_max, Take take, void* user);

private:
    struct Assigned {
        std::shared_ptr<const std::string> topic;
        client::FetchPartition fetch;
        bool is_routed = false;  // else where to start is being asked
        bool of_group = false;
    };
    using Key = std::pair<std::string, std::int32_t>;

    void drop_assigned_by_hand();
    void take_answers();
    void work_for_group(std::unique_lock<std::mutex>& lock, Instant until);
    void on_group_event(std::unique_lock<std::mutex>& lock, const cluster::GroupEvent& event);
    cluster::Partitions all_assigned() const;
    Offsets positions_of(const cluster::Partitions& partitions) const;
    void auto_commit();
    void start_reading(const Offsets& offsets);
    void ask_for_offsets();
    std::unique_ptr<Assigned> make_assigned(const TopicPartition& partition);
    void start(Assigned& assigned);
    void stop(Assigned& assigned);
    void drop(const TopicPartition& partition);
    void tell(ConsumerEvent event);
    std::int64_t reset_time();  // by_duration: milliseconds since 1970
    Assigned* find(const TopicPartition& partition);
    void on_truncated(const client::FetchPartition& fetch);
    void on_router_event(const cluster::RouterEvent& event) override;

    static constexpr std::size_t events_max = 256;    // then the oldest goes
    static constexpr milliseconds commit_max{5'000};  // before partitions are given up
    std::unique_ptr<host::Decompressor> decompressor_;
    bool auto_create_;
    std::map<Key, std::unique_ptr<Assigned>> assigned_;
    std::map<std::uint16_t, Assigned*> by_slot_;
    std::uint16_t next_slot_ = 0;
    std::deque<ConsumerEvent> events_;

    std::unique_ptr<cluster::Group> group_;
    RebalanceCallbacks callbacks_;
    std::map<cluster::GroupRequestId, cluster::GroupAnswer> answers_;  // for threads that wait
    std::set<cluster::GroupRequestId> awaited_;
    std::set<TopicPartition> unplaced_;  // given by the group; where to start is being asked
    cluster::GroupRequestId asked_ = 0;
    Instant ask_at_{};  // not earlier
    bool auto_commit_ = true;
    milliseconds auto_commit_interval_{5000};
    Instant auto_commit_at_{};
    Offsets committed_;  // by this object, so that what stands still is not committed again
    ConsumerConfig::Reset reset_ = ConsumerConfig::Reset::end;
    milliseconds reset_duration_{};
};

}  // namespace leat
