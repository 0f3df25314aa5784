// Which leader epoch each record of a partition belongs to (KIP-101, KIP-320), so that a client
// that was ahead of a log which lost its tail finds out, instead of reading other records at the
// same offsets.
//
// The epoch is the log's, rises at every start after an unclean stop, and is the same for all
// partitions. Where it begins is a partition's own matter: at its log end when it is first written
// to. A partition's epochs with the offsets where they begin are one fact of the log, put before
// the first batch of an epoch, so they are durable no later than it, and rolled back with it. A
// partition without that fact knows epoch 0 only: a gateway that is always stopped cleanly writes
// none.
//
// An epoch in which nothing was written begins where the next one does. At most entries_max are
// kept: the oldest merge into the first, and those that end before the log start go.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "broker/log/log.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::topics {

class LeaderEpochs {
public:
    static constexpr std::size_t entries_max = 32;
    static constexpr std::int32_t none = -1;

    explicit LeaderEpochs(log::Log& log) : log_(log) {}

    /// This run's; constant once the log is open.
    std::int32_t current() const;
    /// What a client is told that believes in `epoch` (none: says nothing, and nothing is checked).
    wire::ErrorCode check(std::int32_t epoch) const;

    /// Before a batch is appended to `stream`.
    /// fails: as log.put_fact
    Status note(Instant now, log::StreamId stream);
    /// The stream is dropped.
    void forget(Instant now, log::StreamId stream);
    /// The log has given up commits: what was noted in them is gone.
    void rolled_back() { noted_.clear(); }

    struct End {
        std::int32_t epoch = none;  ///< the largest known that is not above the one asked for
        log::Offset end = -1;       ///< where the next one begins; of the current one: log end
        bool merged = false;        ///< `epoch` may stand for later ones that are forgotten
    };
    /// As Kafka's LeaderEpochFileCache.endOffsetFor: none and -1 for an epoch that is yet to come;
    /// an epoch before all known ones ends where these begin.
    End end_of(log::StreamId stream, std::int32_t epoch) const;
    /// The epoch of the record at `offset`; none before the first known.
    std::int32_t at(log::StreamId stream, log::Offset offset) const;

private:
    struct Entry {
        std::int32_t epoch;
        log::Offset start;
    };
    std::vector<Entry> noted(log::StreamId stream) const;
    std::vector<Entry> all(log::StreamId stream) const;
    void sweep(Instant now);

    log::Log& log_;
    mutable std::int32_t current_ = none;
    std::unordered_set<log::StreamId> noted_;  // streams whose fact has the current epoch
    bool swept_ = false;
};

}  // namespace leat::topics
