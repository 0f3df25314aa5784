#include "broker/topics/leader_epochs.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace leat::topics {
namespace {

using wire::ErrorCode;

constexpr std::string_view key_front = "topics.epochs/";
constexpr std::size_t key_bytes = key_front.size() + 4;  // and the stream, big endian
constexpr std::size_t entry_bytes = 12;                  // i32 epoch, i64 start, big endian
using Key = std::array<std::uint8_t, key_bytes>;

Key key_of(log::StreamId stream) {
    Key key;
    copy_bytes(bytes_of(key_front), MutableBytes(key));
    store_big(key.data() + key_front.size(), stream);
    return key;
}

}  // namespace

std::int32_t LeaderEpochs::current() const {
    if (current_ == none) current_ = log_.status().leader_epoch;
    return current_;
}

ErrorCode LeaderEpochs::check(std::int32_t epoch) const {
    if (epoch < 0 || epoch == current()) return ErrorCode::none;
    return epoch < current() ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch;
}

std::vector<LeaderEpochs::Entry> LeaderEpochs::noted(log::StreamId stream) const {
    const log::StreamState* state = log_.stream(stream);
    if (state == nullptr) return {};
    std::vector<Entry> entries;
    if (const auto value = log_.find_fact(log::FactKind::node, key_of(stream)))
        for (ByteView rest = *value; rest.size() >= entry_bytes; rest = rest.subspan(entry_bytes)) {
            const Entry entry{load_big<std::int32_t>(rest.data()),
                              load_big<std::int64_t>(rest.data() + 4)};
            if (!entries.empty() && entry.epoch <= entries.back().epoch) break;
            entries.push_back(entry);
        }
    if (entries.empty() && state->log_end > 0) entries.push_back({0, 0});
    return entries;
}

std::vector<LeaderEpochs::Entry> LeaderEpochs::all(log::StreamId stream) const {
    std::vector<Entry> entries = noted(stream);
    const log::StreamState* state = log_.stream(stream);
    if (state == nullptr) return entries;
    if (entries.empty() || entries.back().epoch < current()) {
        while (!entries.empty() && entries.back().start >= state->log_end) entries.pop_back();
        entries.push_back({current(), state->log_end});
    }
    return entries;
}

// Facts of streams that are gone: a delete whose second half was cut.
void LeaderEpochs::sweep(Instant now) {
    std::vector<log::StreamId> gone;
    log_.for_each_fact(log::FactKind::node, [&](ByteView key, ByteView) {
        if (key.size() != key_bytes || !text_of(key).starts_with(key_front)) return;
        const auto stream = load_big<log::StreamId>(key.data() + key_front.size());
        if (log_.stream(stream) == nullptr) gone.push_back(stream);
    });
    for (const log::StreamId stream : gone)
        (void)log_.erase_fact(now, log::FactKind::node, key_of(stream));
}

Status LeaderEpochs::note(Instant now, log::StreamId stream) {
    if (current() == 0 || noted_.contains(stream)) return ok();
    const log::StreamState* state = log_.stream(stream);
    if (state == nullptr) return fail(Error::not_found);
    if (!std::exchange(swept_, true)) sweep(now);
    const std::vector<Entry> known = noted(stream);
    if (known.empty() || known.back().epoch < current()) {
        std::vector<Entry> entries = all(stream);
        const auto live = std::find_if(entries.begin() + 1, entries.end(), [&](const Entry& next) {
            return next.start > state->log_start;
        });
        entries.erase(entries.begin(), live - 1);
        if (entries.size() > entries_max)
            entries.erase(
                entries.begin() + 1,
                entries.begin() + 1 + static_cast<std::ptrdiff_t>(entries.size() - entries_max));
        std::vector<std::uint8_t> value(entries.size() * entry_bytes);
        std::uint8_t* at = value.data();
        for (const Entry& entry : entries) {
            store_big(at, entry.epoch);
            store_big(at + 4, entry.start);
            at += entry_bytes;
        }
        const auto put = log_.put_fact_lazily(now, log::FactKind::node, key_of(stream), value);
        if (!put) return fail(put.error());
    }
    noted_.insert(stream);
    return ok();
}

void LeaderEpochs::forget(Instant now, log::StreamId stream) {
    noted_.erase(stream);
    if (const Key key = key_of(stream); log_.find_fact(log::FactKind::node, key))
        (void)log_.erase_fact(now, log::FactKind::node, key);
}

LeaderEpochs::End LeaderEpochs::end_of(log::StreamId stream, std::int32_t epoch) const {
    const log::StreamState* state = log_.stream(stream);
    if (state == nullptr || epoch < 0 || epoch > current()) return {};
    if (epoch == current()) return {epoch, state->log_end};
    const std::vector<Entry> entries = all(stream);
    const auto higher = std::find_if(entries.begin(), entries.end(),
                                     [epoch](const Entry& entry) { return entry.epoch > epoch; });
    if (higher == entries.end()) return {};
    if (higher == entries.begin()) return {epoch, higher->start};
    return {(higher - 1)->epoch, higher->start, higher - 1 == entries.begin()};
}

std::int32_t LeaderEpochs::at(log::StreamId stream, log::Offset offset) const {
    std::int32_t found = none;
    for (const Entry& entry : all(stream))
        if (entry.start <= offset) found = entry.epoch;
    return found;
}

}  // namespace leat::topics
