#include "broker/uplink/mirror.hpp"

#include <utility>

#include "sdk/wire/api/03_metadata.hpp"

namespace leat::uplink {

void Mirror::ask(const std::set<std::int32_t>& brokers) {
    unasked_ = brokers;
    asked_.clear();  // late answers are nobody's
    others_.clear();
}

void Mirror::pump(Instant now, cluster::Router& router) {
    for (auto at = unasked_.begin(); at != unasked_.end();) {
        wire::MetadataRequest request;  // of no topic
        request.allow_auto_topic_creation = false;
        const std::uint64_t context = next_context_++;
        const Status sent = router.send(
            now, *this, context, {.kind = cluster::Target::Kind::broker, .broker = *at}, request);
        if (!sent && sent.error() == Error::would_block) {
            ++at;
            continue;
        }
        if (sent) asked_.emplace(context, *at);
        at = unasked_.erase(at);
    }
}

void Mirror::on_answer(Instant, cluster::Router&, const client::Event& event,
                       std::uint64_t context) {
    const auto found = asked_.find(context);
    if (found == asked_.end()) return;
    const std::int32_t broker = found->second;
    asked_.erase(found);
    if (event.kind != client::Event::Kind::response) return;
    const auto answer = wire::decode<wire::MetadataResponse>(event.body, event.api_version);
    if (!answer || answer->cluster_id.is_null() || answer->cluster_id.view() == own_) return;
    others_.insert(broker);
    news_ = true;
}

}  // namespace leat::uplink
