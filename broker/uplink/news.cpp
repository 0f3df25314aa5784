// The Runner's news: what its Router says, what is told to people, and what its status is.
#include <algorithm>
#include <utility>

#include "broker/uplink/route.hpp"
#include "broker/uplink/runner.hpp"
#include "broker/uplink/texts.hpp"

namespace leat::uplink {
namespace {

// An election is over before.
constexpr milliseconds leaderless_untold{30'000};

}  // namespace

// ---- what the router says

void Runner::drain_events(Instant now) {
    using Kind = cluster::RouterEvent::Kind;
    bool look = false;  // once, however many topics an answer speaks of
    while (const std::optional<cluster::RouterEvent> event = router_.poll_event()) {
        switch (event->kind) {
            case Kind::connected:
                connect_failed_ = false;
                connected_to_ = cluster::text_of(event->endpoint);
                router_.refresh_metadata(now);  // it may be another cluster than it was
                make_all_hungry();
                break;
            case Kind::disconnected:
                problem(link_key, Event::Level::warn,
                        disconnected_text(event->endpoint, event->why));
                if (event->request_bytes_max != 0)
                    tell(Event::Level::warn,
                         requests_cut_text(event->endpoint, event->request_bytes_max));
                break;
            case Kind::connect_failed:
                connect_failed_ = true;
                problem(link_key, Event::Level::warn,
                        connect_failed_text(event->endpoint, event->why));
                break;
            case Kind::metadata_changed:
                if (leads_back())
                    problems_.erase(link_key);  // it is looked at again and again
                else if (!connected_to_.empty())
                    solved(link_key, "connected to " + connected_to_);
                connected_to_.clear();
                look_at_cluster();
                look = true;
                break;
            case Kind::topic_error:
                look = true;
                break;
            case Kind::producer_refused:
                problem(producer_key, Event::Level::error, producer_refused_text(event->error));
                break;
            case Kind::queue_returned:
                leaving_.erase(event->queue);
                break;
            case Kind::fetch:
                break;
        }
    }
    if (look) look_at_metadata(now);
    if (mirror_.take_news()) on_mirror_news();
    if (router_.identity().producer_id >= 0)
        solved(producer_key, "the upstream gave a producer id");
}

/// A number that one cluster gave out may be somebody else's in another, which would then take our
/// records for his, and say that it has them already.
void Runner::look_at_cluster() {
    const std::string& id = router_.metadata().cluster_id();
    if (id == cluster_id_) return;
    const std::string before = std::exchange(cluster_id_, id);
    if (before.empty()) return;
    tell(Event::Level::error, other_cluster_text(before, id));
    router_.renew_producer_id();
    left_.clear();
    for (const auto& [key, lane] : lanes_) lane->start_over();
}

void Runner::look_at_metadata(Instant now) {
    const cluster::Metadata& metadata = router_.metadata();
    look_again_ = never;
    if (leads_back()) {
        look_again_ = now + route_.backoff_max;
        return problem(circle_key, Event::Level::error, circle_text(metadata.cluster_id()));
    }
    solved(circle_key, "the upstream is another cluster now");
    tell_what_goes_round();
    for (auto& [name, target] : targets_) {
        const cluster::TopicInfo* topic = metadata.find(name);
        if (topic == nullptr) continue;  // not asked yet
        const std::string key = topic_key(name);
        const auto there = static_cast<std::int32_t>(topic->partitions.size());
        if (topic->error == wire::ErrorCode::unknown_topic_or_partition && route_.create_topics) {
            maker_.want(name, target.partitions_wanted);
            continue;
        }
        if (topic->error != wire::ErrorCode::none && there == 0) {
            if (!wire::retriable(topic->error)) look_again_ = now + route_.backoff_max;
            if (topic->error != wire::ErrorCode::leader_not_available)
                problem(key, Event::Level::error, topic_text(name, topic->error, ""));
            continue;
        }
        maker_.forget(name);
        if (route_.mapping == config::Route::Mapping::by_key && there > 0)
            drop_lanes_from(now, name, there);
        const auto headless =
            std::find_if(topic->partitions.begin(), topic->partitions.end(),
                         [](const cluster::PartitionInfo& one) { return one.leader < 0; });
        const bool leads = headless == topic->partitions.end();
        target.leaderless_since = leads ? never : earlier(target.leaderless_since, now);
        const bool too_few = route_.mapping != config::Route::Mapping::by_key && there > 0 &&
                             there < target.partitions_wanted;
        if (too_few) {
            look_again_ = now + route_.backoff_max;
            problem(
                key, Event::Level::error,
                "upstream topic " + name + " has " + std::to_string(there) +
                    " partitions, this route needs " + std::to_string(target.partitions_wanted) +
                    ": add partitions upstream, or map by key; what has no partition waits here");
        } else if (!leads && now - target.leaderless_since >= leaderless_untold) {
            problem(key, Event::Level::warn,
                    "upstream topic " + name + " has no leader for partition " +
                        std::to_string(headless - topic->partitions.begin()) +
                        ": see which of the upstream's brokers is away; what is for it waits here");
        } else if (leads && there > 0) {
            solved(key, "upstream topic " + name + " is there");
        }
    }
    make_all_hungry();
}

void Runner::on_created(Instant now, const std::string& topic, wire::ErrorCode error,
                        std::string text) {
    if (error == wire::ErrorCode::none) {
        tell(Event::Level::info, "upstream topic " + topic + " was created");
        router_.refresh_metadata(now);
        return;
    }
    problem(topic_key(topic), Event::Level::error, topic_text(topic, error, text));
}

// ---- problems

void Runner::tell(Event::Level level, std::string text) {
    if (shared_.events.size() >= events_max) shared_.events.pop_front();
    shared_.events.push_back({.level = level, .route = route_.name, .text = std::move(text)});
}

void Runner::problem(const std::string& key, Event::Level level, std::string text) {
    std::string& known = problems_[key];
    if (known == text) return;
    known = text;
    counts_.last_error = text;
    tell(level, std::move(text));
}

void Runner::solved(const std::string& key, const std::string& text) {
    if (problems_.erase(key) == 0) {
        if (key == link_key) tell(Event::Level::info, text);
        return;
    }
    tell(Event::Level::info, text);
    counts_.last_error = problems_.empty() ? std::string() : problems_.begin()->second;
}

void Runner::topic_goes(const LocalTopic& topic, std::map<log::StreamId, log::Offset>& left) {
    const std::string name(topic.name);
    // What goes round is where it came from.
    if (!matches(route_, name, topic.internal) || goes_round(name)) return;
    constexpr int places_max = 8;
    int places = 0;
    std::uint64_t records = 0;
    std::string where;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        const log::StreamId stream = topic.partitions[i];
        const log::StreamState* state = shared_.log.stream(stream);
        if (state == nullptr) continue;
        const log::Offset from = std::max(shared_.cursors.at(index_, stream), state->log_start);
        if (from >= state->flushed) continue;
        const auto known = left.try_emplace(stream, from).first;
        known->second = std::min(known->second, from);
        records += static_cast<std::uint64_t>(state->flushed - from);
        if (++places > places_max) continue;
        where += (places == 1 ? "" : ", ") + std::to_string(from) + " to " +
                 std::to_string(state->flushed - 1) + " of " + name + "-" + std::to_string(i);
    }
    if (records == 0) return;
    counts_.lost_records += records;
    if (places > places_max)
        where += " and others of " + std::to_string(places - places_max) + " more partitions";
    tell(Event::Level::warn, deleted_text(name, records, where));
}

// ---- status

RouteStatus Runner::status(Instant now) const {
    RouteStatus status = counts_;
    if (problems_.empty()) status.last_error.clear();  // its topic may be gone
    status.cluster_id = router_.metadata().cluster_id();
    status.partitions = static_cast<std::uint32_t>(taps_.size());
    status.in_flight_bytes = memory_;
    for (const auto& [key, lane] : lanes_) status.stalled += lane->is_refused();
    if (router_.connected_count() > 0)
        status.link = LinkState::connected;
    else if (taps_.empty())
        status.link = LinkState::idle;
    else
        status.link = connect_failed_ ? LinkState::waiting : LinkState::connecting;
    for (const auto& [stream, tap] : taps_) {
        const log::StreamState* state = shared_.log.stream(stream);
        if (state == nullptr || state->flushed <= tap->cursor()) continue;
        const auto behind = static_cast<std::uint64_t>(state->flushed - tap->cursor());
        const auto all =
            static_cast<std::uint64_t>(std::max<log::Offset>(state->log_end - state->log_start, 1));
        status.backlog_records += behind;
        status.backlog_bytes +=
            static_cast<std::uint64_t>(static_cast<double>(state->bytes) *
                                       static_cast<double>(behind) / static_cast<double>(all));
        status.backlog_age = std::max(status.backlog_age, tap->age(now));
    }
    return status;
}

}  // namespace leat::uplink
