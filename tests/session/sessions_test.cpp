#include <doctest/doctest.h>

#include <malloc.h>

#include <map>
#include <string>

#include "broker/session/sessions.hpp"

using namespace leat;
using namespace leat::session;

namespace {

constexpr WallTime wall = wall_ms(1'700'000'000'000);

/// Keeps every request's bytes and reply; the test answers when it likes.
class Keeper final : public Handler {
public:
    struct Kept {
        SessionId session;
        std::vector<std::uint8_t> frame;
        Reply reply;
    };
    void handle(Instant, WallTime, Request request, Reply reply) override {
        requests.push_back({request.session(),
                            {request.frame().begin(), request.frame().end()},
                            std::move(reply)});
    }
    void on_session_closed(SessionId session) override { closed.push_back(session); }
    std::vector<Kept> requests;
    std::vector<SessionId> closed;
};

struct Bench {
    explicit Bench(Limits limits = {}, std::size_t pool_bytes = 1 * MiB)
        : pool(pool_bytes), sessions(limits, pool, keeper) {}

    // As much of `bytes` as the session takes now; returns how much that was.
    std::size_t feed(SessionId id, ByteView bytes) {
        std::size_t at = 0;
        while (at < bytes.size()) {
            const MutableBytes window = sessions.receive_window(now, id);
            if (window.empty()) break;
            const std::size_t some = std::min(window.size(), bytes.size() - at);
            copy_bytes(bytes.subspan(at, some), window);
            sessions.received(now, wall, id, some);
            sessions.pump(now, wall);
            at += some;
        }
        return at;
    }
    std::string drain(SessionId id) {
        std::string text;
        for (ByteView bytes = sessions.poll_write(id); !bytes.empty();
             bytes = sessions.poll_write(id)) {
            text += text_of(bytes);
            sessions.sent(now, id, bytes.size());
            sessions.pump(now, wall);
        }
        return text;
    }
    void answer(std::size_t request, std::string_view text) {
        keeper.requests[request].reply.send(Buffer::copy_of(bytes_of(text)));
        sessions.pump(now, wall);
    }

    Instant now = instant_ms(1000);
    BytePool pool;
    Sessions sessions;
    Keeper keeper;  // last: its replies end before the sessions do
};

std::vector<std::uint8_t> frame(std::size_t body, std::uint8_t fill = 0) {
    std::vector<std::uint8_t> bytes(4 + body, fill);
    store_big(bytes.data(), static_cast<std::int32_t>(body));
    return bytes;
}

}  // namespace

TEST_CASE("sessions: frames arrive whole however they are cut") {
    for (const std::size_t size : {8u, 251u, 252u, 253u, 5000u}) {
        std::vector<std::uint8_t> bytes;
        for (std::uint8_t i = 0; i < 3; ++i) {
            const auto one = frame(size, static_cast<std::uint8_t>(i + 1));
            bytes.insert(bytes.end(), one.begin(), one.end());
        }
        for (std::size_t piece = 1; piece < 300; piece = piece * 2 + 1) {
            CAPTURE(size);
            CAPTURE(piece);
            Bench bench;
            const SessionId id = *bench.sessions.open(bench.now, "a");
            for (std::size_t at = 0; at < bytes.size(); at += piece)
                bench.feed(id, ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
            REQUIRE(bench.keeper.requests.size() == 3);
            for (std::size_t i = 0; i < 3; ++i) {
                CHECK(bench.keeper.requests[i].frame.size() == size);
                CHECK(bench.keeper.requests[i].frame.back() == i + 1);
            }
        }
    }
}

TEST_CASE(
    "sessions: answers leave in the order of the requests, whatever the order they are made in") {
    Bench bench;
    const SessionId id = *bench.sessions.open(bench.now, "a");
    for (int i = 0; i < 4; ++i) bench.feed(id, frame(8));
    bench.answer(2, "two,");
    bench.answer(1, "one,");
    CHECK(bench.drain(id).empty());
    bench.answer(0, "zero,");
    CHECK(bench.drain(id) == "zero,one,two,");
    bench.keeper.requests[3].reply.none();
    CHECK(bench.drain(id).empty());
    bench.feed(id, frame(8));
    bench.answer(4, "four");
    CHECK(bench.drain(id) == "four");
}

TEST_CASE("sessions: pipelining stops at its bound and goes on after an answer") {
    Bench bench({.pipelined_requests_max = 3});
    const SessionId id = *bench.sessions.open(bench.now, "a");
    std::vector<std::uint8_t> all;
    for (int i = 0; i < 10; ++i) {
        const auto one = frame(100);
        all.insert(all.end(), one.begin(), one.end());
    }
    std::size_t at = bench.feed(id, all);
    CHECK(bench.keeper.requests.size() == 3);
    CHECK(at < all.size());
    for (std::size_t i = 0; i < 10; ++i) {
        REQUIRE(bench.keeper.requests.size() > i);
        bench.answer(i, "x");
        bench.drain(id);
        at += bench.feed(id, ByteView(all).subspan(at));
    }
    CHECK(bench.keeper.requests.size() == 10);
}

TEST_CASE("sessions: lengths that cannot be are closed with a reason, without memory") {
    struct Case {
        std::int32_t length;
        CloseReason reason;
    };
    for (const Case& wrong :
         {Case{-1, CloseReason::negative_length}, Case{INT32_MIN, CloseReason::negative_length},
          Case{INT32_MAX, CloseReason::frame_too_large},
          Case{8 * 1024 * 1024 + 1, CloseReason::frame_too_large},
          Case{7, CloseReason::frame_too_short}, Case{0, CloseReason::frame_too_short}}) {
        CAPTURE(wrong.length);
        Bench bench;
        const SessionId id = *bench.sessions.open(bench.now, "peer:1");
        std::uint8_t head[4];
        store_big(head, wrong.length);
        bench.feed(id, head);
        CHECK(bench.sessions.wants_close(id));
        const auto event = bench.sessions.poll_event();
        REQUIRE(event);
        CHECK(event->reason == wrong.reason);
        CHECK(event->detail == wrong.length);
        CHECK(bench.pool.counters().peak == 0);
        CHECK(bench.sessions.receive_window(bench.now, id).empty());
    }
}

TEST_CASE("sessions: a length at the bound is read, and only after a grant") {
    Bench bench({.request_bytes_max = 10'000}, 16'000);  // a class may take 12,000
    const SessionId one = *bench.sessions.open(bench.now, "a");
    const SessionId two = *bench.sessions.open(bench.now, "b");
    const auto large = frame(10'000);
    CHECK(bench.feed(one, ByteView(large).first(600)) == 600);
    CHECK(bench.feed(two, large) == 256);  // its own few bytes, then it waits
    CHECK(bench.pool.counters().waiting == 1);
    CHECK(bench.feed(one, ByteView(large).subspan(600)) == large.size() - 600);
    REQUIRE(bench.keeper.requests.size() == 1);
    bench.sessions.pump(bench.now, wall);
    CHECK(bench.feed(two, ByteView(large).subspan(256)) == large.size() - 256);
    CHECK(bench.keeper.requests.size() == 2);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("sessions: a kept body keeps its grant and its bytes") {
    class Owner final : public Handler {
    public:
        void handle(Instant, WallTime, Request request, Reply reply) override {
            const ByteView before = request.frame();
            kept.push_back(request.keep());
            same_place = before.data() == kept.back().bytes().data();
            reply.none();
        }
        void on_session_closed(SessionId) override {}
        std::vector<Buffer> kept;
        bool same_place = false;
    } owner;
    BytePool pool(64 * KiB);
    Sessions sessions({}, pool, owner);
    const Instant now = instant_ms(1);
    const SessionId id = *sessions.open(now, "a");
    for (const std::size_t size : {20u, 3000u}) {
        const auto bytes = frame(size, 9);
        for (std::size_t at = 0; at < bytes.size();) {
            const MutableBytes window = sessions.receive_window(now, id);
            const std::size_t some = std::min(window.size(), bytes.size() - at);
            copy_bytes(ByteView(bytes).subspan(at, some), window);
            sessions.received(now, wall, id, some);
            at += some;
        }
    }
    REQUIRE(owner.kept.size() == 2);
    CHECK(owner.kept[0].size() == 20);
    CHECK(owner.kept[1].size() == 3000);
    CHECK(owner.kept[1].bytes().back() == 9);
    CHECK(owner.same_place);
    CHECK(pool.counters().request_bytes == 3000);
    owner.kept.clear();
    CHECK(pool.counters().request_bytes == 0);
}

TEST_CASE("sessions: who holds a grant and crawls is closed, and its memory is free again") {
    Bench bench({.crawl_base = milliseconds(1000), .crawl_bytes_per_second = 1000});
    const SessionId id = *bench.sessions.open(bench.now, "a");
    const auto bytes = frame(2000);
    bench.feed(id, ByteView(bytes).first(1000));
    CHECK(bench.pool.counters().request_bytes == 2000);
    CHECK(bench.sessions.deadline() ==
          bench.now + milliseconds(3000));  // base, and two seconds for 2,000 bytes
    bench.now += milliseconds(2999);
    bench.sessions.on_deadline(bench.now, wall);
    CHECK_FALSE(bench.sessions.wants_close(id));
    bench.now += milliseconds(1);
    bench.sessions.on_deadline(bench.now, wall);
    CHECK(bench.sessions.wants_close(id));
    CHECK(bench.sessions.poll_event()->reason == CloseReason::crawling);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("sessions: who does not take its answer is closed") {
    Bench bench({.crawl_base = milliseconds(1000), .crawl_bytes_per_second = 1'000'000});
    const SessionId id = *bench.sessions.open(bench.now, "a");
    bench.feed(id, frame(8));
    bench.answer(0, std::string(5000, 'x'));
    (void)bench.sessions.poll_write(id);
    bench.sessions.sent(bench.now, id, 10);
    bench.now += milliseconds(2000);
    bench.sessions.on_deadline(bench.now, wall);
    CHECK(bench.sessions.wants_close(id));
}

// Found with 50 clients that ask and never read: three held the pool's whole share for minutes
// each, the others queued behind them, and an honest consumer was not served within the hour.
TEST_CASE("sessions: while others wait for memory, who stands still with some is closed early") {
    Bench bench({.stalled_max = milliseconds(5000)}, 4000);  // 3,000 bytes for requests
    const SessionId upload = *bench.sessions.open(bench.now, "a");
    const SessionId reader = *bench.sessions.open(bench.now, "b");
    const SessionId slow = *bench.sessions.open(bench.now, "c");
    const auto bytes = frame(2000);
    bench.feed(upload, ByteView(bytes).first(1000));
    bench.feed(reader, frame(8));
    bench.answer(0, std::string(5000, 'x'));
    (void)bench.sessions.poll_write(reader);
    bench.now += milliseconds(8000);
    bench.sessions.on_deadline(bench.now, wall);
    CHECK_FALSE(bench.sessions.wants_close(upload));  // nobody waits: all the patience there is
    CHECK_FALSE(bench.sessions.wants_close(reader));

    const SessionId waiting = *bench.sessions.open(bench.now, "d");
    bench.feed(upload, ByteView(bytes).subspan(1000, 10));
    bench.feed(waiting, bytes);  // 2,000 more are not there
    CHECK(bench.pool.counters().waiting == 1);
    int steps = 0;
    for (; !bench.sessions.wants_close(upload) && steps < 100; ++steps) {
        bench.now = bench.sessions.deadline();
        bench.sessions.on_deadline(bench.now, wall);
    }
    CHECK(steps < 10);
    CHECK(bench.now == instant_ms(1000 + 8000 + 5000));  // since its last byte
    CHECK(bench.sessions.wants_close(reader));           // unsent bytes are memory, too
    CHECK_FALSE(bench.sessions.wants_close(slow));       // holds nothing
    CHECK(bench.sessions.poll_event()->reason == CloseReason::crawling);
    CHECK(bench.pool.counters().waiting == 0);
    CHECK(bench.feed(waiting, ByteView(bytes).subspan(4)) > 0);
}

TEST_CASE("sessions: half a frame that we do not read is nobody's standing still") {
    Bench bench({.stalled_max = milliseconds(5000)}, 4000);
    const SessionId holder = *bench.sessions.open(bench.now, "a");
    const SessionId muted = *bench.sessions.open(bench.now, "b");
    const SessionId waiting = *bench.sessions.open(bench.now, "c");
    const auto bytes = frame(2000), small = frame(8);
    bench.feed(muted, small);
    bench.feed(muted, ByteView(small).first(6));
    bench.keeper.requests[0].reply.mute_until(bench.now + milliseconds(600'000));
    bench.feed(holder, ByteView(bytes).first(1000));
    bench.feed(waiting, bytes);
    CHECK(bench.pool.counters().waiting == 1);
    for (int steps = 0; !bench.sessions.wants_close(holder) && steps < 100; ++steps) {
        bench.now = bench.sessions.deadline();
        bench.sessions.on_deadline(bench.now, wall);
    }
    CHECK(bench.sessions.wants_close(holder));
    CHECK_FALSE(bench.sessions.wants_close(muted));
}

TEST_CASE("sessions: an idle connection is closed, one with an answer to come is not") {
    Bench bench({.idle = milliseconds(5000)});
    const SessionId idle = *bench.sessions.open(bench.now, "a");
    const SessionId parked = *bench.sessions.open(bench.now, "b");
    bench.feed(parked, frame(8));
    for (int second = 0; second < 20; ++second) {
        bench.now += milliseconds(1000);
        bench.sessions.on_deadline(bench.now, wall);
        REQUIRE(bench.sessions.deadline() > bench.now);
    }
    CHECK(bench.sessions.wants_close(idle));
    CHECK_FALSE(bench.sessions.wants_close(parked));
}

TEST_CASE("sessions: close comes after the earlier answers, and nothing is dispatched after it") {
    Bench bench;
    const SessionId id = *bench.sessions.open(bench.now, "a");
    for (int i = 0; i < 3; ++i) bench.feed(id, frame(8));
    bench.keeper.requests[1].reply.close(CloseReason::unknown_api);
    bench.answer(0, "zero");
    CHECK_FALSE(bench.sessions.wants_close(id));
    CHECK(bench.feed(id, frame(8)) == 0);
    CHECK(bench.drain(id) == "zero");
    CHECK(bench.sessions.wants_close(id));
    CHECK(bench.keeper.requests.size() == 3);
}

TEST_CASE(
    "sessions: a reply that is dropped closes the connection instead of shifting the answers") {
    Bench bench;
    const SessionId id = *bench.sessions.open(bench.now, "a");
    bench.feed(id, frame(8));
    bench.feed(id, frame(8));
    { const Reply dropped = std::move(bench.keeper.requests[0].reply); }
    bench.answer(1, "one");
    CHECK(bench.drain(id).empty());
    CHECK(bench.sessions.wants_close(id));
}

TEST_CASE("sessions: a reply outlives its session without harm, and its number is not reused") {
    Bench bench;
    const SessionId id = *bench.sessions.open(bench.now, "a");
    bench.feed(id, frame(8));
    bench.sessions.closed(bench.now, id);
    CHECK(bench.keeper.closed == std::vector<SessionId>{id});
    const SessionId next = *bench.sessions.open(bench.now, "b");
    CHECK(next != id);
    bench.feed(next, frame(8));
    CHECK_FALSE(bench.keeper.requests[0].reply.alive());
    bench.answer(0, "for nobody");
    CHECK(bench.drain(next).empty());
    CHECK(bench.keeper.requests[1].reply.alive());
}

TEST_CASE("sessions: a held session dispatches nothing until it is released") {
    Bench bench;
    const SessionId id = *bench.sessions.open(bench.now, "a");
    bench.feed(id, frame(8));
    bench.keeper.requests[0].reply.hold_session();
    bench.feed(id, frame(8));
    CHECK(bench.keeper.requests.size() == 1);
    bench.keeper.requests[0].reply.release_session();
    bench.sessions.pump(bench.now, wall);
    bench.feed(id, frame(8));
    CHECK(bench.keeper.requests.size() >= 2);
    bench.answer(0, "x");
    CHECK(bench.drain(id) == "x");
}

TEST_CASE("sessions: what several replies hold is released by the last of them") {
    Bench bench;
    const SessionId id = *bench.sessions.open(bench.now, "a");
    for (int i = 0; i < 3; ++i) bench.feed(id, frame(8));
    REQUIRE(bench.keeper.requests.size() == 3);
    for (auto& one : bench.keeper.requests) one.reply.hold_session();
    bench.keeper.requests[1].reply.hold_session();  // of one reply the second is none
    CHECK(bench.feed(id, frame(8)) == 0);
    bench.keeper.requests[1].reply.release_session();
    bench.keeper.requests[1].reply.release_session();
    CHECK(bench.feed(id, frame(8)) == 0);
    bench.answer(0, "x");  // an answer ends the hold of its reply only
    CHECK(bench.feed(id, frame(8)) == 0);
    bench.keeper.requests[2].reply.release_session();
    bench.feed(id, frame(8));
    CHECK(bench.keeper.requests.size() == 4);
}

TEST_CASE("sessions: a session with much unsent is not asked for more") {
    Bench bench({.unsent_bytes_max = 1000});
    const SessionId id = *bench.sessions.open(bench.now, "a");
    bench.feed(id, frame(8));
    bench.answer(0, std::string(1000, 'x'));
    CHECK(bench.feed(id, frame(8)) == 0);
    bench.drain(id);
    CHECK(bench.feed(id, frame(8)) == 12);
}

TEST_CASE("sessions: the bound on connections holds at the bound and frees with each close") {
    Bench bench({.connections_max = 2});
    const SessionId first = *bench.sessions.open(bench.now, "a");
    CHECK(bench.sessions.open(bench.now, "b"));
    const auto third = bench.sessions.open(bench.now, "c");
    REQUIRE_FALSE(third);
    CHECK(third.error() == Error::full);
    bench.sessions.closed(bench.now, first);
    CHECK(bench.sessions.open(bench.now, "c"));
    CHECK(bench.sessions.counters().refused == 1);
}

TEST_CASE("sessions: 10,000 idle connections that were used cost less than 4 KiB each") {
    constexpr std::size_t count = 10'000;
    Bench bench;
    bench.keeper.requests.reserve(1);
    const std::size_t before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < count; ++i) {
        const SessionId id = *bench.sessions.open(bench.now, "192.168.100.100:50000");
        bench.feed(id, frame(3000));
        bench.answer(0, std::string(5000, 'x'));
        bench.drain(id);
        bench.keeper.requests.clear();
        while (bench.sessions.poll_ready()) {
        }
    }
    const std::size_t each = (mallinfo2().uordblks - before) / count;
    MESSAGE("bytes per idle connection: " << each);
    CHECK(each <= 4096);
    CHECK(each <= 700);  // in which the first bytes of a request have no room
    CHECK(bench.pool.counters().request_bytes == 0);
}
