// Members of one group of the classic protocol, each on a connection of its own, as a client's
// state machine has them: join (twice, KIP-394), sync, heartbeat, join again when told to.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/raw_client.hpp"

namespace leat::bench {

class Group {
public:
    /// Members beat `beat` after their last answer: short while a change is under way, so that the
    /// broker is measured and not the heartbeat's interval, which clients set; 3 s when at rest.
    Group(Connections& connections, std::string name, std::chrono::milliseconds beat);

    void add(int connection);  ///< joins at once
    void remove_last();        ///< leaves at once; the others learn of it as they beat
    void remove_all();         ///< in one request, over the first member's connection
    bool take(int connection, ByteView frame);  ///< false: nobody here waits on that connection
    void tick(Clock::time_point now);           ///< beats that are due
    void beat_every(std::chrono::milliseconds beat) { beat_ = beat; }
    bool quiet() const;  ///< no question is open: now members may leave
    void beat_now();

    /// All members have their part of one generation, and nobody is on the way out.
    bool stable() const;
    std::size_t size() const { return members_.size(); }
    std::int32_t generation() const { return members_.empty() ? -1 : members_.front().generation; }
    std::uint64_t beats() const { return beats_; }
    std::uint64_t rejoins() const { return rejoins_; }  ///< joins of members that were in

private:
    enum class Await { nothing, join, sync, beat, leave };
    struct Member {
        int connection = -1;
        std::string id;
        std::int32_t generation = -1;
        Await await = Await::nothing;
        bool in = false, goes = false;  ///< has its part · has said that it leaves
        bool put_off = false;           ///< the coordinator is not ready: joins again in a while
        Clock::time_point told{};       ///< when it was last answered
    };
    void join(Member& member);
    void beat(Member& member);
    void on_join(Member& member, ByteView frame);
    void on_sync(Member& member, ByteView frame);
    void on_beat(Member& member, ByteView frame);
    Member* find(int connection);

    Connections& connections_;
    std::string name_;
    std::chrono::milliseconds beat_;
    std::vector<Member> members_;
    std::uint64_t beats_ = 0, rejoins_ = 0;
    int leaving_ = 0;
};

}  // namespace leat::bench
