// What is known of a cluster: brokers, topics, and who leads which partition; and when to ask
// again.
//
// Three rules keep the picture from going back in time (KIP-320, and what Java's client does):
//   - a partition's entry with a leader epoch below the one that is known for the same topic id is
//   old
//     news from a slow broker and is ignored; -1 says nothing and is taken;
//   - another topic id is another topic of the same name: everything known before is dropped;
//   - an answer with an error for a topic keeps what was known, so a producer that has a leader
//   goes on
//     with it until the leader itself says otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "leat/time.hpp"
#include "sdk/client/backoff.hpp"
#include "sdk/cluster/topology.hpp"
#include "sdk/wire/api/03_metadata.hpp"

namespace leat::cluster {

struct MetadataConfig {
    milliseconds age_max{300'000};          ///< asked again at the latest after this
    client::BackoffConfig retry{};          ///< between two asks while something is missing
    bool allow_auto_topic_creation = true;  ///< asked for by name, a missing topic may be created
    std::size_t partitions_max =
        200'000;  ///< of all topics together; an answer with more is refused
    std::uint32_t jitter_seed = 1;
};

/// The names that a MetadataRequest borrows.
struct MetadataAsk {
    std::vector<wire::MetadataRequest::MetadataRequestTopic> topics;
    wire::MetadataRequest request;
};

class Metadata {
public:
    explicit Metadata(const MetadataConfig& config);

    // ask
    const TopicInfo* find(std::string_view topic) const;  ///< null: nothing known yet
    /// no_broker while unknown.
    std::int32_t leader(std::string_view topic, std::int32_t partition) const;
    /// Of that leader (KIP-320); -1: unknown, or the broker does not tell.
    std::int32_t leader_epoch(std::string_view topic, std::int32_t partition) const;
    const Endpoint* broker(std::int32_t node_id) const;
    const std::map<std::int32_t, Endpoint>& brokers() const { return brokers_; }
    const std::map<std::string, TopicInfo, std::less<>>& topics() const { return topics_; }
    std::int32_t controller() const { return controller_; }
    const std::string& cluster_id() const { return cluster_id_; }
    std::uint64_t version() const { return version_; }  ///< rises with every answer taken
    /// When to ask: past = now, `never` = an ask is under way or nothing is wanted.
    Instant ask_at() const;

    // want
    /// This topic's leaders shall be known. Asks soon if they are not. Names are counted: forget as
    /// often.
    /// partition  there shall be this one, too: partitions may have been added since
    void want(Instant now, std::string_view topic, std::int32_t partition = 0);
    void forget(std::string_view topic);
    /// Every topic of the cluster, from now on. One that is deleted is forgotten; if it is wanted
    /// by name, too, it is known with UNKNOWN_TOPIC_OR_PARTITION.
    void want_all(Instant now);
    /// Something that is known proved wrong: ask again, but not faster than the back-off allows.
    void refresh(Instant now);

    // for the driver of the requests
    void fill(MetadataAsk& ask) const;
    void on_asked(const MetadataAsk& ask) {
        under_way_ = true;
        asked_all_ = ask.request.topics.is_null();
    }
    void on_ask_failed(Instant now);
    /// fails: too_large (more than partitions_max; what was known stays)
    Status on_answer(Instant now, const wire::MetadataResponse& answer);

private:
    const PartitionInfo* partition_of(std::string_view topic, std::int32_t partition) const;
    bool miss_topics(const wire::MetadataResponse& answer);
    bool take_topic(const wire::MetadataResponse::MetadataResponseTopic& from);

    MetadataConfig config_;
    std::map<std::int32_t, Endpoint> brokers_;
    std::map<std::string, TopicInfo, std::less<>> topics_;
    struct Wanted {
        std::uint32_t times = 0;
        std::size_t partitions = 0;  // at least so many
    };
    std::map<std::string, Wanted, std::less<>> wanted_;
    std::string cluster_id_;
    client::Jitter jitter_;
    std::uint64_t version_ = 0;
    Instant ask_at_ = never;
    Instant not_before_{};       // the back-off's end
    unsigned asks_in_vain_ = 0;  // since everything wanted was known
    std::int32_t controller_ = no_broker;
    bool wants_all_ = false;
    bool under_way_ = false;
    bool asked_all_ = false;  // what its answer leaves out is not there any more
    bool refresh_again_ =
        false;  // asked for while under way: the answer may be older than the question
};

}  // namespace leat::cluster
