#include <doctest/doctest.h>

#include <vector>

#include "broker/session/buffer.hpp"

using namespace leat::session;

TEST_CASE("byte pool: a wish is granted at the share's bound and queued one byte above it") {
    BytePool pool(1000);
    auto all = pool.ask(PoolClass::request, 750, 1);
    REQUIRE(all);
    CHECK_FALSE(pool.ask(PoolClass::request, 1, 2));
    all->release();
    auto next = pool.poll_granted(PoolClass::request);
    REQUIRE(next);
    CHECK(next->first == 2);
}

TEST_CASE("byte pool: requests cannot take what responses need, nor the other way round") {
    BytePool pool(1000);
    auto requests = pool.ask(PoolClass::request, 750, 1);
    auto responses = pool.ask(PoolClass::response, 250, 2);
    CHECK(requests);
    CHECK(responses);
    CHECK_FALSE(pool.ask(PoolClass::response, 1, 3));
}

TEST_CASE("byte pool: a small wish never overtakes a large one of its class") {
    BytePool pool(1000);
    auto first = pool.ask(PoolClass::request, 700, 1, Asker::known);
    CHECK_FALSE(pool.ask(PoolClass::request, 600, 2, Asker::known));
    CHECK_FALSE(pool.ask(PoolClass::request, 10, 3, Asker::known));
    CHECK_FALSE(pool.poll_granted(PoolClass::request));
    first.reset();
    auto second = pool.poll_granted(PoolClass::request);
    REQUIRE(second);
    CHECK(second->first == 2);
    auto third = pool.poll_granted(PoolClass::request);
    REQUIRE(third);
    CHECK(third->first == 3);
}

TEST_CASE("byte pool: a small wish has room of its own where large ones wait, and no more") {
    BytePool pool(1 << 20);  // 983,040 without what is for the small; a class has 786,432
    auto slow = pool.ask(PoolClass::response, 589'824, 1, Asker::known);
    CHECK_FALSE(pool.ask(PoolClass::response, 500'000, 2, Asker::known));
    std::vector<Grant> modest;
    for (std::uint64_t i = 0; i < 3; ++i)
        modest.push_back(
            *pool.ask(PoolClass::response, modest_wish_bytes_max, 20 + i, Asker::known));
    CHECK_FALSE(pool.ask(PoolClass::response, small_wish_bytes_max + 1, 3, Asker::known));
    std::vector<Grant> small;
    for (std::uint64_t i = 0; i < (1 << 16) / small_wish_bytes_max; ++i) {
        auto one = pool.ask(PoolClass::response, small_wish_bytes_max, 10 + i);
        REQUIRE(one);
        small.push_back(std::move(*one));
    }
    CHECK(pool.counters().small_bytes == 1 << 16);
    CHECK_FALSE(pool.ask(PoolClass::response, 1, 4));
    // Both classes together stay within the pool.
    auto some = pool.ask(PoolClass::request, modest_wish_bytes_max, 5);
    auto most = pool.ask(PoolClass::request, 196'608 - modest_wish_bytes_max, 6, Asker::known);
    CHECK(some);
    CHECK(most);
    CHECK_FALSE(pool.ask(PoolClass::request, 1, 7));
    CHECK(pool.counters().peak == 1 << 20);
    // What is small never takes the turn of who waits: that comes with the room it waits for.
    small.clear();
    CHECK(pool.counters().small_bytes == 0);
    CHECK_FALSE(pool.poll_granted(PoolClass::response));
    slow.reset();
    std::vector<Grant> granted;
    for (const std::uint64_t token : {3u, 4u, 2u}) {
        auto next = pool.poll_granted(PoolClass::response);
        REQUIRE(next);
        CHECK(next->first == token);
        granted.push_back(std::move(next->second));
    }
}

TEST_CASE("byte pool: who wants much leaves a quarter of the class to who wants less") {
    BytePool pool(4 << 20);  // a class has 3 MiB, much of it 2.25
    std::vector<Grant> much;
    for (std::uint64_t i = 0; i < 2; ++i)
        much.push_back(*pool.ask(PoolClass::request, (9 << 20) / 8, i, Asker::known));
    CHECK_FALSE(pool.ask(PoolClass::request, modest_wish_bytes_max + 1, 2, Asker::known));
    std::vector<Grant> modest;
    for (std::uint64_t i = 0; i < 12; ++i)
        modest.push_back(
            *pool.ask(PoolClass::request, modest_wish_bytes_max, 10 + i, Asker::known));
    CHECK_FALSE(pool.ask(PoolClass::request, modest_wish_bytes_max, 3, Asker::known));
    // And the other way round: one who wants much has it though the modest took all there is.
    much.clear();
    modest.clear();
    while (pool.poll_granted(PoolClass::request)) {
    }
    for (std::uint64_t i = 0; i < 48; ++i)
        modest.push_back(
            *pool.ask(PoolClass::request, modest_wish_bytes_max, 30 + i, Asker::known));
    CHECK_FALSE(pool.ask(PoolClass::request, modest_wish_bytes_max, 4, Asker::known));
    CHECK(pool.ask(PoolClass::request, modest_wish_bytes_max + 1, 5));
}

TEST_CASE("byte pool: what is too large for its class is granted beside it, one at a time") {
    BytePool pool(4 << 20);
    auto first = pool.ask(PoolClass::request, 8 << 20, 1);
    REQUIRE(first);
    CHECK_FALSE(pool.ask(PoolClass::request, 8 << 20, 2));
    CHECK(pool.ask(PoolClass::request, 2 << 20, 3, Asker::known));
    CHECK(pool.ask(PoolClass::response, 2 << 20, 4, Asker::known));
    CHECK_FALSE(pool.poll_granted(PoolClass::request));
    CHECK(pool.counters().request_bytes == 8 << 20);
    first.reset();
    auto second = pool.poll_granted(PoolClass::request);
    REQUIRE(second);
    CHECK(second->first == 2);
}

TEST_CASE("byte pool: what is taken at once and is too large for its class leaves that to others") {
    BytePool pool(4 << 20);
    Grant huge = pool.take_now(PoolClass::response, 22 << 20);
    CHECK(pool.counters().response_bytes == 22 << 20);
    std::vector<Grant> others;
    for (std::uint64_t i = 0; i < 2; ++i) {
        others.push_back(*pool.ask(PoolClass::response, 1 << 20, 10 + i));
        others.push_back(*pool.ask(PoolClass::response, modest_wish_bytes_max, 20 + i));
        others.push_back(*pool.ask(PoolClass::request, modest_wish_bytes_max, 30 + i));
    }
    CHECK_FALSE(pool.ask(PoolClass::response, 8 << 20, 1));
    huge.release();
    CHECK(pool.poll_granted(PoolClass::response));
}

TEST_CASE("byte pool: the known come before strangers, four to one, each in its order") {
    BytePool pool(1000);
    auto all = pool.ask(PoolClass::request, 750, 1, Asker::known);
    for (std::uint64_t i = 0; i < 3; ++i) CHECK_FALSE(pool.ask(PoolClass::request, 750, 10 + i));
    for (std::uint64_t i = 0; i < 7; ++i)
        CHECK_FALSE(pool.ask(PoolClass::request, 750, 20 + i, Asker::known));
    pool.forget(PoolClass::request, 21);
    pool.forget(PoolClass::request, 11);
    CHECK(pool.counters().waiting == 8);
    std::vector<std::uint64_t> order;
    all.reset();
    while (const auto next = pool.poll_granted(PoolClass::request)) order.push_back(next->first);
    CHECK(order == std::vector<std::uint64_t>{20, 22, 23, 24, 10, 25, 26, 12});
}

TEST_CASE("byte pool: spare memory is no more than what nobody uses") {
    BytePool pool(4 << 20);
    constexpr std::size_t all = (4 << 20) - (4 << 20) / 16;
    {
        Buffer one(1 << 20, pool.take_now(PoolClass::response, 1 << 20));
        Buffer two(1 << 20, pool.take_now(PoolClass::response, 1 << 20));
    }
    CHECK(pool.counters().spare_bytes == 2 << 20);
    std::vector<Buffer> many;
    for (int i = 0; i < 60; ++i) {
        many.emplace_back(1 << 16, pool.take_now(PoolClass::response, 1 << 16));
        CHECK(pool.counters().spare_bytes + pool.counters().response_bytes <= all);
    }
    CHECK(pool.counters().spare_bytes == 0);
    many.erase(many.begin(), many.begin() + 30);
    CHECK(pool.counters().spare_bytes == 16 << 16);  // as many as it keeps
    { Buffer huge(8 << 20, pool.take_now(PoolClass::request, 8 << 20)); }
    CHECK(pool.counters().spare_bytes == 0);
    many.clear();
    CHECK(pool.counters().spare_bytes == 16 << 16);
}

// Of 3,932,160 bytes (4 MiB without what is for the small) strangers of a class have 1,310,720.
TEST_CASE("byte pool: strangers of both classes leave a third of the pool to the known") {
    constexpr std::size_t third = ((4 << 20) - (4 << 20) / 16) / 3;
    BytePool pool(4 << 20);
    std::vector<Grant> strangers;
    for (const PoolClass kind : {PoolClass::request, PoolClass::response}) {
        strangers.push_back(*pool.ask(kind, third - modest_wish_bytes_max, 1));
        strangers.push_back(*pool.ask(kind, modest_wish_bytes_max, 2));
        CHECK_FALSE(pool.ask(kind, small_wish_bytes_max + 1, 3));
        CHECK_FALSE(pool.ask(kind, modest_wish_bytes_max + 1, 4));
    }
    // Not held up, though strangers wait.
    for (int i = 0; i < 20; ++i) {
        auto first = pool.ask(PoolClass::response, third / 2, 10, Asker::known);
        auto second = pool.ask(PoolClass::response, third / 4, 11, Asker::known);
        CHECK(first);
        CHECK(second);
        CHECK_FALSE(pool.poll_granted(PoolClass::response));
    }
    auto most = pool.ask(PoolClass::response, third, 10, Asker::known);
    CHECK(most);
    // Their first is granted all the same, their second waits; so does who is a stranger.
    CHECK(pool.ask(PoolClass::request, third, 12, Asker::known));
    CHECK_FALSE(pool.ask(PoolClass::response, third, 12, Asker::known));
    CHECK(pool.counters().peak == 4 * third);
    strangers.clear();
    most.reset();
    pool.forget(PoolClass::response, 3);  // of the first band
    for (const std::uint64_t token : {4u, 12u}) {
        const auto next = pool.poll_granted(PoolClass::response);
        REQUIRE(next);
        CHECK(next->first == token);
    }
}

TEST_CASE("byte pool: a stranger's wish above that third is one of the largest") {
    constexpr std::size_t third = ((4 << 20) - (4 << 20) / 16) / 3;
    BytePool pool(4 << 20);
    auto huge = pool.ask(PoolClass::request, 8 << 20, 1);
    CHECK_FALSE(pool.ask(PoolClass::request, third + 1, 2));
    auto most = pool.ask(PoolClass::request, third, 3);
    CHECK(most);
    CHECK(pool.ask(PoolClass::request, third + 1, 4, Asker::known));
    huge.reset();
    const auto next = pool.poll_granted(PoolClass::request);
    REQUIRE(next);
    CHECK(next->first == 2);
}

TEST_CASE("byte pool: strangers have their turn though the known never stop asking") {
    BytePool pool(4 << 20);
    auto first = pool.ask(PoolClass::request, 1 << 20, 1, Asker::known);
    auto second = pool.ask(PoolClass::request, 1 << 20, 2, Asker::known);
    CHECK_FALSE(pool.ask(PoolClass::request, 1 << 20, 9));
    bool served = false;
    for (int i = 0; i < 6 && !served; ++i) {
        first.reset();
        first = pool.ask(PoolClass::request, 1 << 20, 3, Asker::known);
        if (first) continue;  // at once, before the stranger
        const auto next = pool.poll_granted(PoolClass::request);
        REQUIRE(next);
        served = next->first == 9;
    }
    CHECK(served);
}

TEST_CASE("byte pool: a stranger that waits for the other class does not hold up the known") {
    BytePool pool(4 << 20);
    std::vector<Grant> all;
    for (int i = 0; i < 2; ++i)
        all.push_back(*pool.ask(PoolClass::request, 1 << 20, 1, Asker::known));
    for (int i = 0; i < 16; ++i)
        all.push_back(*pool.ask(PoolClass::request, modest_wish_bytes_max, 1, Asker::known));
    for (int i = 0; i < 12; ++i)
        all.push_back(*pool.ask(PoolClass::response, modest_wish_bytes_max, 1));
    CHECK_FALSE(pool.ask(PoolClass::response, modest_wish_bytes_max, 9));
    for (int i = 0; i < 10; ++i)
        CHECK(pool.ask(PoolClass::response, modest_wish_bytes_max, 2, Asker::known));
    all.clear();
    const auto next = pool.poll_granted(PoolClass::response);
    REQUIRE(next);
    CHECK(next->first == 9);
}

TEST_CASE("byte pool: in a crowd three of four turns are for who came last") {
    for (const Asker asker : {Asker::stranger, Asker::known}) {
        BytePool pool(1000);
        auto all = pool.ask(PoolClass::request, 750, 99, asker);
        for (std::uint64_t i = 0; i < 20; ++i)
            CHECK_FALSE(pool.ask(PoolClass::request, 750, i, asker));
        std::vector<std::uint64_t> order;
        all.reset();
        while (const auto next = pool.poll_granted(PoolClass::request))
            order.push_back(next->first);
        const std::vector<std::uint64_t> expected{19, 18, 17, 0, 16, 1, 2, 3, 4, 5,
                                                  6,  7,  8,  9, 10, 11, 12, 13, 14, 15};
        CHECK(order == expected);  // fewer than 16: as they came
    }
}

TEST_CASE("byte pool: a wish above the whole pool is served alone") {
    BytePool pool(1000);
    auto small = pool.ask(PoolClass::request, 10, 1);
    CHECK_FALSE(pool.ask(PoolClass::request, 5000, 2));
    small.reset();
    auto large = pool.poll_granted(PoolClass::request);
    REQUIRE(large);
    CHECK(large->second.bytes() == 5000);
    CHECK_FALSE(pool.ask(PoolClass::request, 1, 3));
}

TEST_CASE("byte pool: what is shrunk, moved or forgotten is accounted for exactly") {
    BytePool pool(1000);
    auto grant = pool.ask(PoolClass::response, 700, 1);
    grant->shrink(100);
    CHECK(pool.counters().response_bytes == 100);
    Grant moved = std::move(*grant);
    grant.reset();
    CHECK(pool.counters().response_bytes == 100);
    CHECK_FALSE(pool.ask(PoolClass::response, 700, 2));
    pool.forget(PoolClass::response, 2);
    CHECK(pool.counters().waiting == 0);
    Grant over = pool.take_now(PoolClass::response, 2000);
    CHECK(pool.counters().response_bytes == 2100);
    over = Grant();
    moved.release();
    CHECK(pool.counters().response_bytes == 0);
    CHECK(pool.counters().peak == 2100);
}

TEST_CASE(
    "byte pool: large memory is used again, small and far too large is not, and spares are "
    "bounded") {
    BytePool pool(8 << 20);
    { Buffer buffer(100'000, pool.take_now(PoolClass::request, 100'000)); }
    CHECK(pool.counters().spare_bytes == 114'688);  // whole steps of 16 KiB
    {
        Buffer same(90'000, pool.take_now(PoolClass::response, 90'000));
        CHECK(pool.counters().spare_bytes == 0);
        Buffer moved = std::move(same);
        Buffer small(1000, pool.take_now(PoolClass::response, 1000));
    }
    CHECK(pool.counters().spare_bytes == 114'688);
    {
        Buffer much_smaller(20'000, pool.take_now(PoolClass::response, 20'000));
        CHECK(pool.counters().spare_bytes == 114'688);
    }
    {
        std::vector<Buffer> many;
        for (int i = 0; i < 40; ++i)
            many.emplace_back(200'000, pool.take_now(PoolClass::request, 200'000));
    }
    CHECK(pool.counters().spare_bytes <= 2304 * 1024);
    CHECK(pool.counters().spare_bytes > 1'500'000);
    pool.trim();
    CHECK(pool.counters().spare_bytes == 0);
    CHECK(pool.counters().request_bytes == 0);
}
