#include "broker/session/byte_pool.hpp"

#include <algorithm>

#include "leat/check.hpp"

namespace leat::session {

void Grant::release() {
    if (pool_ == nullptr) return;
    pool_->shares_[share_].used -= bytes_;
    pool_ = nullptr;
    bytes_ = 0;
}

void Grant::shrink(std::size_t bytes) {
    if (pool_ == nullptr || bytes >= bytes_) return;
    pool_->shares_[share_].used -= bytes_ - bytes;
    bytes_ = bytes;
}

namespace {
constexpr std::size_t chunk_bytes_min = 16 * 1024;  // smaller ones malloc keeps well by itself
// In all: a request and a response of a megabyte. With half of it 200,000 records of 1 KiB on four
// connections cost a quarter to twice as much CPU, all of it in fresh pages; trim() gives it back.
constexpr std::size_t spare_bytes_max = 2304 * 1024;
constexpr std::size_t spare_chunks_max = 16;
}  // namespace

// A pool that is small itself keeps nothing back.
BytePool::BytePool(std::size_t bytes)
    : size_(bytes), share_max_(bytes / 4 * 3), small_max_(bytes / 16) {
    if (small_max_ < small_wish_bytes_max) small_max_ = 0;
    size_ -= small_max_;
    LEAT_CHECK(bytes >= 4);
}

bool BytePool::has_room(const Share& share, std::size_t bytes) const {
    if (share.used == 0) return true;
    const std::size_t used = shares_[0].used + shares_[1].used;
    return share.used < share_max_ && bytes <= share_max_ - share.used && used < size_ &&
           bytes <= size_ - used;
}

Grant BytePool::take(std::size_t share, std::size_t bytes) {
    shares_[share].used += bytes;
    peak_ = std::max(peak_, shares_[0].used + shares_[1].used + shares_[small_share].used);
    return Grant(this, share, bytes);
}

std::optional<Grant> BytePool::ask(PoolClass kind, std::size_t bytes, std::uint64_t token) {
    Share& mine = share(kind);
    if (mine.waiting.empty() && has_room(mine, bytes))
        return take(static_cast<std::size_t>(kind), bytes);
    if (bytes <= small_wish_bytes_max && shares_[small_share].used + bytes <= small_max_)
        return take(small_share, bytes);
    mine.waiting.push_back({token, bytes});
    ++waited_;
    return std::nullopt;
}

Grant BytePool::take_now(PoolClass kind, std::size_t bytes) {
    return take(static_cast<std::size_t>(kind), bytes);
}

std::optional<std::pair<std::uint64_t, Grant>> BytePool::poll_granted(PoolClass kind) {
    Share& mine = share(kind);
    if (mine.waiting.empty() || !has_room(mine, mine.waiting.front().bytes)) return std::nullopt;
    const Wish wish = mine.waiting.front();
    mine.waiting.pop_front();
    return std::pair{wish.token, take(static_cast<std::size_t>(kind), wish.bytes)};
}

BytePool::Chunk BytePool::take_chunk(std::size_t size) {
    if (size >= chunk_bytes_min)
        for (std::size_t i = spare_.size(); i-- > 0;) {
            // Not one that is far too large either: the pool counts what was asked for.
            if (spare_[i].size < size || spare_[i].size / 2 > size) continue;
            Chunk chunk = std::move(spare_[i]);
            spare_.erase(spare_.begin() + static_cast<std::ptrdiff_t>(i));
            spare_bytes_ -= chunk.size;
            return chunk;
        }
    const std::size_t rounded =
        size < chunk_bytes_min ? size
                               : (size + chunk_bytes_min - 1) / chunk_bytes_min * chunk_bytes_min;
    return {std::make_unique_for_overwrite<std::uint8_t[]>(rounded), rounded};
}

void BytePool::give_chunk(Chunk chunk) {
    if (chunk.size < chunk_bytes_min || chunk.size > spare_bytes_max) return;
    while (!spare_.empty() &&
           (spare_.size() >= spare_chunks_max || chunk.size > spare_bytes_max - spare_bytes_)) {
        spare_bytes_ -= spare_.front().size;  // the one that nobody wanted for longest
        spare_.erase(spare_.begin());
    }
    spare_bytes_ += chunk.size;
    spare_.push_back(std::move(chunk));
}

void BytePool::trim() {
    spare_.clear();
    spare_bytes_ = 0;
}

void BytePool::forget(PoolClass kind, std::uint64_t token) {
    std::erase_if(share(kind).waiting, [token](const Wish& wish) { return wish.token == token; });
}

BytePool::Counters BytePool::counters() const {
    return {.size = size_ + small_max_,
            .spare_bytes = spare_bytes_,
            .request_bytes = shares_[0].used,
            .response_bytes = shares_[1].used,
            .peak = peak_,
            .small_bytes = shares_[small_share].used,
            .waiting = waiting_count(),
            .waited = waited_};
}

}  // namespace leat::session
