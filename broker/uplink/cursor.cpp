#include "broker/uplink/cursor.hpp"

#include <algorithm>
#include <limits>

namespace leat::uplink {
namespace {

constexpr std::uint8_t format_plain = 0;
constexpr std::uint8_t format_named = 1;
constexpr std::uint8_t format_cut = 2;
constexpr std::uint8_t format_ended = 3;
constexpr std::size_t stream_size = 4;
constexpr std::size_t plain_size = 9;
constexpr std::size_t named_size = plain_size + 8 + 2 + 4 + 4 + 8;
constexpr std::size_t cut_size = named_size + 4;
constexpr std::size_t ended_size = cut_size + 8;
constexpr milliseconds pause_per_fact{25};
constexpr int pause_factor_max = 20;
constexpr milliseconds full_for{2'000};  // no other room has come by then

}  // namespace

std::vector<std::uint8_t> Cursors::key_of(RouteIndex route, log::StreamId stream) const {
    const std::string& name = names_[route];
    std::vector<std::uint8_t> key(name.begin(), name.end());
    key.resize(name.size() + 1 + stream_size);
    store_big(key.data() + name.size() + 1, stream);
    return key;
}

void Cursors::load() {
    log_.for_each_fact(log::FactKind::cursor, [this](ByteView key, ByteView value) {
        if (key.size() < 1 + stream_size || value.empty()) return;
        const bool ended = value[0] == format_ended && value.size() == ended_size;
        const bool cut = ended || (value[0] == format_cut && value.size() == cut_size);
        const bool named = cut || (value[0] == format_named && value.size() == named_size);
        if (!named && (value[0] != format_plain || value.size() != plain_size)) return;
        const std::string_view name = text_of(key.first(key.size() - 1 - stream_size));
        const auto found = std::find(names_.begin(), names_.end(), name);
        if (found == names_.end()) return;  // a route that was taken out: kept, it may come back
        const auto stream = load_big<log::StreamId>(key.data() + key.size() - stream_size);
        const auto route = static_cast<RouteIndex>(found - names_.begin());
        Cursor& cursor = cursors_[{stream, route}];
        cursor.offset = cursor.written = load_big<log::Offset>(value.data() + 1);
        if (!named) return;
        const std::uint8_t* at = value.data() + plain_size;
        cursor.as.producer = {.producer_id = load_big<std::int64_t>(at),
                              .producer_epoch = load_big<std::int16_t>(at + 8),
                              .next_sequence = load_big<std::int32_t>(at + 10)};
        cursor.as.place = load_big<std::uint32_t>(at + 14);
        cursor.as.until = load_big<log::Offset>(at + 18);
        if (cut) cursor.as.batch_bytes_max = load_big<std::uint32_t>(at + 26);
        if (ended) cursor.as.upstream_end = load_big<std::int64_t>(at + 30);
    });
}

void Cursors::begin_at_end(Instant now, RouteIndex route, log::StreamId stream) {
    const log::StreamState* state = log_.stream(stream);
    if (state == nullptr) return;
    Cursor& cursor = cursors_[{stream, route}];
    cursor.offset = std::max(cursor.offset, state->log_end);
    cursor.as = {};  // the numbers belong to whoever sent under them
    if (!put(now, {stream, route}, Put::soon)) dirty_.insert({stream, route});
}

log::Offset Cursors::attach(RouteIndex route, log::StreamId stream) {
    Cursor& cursor = cursors_[{stream, route}];
    cursor.attached = true;
    return cursor.offset;
}

void Cursors::detach(RouteIndex route, log::StreamId stream) {
    const auto found = cursors_.find({stream, route});
    if (found != cursors_.end()) found->second.attached = false;
}

void Cursors::erase(Instant now, log::StreamId stream) {
    for (auto at = cursors_.lower_bound({stream, 0});
         at != cursors_.end() && at->first.first == stream;) {
        // Not durable, or refused by a full log, is harmless: stream ids are never used twice.
        (void)log_.erase_fact(now, log::FactKind::cursor, key_of(at->first.second, stream));
        dirty_.erase(at->first);
        at = cursors_.erase(at);
    }
}

void Cursors::erase_others(Instant now, const std::set<log::StreamId>& there) {
    std::set<log::StreamId> gone;
    for (const auto& [place, cursor] : cursors_)
        if (!there.contains(place.first)) gone.insert(place.first);
    for (const log::StreamId stream : gone) erase(now, stream);
}

void Cursors::move(Instant now, RouteIndex route, log::StreamId stream, log::Offset offset,
                   const SentAs& as) {
    const auto found = cursors_.find({stream, route});
    if (found == cursors_.end() || offset <= found->second.offset) return;
    found->second.offset = offset;
    found->second.as = as;
    if (dirty_.empty() && write_at_ < now) write_at_ = now + interval_;
    dirty_.insert(found->first);
}

SentAs Cursors::sent_as(RouteIndex route, log::StreamId stream) const {
    const auto found = cursors_.find({stream, route});
    return found == cursors_.end() ? SentAs{} : found->second.as;
}

Kept Cursors::set_name(Instant now, RouteIndex route, log::StreamId stream, const SentAs& as) {
    const auto found = cursors_.find({stream, route});
    if (found == cursors_.end()) return Kept::yes;
    found->second.as = as;
    const Result<log::CommitId> commit = put(now, found->first, Put::soon);
    if (commit) return *commit <= log_.flushed_commit() ? Kept::yes : Kept::soon;
    if (dirty_.empty() && write_at_ < now) write_at_ = now + interval_;
    dirty_.insert(found->first);
    return commit.error() == Error::would_block ? Kept::soon : Kept::refused;
}

Result<log::CommitId> Cursors::put(Instant now, Place place, Put how) {
    const auto [stream, route] = place;
    Cursor& cursor = cursors_[place];
    const client::ProducerState& producer = cursor.as.producer;
    std::uint8_t value[ended_size] = {format_plain};
    store_big(value + 1, cursor.offset);
    std::size_t size = plain_size;
    if (producer.producer_id >= 0) {
        value[0] = format_named;
        size = named_size;
        store_big(value + plain_size, producer.producer_id);
        store_big(value + plain_size + 8, producer.producer_epoch);
        store_big(value + plain_size + 10, producer.next_sequence);
        store_big(value + plain_size + 14, cursor.as.place);
        store_big(value + plain_size + 18, cursor.as.until);
        store_big(value + named_size, cursor.as.batch_bytes_max);
        store_big(value + cut_size, cursor.as.upstream_end);
        if (cursor.as.upstream_end > 0) {
            value[0] = format_ended;
            size = ended_size;
        } else if (cursor.as.batch_bytes_max < SentAs{}.batch_bytes_max) {
            value[0] = format_cut;
            size = cut_size;
        }
    }
    const std::vector<std::uint8_t> key = key_of(route, stream);
    const ByteView fact(value, size);
    const Result<log::CommitId> commit =
        how == Put::soon ? log_.put_fact(now, log::FactKind::cursor, key, fact)
                         : log_.put_fact_lazily(now, log::FactKind::cursor, key, fact);
    if (commit) {
        dirty_.erase(place);
        let_go(place);
    }
    if (!commit && (commit.error() == Error::full || commit.error() == Error::busy))
        refused_since_ = earlier(refused_since_, now);
    else if (commit || commit.error() != Error::would_block)
        refused_since_ = never;  // it has room, or fails for another reason
    return commit;
}

void Cursors::let_go(Place place) {
    Cursor& cursor = cursors_[place];
    cursor.written = cursor.offset;
    release(place.first);
}

std::optional<log::Offset> Cursors::least(log::StreamId stream) const {
    std::optional<log::Offset> least;
    for (auto at = cursors_.lower_bound({stream, 0});
         at != cursors_.end() && at->first.first == stream; ++at)
        if (at->second.attached)
            least = std::min(least.value_or(at->second.offset), at->second.offset);
    return least;
}

void Cursors::release(log::StreamId stream) const {
    log::Offset upto = std::numeric_limits<log::Offset>::max();
    for (auto at = cursors_.lower_bound({stream, 0});
         at != cursors_.end() && at->first.first == stream; ++at)
        if (at->second.attached) upto = std::min(upto, at->second.written);
    log_.set_release(stream, upto);
}

void Cursors::write_due(Instant now) {
    if (dirty_.empty()) refused_since_ = never;
    if (!dirty_.empty() && write_at_ <= now) write_dirty(now, Put::lazily);
}

void Cursors::write_all(Instant now) { write_dirty(now, Put::soon); }

void Cursors::write_dirty(Instant now, Put how) {
    std::size_t count = 0;
    write_at_ = now + interval_;
    while (!dirty_.empty()) {
        if (put(now, *dirty_.begin(), how)) {
            ++count;
            continue;
        }
        // A full log takes no fact; room is made nevertheless, or it would stay full for ever.
        if (refused_since_ != never && now - refused_since_ >= full_for)
            for (const Place& place : dirty_) let_go(place);
        return;
    }
    // Ten thousand cursors four times a second would be more bytes than many a gateway's records.
    const milliseconds paced = pause_per_fact * static_cast<std::int64_t>(count);
    write_at_ = now + std::clamp(paced, interval_, interval_ * pause_factor_max);
}

}  // namespace leat::uplink
