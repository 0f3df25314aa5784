#include "broker/node/node_impl.hpp"

#include "broker/node/cluster_id.hpp"
#include "broker/topics/record_filter.hpp"
#include "broker/topics/record_times.hpp"

namespace leat::node {
namespace {

constexpr milliseconds quiet_before_trim{5'000};

constexpr std::string_view forked_key = "node.forked";  ///< the log_id that a fork gave

std::string node_fact(log::Log& log, std::string_view key) {
    const auto fact = log.find_fact(log::FactKind::node, bytes_of(key));
    return fact ? std::string(text_of(*fact)) : std::string();
}

// "[::ffff:10.0.0.7]:50312" -> "10.0.0.7": what a quota's ip is compared with.
std::string_view ip_of(std::string_view peer) {
    constexpr std::string_view mapped = "::ffff:";
    peer = peer.substr(0, peer.rfind(':'));
    if (peer.starts_with('[')) peer = peer.substr(1, peer.size() - 2);
    const bool is_mapped = peer.starts_with(mapped) && peer.find('.') != std::string_view::npos;
    return is_mapped ? peer.substr(mapped.size()) : peer;
}

log::LogConfig log_config(const config::Config& config) {
    log::LogConfig log;
    log.budget_bytes = config.budget_bytes;
    log.segment_bytes = config.segment_bytes;
    log.page_bytes = config.page_bytes;
    log.commit_interval = config.commit_interval;
    log.scrub_every = config.scrub_interval;
    log.device_identity = config.device_identity;
    using Theirs = config::Config::ForeignLog;
    log.foreign = config.foreign_log == Theirs::adopt  ? log::ForeignLog::adopt
                  : config.foreign_log == Theirs::fork ? log::ForeignLog::fork
                                                       : log::ForeignLog::tell;
    log.build_date = wall_ms(config.build_date_ms);
    return log;
}

topics::TopicDefaults topic_defaults(const config::Config& config) {
    return {.retention = config.retention,
            .retention_bytes = config.retention_bytes,
            .message_bytes_max = config.message_bytes_max,
            .full_policy = config.full_policy,
            .timestamp_before_max = config.timestamp_before_max,
            .timestamp_after_max = config.timestamp_after_max};
}

session::Limits session_limits(const config::Config& config) {
    session::Limits limits;
    limits.connections_max = config.connections_max;
    limits.request_bytes_max = config.request_bytes_max;
    limits.pipelined_requests_max = config.pipelined_requests_max;
    limits.idle = config.idle_connection;
    return limits;
}

groups::GroupsConfig groups_config(const config::Config& config) {
    groups::GroupsConfig groups;
    groups.initial_rebalance_delay = config.initial_rebalance_delay;
    groups.session_timeout_min = config.session_timeout_min;
    groups.session_timeout_max = config.session_timeout_max;
    groups.group_size_max = config.group_size_max;
    groups.consumer_session_timeout = config.consumer_session_timeout;
    groups.consumer_heartbeat_interval = config.consumer_heartbeat_interval;
    groups.consumer_group_size_max = config.consumer_group_size_max;
    groups.offsets_retention = config.offsets_retention;
    groups.offset_metadata_bytes_max = config.offset_metadata_bytes_max;
    return groups;
}

api::Settings api_settings(const config::Config& config) {
    api::Settings settings;
    settings.node_id = config.node_id;
    settings.host = config.advertised.host.empty() ? config.listen.host : config.advertised.host;
    settings.port = config.advertised.port == 0 ? config.listen.port : config.advertised.port;
    settings.auto_create_topics = config.auto_create_topics;
    settings.num_partitions = config.num_partitions;
    settings.accept_replication_factor = config.accept_replication_factor;
    settings.connections_max = config.connections_max;
    settings.request_bytes_max = config.request_bytes_max;
    settings.segment_bytes = config.segment_bytes;
    settings.idle = config.idle_connection;
    if (!config.routes.empty()) settings.gateway_prefix = uplink::client_prefix;
    settings.fetch_session_bytes_max = config.fetch_session_bytes;
    settings.log_dir = config.data_dir;
    return settings;
}

}  // namespace

NodeImpl::NodeImpl(const config::Config& config, Ports ports, std::unique_ptr<log::Log> log)
    : config_(config),
      ports_(ports),
      log_(log ? std::move(log)
               : log::make_log(ports.storage, ports.entropy, log_config(config),
                               topics::find_record_time, topics::filter_records)),
      pool_(config.byte_pool_bytes),
      topics_(*log_, ports.entropy, topic_defaults(config_)),
      groups_(*log_, topics_.registry, ports.entropy, groups_config(config)),
      quotas_(*log_),
      sessions_(session_limits(config), pool_, api_),
      api_(api_settings(config), topics_, *log_, pool_, groups_, quotas_, ports.entropy,
           ports.stopwatch) {}

Status NodeImpl::refuse_start(Error error, std::string text) {
    start_error_ = std::move(text);
    return fail(error);
}

Status NodeImpl::start(Instant now, WallTime wall) {
    started_ = now;
    wall_ = wall;
    if (const Status opened = log_->open(now, wall); !opened)
        return refuse_start(opened.error(), log_->open_error_text());
    if (const Status loaded = topics_.registry.load(); !loaded)
        return refuse_start(loaded.error(), topics_.registry.load_problem());
    if (const std::size_t named = topics_.registry.recovered(); named > 0)
        say(Event::Level::error, "topics",
            "damage took the names of " + std::to_string(named) +
                " partitions: their records are kept as topics named recovered-<number>, for ever; "
                "read them and delete those topics, and create the lost ones anew");
    groups_.load(now);
    if (groups_.unreadable() > 0)
        say(Event::Level::warn, "groups",
            std::to_string(groups_.unreadable()) +
                " facts of groups cannot be read and are left alone: written by a newer version?");
    quotas_.load();
    if (quotas_.unreadable() > 0)
        say(Event::Level::warn, "quotas",
            std::to_string(quotas_.unreadable()) +
                " facts of quotas cannot be read and do not hold: written by a newer version?");
    // A fork is begun by the superblock and finished by this fact, which is durable before
    // anything that a client is told: cut in between, it is finished by the next start.
    const log::LogStatus identity = log_->status();
    const bool fork_begun =
        !identity.parent_log_id.empty() && node_fact(*log_, forked_key) != identity.log_id;
    if (fork_begun) unfinished_fork_ = identity.log_id;
    auto id = cluster_id_of(config_.cluster_id, *log_, ports_.entropy, now, fork_begun);
    if (!id)
        return refuse_start(id.error(), std::string("the cluster id cannot be made or kept: ") +
                                            error_text(id.error()));
    cluster_id_ = *id;
    api_.set_cluster_id(cluster_id_);
    tell_log_status();
    uplink_ = std::make_unique<uplink::Uplink>(
        *log_,
        [this](const uplink::TopicVisitor& visit) {
            for (const auto& [name, topic] : topics_.registry.all())
                visit({.name = name, .partitions = topic->partitions, .internal = topic->internal});
        },
        ports_.entropy,
        uplink::UplinkConfig{.routes = config_.routes,
                             .gateway_id = uplink::gateway_of(cluster_id_),
                             .own_cluster_id = cluster_id_,
                             .wall = [this] { return wall_; }});
    topics_.registry.on_remove = [this](Instant at, const topics::Topic& topic) {
        uplink_->topic_goes(
            at, {.name = topic.name, .partitions = topic.partitions, .internal = topic.internal});
    };
    topics_told_ = topics_.registry.changes();
    uplink_->start(now, identity.foreign_device ? uplink::Begin::held
                        : fork_begun            ? uplink::Begin::at_end
                                                : uplink::Begin::forward);
    finish_fork(now);
    settle(now);
    return ok();
}

// A full log takes the fact as soon as there is room, and before it takes a record.
void NodeImpl::finish_fork(Instant now) {
    if (unfinished_fork_.empty()) return;
    if (log_->put_fact(now, log::FactKind::node, bytes_of(forked_key), bytes_of(unfinished_fork_)))
        unfinished_fork_.clear();
}

void NodeImpl::stop(Instant now, WallTime wall) {
    if (stopping_) return;
    stopping_ = true;
    wall_ = wall;
    api_.stop(now, wall);
    if (uplink_) uplink_->stop(now);
    log_->close(now, wall);
    settle(now);
}

Result<SessionId> NodeImpl::open_session(Instant now, std::string peer) {
    if (stopping_) return fail(Error::closed);
    if (!quotas_.may_connect(now, ip_of(peer))) return fail(Error::refused);
    auto session = sessions_.open(now, std::move(peer));
    if (!session && now >= tell_refused_at_) {
        tell_refused_at_ = now + told_quiet;
        say(Event::Level::warn, "session",
            "all " + std::to_string(config_.connections_max) +
                " connections are taken: more are refused; raise max.connections");
    }
    return session;
}

void NodeImpl::received(Instant now, WallTime wall, SessionId session, std::size_t count) {
    wall_ = wall;
    finish_fork(now);
    sessions_.received(now, wall, session, count);
    settle(now);
}

void NodeImpl::sent(Instant now, SessionId session, std::size_t count) {
    sessions_.sent(now, session, count);
    settle(now);
}

void NodeImpl::session_closed(Instant now, SessionId session) {
    sessions_.closed(now, session);
    settle(now);
}

void NodeImpl::work_done(Instant now, WallTime wall, WorkId work) {
    wall_ = wall;
    api_.work_done(now, wall, work);
    settle(now);
}

void NodeImpl::on_storage(Instant now, WallTime wall) {
    wall_ = wall;
    log_->on_storage(now);
    settle(now);
}

void NodeImpl::on_deadline(Instant now, WallTime wall) {
    wall_ = wall;
    fill_.sample(now, arrived_bytes());
    if (log_->deadline() <= now) log_->on_deadline(now, wall);
    if (api_.deadline() <= now) api_.on_deadline(now, wall);
    if (sessions_.deadline() <= now) sessions_.on_deadline(now, wall);
    if (uplink_ && uplink_->deadline() <= now) uplink_->on_deadline(now);
    if (requests_seen_ != sessions_.counters().requests) {
        requests_seen_ = sessions_.counters().requests;
        requested_at_ = now;
    } else if (now - requested_at_ >= quiet_before_trim) {
        pool_.trim();
    }
    settle(now);
}

Instant NodeImpl::deadline() const {
    const Instant topics = topics_untold() ? tell_topics_at_ : never;
    const Instant rooms =
        earlier(earlier(log_->deadline(), topics), earlier(api_.deadline(), sessions_.deadline()));
    return uplink_ ? earlier(rooms, uplink_->deadline()) : rooms;
}

// Results travel until nothing moves: what the log finished completes answers, an answer makes room
// for the next request, a request may start a read that is finished at once because its bytes are
// in memory.
void NodeImpl::settle(Instant now) {
    seen_ = now;
    for (bool again = true; again;) {
        again = false;
        api_.on_log(now, wall_);
        const std::vector<api::Fed> fed_by = api_.take_fed();
        if (topics_untold() && (tell_topics_at_ <= now || !fed_by.empty())) tell_topics(now);
        for (const api::Fed& fed : fed_by)  // before what it brought can be read
            if (uplink_) uplink_->fed_by(fed.topic, fed.gateway);
        while (const auto advance = topics_.poll_advance()) {
            api_.on_advance(now, wall_, *advance);
            if (uplink_) uplink_->readable(now, advance->stream);
        }
        if (uplink_) uplink_->on_commit(now);
        while (const auto done = log_->poll_read()) {
            again = true;
            if (!api_.on_read(now, wall_, *done) && uplink_) (void)uplink_->on_read(now, *done);
        }
        while (const auto done = log_->poll_find_time()) {
            again = true;
            (void)api_.on_found(now, wall_, *done);
        }
        api_.on_memory(now, wall_);
        if (sessions_.needs_pump()) again = true;
        sessions_.pump(now, wall_);
    }
    if (stopping_ && log_->closed()) sessions_.close_all(now, session::CloseReason::stopping);
}

// It looks at all of them, so while thousands are being made or deleted it is told now and then.
// Nothing of a stream that it does not know is forwarded or freed.
void NodeImpl::tell_topics(Instant now) {
    constexpr std::size_t topics_per_ms = 50;
    topics_told_ = topics_.registry.changes();
    const std::vector<log::StreamId> made = topics_.registry.take_made();
    if (config_.routes.empty()) return uplink_->streams_made(made);
    uplink_->topics_changed(now);
    const auto wait = topics_.registry.all().size() / topics_per_ms;
    tell_topics_at_ = now + milliseconds(static_cast<std::int64_t>(wait));
}

// -- outgoing connections
// -----------------------------------------------------------------------------

std::optional<LinkAction> NodeImpl::poll_link_action() {
    return uplink_ ? uplink_->poll_link_action() : std::nullopt;
}

void NodeImpl::link_opened(Instant now, LinkId link) {
    if (uplink_) uplink_->link_opened(now, link);
    settle(now);
}

void NodeImpl::link_received(Instant now, LinkId link, ByteView bytes) {
    if (uplink_) uplink_->link_received(now, link, bytes);
    settle(now);
}

ByteView NodeImpl::link_poll_write(LinkId link) {
    if (!uplink_) return {};
    for (const ByteView view : uplink_->link_poll_write(link))
        if (!view.empty()) return view;
    return {};
}

void NodeImpl::link_sent(Instant now, LinkId link, std::size_t count) {
    if (uplink_) uplink_->link_sent(now, link, count);
    settle(now);
}

void NodeImpl::link_closed(Instant now, LinkId link, Error why) {
    if (uplink_) uplink_->link_closed(now, link, why);
    settle(now);
}

std::optional<LinkId> NodeImpl::link_ready() {
    return uplink_ ? uplink_->link_ready() : std::nullopt;
}

std::unique_ptr<Node> make_node(const config::Config& config, Ports ports) {
    return std::make_unique<NodeImpl>(config, ports);
}

}  // namespace leat::node
