#include "sdk/host/client_core.hpp"

#include <asio/post.hpp>

namespace leat::host {

Result<cluster::RouterConfig> router_config(const CommonConfig& common) {
    Result<std::vector<cluster::Endpoint>> bootstrap = cluster::parse_endpoints(common.bootstrap);
    if (!bootstrap) return fail(bootstrap.error());
    const client::BackoffConfig retry{common.retry_backoff, common.retry_backoff_max};
    cluster::RouterConfig config;
    config.client_id = common.client_id;
    config.bootstrap = *std::move(bootstrap);
    config.sender.retry = config.fetcher.retry = config.metadata.retry = retry;
    config.sender.request_timeout = config.fetcher.request_timeout = config.request_timeout =
        common.request_timeout;
    config.metadata.age_max = common.metadata_age_max;
    config.metadata.allow_auto_topic_creation = common.allow_auto_topic_creation;
    config.reconnect = {common.reconnect_backoff, common.reconnect_backoff_max};
    config.seed = any_seed();
    config.metadata.jitter_seed = config.seed ^ 0x9e3779b9U;
    return config;
}

ClientCore::ClientCore(Loop::Impl& loop, cluster::RouterConfig config,
                       client::BatchDecompressor* decompressor)
    : loop_(loop), router_(std::move(config), decompressor), timer_(loop.io) {}

/// Everything that happens to a client happens in here: on the loop's thread, with the mutex, then
/// the callbacks without it.
template <class F>
void ClientCore::step(F&& f) {
    {
        const std::lock_guard lock(loop_.mutex);
        if (is_shut_) return;
        const Instant at = loop_.now();
        f(at);
        serve(at);
    }
    loop_.callback_thread = std::this_thread::get_id();
    run_callbacks();
    loop_.callback_thread = std::thread::id();
    loop_.changed.notify_all();
}

std::string ClientCore::problem() const {
    const std::lock_guard lock(loop_.mutex);
    if (!last_problem_.empty()) return last_problem_;
    // All connections are fine, and yet somebody cannot be reached.
    for (const auto& [name, topic] : router_.metadata().topics())
        for (std::size_t i = 0; i < topic.partitions.size(); ++i)
            if (const std::int32_t leader = topic.partitions[i].leader;
                leader >= 0 && router_.metadata().broker(leader) == nullptr)
                return "the leader of " + name + "-" + std::to_string(i) + " is broker " +
                       std::to_string(leader) + ", which is not among the cluster's brokers";
    return {};
}

void ClientCore::wake() {
    if (is_posted_ || is_shut_) return;
    is_posted_ = true;
    asio::post(loop_.io, [self = shared_from_this()] {
        self->step([&](Instant at) {
            self->is_posted_ = false;
            self->router_.pump(at);
        });
    });
}

void ClientCore::shut() {
    if (is_shut_) return;
    is_shut_ = true;
    loop_.changed.notify_all();  // who waits for us waits in vain
    asio::post(loop_.io, [self = shared_from_this()] {
        const std::lock_guard lock(self->loop_.mutex);
        for (const auto& [id, link] : self->links_) link->close();
        self->links_.clear();
        self->timer_.cancel();
    });
}

/// Does what the router asks for, until it asks for nothing more.
void ClientCore::serve(Instant at) {
    while (const std::optional<cluster::LinkAction> action = router_.poll_link_action()) {
        if (action->kind == cluster::LinkAction::Kind::close) {
            if (const auto found = links_.find(action->link); found != links_.end()) {
                found->second->close();
                links_.erase(found);
            }
            continue;
        }
        auto link = std::make_shared<TcpLink>(loop_.io, action->link, weak_from_this());
        links_[action->link] = link;
        link->connect(action->host, action->port);
    }
    while (const std::optional<cluster::LinkId> ready = router_.link_ready()) {
        const auto found = links_.find(*ready);
        if (found == links_.end() || found->second->is_writing()) continue;
        found->second->write(router_.link_poll_write(*ready));
    }
    while (const std::optional<cluster::RouterEvent> event = router_.poll_event()) {
        using Kind = cluster::RouterEvent::Kind;
        if (event->kind == Kind::disconnected || event->kind == Kind::connect_failed)
            last_problem_ =
                cluster::text_of(event->endpoint) + ": " +
                (event->kind == Kind::disconnected ? "connection lost: " : "cannot connect: ") +
                (event->why == Error::malformed ? "it does not answer as a Kafka server does"
                                                : error_text(event->why));
        if (event->kind == Kind::connected) last_problem_.clear();
        on_router_event(*event);
    }
    arm_timer(at);
}

void ClientCore::arm_timer(Instant at) {
    const Instant due = earlier(router_.deadline(), next_time());
    // A timer that fires too early only looks again: moving it at every step would cost more.
    if (due >= armed_at_) return;
    armed_at_ = std::max(due, at);
    timer_.expires_at(std::chrono::steady_clock::time_point(armed_at_.time_since_epoch()));
    timer_.async_wait([self = shared_from_this()](const std::error_code& error) {
        if (error) return;
        self->step([&](Instant now) {
            self->armed_at_ = never;
            self->on_time(now);
            self->router_.on_deadline(now);
        });
    });
}

void ClientCore::on_link_opened(std::uint64_t id) {
    step([&](Instant at) { router_.link_opened(at, id); });
}

void ClientCore::on_link_received(std::uint64_t id, ByteView bytes) {
    step([&](Instant at) { router_.link_received(at, id, bytes); });
}

void ClientCore::on_link_sent(std::uint64_t id, std::size_t count) {
    step([&](Instant at) {
        router_.link_sent(at, id, count);
        const auto found = links_.find(id);
        if (found == links_.end() || found->second->is_writing()) return;
        const std::span<const ByteView> more = router_.link_poll_write(id);
        if (!more.empty()) found->second->write(more);
    });
}

void ClientCore::on_link_closed(std::uint64_t id, Error why) {
    step([&](Instant at) {
        links_.erase(id);
        router_.link_closed(at, id, why);
    });
}

}  // namespace leat::host
