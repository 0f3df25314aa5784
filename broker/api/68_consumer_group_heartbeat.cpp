// ConsumerGroupHeartbeat (key 68, KIP-848): answered when what the group became is durable; at once
// if it became nothing new.
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

std::optional<std::string> optional_text(const wire::StringView& text) {
    if (text.is_null()) return std::nullopt;
    return std::string(text.view());
}

}  // namespace

void consumer_group_heartbeat(Context& context, Call call) {
    const auto from = read<wire::ConsumerGroupHeartbeatRequest>(context, call);
    if (!from) return;
    groups::ConsumerHeartbeat beat;
    beat.group = from->group_id.view();
    beat.member = from->member_id.view();
    beat.epoch = from->member_epoch;
    beat.instance = optional_text(from->instance_id);
    beat.rack = optional_text(from->rack_id);
    if (from->rebalance_timeout_ms != -1)
        beat.rebalance_timeout = milliseconds(from->rebalance_timeout_ms);
    if (!from->subscribed_topic_names.is_null()) {
        beat.topics.emplace();
        for (const auto& name : from->subscribed_topic_names)
            beat.topics->emplace_back(name.view());
    }
    beat.pattern = optional_text(from->subscribed_topic_regex);
    beat.assignor = optional_text(from->server_assignor);
    if (!from->topic_partitions.is_null()) {
        beat.owned.emplace();
        for (const auto& topic : from->topic_partitions) {
            groups::TopicPartitions& one = beat.owned->emplace_back();
            one.topic = topic.topic_id.bytes;
            for (const std::int32_t partition : topic.partitions)
                one.partitions.push_back(partition);
        }
    }
    beat.names_itself = call.version >= 1;
    beat.client_id = view_or_empty(call.client_id);
    beat.client_host = host_of(call.reply.peer());
    const groups::Ticket ticket = context.parked_groups.park(address_of(call));
    context.groups.consumer_heartbeat(context.now, ticket, std::move(beat));
    context.parked_groups.drain(context);
}

}  // namespace leat::api
