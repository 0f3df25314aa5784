#include "broker/api/fetch_sessions.hpp"

#include <algorithm>
#include <tuple>

namespace leat::api {
namespace {

using Partition = FetchSessions::Partition;

// What the containers take beside their contents: nodes, pointers, the allocator's own.
constexpr std::size_t session_bytes = sizeof(FetchSessions::Session) + 64;
constexpr std::size_t topic_bytes = sizeof(FetchSessions::Topics::value_type) + 64;
constexpr milliseconds search_interval{1'000};
constexpr log::Offset forgotten = -2;  // in told_start, until settle()

bool before(const Partition& one, std::int32_t number) { return one.partition < number; }

std::vector<Partition>::iterator place(FetchSessions::Topic& topic, std::int32_t number) {
    const auto end = topic.partitions.begin() + static_cast<std::ptrdiff_t>(topic.sorted);
    const auto at = std::lower_bound(topic.partitions.begin(), end, number, before);
    return at != end && at->partition == number ? at : topic.partitions.end();
}

// New ones go to their places; of two with one number the later holds.
void merge(FetchSessions::Topic& topic) {
    auto& all = topic.partitions;
    if (topic.sorted == all.size()) return;
    const auto less = [](const Partition& a, const Partition& b) {
        return a.partition < b.partition;
    };
    const auto added = all.begin() + static_cast<std::ptrdiff_t>(topic.sorted);
    std::stable_sort(added, all.end(), less);
    auto kept = added;
    for (auto at = added; at != all.end(); ++at)
        if (at + 1 == all.end() || at[1].partition != at->partition) *kept++ = *at;
    all.erase(kept, all.end());
    std::inplace_merge(all.begin(), added, all.end(), less);
    topic.sorted = all.size();
}

}  // namespace

FetchSessions::Session* FetchSessions::find(std::int32_t id) {
    const auto at = sessions_.find(id);
    return at == sessions_.end() ? nullptr : &at->second;
}

FetchSessions::Partition* FetchSessions::find(Session& session, std::string_view topic,
                                              std::int32_t partition) {
    const auto at = session.topics.find(topic);
    if (at == session.topics.end()) return nullptr;
    const auto found = place(at->second, partition);
    return found == at->second.partitions.end() ? nullptr : &*found;
}

void FetchSessions::remove(std::int32_t id) {
    const auto at = sessions_.find(id);
    if (at == sessions_.end()) return;
    bytes_ -= at->second.bytes;
    partitions_ -= at->second.partitions;
    sessions_.erase(at);
}

std::int32_t FetchSessions::new_id() {
    for (int i = 0; i < 100; ++i) {
        std::uint8_t raw[4];
        if (!entropy_.fill(raw)) return 0;
        const auto id = static_cast<std::int32_t>(load_big<std::uint32_t>(raw) & 0x7FFFFFFF);
        if (id != 0 && !sessions_.contains(id)) return id;
    }
    return 0;
}

FetchSessions::Session* FetchSessions::begin(Instant now, const Plan& plan) {
    // A quarter more: so much a list may have grown ahead.
    const std::size_t bytes = session_bytes + plan.topics * (topic_bytes + sizeof(Partition)) +
                              plan.topic_key_bytes + plan.partitions * sizeof(Partition) * 5 / 4;
    const bool fits =
        bytes <= bytes_max_ && (bytes_ + bytes <= bytes_max_ ||
                                make_room(now, bytes_ + bytes - bytes_max_, plan.partitions, 0));
    const std::int32_t id = fits ? new_id() : 0;
    if (id == 0) {
        ++declined_;
        return nullptr;
    }
    ++made_;
    Session& session = sessions_[id];
    session.id = id;
    session.by_id = plan.by_id;
    session.made = session.used = now;
    measure(session);
    return &session;
}

void FetchSessions::put(Session& session, std::string_view topic, const Partition& asked) {
    auto at = session.topics.find(topic);
    if (at == session.topics.end()) at = session.topics.try_emplace(std::string(topic)).first;
    Topic& mine = at->second;
    const auto known = place(mine, asked.partition);
    if (known == mine.partitions.end()) {
        // One by one it would be the allocator's doubling that fills the bound.
        if (mine.partitions.size() == mine.partitions.capacity())
            mine.partitions.reserve(mine.partitions.size() + mine.partitions.size() / 4 + 1);
        mine.partitions.push_back(asked);
        return;
    }
    const Partition was = *known;
    *known = asked;
    known->told_high = was.told_high;
    known->told_start = was.told_start;
    known->stream = was.stream;
}

void FetchSessions::forget(Session& session, std::string_view topic, std::int32_t partition) {
    if (Partition* known = find(session, topic, partition)) known->told_start = forgotten;
}

bool FetchSessions::settle(Instant now, Session& session) {
    for (auto at = session.topics.begin(); at != session.topics.end();) {
        Topic& topic = at->second;
        merge(topic);
        if (std::erase_if(topic.partitions,
                          [](const Partition& one) { return one.told_start == forgotten; }) > 0) {
            topic.sorted = topic.partitions.size();
            if (topic.sorted < topic.partitions.capacity() / 2) topic.partitions.shrink_to_fit();
        }
        at = topic.partitions.empty() ? session.topics.erase(at) : std::next(at);
    }
    measure(session);
    if (bytes_ <= bytes_max_) return true;
    if (session.bytes <= bytes_max_ &&
        make_room(now, bytes_ - bytes_max_, session.partitions, session.id))
        return true;
    ++evicted_;
    remove(session.id);
    return false;
}

void FetchSessions::measure(Session& session) {
    bytes_ -= session.bytes;
    partitions_ -= session.partitions;
    session.bytes = session_bytes;
    session.partitions = 0;
    for (const auto& [key, topic] : session.topics) {
        session.bytes += topic_bytes + key.size() + topic.partitions.capacity() * sizeof(Partition);
        session.partitions += topic.partitions.size();
    }
    bytes_ += session.bytes;
    partitions_ += session.partitions;
}

bool FetchSessions::make_room(Instant now, std::size_t needed, std::size_t partitions,
                              std::int32_t keep) {
    if (now < look_again_) return false;
    struct Candidate {
        bool fresh;
        std::int64_t rank;
        std::int32_t id;
        std::size_t bytes;
    };
    std::vector<Candidate> candidates;
    std::size_t sum = 0;
    for (const auto& [id, one] : sessions_) {
        const bool stale = now - one.used > stale_after;
        if (id == keep ||
            (!stale && (now - one.made <= stale_after || one.partitions >= partitions)))
            continue;
        candidates.push_back({!stale,
                              stale ? one.used.time_since_epoch().count()
                                    : static_cast<std::int64_t>(one.partitions),
                              id, one.bytes});
        sum += one.bytes;
    }
    if (sum < needed) {
        look_again_ = now + search_interval;
        return false;
    }
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return std::tie(a.fresh, a.rank, a.id) < std::tie(b.fresh, b.rank, b.id);
    });
    std::size_t freed = 0;
    for (auto at = candidates.begin(); freed < needed; ++at) {
        freed += at->bytes;
        ++evicted_;
        remove(at->id);
    }
    return true;
}

FetchSessions::Counters FetchSessions::counters() const {
    return {.open = sessions_.size(),
            .partitions = partitions_,
            .bytes = bytes_,
            .bytes_max = bytes_max_,
            .made = made_,
            .evicted = evicted_,
            .declined = declined_};
}

}  // namespace leat::api
