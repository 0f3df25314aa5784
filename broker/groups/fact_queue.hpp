// Facts on their way into the log, in the order in which they were made, and who is told when they
// are there. The log may want a pause in between: then the rest waits, and the order stays.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/log/log.hpp"

namespace leat::groups {

class FactQueue {
public:
    explicit FactQueue(log::Log& log) : log_(log) {}

    /// Writes, or waits behind what waits. Returns the number of this write; numbers rise by one.
    std::uint64_t put(Instant now, const std::string& group, std::vector<std::uint8_t> key,
                      std::vector<std::uint8_t> value);
    std::uint64_t erase(Instant now, const std::string& group, std::vector<std::uint8_t> key);

    /// After the log may have finished something: goes on writing. All writes up to durable() are.
    void settle(Instant now);
    std::uint64_t durable() const { return durable_; }
    std::uint64_t last() const { return last_; }
    bool idle() const { return waiting_.empty() && written_.empty(); }
    bool waits() const { return !waiting_.empty(); }
    /// Of what is written of a group and not durable yet, as far as is known; 0: nothing.
    log::CommitId last_commit(std::string_view group) const;

    /// The log gave up what was not durable. Groups whose writes are lost come out of
    /// take_broken().
    void rolled_back();
    /// Groups of which a write failed: what is in memory is not what will be on flash.
    std::vector<std::string> take_broken() { return std::exchange(broken_, {}); }
    bool any_broken() const { return !broken_.empty(); }

private:
    struct Write {
        std::uint64_t number;
        std::string group;
        bool erases;
        std::vector<std::uint8_t> key, value;
    };
    struct Written {
        std::uint64_t number;
        log::CommitId commit;
        std::string group;
    };
    std::uint64_t add(Instant now, Write write);
    bool try_write(Instant now, const Write& write);
    void break_group(const std::string& group);

    log::Log& log_;
    std::list<Write> waiting_;
    std::list<Written> written_;
    std::vector<std::string> broken_;
    std::uint64_t last_ = 0, durable_ = 0;
};

}  // namespace leat::groups
