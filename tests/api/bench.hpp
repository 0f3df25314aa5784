// A broker of sessions, api and topics on the fake log: requests as bytes in, answers as bytes out.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "broker/api/api.hpp"
#include "sdk/wire/api/00_produce.hpp"
#include "sdk/wire/codec.hpp"
#include "sdk/wire/header.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/fake_log.hpp"
#include "tests/support/test_entropy.hpp"

namespace leat::test {

using Bytes = std::vector<std::uint8_t>;

inline Bytes from_hex(std::string_view text) {
    Bytes bytes;
    int half = -1;
    for (const char c : text) {
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) continue;
        if (half < 0)
            half = digit;
        else
            bytes.push_back(static_cast<std::uint8_t>(half << 4 | digit)), half = -1;
    }
    return bytes;
}
inline std::string to_hex(ByteView bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

template <class M>
Bytes request_frame(const M& m, std::int16_t version, std::int32_t correlation_id = 7) {
    const wire::RequestHeader header{.api_key = M::api_key,
                                     .api_version = version,
                                     .correlation_id = correlation_id,
                                     .client_id = "t"};
    Bytes frame(4 + wire::request_header_size(header) + wire::encoded_size(m, version));
    const auto head = wire::encode_request_header(header, MutableBytes(frame).subspan(4));
    REQUIRE(head);
    REQUIRE(wire::encode(m, version, MutableBytes(frame).subspan(4 + *head)));
    store_big(frame.data(), static_cast<std::int32_t>(frame.size() - 4));
    return frame;
}

class ApiBench {
public:
    explicit ApiBench(api::Settings settings = default_settings(), std::size_t pool_bytes = 4 * MiB)
        : pool(pool_bytes),
          topics(log, entropy, {}),
          groups(log, topics.registry, entropy, {.initial_rebalance_delay = milliseconds(0)}),
          quotas(log),
          sessions({}, pool, api),
          api(std::move(settings), topics, log, pool, groups, quotas, entropy, &stopwatch) {}

    static api::Settings default_settings() {
        api::Settings settings;
        settings.host = "h";
        settings.port = 9092;
        settings.cluster_id = "c";
        return settings;
    }

    /// What node::settle does, and then what waits for its turn has it.
    void settle() {
        settle_once();
        for (; !hold_turns && api.deadline() <= now; settle_once()) api.on_deadline(now, wall);
    }
    void settle_once() {
        for (bool again = true; again;) {
            again = false;
            api.on_log(now, wall);
            while (const auto advance = topics.poll_advance()) api.on_advance(now, wall, *advance);
            while (const auto done = log.poll_read()) again = api.on_read(now, wall, *done);
            while (const auto done = log.poll_find_time()) again = api.on_found(now, wall, *done);
            api.on_memory(now, wall);
            while (auto work = api.poll_work()) {
                works.push_back(std::move(*work));
                if (!hold_work) finish_work(0);
                again = true;
            }
            again |= sessions.needs_pump();
            sessions.pump(now, wall);
        }
    }
    /// One that was handed out ends now, whichever came before it.
    void finish_work(std::size_t index) {
        const api::Work work = std::move(works.at(index));
        works.erase(works.begin() + static_cast<std::ptrdiff_t>(index));
        work.run();
        api.work_done(now, wall, work.id);
    }
    void flush() {
        const bool was = std::exchange(log.auto_flush, true);
        log.on_storage(now);
        log.auto_flush = was;
        settle();
        deliver();
    }
    void advance(std::int64_t ms) {
        now += milliseconds(ms);
        wall += milliseconds(ms);
        api.on_deadline(now, wall);
        sessions.on_deadline(now, wall);
        settle();
        deliver();
    }
    session::SessionId open() { return *sessions.open(now, "peer"); }
    /// What the session does not take now waits, as in a socket.
    void send(session::SessionId id, ByteView bytes) {
        unread_[id].insert(unread_[id].end(), bytes.begin(), bytes.end());
        deliver();
    }
    std::size_t waiting(session::SessionId id) { return unread_[id].size(); }
    /// All bytes that can be sent now.
    Bytes take(session::SessionId id) {
        Bytes all;
        for (ByteView bytes = sessions.poll_write(id); !bytes.empty();
             bytes = sessions.poll_write(id)) {
            all.insert(all.end(), bytes.begin(), bytes.end());
            sessions.sent(now, id, bytes.size());
            settle();
            deliver();
        }
        return all;
    }
    bool closed(session::SessionId id) const { return sessions.wants_close(id); }

    /// One frame of an answer, decoded. The views live until the next call of answer().
    template <class R>
    R answer(session::SessionId id, std::int16_t version) {
        last_ = take(id);
        return decode_answer<R>(last_, version);
    }
    template <class R>
    static R decode_answer(ByteView frame, std::int16_t version) {
        REQUIRE(frame.size() >= 8);
        REQUIRE(load_big<std::int32_t>(frame.data()) ==
                static_cast<std::int32_t>(frame.size() - 4));
        const auto cut = wire::decode_response(frame.subspan(4), R::api_key, version);
        REQUIRE(cut);
        CHECK(cut->correlation_id == 7);
        const auto message = wire::decode<R>(cut->body, version);
        REQUIRE(message);
        return *message;
    }
    template <class R, class M>
    R call(const M& m, std::int16_t version) {
        const session::SessionId id = open();
        send(id, request_frame(m, version));
        flush();
        const R response = answer<R>(id, version);
        sessions.closed(now, id);
        return response;
    }
    const topics::Topic* topic(std::string_view name, std::int32_t partitions = 1) {
        const topics::Topic* made =
            *topics.registry.create(now, name, partitions, topics.registry.new_config());
        flush();
        return made;
    }
    Bytes produce_frame(ByteView batch, std::int16_t acks, std::int32_t timeout_ms = 1000,
                        std::int32_t partition = 0, std::string_view topic = "t") {
        wire::ProduceRequest::PartitionProduceData data;
        data.index = partition;
        data.records = batch;
        wire::ProduceRequest::TopicProduceData one;
        one.name = topic;
        one.partition_data = std::span(&data, 1);
        wire::ProduceRequest request;
        request.acks = acks;
        request.timeout_ms = timeout_ms;
        request.topic_data = std::span(&one, 1);
        return request_frame(request, 9);
    }

    /// Each look finds `step_ns` more.
    struct Stopwatch final : quotas::Stopwatch {
        std::int64_t nanoseconds() override { return now_ns += step_ns; }
        std::int64_t now_ns = 0, step_ns = 0;
    };

    Stopwatch stopwatch;
    Instant now = instant_ms(1000);
    WallTime wall = wall_ms(1'700'000'000'000);
    FakeLog log;
    TestEntropy entropy;
    session::BytePool pool;
    topics::Topics topics;
    groups::Groups groups;
    quotas::Quotas quotas;
    session::Sessions sessions;
    api::Api api;
    bool hold_turns = false;  ///< turns come with turn() only
    /// One turn for what waits for it; false: nothing does.
    bool turn() {
        if (api.deadline() > now) return false;
        api.on_deadline(now, wall);
        settle_once();
        return true;
    }
    bool hold_work = false;  ///< work waits in `works` for finish_work
    std::vector<api::Work> works;

private:
    void deliver() {
        for (auto& [id, bytes] : unread_)
            while (!bytes.empty()) {
                const MutableBytes window = sessions.receive_window(now, id);
                if (window.empty()) break;
                const std::size_t some = std::min(window.size(), bytes.size());
                copy_bytes(ByteView(bytes).first(some), window);
                bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(some));
                sessions.received(now, wall, id, some);
                settle();
            }
    }
    std::map<session::SessionId, Bytes> unread_;
    Bytes last_;
};

}  // namespace leat::test
