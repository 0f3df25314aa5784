// The status document: what GET /status and `leat status` show, and what metrics are made from.
// Names that end in _total only grow while the process runs; everything else is as of now.
#include <algorithm>
#include <array>

#include "broker/config/version.hpp"
#include "broker/node/json.hpp"
#include "broker/node/node_impl.hpp"

namespace leat::node {
namespace {

void write_log(Json& json, const log::LogStatus& status, const log::LogCounters& counters,
               std::optional<std::int64_t> hours_left) {
    json.object("log")
        .text("log_id", status.log_id)
        .text("parent_log_id", status.parent_log_id)
        .count("start_count", status.start_count)
        .number("leader_epoch", status.leader_epoch)
        .truth("was_sealed", status.was_sealed)
        .truth("foreign_device", status.foreign_device)
        .truth("read_only", status.read_only)
        .truth("write_is_slow", status.write_is_slow)
        .count("budget_bytes", status.budget_bytes)
        .count("pool_bytes", std::uint64_t{status.segments} * status.segment_bytes)
        .count("reserved_bytes", status.reserved_bytes)
        .count("used_bytes", status.used_bytes)
        .count("segment_bytes", status.segment_bytes)
        .count("page_bytes", status.page_bytes)
        .count("segments", status.segments)
        .count("segments_target", status.segments_target)
        .text("shrinking", log::shrinking_text(status.shrinking))
        .truth("shrinking_waits", status.shrinking == log::Shrinking::waiting ||
                                      status.shrinking == log::Shrinking::unreadable)
        .count("segments_free", status.segments_free)
        .count("segments_kept", status.segments_kept)
        .count("payload_bytes_total", counters.payload)
        .count("written_bytes_total", counters.written_data + counters.written_padding +
                                          counters.written_footer + counters.written_checkpoint +
                                          counters.written_other + counters.written_cleaner)
        .count("written_data_bytes_total", counters.written_data)
        .count("written_padding_bytes_total", counters.written_padding)
        .count("written_footer_bytes_total", counters.written_footer)
        .count("written_checkpoint_bytes_total", counters.written_checkpoint)
        .count("written_other_bytes_total", counters.written_other)
        .count("written_cleaner_bytes_total", counters.written_cleaner)
        .count("cleaner_copied_bytes_total", counters.cleaner_copied)
        .count("cleaner_freed_bytes_total", counters.cleaner_freed)
        .count("moved_bytes_total", counters.moved_bytes)
        .count("given_back_bytes_total", counters.given_back)
        .count("written_zeros_bytes_total", counters.written_zeros)
        .count("read_bytes_total", counters.read)
        .count("read_at_open_bytes", counters.read_at_open)
        .count("commits_total", counters.commits)
        .count("segments_recycled_total", counters.segments_recycled)
        .count("write_errors_total", counters.write_errors)
        .count("slow_writes_total", counters.slow_writes)
        .count("damaged_batches_total", counters.damaged_batches)
        .count("scrubbed_bytes_total", counters.scrubbed)
        .count("scrub_damaged_total", counters.scrub_damaged)
        .count("expired_records_total", counters.expired_records)
        .count("superseded_records_total", counters.superseded_records)
        .count("append_rejected_full_total", counters.append_rejected_full)
        .count("dropped_records_total", counters.dropped_records);
    if (hours_left) json.number("hours_left", *hours_left);
    json.array("damaged_places");
    std::uint64_t id = 0;
    for (const log::DamagedPlace& place : status.damaged)
        json.object()
            .count("id", id++)
            .text("what", log::damaged_text(place.what))
            .count("device_position", place.device_position)
            .count("segment", place.segment)
            .count("age_ms", place.age_ms)
            .end_object();
    json.end_array();
    json.end_object();
}

const char* text_of(log::LossReason reason) {
    switch (reason) {
        case log::LossReason::no_room:
            return "dropped for room";
        case log::LossReason::expired:
            return "expired undelivered";
        case log::LossReason::cut:
            return "cut, acknowledgement unknown";
        case log::LossReason::damaged:
            return "damaged";
        case log::LossReason::raised:
            return "raised";
        case log::LossReason::refused:
            return "refused upstream";
        case log::LossReason::deleted:
            return "deleted undelivered";
    }
    return "unknown";
}

void write_losses(Json& json, const std::vector<log::Loss>& losses) {
    json.array("losses");
    std::uint64_t id = 0;  // as metrics two entries of one reason need different labels
    for (const log::Loss& loss : losses)
        json.object()
            .count("id", id++)
            .text("reason", text_of(loss.reason))
            .number("from", loss.from)
            .number("to", loss.to)
            .count("records", loss.records)
            .count("bytes", loss.bytes)
            .count("events", loss.events)
            .count("first_age_ms", loss.first_age_ms)
            .count("last_age_ms", loss.last_age_ms)
            .number("wall_ms", loss.wall_ms)
            .end_object();
    json.end_array();
}

/// The counts add up to log_end: "balanced" says so.
void write_books(Json& json, const log::Books& books) {
    const auto freed = [&](log::Freed how) {
        return books.freed[static_cast<std::size_t>(how)].records;
    };
    std::uint64_t lost = 0;
    for (const log::Loss& loss : books.losses) lost += loss.records;
    json.object("books")
        .count("kept_delivered", books.kept_delivered)
        .count("kept_buffered", books.kept_buffered)
        .count("freed_delivered", freed(log::Freed::delivered))
        .count("expired", freed(log::Freed::expired))
        .count("deleted", freed(log::Freed::deleted))
        .count("superseded", freed(log::Freed::superseded))
        .count("lost", lost)
        .truth("balanced", books.balanced());
    write_losses(json, books.losses);
    json.end_object();
}

void write_groups(Json& json, const groups::Groups& groups) {
    std::array<std::uint64_t, 5> states{};
    groups.for_each(
        [&](const groups::Group& group) { ++states[static_cast<std::size_t>(group.state)]; });
    const auto in = [&](groups::State state) { return states[static_cast<std::size_t>(state)]; };
    const groups::GroupsCounters& counters = groups.counters();
    json.object("groups")
        .count("groups", groups.size())
        .count("empty", in(groups::State::empty))
        .count("preparing_rebalance", in(groups::State::preparing_rebalance))
        .count("completing_rebalance", in(groups::State::completing_rebalance))
        .count("stable", in(groups::State::stable))
        .count("members", groups.members())
        .count("member_bytes", groups.member_bytes())
        .count("joins_total", counters.joins)
        .count("rebalances_total", counters.rebalances)
        .count("members_timed_out_total", counters.members_timed_out)
        .count("pending_evicted_total", counters.pending_evicted)
        .count("commits_total", counters.commits)
        .count("commits_unchanged_total", counters.commits_unchanged)
        .count("offsets_expired_total", counters.offsets_expired)
        .end_object();
}

const char* text_of(uplink::LinkState state) {
    switch (state) {
        case uplink::LinkState::idle:
            return "idle";
        case uplink::LinkState::connecting:
            return "connecting";
        case uplink::LinkState::connected:
            return "connected";
        case uplink::LinkState::waiting:
            return "waiting";
        case uplink::LinkState::held:
            return "held";
    }
    return "";
}

void write_route(Json& json, const uplink::RouteStatus& route) {
    json.object()
        .text("route", route.name)
        .text("link", text_of(route.link))
        .text("upstream_cluster_id", route.cluster_id)
        .count("partitions", route.partitions)
        .count("stalled", route.stalled)
        .count("backlog_records", route.backlog_records)
        .count("backlog_bytes", route.backlog_bytes)
        .number("backlog_age_ms", route.backlog_age.count())
        .count("in_flight_bytes", route.in_flight_bytes)
        .count("delivered_batches_total", route.delivered_batches)
        .count("delivered_records_total", route.delivered_records)
        .count("delivered_bytes_total", route.delivered_bytes)
        .count("refused_batches_total", route.refused_batches)
        .count("lost_records_total", route.lost_records)
        .count("skipped_batches_total", route.skipped_batches)
        .count("skipped_records_total", route.skipped_records)
        .count("returned_records_total", route.returned_records)
        .count("doubts_lost_total", route.doubts_lost)
        .text("last_error", route.last_error)
        .end_object();
}

}  // namespace

std::uint64_t NodeImpl::arrived_bytes() const {
    const log::LogCounters& counters = log_->counters();
    return counters.written_data + counters.written_padding + counters.written_footer;
}

/// Of batches that are kept, and make room when it is needed.
std::uint64_t NodeImpl::delivered_bytes() const {
    double sum = 0;
    for (const auto& [name, topic] : topics_.registry.all())
        for (const log::StreamId id : topic->partitions) {
            const log::StreamState* state = log_->stream(id);
            if (state == nullptr || state->release == INT64_MAX || topic->config.compacted() ||
                state->release <= state->log_start)
                continue;
            const auto upto = std::min(state->release, state->log_end);
            sum += static_cast<double>(state->bytes) *
                   static_cast<double>(upto - state->log_start) /
                   static_cast<double>(std::max<log::Offset>(state->log_end - state->log_start, 1));
        }
    return static_cast<std::uint64_t>(sum);
}

std::string NodeImpl::status_json(Instant now) const {
    Json json;
    json.object()
        .text("name", "leatd")
        .text("version", config::version_text)
        .number("uptime_ms", (now - started_).count())
        .text("cluster_id", cluster_id_)
        .number("node_id", config_.node_id)
        .truth("stopping", stopping_);
    const log::LogStatus log = log_->status();
    const std::uint32_t kept = std::min(log.segments_kept, log.segments_free);
    const std::uint64_t room = std::uint64_t{log.segments_free - kept} * log.segment_bytes;
    write_log(json, log, log_->counters(),
              fill_.hours(now, arrived_bytes(), room + delivered_bytes()));
    json.object("ledger").count("lost_records_total", log_->counters().lost_records);
    write_losses(json, log_->books(log::no_stream).losses);  // of no one partition: cuts
    json.end_object();

    json.array("topics");
    for (const auto& [name, topic] : topics_.registry.all()) {
        json.object().text("name", name).truth("internal", topic->internal).array("partitions");
        for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
            const log::StreamState* state = log_->stream(topic->partitions[i]);
            if (state == nullptr) continue;
            json.object()
                .number("partition", static_cast<std::int64_t>(i))
                .number("log_start", state->log_start)
                .number("high_watermark", state->flushed)
                .number("log_end", state->log_end)
                .number("uplinked_offset",
                        uplink_ ? uplink_->uplinked_offset(topic->partitions[i]) : state->flushed)
                .number("bytes", state->bytes);
            write_books(json, log_->books(topic->partitions[i]));
            json.end_object();
        }
        json.end_array().end_object();
    }
    json.end_array();

    const topics::TopicsCounters& topics = topics_.counters();
    json.object("produce")
        .count("batches_total", topics.batches)
        .count("records_total", topics.records)
        .count("bytes_total", topics.bytes)
        .count("duplicates_total", topics.duplicates)
        .count("refused_total", topics.refused)
        .number("throttle_ms", api::throttle_of(log_->room(log::no_stream)).count())
        .count("throttled_total", api_.pressure().throttled)
        .count("throttled_ms_total", api_.pressure().throttled_ms)
        .end_object();

    json.array("uplink");
    if (uplink_)
        for (const uplink::RouteStatus& route : uplink_->status(now)) write_route(json, route);
    json.end_array();

    const session::Counters& sessions = sessions_.counters();
    const api::Api::Parked parked = api_.parked();
    json.object("sessions")
        .count("open", sessions.now_open)
        .count("opened_total", sessions.opened)
        .count("refused_total", sessions.refused)
        .count("closed_by_us_total", sessions.closed_by_us)
        .count("requests_total", sessions.requests)
        .count("responses_total", sessions.responses)
        .count("received_bytes_total", sessions.bytes_in)
        .count("sent_bytes_total", sessions.bytes_out)
        .count("parked_produces", parked.produces)
        .count("parked_fetches", parked.fetches)
        .count("parked_lookups", parked.lookups)
        .end_object();

    const api::FetchSessions::Counters fetching = api_.fetch_sessions();
    json.object("fetch_sessions")
        .count("open", fetching.open)
        .count("partitions", fetching.partitions)
        .count("bytes", fetching.bytes)
        .count("size_bytes", fetching.bytes_max)
        .count("opened_total", fetching.made)
        .count("evicted_total", fetching.evicted)
        .count("declined_total", fetching.declined)
        .end_object();

    write_groups(json, groups_);

    const quotas::QuotasCounters& throttles = quotas_.counters();
    json.object("quotas")
        .count("entities", quotas_.all().size())
        .count("payers", quotas_.payers())
        .count("throttled_total", throttles.throttled)
        .count("throttled_ms_total", throttles.throttled_ms)
        .end_object();

    const session::BytePool::Counters pool = pool_.counters();
    json.object("byte_pool")
        .count("size_bytes", pool.size)
        .count("request_bytes", pool.request_bytes)
        .count("response_bytes", pool.response_bytes)
        .count("small_bytes", pool.small_bytes)
        .count("spare_bytes", pool.spare_bytes)
        .count("peak_bytes", pool.peak)
        .count("waiting", pool.waiting)
        .count("waited_total", pool.waited)
        .end_object();
    json.end_object();
    return json.take();
}

}  // namespace leat::node
