#include "broker/uplink/cursor.hpp"

#include <algorithm>
#include <limits>

namespace leat::uplink {
namespace {

constexpr std::uint8_t cursor_format = 0;
constexpr std::size_t stream_size = 4;
constexpr std::size_t value_size = 9;
constexpr milliseconds pause_per_fact{25};
constexpr int pause_factor_max = 20;

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
        if (key.size() < 1 + stream_size || value.size() != value_size || value[0] != cursor_format)
            return;
        const std::string_view name = text_of(key.first(key.size() - 1 - stream_size));
        const auto found = std::find(names_.begin(), names_.end(), name);
        if (found == names_.end()) return;  // a route that was taken out: kept, it may come back
        const auto stream = load_big<log::StreamId>(key.data() + key.size() - stream_size);
        const auto route = static_cast<RouteIndex>(found - names_.begin());
        cursors_[{stream, route}].offset = load_big<log::Offset>(value.data() + 1);
    });
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

void Cursors::move(Instant now, RouteIndex route, log::StreamId stream, log::Offset offset) {
    const auto found = cursors_.find({stream, route});
    if (found == cursors_.end() || offset <= found->second.offset) return;
    found->second.offset = offset;
    if (dirty_.empty() && write_at_ < now) write_at_ = now + interval_;
    dirty_.insert(found->first);
    release(stream);
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
    log_.set_release(stream, least(stream).value_or(std::numeric_limits<log::Offset>::max()));
}

void Cursors::write_due(Instant now) {
    if (!dirty_.empty() && write_at_ <= now) write_all(now);
}

void Cursors::write_all(Instant now) {
    std::size_t count = 0;
    write_at_ = now + interval_;
    while (!dirty_.empty()) {
        const auto [stream, route] = *dirty_.begin();
        std::uint8_t value[value_size] = {cursor_format};
        store_big(value + 1, cursors_[{stream, route}].offset);
        if (!log_.put_fact(now, log::FactKind::cursor, key_of(route, stream), value)) return;
        dirty_.erase(dirty_.begin());
        ++count;
    }
    // Ten thousand cursors four times a second would be more bytes than many a gateway's records.
    const milliseconds paced = pause_per_fact * static_cast<std::int64_t>(count);
    write_at_ = now + std::clamp(paced, interval_, interval_ * pause_factor_max);
}

}  // namespace leat::uplink
