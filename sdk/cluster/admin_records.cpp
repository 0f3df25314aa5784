// Requests to the leaders of a topic's partitions: where a time lies, where the log begins, how far
// a leader epoch reached, which producers it remembers.
#include <algorithm>
#include <set>

#include "sdk/client/fetcher.hpp"
#include "sdk/cluster/admin_operation.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/21_delete_records.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"

namespace leat::cluster {
namespace {

using Verdict = Admin::Operation::Verdict;

/// One leader after the other, until all partitions are settled.
struct OfLeaders : Admin::Operation {
    std::string topic;
    std::set<std::int32_t> pending;  // not answered yet
    bool is_again = false;
    bool has_settled = false;  // something, by the answer that is being read

    virtual Status send_to(Instant now, Router& router, Admin& admin, const Target& leader,
                           const std::vector<std::int32_t>& partitions) = 0;

    Status send(Instant now, Router& router, Admin& admin) final {
        std::map<std::int32_t, std::vector<std::int32_t>> by_leader;
        for (std::int32_t partition : pending)
            by_leader[router.metadata().leader(topic, partition)].push_back(partition);
        Status last = fail(Error::would_block);
        for (const auto& [leader, partitions] : by_leader) {
            if (leader == no_broker) {
                const TopicInfo* info = router.metadata().find(topic);
                if (info && info->error != wire::ErrorCode::none && !wire::retriable(info->error)) {
                    answer.error = info->error;
                    return fail(Error::not_found);
                }
                router.refresh_metadata(now);
                continue;
            }
            const Target target{.kind = Target::Kind::broker, .broker = leader};
            const Status sent = send_to(now, router, admin, target, partitions);
            if (sent || last.error() == Error::would_block) last = sent;
            if (sent) return last;
        }
        return last;
    }

    /// This is the partition's end: not asked again, and not told before.
    bool settles(std::int32_t partition, wire::ErrorCode error) {
        if (wire::retriable(error)) {
            answer.error = error;
            is_again = true;
            return false;
        }
        const bool is_new = pending.erase(partition) > 0;
        has_settled |= is_new;
        return is_new;
    }
    Verdict verdict() {
        // A leader that leaves out what it was asked for is asked again, but not at once.
        if (!std::exchange(has_settled, false)) is_again = true;
        if (std::exchange(is_again, false)) return Verdict::again;
        if (!pending.empty()) return Verdict::waiting;  // other leaders, at the next pump
        answer.error = wire::ErrorCode::none;
        return Verdict::done;
    }

    void end(Router& router) final { router.forget(topic); }
};

template <class T>
void sort_by_partition(std::vector<T>& list) {
    std::sort(list.begin(), list.end(),
              [](const T& a, const T& b) { return a.partition < b.partition; });
}

struct ListOffsets final : OfLeaders {
    std::int64_t timestamp = client::timestamp_latest;

    Status send_to(Instant now, Router& router, Admin& admin, const Target& leader,
                   const std::vector<std::int32_t>& partitions) override {
        using Request = wire::ListOffsetsRequest;
        std::vector<Request::ListOffsetsPartition> list(partitions.size());
        for (std::size_t i = 0; i < list.size(); ++i) {
            list[i].partition_index = partitions[i];
            list[i].timestamp = timestamp;
        }
        Request::ListOffsetsTopic named;
        named.name = topic;
        named.partitions = list;
        Request request;
        request.replica_id = -1;
        request.topics = std::span(&named, 1);
        return send_one(*this, now, router, admin, leader, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::ListOffsetsResponse>(*this, event);
        if (!response) return Verdict::done;
        for (const auto& answered : response->topics)
            for (const auto& partition : answered.partitions)
                if (settles(partition.partition_index, partition.error_code))
                    answer.offsets.push_back({partition.partition_index, partition.error_code,
                                              partition.offset, partition.timestamp,
                                              partition.leader_epoch});
        sort_by_partition(answer.offsets);
        return verdict();
    }
};

struct DeleteRecords final : OfLeaders {
    std::map<std::int32_t, std::int64_t> before;

    Status send_to(Instant now, Router& router, Admin& admin, const Target& leader,
                   const std::vector<std::int32_t>& partitions) override {
        using Request = wire::DeleteRecordsRequest;
        std::vector<Request::DeleteRecordsPartition> list(partitions.size());
        for (std::size_t i = 0; i < list.size(); ++i)
            list[i] = {partitions[i], before.at(partitions[i])};
        Request::DeleteRecordsTopic named;
        named.name = topic;
        named.partitions = list;
        Request request;
        request.topics = std::span(&named, 1);
        request.timeout_ms = static_cast<std::int32_t>((deadline - now).count());
        return send_one(*this, now, router, admin, leader, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::DeleteRecordsResponse>(*this, event);
        if (!response) return Verdict::done;
        for (const auto& answered : response->topics)
            for (const auto& partition : answered.partitions)
                if (settles(partition.partition_index, partition.error_code))
                    answer.log_starts.push_back(
                        {partition.partition_index, partition.error_code, partition.low_watermark});
        sort_by_partition(answer.log_starts);
        return verdict();
    }
};

struct EpochEnds final : OfLeaders {
    std::map<std::int32_t, std::int32_t> epochs;

    Status send_to(Instant now, Router& router, Admin& admin, const Target& leader,
                   const std::vector<std::int32_t>& partitions) override {
        using Request = wire::OffsetForLeaderEpochRequest;
        std::vector<Request::OffsetForLeaderPartition> list(partitions.size());
        for (std::size_t i = 0; i < list.size(); ++i)
            list[i] = {.partition = partitions[i], .leader_epoch = epochs.at(partitions[i])};
        Request::OffsetForLeaderTopic named;
        named.topic = topic;
        named.partitions = list;
        Request request;
        request.replica_id = -1;  // no broker
        request.topics = std::span(&named, 1);
        return send_one(*this, now, router, admin, leader, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::OffsetForLeaderEpochResponse>(*this, event);
        if (!response) return Verdict::done;
        for (const auto& answered : response->topics)
            for (const auto& partition : answered.partitions)
                if (settles(partition.partition, partition.error_code))
                    answer.epoch_ends.push_back({partition.partition, partition.error_code,
                                                 partition.leader_epoch, partition.end_offset});
        sort_by_partition(answer.epoch_ends);
        return verdict();
    }
};

struct DescribeProducers final : OfLeaders {
    Status send_to(Instant now, Router& router, Admin& admin, const Target& leader,
                   const std::vector<std::int32_t>& partitions) override {
        wire::DescribeProducersRequest::TopicRequest named;
        named.name = topic;
        named.partition_indexes = partitions;
        wire::DescribeProducersRequest request;
        request.topics = std::span(&named, 1);
        return send_one(*this, now, router, admin, leader, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::DescribeProducersResponse>(*this, event);
        if (!response) return Verdict::done;
        for (const auto& answered : response->topics)
            for (const auto& partition : answered.partitions) {
                if (!settles(partition.partition_index, partition.error_code)) continue;
                PartitionProducers& to = answer.producers.emplace_back();
                to.partition = partition.partition_index;
                to.error = partition.error_code;
                to.message = owned(partition.error_message);
                for (const auto& producer : partition.active_producers)
                    to.producers.push_back({producer.producer_id, producer.producer_epoch,
                                            producer.last_sequence, producer.last_timestamp,
                                            producer.current_txn_start_offset});
            }
        sort_by_partition(answer.producers);
        return verdict();
    }
};

}  // namespace

std::unique_ptr<Admin::Operation> make_list_offsets(std::string topic,
                                                    const std::vector<std::int32_t>& partitions,
                                                    std::int64_t timestamp) {
    auto list = std::make_unique<ListOffsets>();
    list->topic = std::move(topic);
    list->pending.insert(partitions.begin(), partitions.end());
    list->timestamp = timestamp;
    return list;
}

std::unique_ptr<Admin::Operation> make_delete_records(std::string topic,
                                                      std::map<std::int32_t, std::int64_t> before) {
    auto remove = std::make_unique<DeleteRecords>();
    remove->topic = std::move(topic);
    for (const auto& [partition, offset] : before) remove->pending.insert(partition);
    remove->before = std::move(before);
    return remove;
}

std::unique_ptr<Admin::Operation> make_epoch_ends(std::string topic,
                                                  std::map<std::int32_t, std::int32_t> epochs) {
    auto ends = std::make_unique<EpochEnds>();
    ends->topic = std::move(topic);
    for (const auto& [partition, epoch] : epochs) ends->pending.insert(partition);
    ends->epochs = std::move(epochs);
    return ends;
}

std::unique_ptr<Admin::Operation> make_describe_producers(
    std::string topic, const std::vector<std::int32_t>& partitions) {
    auto describe = std::make_unique<DescribeProducers>();
    describe->topic = std::move(topic);
    describe->pending.insert(partitions.begin(), partitions.end());
    return describe;
}

}  // namespace leat::cluster
