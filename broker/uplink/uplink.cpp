#include "broker/uplink/uplink.hpp"

#include <map>
#include <set>

#include "broker/uplink/route.hpp"
#include "broker/uplink/runner.hpp"

namespace leat::uplink {
namespace {

std::vector<std::string> names_of(const std::vector<config::Route>& routes) {
    std::vector<std::string> names;
    for (const config::Route& route : routes) names.push_back(route.name);
    return names;
}

/// Jitter only, no secret: without entropy every gateway starts alike, and that is all.
std::uint32_t seed_from(port::Entropy& entropy) {
    std::uint8_t bytes[4] = {0, 0, 0, 1};
    (void)entropy.fill(bytes);
    return load_big<std::uint32_t>(bytes);
}

}  // namespace

struct Uplink::Inside {
    Inside(log::Log& its_log, ForEachTopic its_topics, port::Entropy& entropy, UplinkConfig config)
        : log(its_log),
          topics(std::move(its_topics)),
          cursors(its_log, names_of(config.routes), config.cursor_interval) {
        for (std::size_t i = 0; i < config.routes.size(); ++i)
            runners.push_back(std::make_unique<Runner>(
                Shared{log, cursors, config.gateway_id, config.own_cluster_id, config.wall, events},
                config.routes[i], i, seed_from(entropy)));
    }

    // Each Router counts its links from 1: ours carry the route's index as well.
    LinkId outer(LinkId inner, std::size_t route) const { return inner * runners.size() + route; }
    Runner* runner_of(LinkId link) {
        return runners.empty() ? nullptr : runners[link % runners.size()].get();
    }
    LinkId inner(LinkId link) const { return link / runners.size(); }

    log::Log& log;
    ForEachTopic topics;
    Cursors cursors;
    std::deque<Event> events;
    std::vector<std::unique_ptr<Runner>> runners;
    bool started = false;
    bool held = false;
};

Uplink::Uplink(log::Log& log, ForEachTopic topics, port::Entropy& entropy, UplinkConfig config)
    : inside_(std::make_unique<Inside>(log, std::move(topics), entropy, std::move(config))) {}

Uplink::~Uplink() = default;

void Uplink::start(Instant now, Begin begin) {
    inside_->cursors.load();
    inside_->started = true;
    inside_->held = begin == Begin::held;
    if (begin == Begin::at_end)
        inside_->topics([&](const LocalTopic& topic) {
            for (std::size_t route = 0; route < inside_->runners.size(); ++route)
                if (matches(inside_->runners[route]->route(), topic.name, topic.internal))
                    for (const log::StreamId stream : topic.partitions)
                        inside_->cursors.begin_at_end(now, route, stream);
        });
    topics_changed(now);
}

void Uplink::stop(Instant now) {
    inside_->started = false;
    for (const auto& runner : inside_->runners) runner->stop(now);
    inside_->cursors.write_all(now);
}

void Uplink::topics_changed(Instant now) {
    if (!inside_->started) return;
    std::set<log::StreamId> there;
    inside_->topics([&](const LocalTopic& topic) {
        there.insert(topic.partitions.begin(), topic.partitions.end());
    });
    for (const auto& runner : inside_->runners) runner->topics_changed(now, inside_->topics);
    inside_->cursors.erase_others(now, there);
    for (const log::StreamId stream : there)
        if (inside_->log.stream(stream) != nullptr) inside_->cursors.release(stream);
}

void Uplink::topic_goes(Instant now, const LocalTopic& topic) {
    if (!inside_->started) return;
    log::Log& log = inside_->log;
    std::uint64_t records = 0, bytes = 0;
    // A record that two routes miss is one.
    std::map<log::StreamId, log::Offset> left;
    for (const auto& runner : inside_->runners) runner->topic_goes(topic, left);
    for (const auto& [stream, from] : left) {
        const log::StreamState& state = *log.stream(stream);
        const log::Offset some = state.flushed - from, all = state.log_end - state.log_start;
        records += static_cast<std::uint64_t>(some);
        bytes += static_cast<std::uint64_t>(static_cast<double>(state.bytes) *
                                            static_cast<double>(some) / static_cast<double>(all));
    }
    if (records > 0)
        log.enter_loss(now, log::no_stream, log::LossReason::deleted, 0,
                       static_cast<log::Offset>(records), bytes);
}

void Uplink::streams_made(std::span<const log::StreamId> streams) {
    if (!inside_->started) return;
    for (const log::StreamId stream : streams)
        if (inside_->log.stream(stream) != nullptr) inside_->cursors.release(stream);
}

void Uplink::readable(Instant now, log::StreamId stream) {
    if (!inside_->started) return;
    for (const auto& runner : inside_->runners) runner->readable(now, stream);
}

void Uplink::on_commit(Instant now) {
    if (!inside_->started) return;
    for (const auto& runner : inside_->runners) runner->on_commit(now);
}

void Uplink::fed_by(const std::string& topic, const std::string& gateway) {
    for (const auto& runner : inside_->runners) runner->fed_by(topic, gateway);
}

bool Uplink::on_read(Instant now, const log::ReadDone& done) {
    for (const auto& runner : inside_->runners)
        if (runner->on_read(now, done)) return true;
    return false;
}

void Uplink::link_opened(Instant now, LinkId link) {
    Runner* runner = inside_->runner_of(link);
    if (runner == nullptr) return;
    runner->router().link_opened(now, inside_->inner(link));
    runner->pump(now);
}

void Uplink::link_received(Instant now, LinkId link, ByteView bytes) {
    Runner* runner = inside_->runner_of(link);
    if (runner == nullptr) return;
    runner->router().link_received(now, inside_->inner(link), bytes);
    runner->pump(now);
}

void Uplink::link_sent(Instant now, LinkId link, std::size_t count) {
    Runner* runner = inside_->runner_of(link);
    if (runner == nullptr) return;
    runner->router().link_sent(now, inside_->inner(link), count);
    runner->pump(now);
}

void Uplink::link_closed(Instant now, LinkId link, Error why) {
    Runner* runner = inside_->runner_of(link);
    if (runner == nullptr) return;
    runner->router().link_closed(now, inside_->inner(link), why);
    runner->pump(now);
}

void Uplink::on_deadline(Instant now) {
    if (!inside_->started) return;
    if (!inside_->held)
        for (const auto& runner : inside_->runners)
            if (runner->deadline() <= now) runner->on_deadline(now);
    inside_->cursors.write_due(now);
}

std::optional<LinkAction> Uplink::poll_link_action() {
    if (inside_->held) return std::nullopt;
    for (std::size_t i = 0; i < inside_->runners.size(); ++i)
        if (std::optional<LinkAction> action = inside_->runners[i]->router().poll_link_action()) {
            action->link = inside_->outer(action->link, i);
            return action;
        }
    return std::nullopt;
}

std::optional<LinkId> Uplink::link_ready() {
    for (std::size_t i = 0; i < inside_->runners.size(); ++i)
        if (const std::optional<LinkId> link = inside_->runners[i]->router().link_ready())
            return inside_->outer(*link, i);
    return std::nullopt;
}

std::span<const ByteView> Uplink::link_poll_write(LinkId link) {
    Runner* runner = inside_->runner_of(link);
    if (runner == nullptr) return {};
    return runner->router().link_poll_write(inside_->inner(link));
}

std::optional<Event> Uplink::poll_event() {
    if (inside_->events.empty()) return std::nullopt;
    Event event = std::move(inside_->events.front());
    inside_->events.pop_front();
    return event;
}

Instant Uplink::deadline() const {
    if (!inside_->started) return never;
    Instant first = inside_->cursors.deadline();
    if (!inside_->held)
        for (const auto& runner : inside_->runners) first = earlier(first, runner->deadline());
    return first;
}

std::vector<RouteStatus> Uplink::status(Instant now) const {
    std::vector<RouteStatus> all;
    for (const auto& runner : inside_->runners) all.push_back(runner->status(now));
    if (inside_->held)
        for (RouteStatus& route : all) {
            route.link = LinkState::held;
            route.last_error =
                "held: this log was written on another device; see --adopt and --fork";
        }
    return all;
}

log::Offset Uplink::uplinked_offset(log::StreamId stream) const {
    if (const std::optional<log::Offset> least = inside_->cursors.least(stream)) return *least;
    const log::StreamState* state = inside_->log.stream(stream);
    return state == nullptr ? 0 : state->flushed;
}

}  // namespace leat::uplink
