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
    auto first = pool.ask(PoolClass::request, 700, 1);
    CHECK_FALSE(pool.ask(PoolClass::request, 600, 2));
    CHECK_FALSE(pool.ask(PoolClass::request, 10, 3));
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
    BytePool pool(1 << 20);
    auto slow = pool.ask(PoolClass::response, 700'000, 1);
    CHECK_FALSE(pool.ask(PoolClass::response, 500'000, 2));
    CHECK_FALSE(pool.ask(PoolClass::response, small_wish_bytes_max + 1, 3));
    std::vector<Grant> small;
    for (std::uint64_t i = 0; i < (1 << 16) / small_wish_bytes_max; ++i) {
        auto one = pool.ask(PoolClass::response, small_wish_bytes_max, 10 + i);
        REQUIRE(one);
        small.push_back(std::move(*one));
    }
    CHECK(pool.counters().small_bytes == 1 << 16);
    CHECK_FALSE(pool.ask(PoolClass::response, 1, 4));
    // Both classes together stay within the pool.
    auto most = pool.ask(PoolClass::request, (1 << 20) - (1 << 16) - 700'000, 5);
    CHECK(most);
    CHECK_FALSE(pool.ask(PoolClass::request, 1, 6));
    CHECK(pool.counters().peak == 1 << 20);
    // What is small never takes the turn of who waits: that comes with the room it waits for.
    small.clear();
    CHECK(pool.counters().small_bytes == 0);
    CHECK_FALSE(pool.poll_granted(PoolClass::response));
    slow.reset();
    CHECK(pool.poll_granted(PoolClass::response)->first == 2);
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
