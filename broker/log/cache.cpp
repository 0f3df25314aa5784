#include "broker/log/cache.hpp"

#include <algorithm>
#include <utility>

#include "broker/log/footer.hpp"
#include "broker/log/mend.hpp"
#include "broker/log/scan.hpp"

namespace leat::log {

namespace {
// Each block that a device refuses may take it a second.
constexpr std::size_t careful_blocks = 8;
}  // namespace

BlockCache::BlockCache(Core& core, std::size_t bytes_max)
    : core_(core),
      block_bytes_(point_block_bytes),
      blocks_max_(std::max<std::size_t>(4, bytes_max / block_bytes_)),
      memory_(core.geometry.align) {}

std::list<BlockCache::Block>::iterator BlockCache::find(std::uint32_t segment,
                                                        std::uint64_t generation,
                                                        std::uint32_t position) {
    return std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) {
        return block.segment == segment && block.generation == generation &&
               block.position == position;
    });
}

/// The least used block that is not being read, or a new one, at the front; null: all are busy.
BlockCache::Block* BlockCache::place_for() {
    if (blocks_.size() < blocks_max_) {
        memory_.reserve(blocks_max_ * block_bytes_, 0);
        std::uint8_t* const memory = memory_.data() + blocks_.size() * block_bytes_;
        blocks_.emplace_front().memory = memory;
    } else {
        auto victim = std::find_if(blocks_.rbegin(), blocks_.rend(),
                                   [this](const Block& b) { return !waits(b); });
        if (victim == blocks_.rend())
            victim = std::find_if(blocks_.rbegin(), blocks_.rend(),
                                  [](const Block& b) { return b.ticket == 0; });
        if (victim == blocks_.rend()) return nullptr;
        blocks_.splice(blocks_.begin(), blocks_, std::prev(victim.base()));
    }
    ++placed_;
    blocks_.front().kept_until = 0;
    return &blocks_.front();
}

/// `block` stands at the front: its place is the next that is taken.
void BlockCache::forget(Block& block) {
    block.segment = no_segment;
    block.kept_until = 0;
    blocks_.splice(blocks_.end(), blocks_, blocks_.begin());
}

Status BlockCache::start(Block& block) {
    block.failed = block.awaited = false;
    block.ticket = core_.ticket(Owner::reads);
    const std::size_t reading = round_up(block.size, core_.page);
    const Status started = core_.storage.start_read(
        block.ticket, core_.address(block.segment, block.position), {block.memory, reading});
    if (!started) {
        block.ticket = 0;
        return started;
    }
    core_.counters.read += reading;
    return ok();
}

bool BlockCache::read_ahead(std::uint32_t segment, std::uint64_t generation,
                            std::uint32_t position, std::uint32_t valid_end, Ahead who) {
    const auto waiting = std::count_if(blocks_.begin(), blocks_.end(),
                                       [this](const Block& b) { return waits(b); });
    // The block that whoever is at work looks at does not wait, and is the last to give way.
    const std::size_t most = who == Ahead::away ? ahead_max() : blocks_max_ / 8 * 7;
    if (careful_ > 0 || static_cast<std::size_t>(waiting) >= std::max(most, ahead_max()))
        return false;
    Block* block = place_for();
    if (block == nullptr) return false;
    block->segment = segment;
    block->generation = generation;
    block->position = position;
    block->size = std::min(block_bytes_, valid_end - position);
    block->kept_until = placed_ + 2 * blocks_max_;
    if (start(*block)) return true;
    forget(*block);  // asked for again when its turn has come
    return false;
}

void BlockCache::keep(std::uint32_t segment, std::uint64_t generation, std::uint32_t position) {
    const auto found = find(segment, generation, position / block_bytes_ * block_bytes_);
    if (found != blocks_.end()) found->kept_until = placed_ + 2 * blocks_max_;
}

BlockCache::Found BlockCache::get(std::uint32_t segment, std::uint64_t generation,
                                  std::uint32_t position, std::uint32_t valid_end) {
    const std::uint32_t start_at = position / block_bytes_ * block_bytes_;
    const auto found = find(segment, generation, start_at);
    used_ = true;
    Block* block = found != blocks_.end() ? &*found : nullptr;
    if (block != nullptr) {
        if (block->ticket != 0) {
            block->awaited = true;
            return {Fetched::pending, {}};
        }
        blocks_.splice(blocks_.begin(), blocks_, found);
        block->kept_until = 0;
        if (block->failed && block->awaited) {
            forget(*block);
            return {Fetched::failed, {}};
        }
        if (!block->failed && position - start_at < block->size)
            return {Fetched::ready,
                    {block->memory + (position - start_at), block->size - (position - start_at)}};
        // The open segment has grown since, or the device was away: read the block again.
    } else if (block = place_for(); block == nullptr) {
        return {Fetched::pending, {}};
    }
    block->segment = segment;
    block->generation = generation;
    block->position = start_at;
    block->size = std::min(block_bytes_, valid_end > start_at ? valid_end - start_at : 0);
    const bool there = block->size > position - start_at;
    const Status started = there ? start(*block) : fail(Error::invalid);
    if (!started) {
        forget(*block);
        // Too much is under way: asked for again behind that.
        return {started.error() == Error::full ? Fetched::pending : Fetched::failed, {}};
    }
    block->awaited = true;
    return {Fetched::pending, {}};
}

BlockCache::Came BlockCache::on_read_done(std::uint64_t ticket, bool good) {
    for (Block& block : blocks_) {
        if (block.ticket != ticket) continue;
        block.ticket = 0;
        block.failed = !good;
        careful_ = !good ? careful_blocks : careful_ - std::min<std::size_t>(careful_, 1);
        return block.awaited ? Came::awaited : Came::ahead;
    }
    return Came::not_ours;
}

bool BlockCache::rest() {
    if (std::exchange(used_, false) ||
        std::any_of(blocks_.begin(), blocks_.end(), [](const Block& b) { return b.ticket != 0; }))
        return false;
    blocks_.clear();
    memory_.free();
    return true;
}

std::list<FooterCache::Entry>::iterator FooterCache::find(std::uint32_t segment) {
    const std::uint64_t generation = core_.segments[segment].generation;
    return std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.segment == segment && entry.generation == generation;
    });
}

FooterCache::Entry& FooterCache::make(std::uint32_t segment) {
    const SegmentEntry& now = core_.segments[segment];
    Entry& entry = entries_.emplace_front();
    entry.segment = segment;
    entry.generation = now.generation;
    entry.memory = AlignedBytes(core_.geometry.align);
    entry.step = now.footer_position != 0 ? Step::footer : Step::header;
    return entry;
}

FooterCache::Found FooterCache::get(std::uint32_t segment) {
    auto found = find(segment);
    if (found == entries_.end()) {
        make(segment);
        found = entries_.begin();
    }
    found->ahead = false;
    const bool wanted = found->ticket == 0 && !found->failed && found->bytes.empty();
    if (wanted) start(*found, found->step);
    if (found->ticket != 0 || (wanted && !found->failed)) return {};
    entries_.splice(entries_.begin(), entries_, found);
    if (found->failed) {
        const bool recycled = found->recycled;
        entries_.pop_front();
        return {Fetched::failed, {}, recycled};
    }
    return {Fetched::ready, found->bytes, false, found->partial};
}

FooterCache::Found FooterCache::ahead(std::uint32_t segment) {
    const auto found = find(segment);
    if (found != entries_.end()) {
        if (found->ticket != 0) return {};
        if (found->bytes.empty()) return {Fetched::failed, {}};
        return {Fetched::ready, found->bytes, false, found->partial};
    }
    if (core_.segments[segment].footer_position == 0) return {Fetched::failed, {}};
    // One at a time: of thousands of streams each takes a megabyte.
    if (std::any_of(entries_.begin(), entries_.end(),
                    [](const Entry& entry) { return entry.ahead && entry.ticket != 0; }))
        return {};
    Entry& entry = make(segment);
    entry.ahead = true;
    start(entry, Step::footer);
    if (entry.ticket != 0) return {};
    entries_.pop_front();  // not now
    return {Fetched::failed, {}};
}

void FooterCache::put(std::uint32_t segment, ByteView footer) {
    Entry& entry = entries_.emplace_front();
    entry.segment = segment;
    entry.generation = core_.segments[segment].generation;
    entry.bytes.assign(footer.begin(), footer.end());
    bytes_ += entry.bytes.size();
    trim(&entry);
}

bool FooterCache::ask_again(std::uint32_t segment) {
    const auto found = find(segment);
    if (found == entries_.end()) return true;
    if (!found->partial || found->ticket != 0 || found->commits == core_.counters.commits)
        return false;
    bytes_ -= found->bytes.size();
    entries_.erase(found);
    return true;
}

void FooterCache::rest() {
    last_ = 1;
    trim(nullptr);
}

void FooterCache::trim(const Entry* arrived) {
    // The newest one stays whatever its size, and none that is being read goes, nor the one that
    // came just now: who waits for it has not seen it, and would ask for it again, and again.
    for (auto it = entries_.end();
         bytes_ > bytes_max_ && (entries_.size() > last_ || bytes_ > 16 * bytes_max_) &&
         it != entries_.begin() && --it != entries_.begin();) {
        if (it->ticket != 0 || &*it == arrived) continue;
        bytes_ -= it->bytes.size();
        it = entries_.erase(it);
    }
}

void FooterCache::start(Entry& entry, Step step) {
    const SegmentEntry& segment = core_.segments[entry.segment];
    std::uint32_t from = 0, to = core_.page;
    if (step == Step::pages) {
        from = (entry.headless ? core_.page : 0) + static_cast<std::uint32_t>(entry.have);
        to = from + core_.page;
    } else if (step == Step::footer) {
        from = segment.footer_position;
        to = core_.segment_bytes;
    } else if (step == Step::whole) {
        if (entry.headless) from = core_.page;
        to = static_cast<std::uint32_t>(
            round_up(std::max(segment.data_end, core_.page), core_.page));
    }
    entry.step = step;
    if (step != Step::pages) {
        entry.have = 0;
        entry.reading = to - from;
        entry.memory.reserve(entry.reading, 0);
    }
    entry.ticket = core_.ticket(Owner::reads);
    core_.counters.read += to - from;
    if (const Status started =
            core_.storage.start_read(entry.ticket, core_.address(entry.segment, from),
                                     {entry.memory.data() + entry.have, to - from});
        !started) {
        entry.ticket = 0;
        entry.failed = started.error() != Error::full;  // else it is asked for again
    }
}

/// Makes the index that the footer would hold.
void FooterCache::scan(Entry& entry, ByteView bytes) {
    const SegmentEntry& segment = core_.segments[entry.segment];
    const std::uint32_t from = entry.headless ? core_.page : 0;
    SegmentHeader header;
    if (!entry.headless) {
        if (const auto found = decode_mended_segment_header(bytes)) header = *found;
    } else if (const auto first = decode_commit_header(bytes, segment.salt)) {
        header.first_sequence = first->sequence;
        header.run = first->run;
    }
    header.segment = entry.segment;
    header.area = segment.area;
    header.generation = entry.generation;
    header.salt = segment.salt;
    SegmentIndex index;
    const SegmentBytes view = [&](std::uint32_t position, std::uint32_t) {
        return position >= from && position - from < bytes.size() ? bytes.subspan(position - from)
                                                                  : ByteView{};
    };
    (void)scan_segment(core_, header, segment.data_end, view, index);
    CommitHeader commit = core_.commit_header(Instant{});
    commit.generation = entry.generation;
    entry.bytes = encode_footer(index, commit, segment.salt, core_.page, core_.segment_bytes);
    // Frames there were: that none can be read is no index.
    entry.failed = entry.bytes.empty() || (index.streams.empty() && segment.batch_bytes > 0);
    if (entry.failed) entry.bytes.clear();
}

bool FooterCache::on_read_done(std::uint64_t ticket, bool good) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& e) { return e.ticket == ticket; });
    if (found == entries_.end()) return false;
    Entry& entry = *found;
    entry.ticket = 0;
    const SegmentEntry& segment = core_.segments[entry.segment];
    if (segment.generation != entry.generation) {  // who waits for it asks for another one
        entries_.erase(found);
        return true;
    }
    const ByteView bytes(entry.memory.data(), entry.reading);
    if (entry.step == Step::footer) {
        if (good && check_footer(bytes, entry.generation, segment.salt)) {
            entry.bytes.assign(bytes.begin(), bytes.end());
        } else if (!entry.ahead) {
            start(entry, Step::header);
            return true;
        }
    } else if (entry.step == Step::header) {
        const Result<SegmentHeader> header =
            good ? decode_mended_segment_header(bytes) : fail(Error::storage);
        const bool ours = header && core_.super.owns(header->log_id);
        entry.recycled = ours && header->generation > entry.generation;
        entry.headless = !ours || header->generation != entry.generation;
        entry.failed = entry.recycled || (entry.headless && segment.data_end <= core_.page);
        if (!entry.failed) {
            start(entry, Step::whole);
            return true;
        }
    } else {
        // One bad page hides no more than itself.
        if (entry.step == Step::pages) {
            if (!good && !std::exchange(entry.again, true)) {
                start(entry, Step::pages);
                return true;
            }
            entry.again = false;
            std::size_t next = entry.have + core_.page;
            entry.row = good ? 0 : entry.row + 1;
            if (!good) {
                if (entry.row >= Patience{}.row)
                    next = std::min<std::size_t>(round_up(next, 256 * KiB), entry.reading);
                std::fill_n(entry.memory.data() + entry.have, next - entry.have, std::uint8_t{0});
                entry.partial = true;
                entry.commits = core_.counters.commits;
                entry.failed = ++entry.refused >= Patience{}.all;
            }
            entry.have = next;
        }
        if (!entry.failed && (entry.step == Step::pages ? entry.have < entry.reading : !good)) {
            start(entry, Step::pages);
            return true;
        }
        if (!entry.failed) scan(entry, bytes);
    }
    entry.memory.free();
    bytes_ += entry.bytes.size();
    trim(&entry);
    return true;
}

}  // namespace leat::log
