#include "broker/session/byte_pool.hpp"

#include <algorithm>

#include "leat/check.hpp"

namespace leat::session {

void Grant::release() {
    if (pool_ == nullptr) return;
    pool_->share(kind_).used -= bytes_;
    pool_ = nullptr;
    bytes_ = 0;
}

void Grant::shrink(std::size_t bytes) {
    if (pool_ == nullptr || bytes >= bytes_) return;
    pool_->share(kind_).used -= bytes_ - bytes;
    bytes_ = bytes;
}

BytePool::BytePool(std::size_t bytes) : size_(bytes), share_max_(bytes / 4 * 3) { LEAT_CHECK(bytes >= 4); }

bool BytePool::has_room(const Share& share, std::size_t bytes) const {
    if (share.used == 0) return true;
    const std::size_t used = shares_[0].used + shares_[1].used;
    return share.used < share_max_ && bytes <= share_max_ - share.used && used < size_ && bytes <= size_ - used;
}

Grant BytePool::take(PoolClass kind, std::size_t bytes) {
    share(kind).used += bytes;
    peak_ = std::max(peak_, shares_[0].used + shares_[1].used);
    return Grant(this, kind, bytes);
}

std::optional<Grant> BytePool::ask(PoolClass kind, std::size_t bytes, std::uint64_t token) {
    Share& mine = share(kind);
    if (mine.waiting.empty() && has_room(mine, bytes)) return take(kind, bytes);
    mine.waiting.push_back({token, bytes});
    ++waited_;
    return std::nullopt;
}

Grant BytePool::take_now(PoolClass kind, std::size_t bytes) { return take(kind, bytes); }

std::optional<std::pair<std::uint64_t, Grant>> BytePool::poll_granted(PoolClass kind) {
    Share& mine = share(kind);
    if (mine.waiting.empty() || !has_room(mine, mine.waiting.front().bytes)) return std::nullopt;
    const Wish wish = mine.waiting.front();
    mine.waiting.pop_front();
    return std::pair{wish.token, take(kind, wish.bytes)};
}

void BytePool::forget(PoolClass kind, std::uint64_t token) {
    std::erase_if(share(kind).waiting, [token](const Wish& wish) { return wish.token == token; });
}

BytePool::Counters BytePool::counters() const {
    return {.size = size_,
            .request_bytes = shares_[0].used,
            .response_bytes = shares_[1].used,
            .peak = peak_,
            .waiting = shares_[0].waiting.size() + shares_[1].waiting.size(),
            .waited = waited_};
}

}  // namespace leat::session
