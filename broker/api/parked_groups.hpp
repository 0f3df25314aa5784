// Who waits for a group: JoinGroup and SyncGroup requests until the group has
// decided, and heartbeats of consumer groups until that is durable.
#pragma once

#include <unordered_map>

#include "broker/api/context.hpp"
#include "broker/groups/groups.hpp"

namespace leat::api {

class ParkedGroups {
public:
    /// A ticket for an answer to `address`. A session that closes leaves it behind, harmless, until
    /// the group answers: Kafka keeps such a member, too, until it times out. So it holds no
    /// elements, which others need meanwhile; what groups keep has bounds of its own.
    groups::Ticket park(Address address) {
        address.elements = {};
        waiting_.emplace(++last_, std::move(address));
        return last_;
    }
    /// Sends what the groups have decided. Of a group of a thousand members some, and the others
    /// in the next turn.
    void drain(Context& context);
    std::size_t size() const { return waiting_.size(); }

private:
    void assign(Context& context);

    bool waits_turn_ = false, assigns_ = false;
    std::unordered_map<groups::Ticket, Address> waiting_;
    groups::Ticket last_ = 0;
};

}  // namespace leat::api
