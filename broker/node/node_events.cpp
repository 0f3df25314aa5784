// What people are told: the log at its start, and what the rooms noticed since the last poll.
#include "broker/log/superblock.hpp"
#include "broker/node/node_impl.hpp"

namespace leat::node {
namespace {

// Between two polls; more are log lines that nobody would read.
constexpr std::size_t events_max = 512;

}  // namespace

void NodeImpl::say(Event::Level level, const char* room, std::string text) {
    if (events_.size() < events_max)
        events_.push_back({.level = level, .room = room, .text = std::move(text)});
}

void NodeImpl::tell_log_status() {
    const log::LogStatus status = log_->status();
    say(Event::Level::info, "log",
        "log " + status.log_id + ", start " + std::to_string(status.start_count) + ", " +
            std::to_string(topics_.registry.all().size()) + " topics, " +
            std::to_string(status.used_bytes / 1024) + " of " +
            std::to_string(status.budget_bytes / 1024) + " KiB used" +
            (status.start_count > 1 && !status.was_sealed ? ", after an unclean stop" : ""));
    if (!status.cut_text.empty()) say(Event::Level::warn, "log", status.cut_text);
    const auto stays = [this](const char* key, std::uint32_t asked, std::uint32_t is) {
        if (asked != 0 && is != 0 && asked != is)
            say(Event::Level::warn, "log",
                std::string(key) + " is " + std::to_string(asked) +
                    ", but this log was made with " + std::to_string(is) +
                    " and keeps it; a new data folder would take the setting");
    };
    stays("log.segment.bytes", config_.segment_bytes, status.segment_bytes);
    stays("log.page.bytes", config_.page_bytes, status.page_bytes);
    if (config_.message_bytes_max > log_->max_batch_bytes())
        say(Event::Level::warn, "log",
            "batches above " + std::to_string(log_->max_batch_bytes() / 1024) +
                " KiB are refused, though message.max.bytes is " +
                std::to_string(config_.message_bytes_max / 1024) +
                " KiB: half a segment of this log. A new folder with a larger log.budget.bytes "
                "has larger segments");
    if (status.foreign_device)
        say(Event::Level::warn, "log",
            "this log was written on another device: all of it is served and kept, nothing is "
            "forwarded. Start once with --adopt if that device is gone, with --fork if it still "
            "runs");
}

/// What a smaller budget makes of the log; "no" comes after something else only.
void NodeImpl::tell_shrinking() {
    const log::LogStatus status = log_->status();
    const std::string to = std::to_string(status.budget_bytes / 1024) + " KiB";
    switch (status.shrinking) {
        case log::Shrinking::no:
            return say(Event::Level::info, "log", "the log is as small as its budget now: " + to);
        case log::Shrinking::making_room:
            return say(Event::Level::info, "log",
                       "more is kept than the smaller budget of " + to +
                           " allows: what may be freed is, the oldest first");
        case log::Shrinking::waiting:
            return say(Event::Level::warn, "log",
                       "the log stays larger than its budget of " + to +
                           ": what is kept may not be dropped, or not yet; nothing is lost, and it "
                           "goes on when there is room; look at the uplink, shorten retention, or "
                           "let a topic drop its oldest (leat.full.policy)");
        case log::Shrinking::moving:
            return say(Event::Level::info, "log",
                       "the log becomes as small as its budget of " + to +
                           ": what lies behind that is moved");
        case log::Shrinking::unreadable:
            return say(Event::Level::error, "log",
                       "the log stays larger than its budget of " + to +
                           ": a segment cannot be moved, its device fails; it is tried again; "
                           "look at the device");
        case log::Shrinking::giving_back:
            return;
    }
}

void NodeImpl::tell_slow_write() {
    if (log_->counters().slow_writes != told_slow_) {
        told_slow_ = log_->counters().slow_writes;
        slow_since_ = seen_ - milliseconds(5000);
        say(Event::Level::warn, "log",
            "a write takes longer than 5 s: what is sent here waits; check the storage device");
    }
    if (slow_since_ == never || log_->status().write_is_slow) return;
    const auto seconds = (seen_ - std::exchange(slow_since_, never)).count() / 1000;
    say(Event::Level::info, "log",
        "the write that took so long is over, after " + std::to_string(seconds) + " s");
}

void NodeImpl::collect_events() {
    while (const auto event = sessions_.poll_event()) {
        using session::CloseReason;
        const bool usual =
            event->reason == CloseReason::idle || event->reason == CloseReason::stopping;
        const bool sized = event->reason == CloseReason::negative_length ||
                           event->reason == CloseReason::frame_too_large ||
                           event->reason == CloseReason::frame_too_short;
        const bool asked = event->reason == CloseReason::unknown_api ||
                           event->reason == CloseReason::malformed_request ||
                           event->reason == CloseReason::answer_too_large;
        say(usual ? Event::Level::debug : Event::Level::warn, "session",
            event->peer + " closed: " + session::close_text(event->reason) +
                (sized   ? " (" + std::to_string(event->detail) + ")"
                 : asked ? " (key " + std::to_string(event->detail >> 16) + ", version " +
                               std::to_string(static_cast<std::int16_t>(event->detail)) + ")"
                         : ""));
    }
    while (uplink_) {
        auto event = uplink_->poll_event();
        if (!event) break;
        using Theirs = uplink::Event::Level;
        say(event->level == Theirs::info   ? Event::Level::info
            : event->level == Theirs::warn ? Event::Level::warn
                                           : Event::Level::error,
            "uplink", "route " + event->route + ": " + event->text);
    }
    const log::LogCounters& counters = log_->counters();
    if (counters.write_errors != told_write_errors_) {
        told_write_errors_ = counters.write_errors;
        const bool over = writes_fail_ = log_->status().read_only;
        say(Event::Level::error, "log",
            over ? "writes fail: nothing is taken, reads go on; the device is tried again from "
                   "time to time; look at it"
                 : "a write failed: its group goes to another segment; look at the device");
    }
    if (writes_fail_ && !log_->status().read_only) {
        writes_fail_ = false;
        say(Event::Level::info, "log", "the device takes writes again, and the log records");
    }
    tell_slow_write();
    if (counters.shrink_changes != told_shrink_) {
        told_shrink_ = counters.shrink_changes;
        tell_shrinking();
    }
    if (counters.append_rejected_full != told_full_ && seen_ >= tell_full_at_) {
        say(Event::Level::warn, "log",
            "the log is full, and what is in it may not be dropped, or not yet: " +
                std::to_string(counters.append_rejected_full - told_full_) +
                " batches were refused, their producers try again; look at the uplink, shorten "
                "retention, or let a topic drop its oldest (leat.full.policy)");
        told_full_ = counters.append_rejected_full;
        tell_full_at_ = seen_ + told_quiet;
    }
    if (counters.scrub_damaged != told_scrubbed_) {
        told_scrubbed_ = counters.scrub_damaged;
        const log::LogStatus status = log_->status();
        if (!status.damaged.empty()) {
            const log::DamagedPlace& place = status.damaged.back();
            say(Event::Level::error, "log",
                std::string("damage on the device at byte ") +
                    std::to_string(place.device_position) + " of leat.log (" +
                    (place.segment == log::no_segment
                         ? "superblock"
                         : "segment " + std::to_string(place.segment)) +
                    ", " + log::damaged_text(place.what) +
                    "), found by the scrubber");
        }
    }
    if (counters.dropped_records != told_dropped_ && seen_ >= tell_dropped_at_) {
        say(Event::Level::warn, "log",
            "the log is full: " + std::to_string(counters.dropped_records - told_dropped_) +
                " records were dropped for room, undelivered, the oldest of the lowest priority "
                "first; which they were is in the ledger (leat ledger); look at the uplink, or let "
                "producers wait (leat.full.policy)");
        told_dropped_ = counters.dropped_records;
        tell_dropped_at_ = seen_ + told_quiet;
    }
    if (counters.damaged_batches != told_damaged_) {
        told_damaged_ = counters.damaged_batches;
        say(Event::Level::error, "log",
            std::to_string(told_damaged_) +
                " batches are damaged on the device and were skipped by readers");
    }
}

std::optional<Event> NodeImpl::poll_event() {
    collect_events();
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
}

}  // namespace leat::node
