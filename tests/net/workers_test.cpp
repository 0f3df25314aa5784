#include "broker/net/workers.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <set>
#include <thread>

using namespace leat;

namespace {

/// Waits for what the workers say.
struct Bell {
    std::mutex mutex;
    std::condition_variable changed;
    int rings = 0;
    void ring() {
        {
            const std::lock_guard lock(mutex);
            ++rings;
        }
        changed.notify_all();
    }
    bool wait_above(int count) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, std::chrono::seconds(10), [&] { return rings > count; });
    }
};

}  // namespace

TEST_CASE("workers: no thread before there is work, and none at all if none is allowed") {
    net::Workers none(0, [] {});
    node::Work work{1, [] {}};
    CHECK_FALSE(none.take(work));
    CHECK(bool(work.run));  // still the caller's
    net::Workers some(2, [] {});
    CHECK(some.threads() == 0);
    CHECK(some.take(work));
    CHECK(some.threads() == 1);
}

TEST_CASE("workers: each work is run once and told once") {
    Bell bell;
    constexpr std::uint64_t count = 1000;
    std::vector<int> runs(count);  // of one work each: no lock
    std::multiset<node::WorkId> told;
    net::Workers workers(3, [&] { bell.ring(); });
    for (std::uint64_t i = 0; i < count; ++i) {
        node::Work work{i, [&runs, i] { ++runs[i]; }};
        REQUIRE(workers.take(work));
    }
    while (told.size() < count) {
        int before;
        {
            const std::lock_guard lock(bell.mutex);
            before = bell.rings;
        }
        const auto ids = workers.collect();
        told.insert(ids.begin(), ids.end());
        if (ids.empty() && told.size() < count) REQUIRE(bell.wait_above(before));
    }
    for (std::uint64_t i = 0; i < count; ++i) {
        CHECK(runs[i] == 1);
        CHECK(told.count(i) == 1);
    }
    CHECK(workers.threads() <= 3);
}

TEST_CASE("workers: several run at the same time") {
    std::promise<void> first, second;
    auto first_began = first.get_future().share(), second_began = second.get_future().share();
    std::atomic<int> met = 0;
    Bell bell;
    {
        net::Workers workers(2, [&] { bell.ring(); });
        node::Work a{1, [&] {
                         first.set_value();
                         met += second_began.wait_for(std::chrono::seconds(10)) ==
                                std::future_status::ready;
                     }};
        node::Work b{2, [&] {
                         second.set_value();
                         met += first_began.wait_for(std::chrono::seconds(10)) ==
                                std::future_status::ready;
                     }};
        REQUIRE(workers.take(a));
        REQUIRE(workers.take(b));
        REQUIRE(second_began.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
    }
    CHECK(met == 2);
}

TEST_CASE("workers: the end joins what runs and drops what was not begun") {
    std::promise<void> began, go;
    auto may_go = go.get_future();
    std::atomic<bool> ended = false, dropped_ran = false;
    std::thread later;
    {
        net::Workers workers(1, [] {});
        node::Work slow{1, [&] {
                            began.set_value();
                            may_go.wait();
                            ended = true;
                        }};
        REQUIRE(workers.take(slow));
        began.get_future().wait();
        node::Work never{2, [&] { dropped_ran = true; }};
        REQUIRE(workers.take(never));
        later = std::thread([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            go.set_value();
        });
    }
    CHECK(ended);
    CHECK_FALSE(dropped_ran);
    later.join();
}
