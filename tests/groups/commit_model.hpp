// What committed offsets have to be, whatever the group that they are of goes through.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "broker/log/log.hpp"

namespace leat::test {

/// `Partition` is how the test names one; `stored` looks up what the broker has: -1 none, not set:
/// the topic is gone, and with it whatever was known.
template <class Partition>
class CommitModel {
public:
    /// The broker took it: it is acknowledged when that commit of the log is durable.
    void took(log::CommitId commit, const Partition& partition, std::int64_t offset) {
        tried_[partition].insert(offset);
        unacked_.emplace_back(commit, partition, offset);
    }
    void flushed(log::CommitId durable) {
        std::erase_if(unacked_, [&](const auto& one) {
            if (std::get<0>(one) > durable) return false;
            acked_[std::get<1>(one)] = std::get<2>(one);
            return true;
        });
        tried_.clear();
    }
    /// The broker was started again: each is what was acknowledged, or a later one that was tried.
    void after_power_cut(std::uint64_t seed, auto stored) {
        for (auto& [partition, offset] : acked_) {
            const std::optional<std::int64_t> found = stored(partition);
            if (!found) continue;
            const bool as_tried = tried_.contains(partition) && tried_[partition].contains(*found);
            CHECK_MESSAGE((*found == offset || as_tried), "seed ", seed, " has ", *found,
                          ", acknowledged was ", offset);
            offset = *found;
        }
        forget_tried();
    }
    /// The log rolled back what was not durable: each is what was acknowledged.
    void after_rollback(std::uint64_t seed, auto stored) {
        forget_tried();
        check(seed, stored);
    }
    void check(std::uint64_t seed, auto stored) const {
        for (const auto& [partition, offset] : acked_)
            if (const std::optional<std::int64_t> found = stored(partition))
                CHECK_MESSAGE(*found == offset, "seed ", seed, ": lost a commit");
    }

private:
    void forget_tried() {
        tried_.clear();
        unacked_.clear();
    }

    std::map<Partition, std::int64_t> acked_;
    std::map<Partition, std::set<std::int64_t>> tried_;
    std::vector<std::tuple<log::CommitId, Partition, std::int64_t>> unacked_;
};

}  // namespace leat::test
