#include "broker/uplink/runner.hpp"

#include <algorithm>
#include <set>

#include "broker/uplink/route.hpp"
#include "broker/uplink/texts.hpp"

namespace leat::uplink {
namespace {

using config::Route;

cluster::RouterConfig router_config(const Route& route, const std::string& gateway_id,
                                    std::uint32_t seed) {
    cluster::RouterConfig config;
    config.client_id = std::string(client_prefix) + gateway_id;
    if (!keeps_names(route)) config.client_id += renaming;
    for (const config::HostPort& at : route.bootstrap)
        config.bootstrap.push_back({at.host, at.port});
    config.sender.request_timeout = route.request_timeout;
    config.sender.delivery_timeout = milliseconds{0};  // never: the log keeps it
    config.sender.retry = backoff_of(route);
    config.sender.request_bytes_max = std::min<std::uint32_t>(route.in_flight_bytes, 1024 * 1024);
    config.metadata.retry = backoff_of(route);
    config.metadata.allow_auto_topic_creation = false;
    config.metadata.jitter_seed = seed;
    config.reconnect = backoff_of(route);
    // Metadata of 50,000 partitions; a peer that promises more is not taken at its word.
    config.receive_bytes_max = 8 * 1024 * 1024;
    config.request_timeout = route.request_timeout;
    config.seed = seed;
    return config;
}

}  // namespace

Runner::Runner(Shared shared, Route route, RouteIndex index, std::uint32_t seed)
    : shared_(std::move(shared)),
      route_(std::move(route)),
      index_(index),
      router_(router_config(route_, shared_.gateway_id, seed)),
      maker_(backoff_of(route_), seed,
             [this](Instant now, const std::string& topic, wire::ErrorCode error,
                    std::string text) { on_created(now, topic, error, std::move(text)); }),
      mirror_(shared_.own_cluster_id),
      jitter_(seed) {
    counts_.name = route_.name;
    router_.add(maker_);
    router_.add(mirror_);
    router_.add(recall_);
}

Runner::~Runner() {
    router_.remove(maker_);
    router_.remove(mirror_);
    router_.remove(recall_);
}

// ---- taps and lanes

void Runner::topics_changed(Instant now, const ForEachTopic& topics) {
    now_ = now;
    if (stopped_) return;
    std::set<log::StreamId> there;
    topics([&](const LocalTopic& topic) {
        if (matches(route_, topic.name, topic.internal) &&
            is_legal_topic(upstream_name(route_, topic.name)))
            there.insert(topic.partitions.begin(), topic.partitions.end());
    });
    // First: a topic that was deleted and made again must not meet the lane of its past.
    std::vector<log::StreamId> gone;
    for (const auto& [stream, tap] : taps_)
        if (!there.contains(stream)) gone.push_back(stream);
    for (const log::StreamId stream : gone) remove_tap(now, stream);
    topics([&](const LocalTopic& topic) {
        if (!matches(route_, topic.name, topic.internal)) return;
        const std::string name = upstream_name(route_, topic.name);
        if (!is_legal_topic(name)) {
            problem(topic_key(name), Event::Level::error,
                    topic_text(name, wire::ErrorCode::invalid_topic_exception, ""));
            // No tap, but a cursor: what the route asked for is kept until its name is put right.
            for (const log::StreamId stream : topic.partitions)
                (void)shared_.cursors.attach(index_, stream);
            return;
        }
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            if (!taps_.contains(topic.partitions[i]))
                add_tap(now, topic, static_cast<std::int32_t>(i));
        }
    });
    look_at_metadata(now);
    pump(now);
}

void Runner::add_tap(Instant now, const LocalTopic& topic, std::int32_t partition) {
    const log::StreamId stream = topic.partitions[static_cast<std::size_t>(partition)];
    const log::StreamState* state = shared_.log.stream(stream);
    if (state == nullptr) return;
    log::Offset cursor = shared_.cursors.attach(index_, stream);
    const log::Offset kept = cursor;
    if (cursor > state->log_end) {
        // The device lost what it had called durable. Its offsets are upstream already and must not
        // be given to other records.
        tell(Event::Level::error,
             "the log ends at " + std::to_string(state->log_end) + " in " +
                 std::string(topic.name) + "-" + std::to_string(partition) + ", but " +
                 std::to_string(cursor) +
                 " was delivered: the storage lied about a flush; going on from there");
        (void)shared_.log.raise_log_end(now, stream, cursor);  // refused: the log does it later
    } else if (cursor < state->log_start) {
        if (cursor > 0) counts_.lost_records += lost_between(stream, cursor, state->log_start);
        cursor = state->log_start;
        shared_.cursors.move(now, index_, stream, cursor);
    }
    auto made = std::make_unique<Tap>(std::string(topic.name), partition, stream, cursor);
    Tap& tap = *made;
    taps_.emplace(stream, std::move(made));
    tap.mark(now, state->flushed);

    const std::string name = upstream_name(route_, topic.name);
    Target& target = targets_[name];
    if (target.taps++ == 0) router_.want(now, name);
    switch (route_.mapping) {
        case Route::Mapping::same_partition:
            target.partitions_wanted = std::max(target.partitions_wanted, partition + 1);
            tap.lane = &lane_to(now, name, partition);
            begin_lane(now, tap, cursor == kept && kept <= state->log_end);
            break;
        case Route::Mapping::pinned:
            target.partitions_wanted =
                std::max(target.partitions_wanted, route_.pinned_partition + 1);
            tap.lane = &lane_to(now, name, route_.pinned_partition);
            break;
        case Route::Mapping::by_key:
            // Lanes come with the first batch: how many there are only metadata tells. A topic made
            // for us gets as many partitions as the local one has.
            target.partitions_wanted = std::max(target.partitions_wanted, partition + 1);
            break;
    }
    make_hungry(tap);
}

/// A log that was too full for the cursor's fact freed what is delivered before it was kept.
std::uint64_t Runner::lost_between(log::StreamId stream, log::Offset from, log::Offset to) const {
    const log::Books books = shared_.log.books(stream);
    const auto freed = [&](log::Freed how) {
        return books.freed[static_cast<std::size_t>(how)].records;
    };
    std::uint64_t lost = freed(log::Freed::expired) + freed(log::Freed::deleted);
    for (const log::Loss& loss : books.losses)
        if (loss.from < to && loss.to > from) lost += loss.records;
    return std::min(lost, static_cast<std::uint64_t>(to - from));
}

void Runner::remove_tap(Instant now, log::StreamId stream) {
    const auto found = taps_.find(stream);
    Tap& tap = *found->second;
    if (tap.reading_into) {
        reads_.erase(tap.ticket);
        orphans_.emplace(tap.ticket, tap.reading_into);
        shared_.log.cancel_read(tap.ticket);
    }
    if (tap.lane != nullptr) {
        tap.lane->forget(tap);
    } else {
        for (const auto& [key, lane] : lanes_) lane->forget(tap);
    }
    std::erase(hungry_, &tap);
    const std::string name = upstream_name(route_, tap.topic());
    for (const std::string& key : {round_key(tap.topic()), returned_key(tap.topic())})
        problems_.erase(key);
    fed_.erase(tap.topic());
    const auto target = targets_.find(name);
    shared_.cursors.detach(index_, stream);
    taps_.erase(found);
    if (target == targets_.end() || --target->second.taps > 0) return;
    router_.forget(name);
    maker_.forget(name);
    targets_.erase(target);
    problems_.erase(topic_key(name));
    std::vector<Lane*> without;
    for (const auto& [key, lane] : lanes_)
        if (key.first == name) without.push_back(lane.get());
    for (Lane* lane : without) drop_lane(now, *lane);
}

Lane& Runner::lane_to(Instant now, const std::string& topic, std::int32_t partition) {
    std::unique_ptr<Lane>& lane = lanes_[{topic, partition}];
    if (!lane) {
        LaneOwner& self = *this;  // a private base: nobody else may call it
        lane = std::make_unique<Lane>(self, topic, partition);
        // This run's numbers were used for this partition. From 0 on the upstream would take the
        // first records for those that it has; a new epoch is a new count.
        if (const auto left = left_.find({topic, partition}); left != left_.end()) {
            lane->queue().start_after(left->second);
            left_.erase(left);
        }
        router_.route(now, lane->queue());
    }
    return *lane;
}

void Runner::drop_lane(Instant now, Lane& lane) {
    problems_.erase(lane_key(lane));
    std::erase(failing_, &lane);
    std::erase(stalled_, &lane);
    std::erase(naming_, &lane);
    std::erase(unkept_, &lane);
    recall_.forget(lane.topic(), lane.partition());
    if (const client::ProducerState& as = lane.queue().sending_as(); as.producer_id >= 0)
        left_[{lane.topic(), lane.partition()}] = as;
    lane.leave();
    const auto found = lanes_.find({lane.topic(), lane.partition()});
    leaving_.emplace(&lane.queue(), std::move(found->second));
    lanes_.erase(found);
    router_.unroute(now, lane.queue());
}

/// By key: the topic was made anew with fewer partitions. What was placed where none is any more is
/// read and placed again.
void Runner::drop_lanes_from(Instant now, const std::string& topic, std::int32_t partition) {
    std::vector<Lane*> gone;
    for (const auto& [key, lane] : lanes_)
        if (key.first == topic && key.second >= partition) gone.push_back(lane.get());
    if (gone.empty()) return;
    for (const auto& [stream, tap] : taps_) {
        if (upstream_name(route_, tap->topic()) != topic) continue;
        for (const auto& [key, lane] : lanes_) lane->forget(*tap);
        tap->rewind();
    }
    for (Lane* lane : gone) drop_lane(now, *lane);
}

bool Runner::can_deliver(const Tap& tap) const {
    const cluster::Metadata& metadata = router_.metadata();
    if (leads_back() || goes_round(tap.topic())) return false;
    if (tap.lane == nullptr) {
        const cluster::TopicInfo* topic = metadata.find(upstream_name(route_, tap.topic()));
        return topic != nullptr && !topic->partitions.empty();
    }
    if (tap.lane->state() != Lane::State::flowing) return false;
    // What cannot go out would only hold the memory that others need.
    return router_.is_connected(metadata.leader(tap.lane->topic(), tap.lane->partition()));
}

void Runner::delivered(Lane& lane, const Outgoing& batch) {
    ++counts_.delivered_batches;
    counts_.delivered_records += static_cast<std::uint64_t>(batch.source.record_count);
    counts_.delivered_bytes += batch.source.records.size() + wire::batch_header_size;
    if (!problems_.empty())
        solved(lane_key(lane),
               lane.topic() + "-" + std::to_string(lane.partition()) + " is delivered again");
    if (batch.tap == nullptr) return;
    if (batch.tap->part_done(batch.pending))
        shared_.cursors.move(now_, index_, batch.tap->stream(), batch.tap->cursor(),
                             sent_as(lane, batch));
    make_hungry(*batch.tap);
}

// ---- driving

void Runner::readable(Instant now, log::StreamId stream) {
    const auto found = taps_.find(stream);
    if (found == taps_.end()) return;
    if (const log::StreamState* state = shared_.log.stream(stream))
        found->second->mark(now, state->flushed);
    make_hungry(*found->second);
    feed(now);
}

void Runner::pump(Instant now) {
    now_ = now;
    if (pumping_ || stopped_) return;
    pumping_ = true;
    do {
        tend_lanes(now);
        router_.pump(now);
        drain_events(now);
        tend_lanes(now);
    } while (tend_names(now));
    feed(now);
    pumping_ = false;
}

void Runner::on_deadline(Instant now) {
    now_ = now;
    if (stopped_) return;
    if (router_.deadline() <= now) router_.on_deadline(now);
    if (look_again_ <= now) {
        look_again_ = never;
        // Who leads back here says so for as long as the connection lasts.
        leads_back() ? router_.ask_bootstrap(now) : router_.refresh_metadata(now);
    }
    if (mirror_at_ <= now) look_into_mirror(now);
    if (!unkept_.empty() && names_due() <= now) look_at_names_again();
    if (read_again_at_ <= now) {
        read_again_at_ = never;
        for (const auto& [stream, tap] : taps_)
            if (tap->retry_read_at > now)
                read_again_at_ = earlier(read_again_at_, tap->retry_read_at);
        make_all_hungry();
    }
    pump(now);
}

Instant Runner::deadline() const {
    if (stopped_) return never;
    Instant first = earlier(router_.deadline(), earlier(look_again_, read_again_at_));
    first = earlier(earlier(first, mirror_at_), names_due());
    for (const Lane* lane : stalled_) first = earlier(first, lane->retry_at());
    return first;
}

void Runner::stop(Instant) {
    stopped_ = true;
    for (auto& [ticket, tap] : reads_) {
        orphans_.emplace(ticket, tap->reading_into);
        tap->reading_into = nullptr;
        shared_.log.cancel_read(ticket);
    }
    reads_.clear();
}

}  // namespace leat::uplink
