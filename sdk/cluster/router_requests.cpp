// The Router's way for requests of others (admin): whom they are for, and whose an answer is.
#include "sdk/cluster/router.hpp"
#include "sdk/cluster/router_link.hpp"

namespace leat::cluster {

Result<client::Connection*> Router::reach(Instant now, const Target& target) {
    Link* link = nullptr;
    switch (target.kind) {
        case Target::Kind::any:
            link = pick_any(now);
            break;
        case Target::Kind::controller:
            link = link_to(metadata_.controller());
            break;
        case Target::Kind::broker:
            link = link_to(target.broker);
            if (!link && metadata_.version() > 0) return fail(Error::not_found);
            break;
        case Target::Kind::coordinator:
            if (const Endpoint* endpoint = metadata_.broker(target.broker))
                link = &make_link(coordinator_node(target.broker), *endpoint);
            else if (metadata_.version() > 0)
                return fail(Error::not_found);
            break;
        case Target::Kind::leader:
            link = link_to(metadata_.leader(target.topic, target.partition));
            break;
    }
    if (!link) {
        metadata_.refresh(now);
        return fail(Error::would_block);
    }
    link->wanted_until = now + config_.connect_timeout;
    if (link->is_ready()) return &link->connection;
    connect(now, *link);
    return fail(Error::would_block);
}

void Router::reconnect(Instant now, std::int32_t broker) {
    const auto found = links_.find(broker);
    if (found == links_.end()) return;
    Link& link = *found->second;
    if (!link.is_ready() || link.connection.in_flight_count() > 0) return;
    link.connection.on_disconnected(now);
    while (const std::optional<client::Event> event = link.connection.poll_event(now)) {
        if (link.sender) link.sender->on_event(now, *event);
        if (link.fetcher) link.fetcher->on_event(now, *event);
    }
    hang_up(link);
}

void Router::add(Requester& requester) { requesters_.push_back(&requester); }

void Router::remove(Requester& requester) {
    std::erase(requesters_, &requester);
    std::erase_if(letters_, [&](const auto& entry) { return entry.second.from == &requester; });
}

client::RequestOptions Router::open_letter(Requester& from, std::uint64_t context,
                                           milliseconds timeout) {
    const std::uint64_t id = next_letter_++;
    letters_[id] = {&from, context};
    client::RequestOptions options;
    options.owner = owner_letter;
    options.context = reinterpret_cast<void*>(static_cast<std::uintptr_t>(id));
    options.timeout = timeout.count() > 0 ? timeout : config_.request_timeout;
    return options;
}

void Router::drop_letter(const client::RequestOptions& options) {
    letters_.erase(reinterpret_cast<std::uintptr_t>(options.context));
}

}  // namespace leat::cluster
