// The bound on what requests and responses may occupy together: memory is taken only after a grant.
//
// Requests and responses are two classes, each with at most three quarters of the pool, so neither
// can starve the other: a pool full of half-sent uploads still answers, a pool full of slow readers
// still reads. A sixteenth of the pool is for small wishes alone: those of a sensor that sends or
// reads a record do not stand behind peers that fetch megabytes and take their time to read them.
//
// A class has three bands of wishes, each with a queue of its own, because who holds much and does
// not move must not hold up those who want less: up to modest_wish_bytes_max; above it, with at
// most three quarters of the class; and what does not fit there, one at a time and beside the
// pool's size. In each band one wish is granted whenever nothing of the band is out, so every size
// is served some day. Within a band: first come, first served, a smaller wish never overtakes a
// larger one.
//
// Who was known to be quick is not held up by strangers. Those of a class have a third of the pool
// at most, so that of both a third is left; what is larger is of the third band for them; and one
// wish of the known is granted whenever nothing of theirs is out in its band. Of those who wait
// the known come first, four times to a stranger's one. In a crowd three of four turns are for who
// came last: behind a hundred who will not move, the first that will would else wait for them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace leat::session {

enum class PoolClass : std::uint8_t { request = 0, response = 1 };
enum class Asker : std::uint8_t { stranger, known };
constexpr std::size_t small_wish_bytes_max = 8 * 1024;
constexpr std::size_t modest_wish_bytes_max = 64 * 1024;

class BytePool;

/// Bytes taken from the pool; given back when this ends. Move-only. Must not outlive its pool.
class Grant {
public:
    Grant() = default;
    Grant(Grant&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)),
          share_(other.share_),
          asker_(other.asker_),
          bytes_(std::exchange(other.bytes_, 0)) {}
    Grant& operator=(Grant&& other) noexcept {
        if (this != &other) {
            release();
            pool_ = std::exchange(other.pool_, nullptr);
            share_ = other.share_;
            asker_ = other.asker_;
            bytes_ = std::exchange(other.bytes_, 0);
        }
        return *this;
    }
    ~Grant() { release(); }

    std::size_t bytes() const { return bytes_; }
    void release() {
        shrink(0);
        pool_ = nullptr;
    }
    void shrink(std::size_t bytes);  ///< gives back all but `bytes`; growing is not possible
    BytePool* pool() const { return pool_; }

private:
    friend class BytePool;
    Grant(BytePool* pool, std::size_t share, Asker asker, std::size_t bytes)
        : pool_(pool), share_(static_cast<std::uint8_t>(share)), asker_(asker), bytes_(bytes) {}

    BytePool* pool_ = nullptr;
    std::uint8_t share_ = 0;
    Asker asker_ = Asker::stranger;
    std::size_t bytes_ = 0;
};

class BytePool {
public:
    explicit BytePool(std::size_t bytes);
    BytePool(const BytePool&) = delete;
    BytePool& operator=(const BytePool&) = delete;

    /// Asks for `bytes`. Granted at once if the band has room and nobody of the band waits, or
    /// from what is kept for the small; else `token` is queued and comes out of poll_granted later.
    std::optional<Grant> ask(PoolClass kind, std::size_t bytes, std::uint64_t token,
                             Asker asker = Asker::stranger);
    /// Takes without waiting, beyond the bound if need be: for answers that must not wait. Whoever
    /// asks next in its band waits until it is back; of what is above all bands' bounds only those
    /// who want as much.
    Grant take_now(PoolClass kind, std::size_t bytes);
    /// A queued wish that can now be met. A caller that no longer wants it just drops the grant.
    std::optional<std::pair<std::uint64_t, Grant>> poll_granted(PoolClass kind);
    void forget(PoolClass kind, std::uint64_t token);  ///< a waiting token is gone

    // Memory itself. Large pieces are kept for the next one of about that size: fresh pages from
    // the kernel cost more than what a broker does with a batch.
    struct Chunk {
        std::unique_ptr<std::uint8_t[]> memory;
        std::size_t size = 0;
    };
    Chunk take_chunk(std::size_t size);
    void give_chunk(Chunk chunk);
    std::size_t waiting_count() const;
    void trim() { keep_spare(0); }  ///< nobody asks for anything: the spare memory goes back
    /// Others than who has `mine` hold as much as there is: what would not wait is better refused.
    bool overdrawn(PoolClass kind, std::size_t mine = 0) const;

    struct Counters {
        std::size_t size = 0, spare_bytes = 0, request_bytes = 0, response_bytes = 0, peak = 0;
        std::size_t small_bytes = 0;  ///< of either class, out of what is kept for the small
        std::size_t waiting = 0;
        std::uint64_t waited = 0;  ///< wishes that had to queue
    };
    Counters counters() const;

private:
    friend class Grant;
    struct Wish {
        std::uint64_t token;
        std::size_t bytes;
    };
    struct Share {
        std::size_t used = 0;
        std::size_t strangers = 0;  ///< used by them
        std::deque<Wish> waiting;   ///< the known first
        std::size_t known = 0;      ///< so many of them
        unsigned turn = 0;          ///< of the known, since a stranger's
        unsigned crowd_turn = 0;    ///< since one of who waited longest
    };
    static constexpr std::size_t bands = 3, small_share = 2 * bands;
    /// The share of the band that `bytes` belong to.
    std::size_t share_of(PoolClass kind, std::size_t bytes, Asker asker) const;
    std::size_t used_by(PoolClass kind) const;  ///< within the pool's size
    bool strangers_have_room(std::size_t share, std::size_t bytes) const;
    bool has_room(std::size_t share, std::size_t bytes, Asker asker) const;
    std::size_t used() const;  ///< of everything, also beside the pool
    void keep_spare(std::size_t bytes);
    std::size_t next_of(const Share& share, Asker asker) const;
    bool is_strangers_turn(std::size_t share) const;
    Grant take(std::size_t share, std::size_t bytes, Asker asker);

    std::size_t size_;  ///< without what is kept for the small
    std::size_t share_max_, strangers_max_;
    std::size_t small_max_;
    Share shares_[small_share + 1];
    std::vector<Chunk> spare_;
    std::size_t spare_bytes_ = 0;
    std::size_t peak_ = 0;
    std::uint64_t waited_ = 0;
};

}  // namespace leat::session
