// Alarms of groups and members: ordered, exact, gone with their owner. Nothing is scanned.
#pragma once

#include <map>

#include "leat/time.hpp"

namespace leat::groups {

struct Group;
struct Member;
struct PendingMember;
struct ConsumerMember;
class Timer;

class Timers {
public:
    Instant next() const { return due_.empty() ? never : due_.begin()->first; }
    /// The next alarm whose time has come, disarmed; null: none.
    Timer* take_due(Instant now);

private:
    friend class Timer;
    std::multimap<Instant, Timer*> due_;
};

/// One alarm. One of member, pending and consumer is set, or none: then it is the group's own.
class Timer {
public:
    explicit Timer(Group* group, Member* member = nullptr, PendingMember* pending = nullptr,
                   ConsumerMember* consumer = nullptr)
        : group_(group), member_(member), pending_(pending), consumer_(consumer) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { disarm(); }

    void arm(Timers& timers, Instant when) {
        disarm();
        timers_ = &timers;
        at_ = timers.due_.emplace(when, this);
    }
    void disarm() {
        if (timers_ != nullptr) timers_->due_.erase(at_);
        timers_ = nullptr;
    }
    bool armed() const { return timers_ != nullptr; }
    Instant when() const { return armed() ? at_->first : never; }
    Group* group() const { return group_; }
    Member* member() const { return member_; }
    PendingMember* pending() const { return pending_; }
    ConsumerMember* consumer() const { return consumer_; }

private:
    Timers* timers_ = nullptr;
    std::multimap<Instant, Timer*>::iterator at_;
    Group* group_;
    Member* member_;
    PendingMember* pending_;
    ConsumerMember* consumer_;
};

inline Timer* Timers::take_due(Instant now) {
    if (due_.empty() || due_.begin()->first > now) return nullptr;
    Timer* timer = due_.begin()->second;
    timer->disarm();
    return timer;
}

}  // namespace leat::groups
