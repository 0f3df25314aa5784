// FindCoordinator (key 10): of groups, this node. The first who asks brings `__consumer_offsets` to
// life: clients know the topic by name and flag, though positions are kept as facts of the log.
#include "sdk/wire/api/10_find_coordinator.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
constexpr std::int8_t group_key_type = 0, transaction_key_type = 1, share_key_type = 2;
constexpr std::string_view offsets_topic = "__consumer_offsets";

void show_offsets_topic(Context& context) {
    topics::Registry& registry = context.topics.registry;
    if (registry.find(offsets_topic) != nullptr || registry.find_collision(offsets_topic)) return;
    topics::TopicConfig config = registry.new_config();
    (void)config.set("cleanup.policy", "compact");
    (void)registry.create(context.now, offsets_topic, 1, std::move(config));
}

struct Verdict {
    ErrorCode error = ErrorCode::none;
    const char* message = nullptr;
};
// librdkafka and its kin (v2 at most) ask again for ever, whatever the error is, except for this
// one; Java shows the text beside INVALID_REQUEST, but would only say "authorization failed" for
// the other.
ErrorCode no_transactions(std::int16_t version) {
    return version < 4 ? ErrorCode::transactional_id_authorization_failed
                       : ErrorCode::invalid_request;
}

Verdict judge(std::int8_t type, std::int16_t version) {
    switch (type) {
        case group_key_type:
            return {};  // an empty id, too: positions may be committed for it, as ever
        case transaction_key_type:
            return {no_transactions(version), "This broker has no transactions."};
        case share_key_type:
            return {ErrorCode::invalid_request, "This broker has no share groups."};
        default:
            return {ErrorCode::invalid_request, "Unknown coordinator key type."};
    }
}

}  // namespace

void find_coordinator(Context& context, Call call) {
    using Response = wire::FindCoordinatorResponse;
    const auto request = read<wire::FindCoordinatorRequest>(context, call);
    if (!request) return;
    if (request->key_type == group_key_type) show_offsets_topic(context);
    const Settings& settings = context.settings;
    const auto fill = [&](auto& to) {
        const Verdict verdict = judge(request->key_type, call.version);
        to.error_code = verdict.error;
        const bool good = verdict.error == ErrorCode::none;
        // Kafka has a text for no error, too, and there are clients that compare it.
        to.error_message = good ? (call.version < 4 ? "NONE" : "") : verdict.message;
        to.node_id = good ? settings.node_id : -1;
        if (good) to.host = settings.host;
        to.port = good ? settings.port : -1;
    };
    Response response;
    std::vector<Response::Coordinator> coordinators;
    if (call.version < 4) {
        fill(response);
    } else {
        for (const auto& key : request->coordinator_keys) {
            auto& one = coordinators.emplace_back();
            one.key = key;
            fill(one);
        }
        response.coordinators = coordinators;
    }
    answer(context, call, response);
}

}  // namespace leat::api
