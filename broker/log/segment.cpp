#include "broker/log/segment.hpp"

#include <algorithm>

#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {
constexpr char magic[] = "LEATSEGM";
}

void encode_segment_header(const SegmentHeader& header, MutableBytes into) {
    LEAT_CHECK(into.size() >= segment_header_bytes && header.candidates.size() <= candidates_max);
    std::uint8_t* at = into.data();
    std::fill_n(at, segment_header_bytes, std::uint8_t{0});
    std::memcpy(at, magic, 8);
    store_little<std::uint32_t>(at + 8, format_version);
    store_little<std::uint32_t>(at + 12, segment_header_bytes);
    copy_bytes(header.log_id, into.subspan(16));
    store_little<std::uint32_t>(at + 32, header.segment);
    at[36] = static_cast<std::uint8_t>(header.area);
    at[37] = static_cast<std::uint8_t>(header.kind);
    store_little<std::uint64_t>(at + 40, header.generation);
    store_little<std::uint64_t>(at + 48, header.place);
    store_little<std::uint64_t>(at + 56, header.first_sequence);
    store_little<std::uint32_t>(at + 64, header.salt);
    store_little<std::uint32_t>(at + 68, header.page_bytes);
    store_little<std::uint32_t>(at + 72, header.predecessor);
    store_little<std::uint32_t>(at + 76, header.predecessor_end);
    store_little<std::uint64_t>(at + 80, header.predecessor_generation);
    store_little<std::uint64_t>(at + 88, header.log_time_ms);
    store_little<std::uint64_t>(at + 96, header.off_time_ms);
    store_little<std::int64_t>(at + 104, header.wall_ms);
    store_little<std::uint32_t>(at + 112, header.run);
    store_little<std::uint32_t>(at + 116, static_cast<std::uint32_t>(header.candidates.size()));
    for (std::size_t i = 0; i < header.candidates.size(); ++i)
        store_little<std::uint32_t>(at + 120 + 4 * i, header.candidates[i]);
    store_little<std::uint32_t>(at + 508, crc32c(0, into.first(508)));
}

Result<SegmentHeader> decode_segment_header(ByteView bytes) {
    if (bytes.size() < segment_header_bytes || std::memcmp(bytes.data(), magic, 8) != 0)
        return fail(Error::corrupt);
    const std::uint8_t* at = bytes.data();
    if (load_little<std::uint32_t>(at + 508) != crc32c(0, bytes.first(508)))
        return fail(Error::corrupt);
    if (load_little<std::uint32_t>(at + 8) != format_version) return fail(Error::unsupported);
    SegmentHeader header;
    copy_bytes(bytes.subspan(16, 16), header.log_id);
    header.segment = load_little<std::uint32_t>(at + 32);
    header.area = static_cast<Area>(at[36]);
    header.kind = static_cast<SegmentClass>(at[37]);
    header.generation = load_little<std::uint64_t>(at + 40);
    header.place = load_little<std::uint64_t>(at + 48);
    header.first_sequence = load_little<std::uint64_t>(at + 56);
    header.salt = load_little<std::uint32_t>(at + 64);
    header.page_bytes = load_little<std::uint32_t>(at + 68);
    header.predecessor = load_little<std::uint32_t>(at + 72);
    header.predecessor_end = load_little<std::uint32_t>(at + 76);
    header.predecessor_generation = load_little<std::uint64_t>(at + 80);
    header.log_time_ms = load_little<std::uint64_t>(at + 88);
    header.off_time_ms = load_little<std::uint64_t>(at + 96);
    header.wall_ms = load_little<std::int64_t>(at + 104);
    header.run = load_little<std::uint32_t>(at + 112);
    const std::uint32_t count = load_little<std::uint32_t>(at + 116);
    if (count > candidates_max) return fail(Error::corrupt);
    for (std::uint32_t i = 0; i < count; ++i)
        header.candidates.push_back(load_little<std::uint32_t>(at + 120 + 4 * i));
    return header;
}

void SegmentTable::rebuild(const std::vector<std::uint32_t>& promised) {
    promised_.clear();
    free_.clear();
    lent_.clear();
    ring_.clear();
    withheld_ = retired_ = moving_ = 0;
    std::vector<std::uint32_t> idle;
    for (std::uint32_t i = 0; i < size(); ++i) {
        if (entries_[i].state == SegmentState::free)
            idle.push_back(i);
        else if (entries_[i].in_ring())
            ring_.push_back(i);
    }
    const auto older = [this](std::uint32_t a, std::uint32_t b) {
        return entries_[a].generation != entries_[b].generation
                   ? entries_[a].generation < entries_[b].generation
                   : a < b;
    };
    std::sort(idle.begin(), idle.end(), older);
    std::sort(ring_.begin(), ring_.end(),
              [this](std::uint32_t a, std::uint32_t b) { return before(a, b); });
    for (std::uint32_t candidate : promised) {
        const auto found = std::find(idle.begin(), idle.end(), candidate);
        if (found == idle.end()) continue;
        promised_.push_back(candidate);
        idle.erase(found);
    }
    for (const std::uint32_t segment : idle) (leaving(segment) ? lent_ : free_).push_back(segment);
    top_up_promised();
}

void SegmentTable::top_up_promised() {
    auto staying = static_cast<std::size_t>(
        std::count_if(promised_.begin(), promised_.end(),
                      [this](std::uint32_t segment) { return !leaving(segment); }));
    for (; staying < candidates_wanted && !free_.empty(); ++staying) {
        promised_.push_back(free_.front());
        free_.pop_front();
    }
    while (promised_.size() < candidates_wanted && !lent_.empty()) {
        promised_.push_back(lent_.front());
        lent_.pop_front();
    }
}

void SegmentTable::put_free(std::uint32_t segment) {
    if (!leaving(segment))
        free_.push_back(segment);
    else if (retired_ < withheld_)
        retire(segment);
    else
        lent_.push_back(segment);
}

void SegmentTable::withhold(std::uint32_t count) {
    withheld_ = std::max(withheld_, count);
    if (retired_ >= withheld_ || lent_.empty()) return;
    // From the end, so that the pool can become shorter soon.
    std::sort(lent_.begin(), lent_.end());
    for (; retired_ < withheld_ && !lent_.empty(); lent_.pop_back()) retire(lent_.back());
}

std::uint32_t SegmentTable::take_for_move() {
    if (free_.empty() || free_.front() == zeroing) return no_segment;
    const std::uint32_t segment = free_.front();
    free_.pop_front();
    ++moving_;
    return segment;
}

std::uint32_t SegmentTable::end_of_use() const {
    std::uint32_t end = size();
    while (end > target_) {
        const SegmentEntry& last = entries_[end - 1];
        // As long as not all are withheld, what is released may be opened again.
        const bool gone = last.state == SegmentState::replaced && all_withheld();
        if (!gone && !last.retired) break;
        --end;
    }
    return end;
}

void SegmentTable::drop_promises(const std::vector<std::uint32_t>& told) {
    for (std::size_t i = 0; i < promised_.size();) {
        const std::uint32_t segment = promised_[i];
        if (!leaving(segment) || segment == zeroing ||
            std::find(told.begin(), told.end(), segment) != told.end()) {
            ++i;
            continue;
        }
        promised_.erase(promised_.begin() + static_cast<std::ptrdiff_t>(i));
        put_free(segment);
    }
}

std::vector<std::uint32_t> SegmentTable::candidates() const {
    std::vector<std::uint32_t> named;
    for (const bool last_choice : {false, true})
        for (const std::uint32_t segment : promised_)
            if (leaving(segment) == last_choice && named.size() < candidates_max &&
                (!last_choice || named.empty() || !all_withheld()))
                named.push_back(segment);
    return named;
}

std::uint32_t SegmentTable::next_promised() const {
    for (std::uint32_t segment : promised_)
        if (segment != zeroing) return segment;
    return no_segment;
}

std::uint32_t SegmentTable::take_promised() {
    const std::uint32_t segment = next_promised();
    if (segment != no_segment) std::erase(promised_, segment);
    return segment;
}

void SegmentTable::prefer_promised(const std::vector<std::uint32_t>& told) {
    for (const bool last_choice : {false, true})
        for (auto it = promised_.begin(); it != promised_.end(); ++it) {
            if (*it == zeroing || leaving(*it) != last_choice ||
                std::find(told.begin(), told.end(), *it) == told.end())
                continue;
            std::rotate(promised_.begin(), it, std::next(it));
            return;
        }
}

void SegmentTable::opening_failed(std::uint32_t segment, bool counted) {
    SegmentEntry& entry = entries_[segment];
    const bool arrivals = entry.area == Area::arrivals;
    const std::uint64_t generation = entry.generation;
    const auto failures = static_cast<std::uint8_t>(entry.failures + (counted ? 1 : 0));
    entry = {};
    entry.generation = generation;
    entry.failures = failures;
    if (failures >= failures_max) {
        entry.state = SegmentState::bad;
        if (leaving(segment)) {
            retire(segment);
            withheld_ = std::max(withheld_, retired_);
        }
    } else if (arrivals && promised_.size() < candidates_max)
        promised_.push_back(segment);
    else
        put_free(segment);
}

void SegmentTable::forgive() {
    for (std::uint32_t i = 0; i < target_; ++i) {
        if (entries_[i].state != SegmentState::bad) continue;
        entries_[i].state = SegmentState::free;
        entries_[i].failures = failures_max - 1;
        put_free(i);
    }
    top_up_promised();
}

std::uint32_t SegmentTable::take_for_survivors() {
    std::deque<std::uint32_t>& from = free_.empty() ? lent_ : free_;
    if (from.empty()) {
        // The last resort: without a checkpoint nothing is recycled. A promise at the end of the
        // list may be broken: a candidate of another area is no successor.
        if (promised_.empty() || promised_.back() == zeroing) return no_segment;
        const std::uint32_t segment = promised_.back();
        promised_.pop_back();
        return segment;
    }
    const std::uint32_t segment = from.front();
    if (segment == zeroing) return no_segment;
    from.pop_front();
    return segment;
}

/// Copies come in front of what they were made of, where damage has brought both back.
bool SegmentTable::before(std::uint32_t a, std::uint32_t b) const {
    const SegmentEntry &x = entries_[a], &y = entries_[b];
    if (x.place != y.place) return x.place < y.place;
    if (x.records != y.records) return x.records;
    return x.generation > y.generation;
}

void SegmentTable::enter_ring(std::uint32_t segment) {
    ring_.insert(
        std::upper_bound(ring_.begin(), ring_.end(), segment,
                         [this](std::uint32_t a, std::uint32_t b) { return before(a, b); }),
        segment);
}

void SegmentTable::leave_ring(std::uint32_t segment) {
    entries_[segment].state = SegmentState::replaced;
    std::erase(ring_, segment);
}

void SegmentTable::release(std::uint32_t segment) {
    SegmentEntry& entry = entries_[segment];
    const std::uint64_t generation = entry.generation;
    entry = {};
    entry.generation =
        generation;  // readers that planned on it see that it moved on: the state is free
    std::erase(ring_, segment);
    put_free(segment);
    top_up_promised();
}

}  // namespace leat::log
