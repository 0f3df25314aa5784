// The newest durable commits, in memory: live consumers and the uplink never touch flash. And a
// window onto a segment's bytes, wherever they are.
#pragma once

#include <deque>
#include <vector>

#include "sdk/base/bytes.hpp"

namespace leat::log {

class RecentCommits {
public:
    explicit RecentCommits(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    void add(std::uint32_t segment, std::uint64_t generation, std::uint32_t position,
             ByteView commit) {
        if (commit.size() > bytes_max_) return;
        while (!commits_.empty() && bytes_ + commit.size() > bytes_max_) {
            bytes_ -= commits_.front().bytes.size();
            commits_.pop_front();
        }
        bytes_ += commit.size();
        commits_.push_back({segment, generation, position, {commit.begin(), commit.end()}});
    }
    /// Up to `count` bytes from `position` on; empty: not here.
    ByteView find(std::uint32_t segment, std::uint64_t generation, std::uint32_t position,
                  std::size_t count) const {
        for (auto it = commits_.rbegin(); it != commits_.rend(); ++it) {
            if (it->segment != segment || it->generation != generation) continue;
            if (position < it->position || position >= it->position + it->bytes.size()) continue;
            const ByteView rest = ByteView(it->bytes).subspan(position - it->position);
            return rest.first(std::min(count, rest.size()));
        }
        return {};
    }
    std::size_t bytes() const { return bytes_; }

private:
    struct Commit {
        std::uint32_t segment;
        std::uint64_t generation;
        std::uint32_t position;
        std::vector<std::uint8_t> bytes;
    };
    std::deque<Commit> commits_;
    std::size_t bytes_ = 0, bytes_max_;
};

}  // namespace leat::log
