#include "broker/session/byte_pool.hpp"

#include <algorithm>

#include "leat/check.hpp"

namespace leat::session {

void Grant::shrink(std::size_t bytes) {
    if (pool_ == nullptr || bytes >= bytes_) return;
    BytePool::Share& share = pool_->shares_[share_];
    share.used -= bytes_ - bytes;
    if (asker_ == Asker::stranger) share.strangers -= bytes_ - bytes;
    bytes_ = bytes;
}

namespace {
constexpr std::size_t chunk_bytes_min = 16 * 1024;  // smaller ones malloc keeps well by itself
// In all: a request and a response of a megabyte. With half of it 200,000 records of 1 KiB on four
// connections cost a quarter to twice as much CPU, all of it in fresh pages; trim() gives it back.
constexpr std::size_t spare_bytes_max = 2304 * 1024;
constexpr std::size_t spare_chunks_max = 16;
constexpr unsigned known_turns = 4;  // to one of a stranger
constexpr std::size_t crowd_min = 16;
constexpr unsigned newest_turns = 3;  // in a crowd, to one of who waits longest

bool fits(std::size_t bytes, std::size_t used, std::size_t limit) {
    return used < limit && bytes <= limit - used;
}
}  // namespace

// A pool that is small itself keeps nothing back.
BytePool::BytePool(std::size_t bytes)
    : size_(bytes), share_max_(bytes / 4 * 3), small_max_(bytes / 16) {
    if (small_max_ < small_wish_bytes_max) small_max_ = 0;
    size_ -= small_max_;
    strangers_max_ = size_ / 3;
    LEAT_CHECK(bytes >= 4);
}

std::size_t BytePool::share_of(PoolClass kind, std::size_t bytes, Asker asker) const {
    const std::size_t first = static_cast<std::size_t>(kind) * bands;
    if (bytes <= modest_wish_bytes_max) return first;
    const std::size_t much_max = asker == Asker::known ? share_max_ / 4 * 3 : strangers_max_;
    return first + (bytes <= much_max ? 1 : 2);
}

std::size_t BytePool::used_by(PoolClass kind) const {
    const std::size_t first = static_cast<std::size_t>(kind) * bands;
    return shares_[first].used + shares_[first + 1].used;
}

std::size_t BytePool::used() const {
    std::size_t sum = 0;
    for (const Share& share : shares_) sum += share.used;
    return sum;
}

bool BytePool::overdrawn(PoolClass kind, std::size_t mine) const {
    const std::size_t band = static_cast<std::size_t>(kind) * bands;
    return used_by(kind) + shares_[band + 2].used - mine >= size_;
}

bool BytePool::strangers_have_room(std::size_t share, std::size_t bytes) const {
    const std::size_t first = share / bands * bands;
    return shares_[share].used == 0 ||
           fits(bytes, shares_[first].strangers + shares_[first + 1].strangers, strangers_max_);
}

bool BytePool::has_room(std::size_t share, std::size_t bytes, Asker asker) const {
    const std::size_t band = share % bands;
    const Share& mine = shares_[share];
    if (mine.used == 0) return true;
    if (band == 2) return false;
    if (asker == Asker::known && mine.used == mine.strangers) return true;
    if (asker == Asker::stranger && !strangers_have_room(share, bytes)) return false;
    const std::size_t used[] = {used_by(PoolClass::request), used_by(PoolClass::response)};
    return fits(bytes, mine.used, band == 0 ? share_max_ : share_max_ / 4 * 3) &&
           fits(bytes, used[share / bands], share_max_) && fits(bytes, used[0] + used[1], size_);
}

Grant BytePool::take(std::size_t share, std::size_t bytes, Asker asker) {
    shares_[share].used += bytes;
    if (asker == Asker::stranger) shares_[share].strangers += bytes;
    peak_ = std::max(peak_, used());
    return Grant(this, share, asker, bytes);
}

std::optional<Grant> BytePool::ask(PoolClass kind, std::size_t bytes, std::uint64_t token,
                                   Asker asker) {
    const std::size_t share = share_of(kind, bytes, asker);
    Share& mine = shares_[share];
    const bool known = asker == Asker::known;
    const bool first =
        mine.waiting.empty() || (known && mine.known == 0 && !is_strangers_turn(share));
    if (first && has_room(share, bytes, asker)) {
        if (!mine.waiting.empty()) ++mine.turn;
        return take(share, bytes, asker);
    }
    if (bytes <= small_wish_bytes_max && shares_[small_share].used + bytes <= small_max_)
        return take(small_share, bytes, asker);
    const auto place = static_cast<std::ptrdiff_t>(known ? mine.known++ : mine.waiting.size());
    mine.waiting.insert(mine.waiting.begin() + place, {token, bytes});
    ++waited_;
    return std::nullopt;
}

Grant BytePool::take_now(PoolClass kind, std::size_t bytes) {
    return take(share_of(kind, bytes, Asker::known), bytes, Asker::stranger);
}

/// The place of who is next among those who wait; there is one.
std::size_t BytePool::next_of(const Share& share, Asker asker) const {
    const std::size_t first = asker == Asker::known ? 0 : share.known;
    const std::size_t end = asker == Asker::known ? share.known : share.waiting.size();
    return end - first >= crowd_min && share.crowd_turn < newest_turns ? end - 1 : first;
}

/// Though known ones wait. Not where strangers have used up what is theirs, nor where what they
/// wait for is not the known's to give back.
bool BytePool::is_strangers_turn(std::size_t share) const {
    const Share& mine = shares_[share];
    if (mine.turn < known_turns || mine.waiting.size() == mine.known) return false;
    const std::size_t bytes = mine.waiting[next_of(mine, Asker::stranger)].bytes;
    return has_room(share, bytes, Asker::stranger) ||
           (mine.used != mine.strangers && strangers_have_room(share, bytes));
}

std::optional<std::pair<std::uint64_t, Grant>> BytePool::poll_granted(PoolClass kind) {
    const std::size_t first = static_cast<std::size_t>(kind) * bands;
    for (std::size_t share = first; share < first + bands; ++share) {
        Share& mine = shares_[share];
        if (mine.waiting.empty()) continue;
        const bool known = mine.known > 0 && !is_strangers_turn(share);
        const Asker asker = known ? Asker::known : Asker::stranger;
        const std::size_t at = next_of(mine, asker);
        const Wish wish = mine.waiting[at];
        if (!has_room(share, wish.bytes, asker)) continue;
        if (at != (known ? 0 : mine.known))
            ++mine.crowd_turn;
        else if (mine.crowd_turn == newest_turns)
            mine.crowd_turn = 0;
        mine.waiting.erase(mine.waiting.begin() + static_cast<std::ptrdiff_t>(at));
        mine.known -= known;
        mine.turn = known ? mine.turn + 1 : 0;
        return std::pair{wish.token, take(share, wish.bytes, asker)};
    }
    return std::nullopt;
}

std::size_t BytePool::waiting_count() const {
    std::size_t count = 0;
    for (const Share& share : shares_) count += share.waiting.size();
    return count;
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
    keep_spare(size_ - std::min(size_, used()));  // as what is asked for is in use already
    const std::size_t rounded =
        size < chunk_bytes_min ? size
                               : (size + chunk_bytes_min - 1) / chunk_bytes_min * chunk_bytes_min;
    return {std::make_unique_for_overwrite<std::uint8_t[]>(rounded), rounded};
}

void BytePool::give_chunk(Chunk chunk) {
    // Within the pool, too, of which the chunk is a part until its grant ends.
    if (chunk.size < chunk_bytes_min || chunk.size > spare_bytes_max || used() > size_) return;
    if (spare_.size() == spare_chunks_max) keep_spare(spare_bytes_ - 1);
    keep_spare(std::min(spare_bytes_max - chunk.size, size_ - used()));
    spare_bytes_ += chunk.size;
    spare_.push_back(std::move(chunk));
}

void BytePool::keep_spare(std::size_t bytes) {
    while (spare_bytes_ > bytes) {
        spare_bytes_ -= spare_.front().size;  // the one that nobody wanted for longest
        spare_.erase(spare_.begin());
    }
}

void BytePool::forget(PoolClass kind, std::uint64_t token) {
    const std::size_t first = static_cast<std::size_t>(kind) * bands;
    for (std::size_t share = first; share < first + bands; ++share) {
        Share& mine = shares_[share];
        const auto at = std::find_if(mine.waiting.begin(), mine.waiting.end(),
                                     [token](const Wish& wish) { return wish.token == token; });
        if (at == mine.waiting.end()) continue;
        mine.known -= at - mine.waiting.begin() < static_cast<std::ptrdiff_t>(mine.known);
        mine.waiting.erase(at);
    }
}

BytePool::Counters BytePool::counters() const {
    return {.size = size_ + small_max_,
            .spare_bytes = spare_bytes_,
            .request_bytes = used_by(PoolClass::request) + shares_[2].used,
            .response_bytes = used_by(PoolClass::response) + shares_[bands + 2].used,
            .peak = peak_,
            .small_bytes = shares_[small_share].used,
            .waiting = waiting_count(),
            .waited = waited_};
}

}  // namespace leat::session
