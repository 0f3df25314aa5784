// Many who hold memory of the byte pool, or want it, and do not move; and one who does.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "broker/session/sessions.hpp"

using namespace leat;
using namespace leat::session;

namespace {

constexpr WallTime wall = wall_ms(1'700'000'000'000);

class Counter final : public Handler {
public:
    void handle(Instant, WallTime, Request request, Reply reply) override {
        served.push_back(request.session());
        if (answer_bytes > 0)
            reply.send(Buffer(answer_bytes));
        else
            reply.none();
    }
    void on_session_closed(SessionId) override {}
    std::vector<SessionId> served;
    std::size_t answer_bytes = 0;
};

/// A peer that has `size` bytes of a frame to send, of which it sends `sends` and then nothing.
struct Peer {
    SessionId id = 0;
    std::size_t size = 0, sends = 0, at = 0;
};

/// leatd's defaults; each peer's socket has what it sends, and is read when it may be.
struct Crowd {
    Crowd() : pool(4 * MiB), sessions({}, pool, counter) {}

    Peer peer(std::size_t size, std::size_t sends) {
        return {.id = *sessions.open(now, "a"), .size = size, .sends = sends};
    }
    void read(Peer& peer, std::size_t bytes_max = SIZE_MAX) {
        while (peer.at < peer.sends && bytes_max > 0) {
            const MutableBytes window = sessions.receive_window(now, peer.id);
            if (window.empty()) return;
            const std::size_t some = std::min({window.size(), peer.sends - peer.at, bytes_max});
            std::fill_n(window.begin(), some, std::uint8_t{0});
            std::uint8_t length[4];
            store_big(length, static_cast<std::int32_t>(peer.size - 4));
            for (std::size_t i = 0; i < some && peer.at + i < 4; ++i)
                window[i] = length[peer.at + i];
            peer.at += some;
            bytes_max -= some;
            sessions.received(now, wall, peer.id, some);
            sessions.pump(now, wall);
        }
    }
    void read_all() {
        for (Peer& peer : hostile) read(peer);
    }
    void leave(const Peer& peer) {
        sessions.closed(now, peer.id);
        sessions.pump(now, wall);
    }
    /// The next time that something happens by itself, at most a tenth of a second later.
    void step() {
        now = std::min(now + milliseconds(100), std::max(now, sessions.deadline()));
        sessions.on_deadline(now, wall);
        std::erase_if(hostile, [this](const Peer& peer) {
            const bool gone = sessions.wants_close(peer.id);
            if (gone) leave(peer);
            return gone;
        });
        read_all();
    }
    bool served(const Peer& peer) const {
        return std::find(counter.served.begin(), counter.served.end(), peer.id) !=
               counter.served.end();
    }
    /// How long until the peer's whole frame was served.
    milliseconds serve(Peer& peer) {
        const Instant began = now;
        peer.at = 0;
        counter.served.clear();
        for (read(peer); !served(peer) && now - began < milliseconds(600'000); read(peer)) step();
        return std::chrono::duration_cast<milliseconds>(now - began);
    }

    Instant now = instant_ms(1000);
    BytePool pool;
    Counter counter;
    Sessions sessions;
    std::vector<Peer> hostile;
};

}  // namespace

// Found with 300 such clients on a loaded machine: each waited for its turn to hold eight
// megabytes, held them for a second and was closed; a producer whose batch had grown above a small
// wish stood behind all of them, for five minutes.
TEST_CASE("crowd: half frames of eight megabytes hold up nobody who asks for less") {
    Crowd crowd;
    for (int i = 0; i < 300; ++i) crowd.hostile.push_back(crowd.peer(8'000'000, 10'000));
    crowd.read_all();
    for (const std::size_t size : {9'000u, 60'000u, 100'000u, 1'000'000u}) {
        CAPTURE(size);
        Peer honest = crowd.peer(size, size);
        CHECK(crowd.serve(honest) == milliseconds(0));
        CHECK(crowd.serve(honest) == milliseconds(0));
    }
    CHECK(crowd.hostile.size() == 300);  // nobody waited whom they held up
}

TEST_CASE("crowd: half frames of a megabyte do not hold up a batch of usual size") {
    Crowd crowd;
    for (int i = 0; i < 300; ++i) crowd.hostile.push_back(crowd.peer(1'000'000, 500'000));
    crowd.read_all();
    for (int i = 0; i < 10; ++i) {
        Peer honest = crowd.peer(60'000, 60'000);
        CHECK(crowd.serve(honest) == milliseconds(0));
    }
}

TEST_CASE("crowd: who brought a frame before does not queue behind all who never did") {
    Crowd crowd;
    Peer honest = crowd.peer(20'000, 20'000);
    CHECK(crowd.serve(honest) == milliseconds(0));
    for (int i = 0; i < 300; ++i) crowd.hostile.push_back(crowd.peer(1'000'000, 500'000));
    crowd.read_all();
    honest.size = honest.sends = 1'000'000;
    for (int i = 0; i < 10; ++i) CHECK(crowd.serve(honest) == milliseconds(0));
    CHECK(crowd.hostile.size() == 300);
}

// Found with 200 of them: each stood for a second, and who came last waited for all.
TEST_CASE("crowd: the first frame of a stranger does not wait for all who do not move") {
    Crowd crowd;
    for (int i = 0; i < 300; ++i) crowd.hostile.push_back(crowd.peer(1'000'000, 500'000));
    crowd.read_all();
    for (int i = 0; i < 5; ++i) {
        Peer honest = crowd.peer(1'000'000, 1'000'000);
        CHECK(crowd.serve(honest) <= milliseconds(3000));
        CHECK(crowd.serve(honest) == milliseconds(0));
    }
    CHECK(crowd.hostile.size() > 280);
}

TEST_CASE("crowd: strangers get their turn among those who bring one frame after the other") {
    Crowd crowd;
    std::vector<Peer> busy;
    for (int i = 0; i < 8; ++i) busy.push_back(crowd.peer(1'000'000, 1'000'000));
    for (Peer& peer : busy) CHECK(crowd.serve(peer) == milliseconds(0));
    Peer stranger = crowd.peer(1'000'000, 1'000'000);
    crowd.counter.served.clear();
    for (Peer& peer : busy) peer.at = 0, crowd.read(peer, 1000);
    crowd.read(stranger, 1000);
    CHECK(crowd.pool.counters().waiting > 0);
    for (int turn = 0; turn < 2000 && !crowd.served(stranger); ++turn) {
        crowd.now += milliseconds(1);
        for (Peer& peer : busy) {
            crowd.read(peer, 100'000);
            if (peer.at == peer.sends) peer.at = 0;
        }
        crowd.read(stranger, 100'000);
    }
    CHECK(crowd.served(stranger));
    CHECK(crowd.counter.served.size() < 40);
}

TEST_CASE("crowd: a byte now and then is not moving on while others wait") {
    Crowd crowd;
    for (int i = 0; i < 3; ++i) {
        crowd.hostile.push_back(crowd.peer(400'000, 2'000));
        crowd.read(crowd.hostile.back());
    }
    Peer honest = crowd.peer(900'000, 900'000);
    crowd.read(honest);
    CHECK_FALSE(crowd.served(honest));
    const Instant began = crowd.now;
    while (!crowd.served(honest) && crowd.now - began < milliseconds(60'000)) {
        for (Peer& peer : crowd.hostile) ++peer.sends;
        crowd.step();
        crowd.read(honest);
    }
    CHECK(crowd.now - began <= milliseconds(6000));
}

TEST_CASE("crowd: a slow upload that moves on is not closed, not even while others wait") {
    Crowd crowd;
    for (int i = 0; i < 3; ++i) crowd.hostile.push_back(crowd.peer(1'000'000, 1'000));
    crowd.read_all();
    Peer waiting = crowd.peer(900'000, 0);
    waiting.sends = 900'000;
    crowd.read(waiting);
    CHECK(crowd.pool.counters().waiting > 0);
    const std::size_t slow = crowd.hostile.size();
    for (int second = 0; second < 120; ++second) {  // 8 KiB/s, a piece every two seconds
        if (second % 2 == 0)
            for (Peer& peer : crowd.hostile) peer.sends = std::min(peer.size, peer.sends + 16'384);
        for (int i = 0; i < 10; ++i) crowd.step();
    }
    CHECK(crowd.hostile.size() == slow);
    CHECK(crowd.counter.served.size() == 0);
}

TEST_CASE("crowd: many large uploads that all move are all served, and within the pool") {
    Crowd crowd;
    std::vector<Peer> honest;
    for (int i = 0; i < 40; ++i) {
        const std::size_t size = i % 8 == 0 ? 8'000'000 : 1'000'000 - 20'000 * i;
        honest.push_back(crowd.peer(size, size));
    }
    for (int turn = 0; turn < 3000; ++turn) {
        crowd.now += milliseconds(1);
        for (Peer& peer : honest) crowd.read(peer, 64 * 1024);
    }
    CHECK(crowd.counter.served.size() == honest.size());
    CHECK(crowd.pool.counters().request_bytes == 0);
    CHECK(crowd.pool.counters().waiting == 0);
    // One larger than the pool at a time, beside it.
    CHECK(crowd.pool.counters().peak <= 4 * MiB + 8'000'000);
}

// Found with 40 clients that sent 80,000 requests each and never read: 13 MB of small answers,
// which the pool does not count.
TEST_CASE("crowd: unsent answers are bounded for all together, and who reads is served") {
    Crowd crowd;
    crowd.counter.answer_bytes = 1000;
    for (int i = 0; i < 400; ++i) crowd.hostile.push_back(crowd.peer(24, 24));
    for (int turn = 0; turn < 1000; ++turn)
        for (Peer& peer : crowd.hostile) {
            if (peer.at == peer.sends) peer.at = 0;
            crowd.read(peer);
        }
    const Limits limits;
    CHECK(crowd.counter.served.size() * 1000 >= limits.unsent_bytes_max);
    CHECK(crowd.counter.served.size() * 1000 <= limits.unsent_all_bytes_max + 400 * 1000);
    Peer honest = crowd.peer(24, 24);
    for (int i = 0; i < 10; ++i) {
        CHECK(crowd.serve(honest) == milliseconds(0));
        const ByteView bytes = crowd.sessions.poll_write(honest.id);
        CHECK(bytes.size() == 1000);
        crowd.sessions.sent(crowd.now, honest.id, bytes.size());
        crowd.sessions.pump(crowd.now, wall);
    }
    // Nobody waits for the pool; who leaves so much unread is closed all the same, who has nothing
    // unread is not.
    for (int i = 0; i < 60; ++i) crowd.step();
    CHECK(crowd.hostile.empty());
    CHECK_FALSE(crowd.sessions.wants_close(honest.id));
    crowd.counter.served.clear();
    Peer again = crowd.peer(24, 24);
    for (int i = 0; i < 100; ++i, again.at = 0) crowd.read(again);
    CHECK(crowd.counter.served.size() == 100);
}

TEST_CASE("crowd: those who go give their part of what all may leave unread back") {
    Crowd crowd;
    crowd.counter.answer_bytes = 100'000;
    for (int i = 0; i < 42; ++i) {
        crowd.hostile.push_back(crowd.peer(24, 24));
        crowd.read(crowd.hostile.back());
    }
    crowd.counter.answer_bytes = 1000;
    for (const Peer& peer : crowd.hostile) crowd.leave(peer);
    crowd.counter.served.clear();
    Peer quick = crowd.peer(24, 24);
    for (int i = 0; i < 100; ++i, quick.at = 0) crowd.read(quick);
    CHECK(crowd.counter.served.size() == 100);
}
