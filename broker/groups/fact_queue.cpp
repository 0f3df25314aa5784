#include "broker/groups/fact_queue.hpp"

#include <algorithm>

namespace leat::groups {

std::uint64_t FactQueue::put(Instant now, const std::string& group, std::vector<std::uint8_t> key,
                             std::vector<std::uint8_t> value) {
    return add(now, {0, group, false, std::move(key), std::move(value)});
}

std::uint64_t FactQueue::erase(Instant now, const std::string& group,
                               std::vector<std::uint8_t> key) {
    return add(now, {0, group, true, std::move(key), {}});
}

std::uint64_t FactQueue::add(Instant now, Write write) {
    write.number = ++last_;
    // What comes behind a write that failed would not be a prefix.
    if (std::find(broken_.begin(), broken_.end(), write.group) != broken_.end()) return last_;
    if (!waiting_.empty() || !try_write(now, write)) waiting_.push_back(std::move(write));
    return last_;
}

// false: it waits.
bool FactQueue::try_write(Instant now, const Write& write) {
    const auto commit = write.erases
                            ? log_.erase_fact(now, log::FactKind::group, write.key)
                            : log_.put_fact(now, log::FactKind::group, write.key, write.value);
    if (!commit && commit.error() == Error::would_block) {
        log_.flush_soon(now);
        return false;
    }
    if (!commit) {
        break_group(write.group);
        return true;
    }
    written_.push_back({write.number, *commit, write.group});
    log_.flush_soon(now);
    return true;
}

void FactQueue::break_group(const std::string& group) {
    std::erase_if(waiting_, [&](const Write& one) { return one.group == group; });
    if (std::find(broken_.begin(), broken_.end(), group) == broken_.end()) broken_.push_back(group);
}

void FactQueue::settle(Instant now) {
    while (!written_.empty() && written_.front().commit <= log_.flushed_commit())
        written_.pop_front();
    std::list<Write> left = std::exchange(waiting_, {});  // a write that fails takes others out
    while (!left.empty()) {
        const bool broken =
            std::find(broken_.begin(), broken_.end(), left.front().group) != broken_.end();
        if (!broken && !try_write(now, left.front())) break;
        left.pop_front();
    }
    waiting_ = std::move(left);
    const std::uint64_t open = !written_.empty()   ? written_.front().number
                               : !waiting_.empty() ? waiting_.front().number
                                                   : last_ + 1;
    durable_ = open - 1;
}

log::CommitId FactQueue::last_commit(std::string_view group) const {
    for (auto at = written_.rbegin(); at != written_.rend(); ++at)
        if (at->group == group) return at->commit;
    return 0;
}

void FactQueue::rolled_back() {
    while (!written_.empty() && written_.front().commit <= log_.flushed_commit())
        written_.pop_front();
    std::vector<Written> lost(written_.begin(), written_.end());
    written_.clear();
    for (const Written& one : lost) break_group(one.group);
}

}  // namespace leat::groups
