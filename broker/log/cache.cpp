#include "broker/log/cache.hpp"

#include <algorithm>
#include <utility>

#include "broker/log/footer.hpp"

namespace leat::log {

namespace {
// Each block that a device refuses may take it a second.
constexpr std::size_t careful_blocks = 8;
constexpr std::size_t ahead_under_way_max = 256;  // beside reads_max
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
    block.failed = block.awaited = block.by_pages = false;
    block.have = block.refused = 0;
    return read(block, static_cast<std::uint32_t>(round_up(block.size, core_.page)));
}

Status BlockCache::read(Block& block, std::uint32_t bytes) {
    if (!block.ahead && core_.reads_under_way >= reads_max) return fail(Error::full);
    block.ticket = core_.ticket(Owner::reads);
    const Status started = core_.storage.start_read(
        block.ticket, core_.address(block.segment, block.position + block.have),
        {block.memory + block.have, bytes});
    if (!started) {
        block.ticket = 0;
        return started;
    }
    core_.reads_under_way += block.ahead ? 0 : 1;
    core_.counters.read += bytes;
    return ok();
}

/// The next page that the device takes on; where too much is under way get() goes on.
void BlockCache::read_pages(Block& block) {
    while (block.have < block.size) {
        const Status started = read(block, page_bytes());
        if (started || started.error() == Error::full) return;
        page_refused(block);
    }
    // At the end, since each may have taken a second: who waits for them asks for none again.
    for (std::uint32_t at = 0; at < block.size; at += page_bytes())
        if ((block.refused >> at / page_bytes() & 1) != 0)
            core_.refused({block.segment, block.position + at, block.generation});
}

void BlockCache::page_refused(Block& block) {
    block.refused |= 1u << block.have / page_bytes();
    block.have += page_bytes();
}

bool BlockCache::read_ahead(std::uint32_t segment, std::uint64_t generation,
                            std::uint32_t position, std::uint32_t valid_end, Ahead who) {
    const auto waiting = std::count_if(blocks_.begin(), blocks_.end(),
                                       [this](const Block& b) { return waits(b); });
    // The block that whoever is at work looks at does not wait, and is the last to give way.
    const std::size_t most = who == Ahead::away ? ahead_max() : blocks_max_ / 8 * 7;
    if (careful_ > 0 || static_cast<std::size_t>(waiting) >=
                            std::min(std::max(most, ahead_max()), ahead_under_way_max))
        return false;
    Block* block = place_for();
    if (block == nullptr) return false;
    block->segment = segment;
    block->generation = generation;
    block->position = position;
    block->size = std::min(block_bytes_, valid_end - position);
    block->kept_until = placed_ + 2 * blocks_max_;
    block->ahead = true;
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
    const Refusals::Place page{segment, position / page_bytes() * page_bytes(), generation};
    const auto found = find(segment, generation, start_at);
    used_ = true;
    Block* block = found != blocks_.end() ? &*found : nullptr;
    if (block != nullptr) {
        blocks_.splice(blocks_.begin(), blocks_, found);
        if (block->ticket == 0 && block->by_pages && block->have < block->size) read_pages(*block);
        if (block->ticket != 0 || (block->by_pages && block->have < block->size)) {
            block->awaited = true;
            return {Fetched::pending, {}};
        }
        block->kept_until = 0;
        std::uint32_t from = position - start_at, to = page.position - start_at;
        while (to < block->size && (block->refused >> to / page_bytes() & 1) == 0)
            to += page_bytes();
        to = std::min(to, block->size);
        if (!block->failed && from < to)
            return {Fetched::ready, {block->memory + from, to - from}};
        // The open segment has grown since, or the device was away: read the block again.
    }
    if (!core_.refusals.due(core_.called_at, page))
        return {core_.refusals.lost(page) ? Fetched::failed : Fetched::refused, {}};
    if (block == nullptr && (block = place_for()) == nullptr) return {Fetched::pending, {}};
    block->segment = segment;
    block->generation = generation;
    block->position = start_at;
    block->size = std::min(block_bytes_, valid_end > start_at ? valid_end - start_at : 0);
    block->ahead = false;
    const bool there = block->size > position - start_at;
    const Status started = there ? start(*block) : fail(Error::invalid);
    if (!started) {
        forget(*block);
        // Too much is under way: asked for again behind that.
        if (started.error() == Error::full) return {Fetched::pending, {}};
        if (!there) return {Fetched::failed, {}};
        core_.refused(page);
        return {core_.refusals.lost(page) ? Fetched::failed : Fetched::refused, {}};
    }
    block->awaited = true;
    return {Fetched::pending, {}};
}

void BlockCache::drop(std::uint32_t segment, std::uint32_t from, std::uint32_t to) {
    for (Block& block : blocks_) {
        if (block.segment != segment || block.ticket != 0 || block.position >= to ||
            block.position + block_bytes_ <= from)
            continue;
        block.segment = no_segment;
        block.kept_until = 0;
    }
}

BlockCache::Came BlockCache::on_read_done(std::uint64_t ticket, bool good) {
    for (Block& block : blocks_) {
        if (block.ticket != ticket) continue;
        block.ticket = 0;
        core_.reads_under_way -= std::exchange(block.ahead, false) ? 0 : 1;
        careful_ = !good ? careful_blocks : careful_ - std::min<std::size_t>(careful_, 1);
        if (good) {
            const std::uint32_t bytes = block.by_pages ? page_bytes() : block_bytes_;
            core_.refusals.given({block.segment, block.position + block.have, 0}, bytes);
            block.have += bytes;
        } else if (block.by_pages) {
            page_refused(block);
        }
        block.failed = !good && !block.awaited;
        block.by_pages = block.by_pages || (!good && block.awaited);
        if (block.by_pages) read_pages(block);
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

}  // namespace leat::log
