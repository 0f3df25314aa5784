#include "broker/uplink/topic_maker.hpp"

#include <algorithm>
#include <vector>

#include "sdk/wire/api/19_create_topics.hpp"

namespace leat::uplink {
namespace {

constexpr std::int32_t create_timeout_ms = 30'000;

}  // namespace

void TopicMaker::want(const std::string& topic, std::int32_t partitions) {
    Wanted& wanted = wanted_[topic];
    wanted.partitions = std::max(wanted.partitions, partitions);
}

void TopicMaker::later(Instant now, Wanted& wanted) {
    wanted.asking = false;
    wanted.not_before = now + client::backoff_delay(backoff_, ++wanted.failures, jitter_);
}

void TopicMaker::pump(Instant now, cluster::Router& router) {
    for (auto& [topic, wanted] : wanted_) {
        if (wanted.asking || wanted.not_before > now) continue;
        std::vector<wire::CreateTopicsRequest::CreatableTopic> topics(1);
        topics[0].name = topic;
        topics[0].num_partitions = wanted.partitions;
        topics[0].replication_factor = -1;  // the cluster's default (KIP-464)
        wire::CreateTopicsRequest request;
        request.topics = topics;
        request.timeout_ms = create_timeout_ms;
        wanted.context = next_context_++;
        const Status sent = router.send(now, *this, wanted.context,
                                        {.kind = cluster::Target::Kind::controller}, request);
        if (sent) {
            wanted.asking = true;
        } else if (sent.error() != Error::would_block) {
            later(now, wanted);
            told_(now, topic, wire::ErrorCode::unsupported_version, "");
        }
    }
}

void TopicMaker::on_answer(Instant now, cluster::Router&, const client::Event& event,
                           std::uint64_t context) {
    const auto found = std::find_if(wanted_.begin(), wanted_.end(), [&](const auto& entry) {
        return entry.second.context == context;
    });
    if (found == wanted_.end()) return;
    const std::string topic = found->first;
    // Also after success: metadata may take a moment, and forget() ends it.
    later(now, found->second);
    if (event.kind != client::Event::Kind::response) return;
    const auto answer = wire::decode<wire::CreateTopicsResponse>(event.body, event.api_version);
    if (!answer) return;
    for (const auto& result : answer->topics) {
        if (result.name.view() != topic) continue;
        wire::ErrorCode error = result.error_code;
        if (error == wire::ErrorCode::topic_already_exists) error = wire::ErrorCode::none;
        told_(now, topic, error, std::string(result.error_message.view()));
        return;
    }
}

Instant TopicMaker::deadline() const {
    Instant first = never;
    // What is due now waits for a connection or for room, and pump() is called when that changes.
    for (const auto& [topic, wanted] : wanted_)
        if (!wanted.asking && wanted.failures > 0) first = earlier(first, wanted.not_before);
    return first;
}

}  // namespace leat::uplink
