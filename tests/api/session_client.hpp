// The client's half of a fetch session (KIP-227), by the book: it sends what changed, takes what it
// is told, and complains about an answer that Kafka's own client would refuse.
#pragma once

#include <map>
#include <set>
#include <tuple>

#include "tests/api/fetch_bench.hpp"

namespace leat::test {

/// A partition as it is asked for: by name, or by id (then `name` is for people).
struct PartitionKey {
    std::string name;
    wire::Uuid id;
    std::int32_t partition = 0;
    friend bool operator<(const PartitionKey& a, const PartitionKey& b) {
        return std::tie(a.id.bytes, a.name, a.partition) <
               std::tie(b.id.bytes, b.name, b.partition);
    }
};
struct Wanted {
    std::int64_t offset = 0;
    std::int32_t bytes_max = 1 << 20;
    std::int32_t leader_epoch = -1;
    bool operator==(const Wanted&) const = default;
};
struct FetchTerms {
    std::int32_t wait_ms = 0, bytes_min = 1, bytes_max = 50 << 20;
};

struct SeenPartition {
    PartitionKey key;
    ErrorCode error = ErrorCode::none;
    std::int64_t high_watermark = -1, log_start = -1;
    std::vector<std::int64_t> offsets;  // base offsets of the batches
    std::int64_t next = -1;             // behind the last record; -1: no records
};
struct Seen {
    ErrorCode error = ErrorCode::none;
    std::int32_t session_id = 0;
    std::size_t bytes = 0;
    std::vector<SeenPartition> partitions;

    const SeenPartition* find(const std::string& name, std::int32_t partition) const {
        for (const SeenPartition& one : partitions)
            if (one.key.name == name && one.key.partition == partition) return &one;
        return nullptr;
    }
};

inline Bytes session_frame(std::int16_t version, const std::map<PartitionKey, Wanted>& asked,
                           const std::set<PartitionKey>& forgotten, std::int32_t session_id,
                           std::int32_t session_epoch, FetchTerms terms) {
    std::vector<std::vector<wire::FetchRequest::FetchPartition>> partitions;
    std::vector<wire::FetchRequest::FetchTopic> topics;
    for (const auto& [key, wanted] : asked) {
        if (topics.empty() || topics.back().topic.view() != key.name ||
            topics.back().topic_id.bytes != key.id.bytes) {
            topics.emplace_back();
            topics.back().topic = key.name;
            topics.back().topic_id = key.id;
            partitions.emplace_back();
        }
        wire::FetchRequest::FetchPartition one;
        one.partition = key.partition;
        one.fetch_offset = wanted.offset;
        one.partition_max_bytes = wanted.bytes_max;
        one.current_leader_epoch = wanted.leader_epoch;
        partitions.back().push_back(one);
    }
    for (std::size_t i = 0; i < topics.size(); ++i) topics[i].partitions = partitions[i];
    std::vector<wire::FetchRequest::ForgottenTopic> gone(forgotten.size());
    std::vector<std::int32_t> gone_partitions(forgotten.size());
    std::size_t index = 0;
    for (const PartitionKey& key : forgotten) {
        gone_partitions[index] = key.partition;
        gone[index].topic = key.name;
        gone[index].topic_id = key.id;
        gone[index].partitions = std::span<const std::int32_t>(gone_partitions).subspan(index, 1);
        ++index;
    }
    wire::FetchRequest request;
    request.max_wait_ms = terms.wait_ms;
    request.min_bytes = terms.bytes_min;
    request.max_bytes = terms.bytes_max;
    request.session_id = session_id;
    request.session_epoch = session_epoch;
    request.topics = topics;
    request.forgotten_topics_data = gone;
    return request_frame(request, version);
}

inline Seen decode_seen(ByteView frame, std::int16_t version,
                        const std::map<wire::Uuid, std::string>& names) {
    Seen seen;
    seen.bytes = frame.size();
    const auto response = ApiBench::decode_answer<Response>(frame, version);
    seen.error = response.error_code;
    seen.session_id = response.session_id;
    for (const auto& topic : response.responses)
        for (const auto& partition : topic.partitions) {
            SeenPartition& one = seen.partitions.emplace_back();
            one.key = {std::string(topic.topic.view()), topic.topic_id, partition.partition_index};
            if (version >= 13)
                if (const auto at = names.find(topic.topic_id); at != names.end())
                    one.key.name = at->second;
            one.error = partition.error_code;
            one.high_watermark = partition.high_watermark;
            one.log_start = partition.log_start_offset;
            for (ByteView records = partition.records.view(); !records.empty();) {
                const auto batch = wire::BatchView::parse(records);
                REQUIRE(batch);
                CHECK(batch->crc_ok());
                one.offsets.push_back(batch->header().base_offset);
                one.next = batch->header().next_offset();
                records = records.subspan(batch->whole().size());
            }
        }
    return seen;
}

class SessionClient {
public:
    explicit SessionClient(std::int16_t by_version) : version(by_version) {}

    std::int16_t version;
    std::map<PartitionKey, Wanted> wanted;
    std::int32_t session_id = 0, epoch = 0;
    std::map<wire::Uuid, std::string> names;

    /// The next request; its answer goes to take().
    Bytes ask(FetchTerms terms = {}) {
        std::map<PartitionKey, Wanted> asked;
        std::set<PartitionKey> forgotten;
        if (epoch <= 0) {
            asked = wanted;
        } else {
            for (const auto& [key, one] : wanted)
                if (const auto at = sent_.find(key); at == sent_.end() || !(at->second == one))
                    asked.emplace(key, one);
            for (const auto& [key, one] : sent_)
                if (!wanted.contains(key)) forgotten.insert(key);
        }
        sent_ = wanted;
        asked_partitions = asked.size();
        return session_frame(version, asked, forgotten, session_id, epoch, terms);
    }
    std::size_t asked_partitions = 0;  ///< of the last request

    Seen take(ByteView frame) {
        Seen seen = decode_seen(frame, version, names);
        if (seen.error != ErrorCode::none) {
            CHECK(seen.partitions.empty());
            if (seen.error == ErrorCode::fetch_session_id_not_found) session_id = 0;
            epoch = 0;  // with the id: closes what may be left of it
            return seen;
        }
        std::set<PartitionKey> told;
        for (const SeenPartition& one : seen.partitions) CHECK(told.insert(one.key).second);
        if (epoch == 0) {
            CHECK(told.size() == sent_.size());
            for (const auto& [key, one] : sent_) CHECK(told.contains(key));
        } else {
            for (const PartitionKey& key : told) CHECK(sent_.contains(key));
            if (seen.session_id != 0) CHECK(seen.session_id == session_id);
        }
        session_id = seen.session_id;
        epoch = session_id == 0 ? 0 : epoch == INT32_MAX ? 1 : epoch + 1;
        return seen;
    }
    /// The connection broke: nobody knows how far the session got.
    void lost() { epoch = 0; }

private:
    std::map<PartitionKey, Wanted> sent_;
};

}  // namespace leat::test
