// Random bytes through a real session, dispatch and topics on the fake log. The first byte of the
// input steers: how the stream is cut, whether commits are held back. Whatever comes, the broker
// may answer or close, but it must not crash, and memory of the pool must come back.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "broker/api/api.hpp"
#include "tests/support/fake_log.hpp"

namespace {

using namespace leat;

/// Counts: so an input can know the id of a topic or of a fetch session.
struct Counting final : port::Entropy {
    Status fill(std::span<std::uint8_t> into) override {
        std::fill(into.begin(), into.end(), std::uint8_t{0});
        ++count;
        into[into.size() - 1] = static_cast<std::uint8_t>(count);
        into[into.size() - 2] = static_cast<std::uint8_t>(count >> 8);
        return ok();
    }
    std::uint32_t count = 0;
};

struct Broker {
    Broker()
        : pool(64 * KiB),
          topics(log, entropy, {}),
          sessions({.request_bytes_max = 32 * 1024}, pool, api),
          api(settings(), topics, log, pool, groups, quotas, entropy) {
        (void)topics.registry.create(now, "t", 2, topics.registry.new_config());
        log.on_storage(now);
    }
    static api::Settings settings() {
        api::Settings settings;
        settings.host = "h";
        settings.cluster_id = "c";
        settings.num_partitions = 2;
        settings.partitions_per_topic_max = 100;
        settings.fetch_session_bytes_max = 4096;
        return settings;
    }
    void settle() {
        for (bool again = true; again;) {
            again = false;
            api.on_log(now, wall);
            while (const auto advance = topics.poll_advance()) api.on_advance(now, wall, *advance);
            while (const auto done = log.poll_read())
                again = api.on_read(now, wall, *done) || again;
            while (const auto done = log.poll_find_time())
                again = api.on_found(now, wall, *done) || again;
            api.on_memory(now, wall);
            while (const auto work = api.poll_work()) {
                again = true;
                work->run();
                api.work_done(now, wall, work->id);
            }
            again |= sessions.needs_pump();
            sessions.pump(now, wall);
        }
    }
    void drain(session::SessionId id) {
        for (ByteView bytes = sessions.poll_write(id); !bytes.empty();
             bytes = sessions.poll_write(id)) {
            sessions.sent(now, id, bytes.size());
            settle();
        }
    }

    Instant now = instant_ms(1000);
    WallTime wall = wall_ms(1'700'000'000'000);
    test::FakeLog log;
    Counting entropy;
    session::BytePool pool;
    topics::Topics topics;
    groups::Groups groups{log, topics.registry, entropy, {}};
    quotas::Quotas quotas{log};
    session::Sessions sessions;
    api::Api api;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    std::optional<Broker> broker(std::in_place);
    const std::uint8_t steer = data[0];
    ByteView input(data + 1, size - 1);
    broker->log.auto_flush = (steer & 1) != 0;
    broker->log.group_batches_max = (steer & 2) != 0 ? 1 : 1000;
    broker->log.streams_max = 500;
    const std::size_t piece = std::size_t{1} << (steer >> 4);
    const session::SessionId id = *broker->sessions.open(broker->now, "fuzz");
    while (!input.empty() && !broker->sessions.wants_close(id)) {
        const MutableBytes window = broker->sessions.receive_window(broker->now, id);
        if (window.empty()) {  // waits for something: time and a flush
            broker->now += milliseconds(60'000);
            broker->log.flush();
            broker->log.on_storage(broker->now);
            broker->api.on_deadline(broker->now, broker->wall);
            broker->settle();
            broker->drain(id);
            if (broker->sessions.receive_window(broker->now, id).empty()) break;
            continue;
        }
        const std::size_t count = std::min({window.size(), input.size(), piece});
        copy_bytes(input.first(count), window);
        input = input.subspan(count);
        broker->sessions.received(broker->now, broker->wall, id, count);
        broker->settle();
        broker->drain(id);
    }
    broker->sessions.closed(broker->now, id);
    broker->log.flush();
    broker->log.on_storage(broker->now);
    broker->settle();
    const auto fetching = broker->api.fetch_sessions();
    if (fetching.bytes > fetching.bytes_max || (fetching.open == 0 && fetching.bytes != 0))
        std::abort();
    if (broker->pool.counters().request_bytes != 0 || broker->pool.counters().response_bytes != 0)
        std::abort();
    const auto parked = broker->api.parked();
    if (parked.fetches != 0 || parked.produces != 0) std::abort();
    return 0;
}
