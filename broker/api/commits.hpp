// Who waits for a commit of the log, in commit order: topic creation and deletion, auto-creation by
// Metadata.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "broker/log/log.hpp"
#include "leat/time.hpp"

namespace leat::api {

class Commits {
public:
    enum class End : std::uint8_t { durable, given_up };
    using Then = std::function<void(Instant now, WallTime wall, End end)>;

    /// Calls `then` once, from settle or rolled_back, never from here.
    void when(log::CommitId commit, Then then);
    void settle(Instant now, WallTime wall, log::CommitId flushed);
    void rolled_back(Instant now, WallTime wall, log::CommitId first, log::CommitId last);
    bool empty() const { return waiting_.empty(); }

private:
    void end(Instant now, WallTime wall, log::CommitId upto, End end);
    using Waiting = std::pair<log::CommitId, Then>;
    std::deque<Waiting>::iterator behind(log::CommitId commit);
    std::deque<Waiting> waiting_;  // by commit: nearly all come in that order
};

}  // namespace leat::api
