#include "broker/log/cache.hpp"

#include <algorithm>

#include "broker/log/scan.hpp"

namespace leat::log {

BlockCache::BlockCache(Core& core, std::size_t bytes_max)
    : core_(core),
      block_bytes_(std::min<std::uint32_t>(64 * KiB, core.segment_bytes)),
      blocks_max_(std::max<std::size_t>(4, bytes_max / block_bytes_)) {}

BlockCache::Found BlockCache::get(std::uint32_t segment, std::uint64_t generation,
                                  std::uint32_t position, std::uint32_t valid_end) {
    const std::uint32_t start = position / block_bytes_ * block_bytes_;
    auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) {
        return block.segment == segment && block.generation == generation &&
               block.position == start;
    });
    if (found != blocks_.end()) {
        if (found->ticket != 0) return {Fetched::pending, {}};
        blocks_.splice(blocks_.begin(), blocks_, found);
        if (found->failed) {
            blocks_.pop_front();
            return {Fetched::failed, {}};
        }
        if (position - start < found->size)
            return {Fetched::ready,
                    {found->memory.data() + (position - start), found->size - (position - start)}};
        // The open segment has grown since: read the block again.
    } else {
        if (blocks_.size() < blocks_max_) {
            blocks_.emplace_front().memory = AlignedBytes(core_.geometry.align);
        } else {
            const auto victim = std::find_if(blocks_.rbegin(), blocks_.rend(),
                                             [](const Block& b) { return b.ticket == 0; });
            if (victim == blocks_.rend()) return {Fetched::pending, {}};
            blocks_.splice(blocks_.begin(), blocks_, std::prev(victim.base()));
        }
        found = blocks_.begin();
    }
    Block& block = *found;
    block.segment = segment;
    block.generation = generation;
    block.position = start;
    block.failed = false;
    block.size = std::min(block_bytes_, valid_end > start ? valid_end - start : 0);
    if (block.size <= position - start) return {Fetched::failed, {}};
    block.memory.reserve(block_bytes_, 0);
    block.ticket = core_.ticket(Owner::reads);
    const std::size_t reading = round_up(block.size, core_.page);
    if (!core_.storage.start_read(block.ticket, core_.address(segment, start),
                                  {block.memory.data(), reading})) {
        block.ticket = 0;
        block.failed = true;
        return get(segment, generation, position, valid_end);
    }
    core_.counters.read += reading;
    ++pending_;
    return {Fetched::pending, {}};
}

bool BlockCache::on_read_done(std::uint64_t ticket, bool good) {
    for (Block& block : blocks_) {
        if (block.ticket != ticket) continue;
        block.ticket = 0;
        block.failed = !good;
        --pending_;
        return true;
    }
    return false;
}

FooterCache::Found FooterCache::get(std::uint32_t segment) {
    const SegmentEntry& now = core_.segments[segment];
    auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.segment == segment && entry.generation == now.generation;
    });
    if (found == entries_.end()) {
        Entry& entry = entries_.emplace_front();
        entry.segment = segment;
        entry.generation = now.generation;
        entry.memory = AlignedBytes(core_.geometry.align);
        start(entry, now.footer_position != 0 ? Step::footer : Step::header);
        found = entries_.begin();
    }
    if (found->ticket != 0) return {};
    entries_.splice(entries_.begin(), entries_, found);
    if (found->failed) {
        const bool recycled = found->recycled;
        entries_.pop_front();
        return {Fetched::failed, {}, recycled};
    }
    return {Fetched::ready, found->bytes, false};
}

void FooterCache::put(std::uint32_t segment, ByteView footer) {
    Entry& entry = entries_.emplace_front();
    entry.segment = segment;
    entry.generation = core_.segments[segment].generation;
    entry.bytes.assign(footer.begin(), footer.end());
    bytes_ += entry.bytes.size();
    trim();
}

void FooterCache::trim() {
    // The newest one stays whatever its size, and none that is being read goes.
    for (auto it = entries_.end();
         bytes_ > bytes_max_ && it != entries_.begin() && --it != entries_.begin();) {
        if (it->ticket != 0) continue;
        bytes_ -= it->bytes.size();
        it = entries_.erase(it);
    }
}

void FooterCache::start(Entry& entry, Step step) {
    const SegmentEntry& segment = core_.segments[entry.segment];
    std::uint32_t from = 0, to = core_.page;
    if (step == Step::footer) {
        from = segment.footer_position;
        to = core_.segment_bytes;
    } else if (step == Step::whole) {
        to = static_cast<std::uint32_t>(
            round_up(std::max(segment.data_end, core_.page), core_.page));
    }
    entry.step = step;
    entry.reading = to - from;
    entry.memory.reserve(entry.reading, 0);
    entry.ticket = core_.ticket(Owner::reads);
    core_.counters.read += entry.reading;
    if (!core_.storage.start_read(entry.ticket, core_.address(entry.segment, from),
                                  {entry.memory.data(), entry.reading})) {
        entry.ticket = 0;
        entry.failed = true;
    }
}

bool FooterCache::on_read_done(std::uint64_t ticket, bool good) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& e) { return e.ticket == ticket; });
    if (found == entries_.end()) return false;
    Entry& entry = *found;
    entry.ticket = 0;
    const SegmentEntry& segment = core_.segments[entry.segment];
    if (segment.generation != entry.generation) {
        entry.failed = entry.recycled = true;
        return true;
    }
    const ByteView bytes(entry.memory.data(), entry.reading);
    if (entry.step == Step::footer) {
        if (good && decode_footer(bytes, entry.generation, segment.salt)) {
            entry.bytes.assign(bytes.begin(), bytes.end());
        } else {
            start(entry, Step::header);
            return true;
        }
    } else if (entry.step == Step::header) {
        const Result<SegmentHeader> header =
            good ? decode_segment_header(bytes) : fail(Error::storage);
        if (header && core_.super.owns(header->log_id) && header->generation == entry.generation) {
            start(entry, Step::whole);
            return true;
        }
        entry.failed = true;
        entry.recycled =
            header && core_.super.owns(header->log_id) && header->generation > entry.generation;
    } else {
        const Result<SegmentHeader> header =
            good ? decode_segment_header(bytes) : fail(Error::storage);
        if (!header) {
            entry.failed = true;
        } else {
            SegmentIndex index;
            const SegmentBytes view = [&](std::uint32_t position, std::uint32_t) {
                return position < bytes.size() ? bytes.subspan(position) : ByteView{};
            };
            (void)scan_segment(core_, *header, segment.data_end, view, index);
            CommitHeader commit = core_.commit_header(Instant{});
            commit.generation = entry.generation;
            entry.bytes =
                encode_footer(index, commit, segment.salt, core_.page, core_.segment_bytes);
            entry.failed = entry.bytes.empty();
        }
    }
    entry.memory.free();
    bytes_ += entry.bytes.size();
    trim();
    return true;
}

}  // namespace leat::log
