#include <doctest/doctest.h>

#include "sdk/wire/api/12_heartbeat.hpp"
#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;

namespace {

constexpr wire::HeartbeatRequest heartbeat{.group_id = "g", .generation_id = 3, .member_id = "m"};

Bytes written(Connection& connection) {
    Bytes all;
    for (ByteView piece : connection.poll_write())
        all.insert(all.end(), piece.begin(), piece.end());
    return all;
}

Bytes hex(std::string_view text) {
    Bytes bytes;
    int high = -1;
    for (char c : text) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) continue;
        if (high < 0)
            high = digit;
        else {
            bytes.push_back(static_cast<std::uint8_t>(high * 16 + digit));
            high = -1;
        }
    }
    return bytes;
}

struct Fixture {
    ConnectionMemory memory{3, 64};
    Connection connection{memory, "c"};
    Instant now = instant_ms(50);
    int marks[3] = {};

    Fixture() {
        connection.on_connected(now);
        CHECK(connection.poll_event(now)->kind == Event::Kind::ready);
    }
    Status send(int mark, milliseconds timeout = milliseconds{1000}) {
        return connection.send(now, heartbeat, std::int16_t{3},
                               {.owner = 9, .context = &marks[mark], .timeout = timeout});
    }
    void receive(std::string_view text) {
        CHECK(connection.on_bytes(now, hex(text)) == hex(text).size());
    }
    void sent() { connection.on_written(now, written(connection).size()); }
};

}  // namespace

TEST_CASE("connection: a request is these bytes, and its answer comes back to who asked") {
    Fixture f;
    REQUIRE(f.send(0));
    // length 23, key 12, version 3, correlation id 0, client id "c" | "g", 3, "m", no instance id
    CHECK(written(f.connection) ==
          hex("00000017 000c 0003 00000000 0001 63 | 0001 67 00000003 0001 6d ffff"));
    f.sent();
    CHECK(f.connection.poll_write().empty());
    f.receive("0000000a 00000000 00000000 00");
    CHECK(!f.connection.poll_event(f.now));
    f.receive("1b");
    auto event = f.connection.poll_event(f.now);
    REQUIRE(event);
    CHECK(event->kind == Event::Kind::response);
    CHECK(event->owner == 9);
    CHECK(event->context == &f.marks[0]);
    CHECK(event->api_key == wire::ApiKey::heartbeat);
    CHECK(equal(event->body, hex("00000000 001b")));
    CHECK(!f.connection.poll_event(f.now));
    CHECK(f.connection.deadline() == never);
}

TEST_CASE("connection: answers are found wherever the stream is cut") {
    const Bytes stream =
        hex("0000000a 00000000 00000000 0000  0000000a 00000001 00000000 001b  0000000a 00000002 "
            "00000000 0019");
    for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
        Fixture f;
        for (int i = 0; i < 3; ++i) {
            REQUIRE(f.send(i));
            f.sent();
        }
        CHECK(f.send(0).error() == Error::would_block);  // three slots
        std::vector<void*> answered;
        for (std::size_t at = 0; at < stream.size();) {
            at += f.connection.on_bytes(
                f.now, ByteView(stream).subspan(at, std::min(chunk, stream.size() - at)));
            while (auto event = f.connection.poll_event(f.now)) answered.push_back(event->context);
        }
        CHECK(answered == std::vector<void*>{&f.marks[0], &f.marks[1], &f.marks[2]});
    }
}

TEST_CASE("connection: a time-out gives up all requests in order, then says closed once") {
    Fixture f;
    REQUIRE(f.send(0, milliseconds{900}));
    f.sent();
    REQUIRE(f.send(1, milliseconds{300}));
    CHECK(f.connection.deadline() == f.now + milliseconds{300});
    f.connection.on_deadline(f.now + milliseconds{299});
    CHECK(!f.connection.poll_event(f.now));
    f.connection.on_deadline(f.now + milliseconds{300});
    CHECK(f.connection.poll_write().empty());
    for (int i = 0; i < 2; ++i) {
        auto event = f.connection.poll_event(f.now);
        REQUIRE(event);
        CHECK(event->kind == Event::Kind::failed);
        CHECK(event->error == Error::timed_out);
        CHECK(event->context == &f.marks[i]);
    }
    CHECK(f.connection.poll_event(f.now)->kind == Event::Kind::closed);
    CHECK(!f.connection.poll_event(f.now));
    CHECK(f.send(0).error() == Error::disconnected);
}

TEST_CASE(
    "connection: after a restart, an answer left over from before is skipped, one from the future "
    "closes") {
    Fixture f;
    REQUIRE(f.send(0));
    f.sent();
    f.connection.on_disconnected(f.now);
    while (f.connection.poll_event(f.now)) {
    }
    f.connection.on_connected(f.now);
    CHECK(f.connection.poll_event(f.now)->kind == Event::Kind::ready);
    REQUIRE(f.send(1));
    f.sent();
    f.receive("0000000a 00000000 00000000 0000");
    CHECK(!f.connection.poll_event(f.now));
    f.receive("0000000a 00000001 00000000 0000");
    CHECK(f.connection.poll_event(f.now)->context == &f.marks[1]);
    f.receive("0000000a 00000007 00000000 0000");
    CHECK(f.connection.poll_event(f.now)->error == Error::malformed);
}

TEST_CASE("connection: frames that cannot be close it") {
    for (const char* bytes :
         {"00000003 00000000", "ffffffff 00000000", "80000000 00000000", "0000000a ffffffff"}) {
        Fixture f;
        REQUIRE(f.send(0));
        f.sent();
        f.receive(bytes);
        auto event = f.connection.poll_event(f.now);
        REQUIRE(event);
        CHECK(event->kind == Event::Kind::failed);
        CHECK(event->error == Error::malformed);
        CHECK(f.connection.poll_event(f.now)->kind == Event::Kind::closed);
    }
    Fixture nobody_asked;
    nobody_asked.receive("0000000a 00000000 00000000 0000");
    CHECK(nobody_asked.connection.poll_event(nobody_asked.now)->error == Error::malformed);
}

TEST_CASE(
    "connection: an answer of exactly the receive buffer fits, one byte more is skipped and the "
    "next one found") {
    for (std::size_t size : {60u, 61u, 500u}) {
        Fixture f;
        REQUIRE(f.send(0));
        f.sent();
        REQUIRE(f.send(1));
        f.sent();
        Bytes stream(4 + size);
        store_big(stream.data(), static_cast<std::uint32_t>(size));
        const Bytes next = hex("0000000a 00000001 00000000 0000");
        stream.insert(stream.end(), next.begin(), next.end());
        std::vector<Event> events;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t taken = f.connection.on_bytes(f.now, ByteView(stream).subspan(at));
            REQUIRE(taken > 0);
            at += taken;
            while (auto event = f.connection.poll_event(f.now)) events.push_back(*event);
        }
        REQUIRE(events.size() == 2);
        CHECK(events[0].kind == (size == 60 ? Event::Kind::response : Event::Kind::failed));
        if (size > 60) CHECK(events[0].error == Error::too_large);
        CHECK(events[1].kind == Event::Kind::response);
        CHECK(events[1].context == &f.marks[1]);
    }
}

TEST_CASE("connection: send memory that is full asks to wait, a request that never fits says so") {
    Fixture f;
    REQUIRE(f.send(0));
    REQUIRE(f.send(1));
    CHECK(f.send(2).error() == Error::would_block);
    f.sent();
    CHECK(f.send(2));
    Fixture g;
    const std::string name(80, 'x');
    wire::HeartbeatRequest longer = heartbeat;
    longer.group_id = name;
    CHECK(g.connection.send(g.now, longer, std::int16_t{3}, {}).error() == Error::too_large);
    CHECK(g.send(0));
}

TEST_CASE("connection: a longer receive buffer takes over in the middle of a frame") {
    Fixture f;
    REQUIRE(f.send(0));
    f.sent();
    f.receive("0000000a 00000000");
    Bytes longer(4096);
    f.connection.use_receive_memory(longer);
    f.receive("00000000 001b");
    auto event = f.connection.poll_event(f.now);
    REQUIRE(event);
    CHECK(equal(event->body, hex("00000000 001b")));
}

TEST_CASE("handshake: the newest common version of each API, Produce and Fetch by name") {
    ModelBroker broker;
    ApiVersionsHandshake handshake;
    Link link(broker, &handshake);
    link.connection.on_connected(instant_ms(1));
    CHECK(link.connection.state() == Connection::State::handshake);
    CHECK(!link.connection.is_ready());
    CHECK(link.connection.send(instant_ms(1), heartbeat, std::int16_t{3}, {}).error() ==
          Error::disconnected);
    link.write(instant_ms(1));
    REQUIRE(link.serve_one());
    link.connection.on_bytes(instant_ms(1), link.to_client);
    CHECK(link.connection.poll_event(instant_ms(1))->kind == Event::Kind::ready);
    CHECK(link.connection.version(wire::ApiKey::produce, 0) == 12);
    CHECK(link.connection.version(wire::ApiKey::fetch, 0) == 12);
    CHECK(link.connection.version(wire::ApiKey::heartbeat, 0) == 4);
    CHECK(link.connection.version(wire::ApiKey::init_producer_id, 0) == 5);
}

TEST_CASE("handshake: error 35 in the layout of version 0 makes it ask once more with version 0") {
    ModelBroker broker;
    ApiVersionsHandshake handshake;
    Link link(broker, &handshake);
    const Instant now = instant_ms(1);
    link.connection.on_connected(now);
    link.write(now);
    link.to_broker.clear();
    link.connection.on_bytes(now, hex("00000010 00000000 0023 00000001 0012 0000 0004"));
    CHECK(!link.connection.poll_event(now));
    link.write(now);
    CHECK(ByteView(link.to_broker)[7] == 0);  // version
    link.connection.on_bytes(now,
                             hex("00000016 00000001 0000 00000002 0000 0003 0007 000c 0000 0002"));
    CHECK(link.connection.poll_event(now)->kind == Event::Kind::ready);
    CHECK(link.connection.version(wire::ApiKey::produce, 0) == 7);
    CHECK(link.connection.version(wire::ApiKey::fetch, 0) == -1);
    CHECK(link.connection.version(wire::ApiKey::heartbeat, 0) == 2);
}

// Found with a peer that answers 7f ff ff ff and zeros: nothing was in flight any more, so no
// deadline was left, and the connection waited for the rest of that "answer" for ever.
TEST_CASE("handshake: an answer that no receive buffer holds closes the connection") {
    ModelBroker broker;
    ApiVersionsHandshake handshake;
    Link link(broker, &handshake);
    const Instant now = instant_ms(1);
    link.connection.on_connected(now);
    link.write(now);
    link.connection.on_bytes(now, hex("7fffffff 00000000 0000 0000"));
    const auto event = link.connection.poll_event(now);
    REQUIRE(event);
    CHECK(event->kind == Event::Kind::closed);
    CHECK(event->error == Error::malformed);
}
