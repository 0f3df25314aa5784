// The newest durable commits, in memory: live consumers and the uplink never touch flash. And a
// window onto a segment's bytes, wherever they are.
#pragma once

#include <deque>
#include <memory>

#include "sdk/base/bytes.hpp"

namespace leat::log {

/// One piece of memory that is written around and around, each commit in one run: memory that comes
/// from the system anew for every commit costs as much as a tenth of the whole broker.
class RecentCommits {
public:
    explicit RecentCommits(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    void add(std::uint32_t segment, std::uint64_t generation, std::uint32_t position,
             ByteView commit) {
        if (commit.empty() || commit.size() > bytes_max_) return;
        if (!memory_) memory_ = std::make_unique_for_overwrite<std::uint8_t[]>(bytes_max_);
        if (commit.size() > bytes_max_ - next_) {
            while (!commits_.empty() && commits_.front().at >= next_) commits_.pop_front();
            next_ = 0;
        }
        // The oldest stands first behind what is written now.
        while (!commits_.empty() && commits_.front().at >= next_ &&
               commits_.front().at < next_ + commit.size())
            commits_.pop_front();
        copy_bytes(commit, {memory_.get() + next_, commit.size()});
        commits_.push_back({generation, next_, commit.size(), segment, position});
        next_ += commit.size();
    }
    /// Up to `count` bytes from `position` on; empty: not here. Valid until the next add.
    ByteView find(std::uint32_t segment, std::uint64_t generation, std::uint32_t position,
                  std::size_t count) const {
        for (auto it = commits_.rbegin(); it != commits_.rend(); ++it) {
            if (it->segment != segment || it->generation != generation) continue;
            if (position < it->position || position >= it->position + it->size) continue;
            const std::size_t skipped = position - it->position;
            return {memory_.get() + it->at + skipped, std::min(count, it->size - skipped)};
        }
        return {};
    }

private:
    struct Commit {
        std::uint64_t generation;
        std::size_t at, size;  ///< in memory_
        std::uint32_t segment, position;
    };
    std::deque<Commit> commits_;  ///< oldest first
    std::unique_ptr<std::uint8_t[]> memory_;
    std::size_t next_ = 0, bytes_max_;
};

}  // namespace leat::log
