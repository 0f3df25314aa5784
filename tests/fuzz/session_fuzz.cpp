// Random bytes through a real session, dispatch, topics and groups on the fake log. The first byte
// of the input steers: how the stream is cut, whether commits are held back, whether time passes
// between the pieces. Whatever comes, the broker may answer or close, but it must not crash, and
// memory of the pool must come back.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "broker/api/api.hpp"
#include "broker/api/handlers.hpp"
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

/// What the inputs so far have come to: the committed ones must reach every key (corpus_lacks).
struct Reached {
    std::map<std::int16_t, int> answered;  ///< requests that were in order, by key
    std::uint64_t rebalances = 0, commits = 0, timed_out = 0;
    std::size_t members_of_one = 0, consumers_of_one = 0;
} reached;

/// Between the session and the broker: notes what comes through.
struct Watch final : session::Handler {
    void handle(Instant now, WallTime wall, session::Request request,
                session::Reply reply) override {
        keys.push_back(request.api_key());
        to->handle(now, wall, request, std::move(reply));
    }
    void on_session_closed(session::SessionId id) override { to->on_session_closed(id); }
    session::Handler* to = nullptr;
    std::vector<std::int16_t> keys;
};

struct Broker {
    Broker()
        : pool(64 * KiB),
          topics(log, entropy, {}),
          sessions({.request_bytes_max = 32 * 1024}, pool, watch),
          api(settings(), topics, log, pool, groups, quotas, entropy) {
        watch.to = &api;
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
    /// And what waits for its turn has it.
    void settle() {
        settle_once();
        for (; api.deadline() <= now; settle_once()) api.on_deadline(now, wall);
    }
    void settle_once() {
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
    void pass(milliseconds time) {
        now += time;
        log.on_storage(now);
        sessions.on_deadline(now, wall);
        api.on_deadline(now, wall);
        settle();
    }
    void note(session::SessionId id) {
        bool refused = false;  // then it is the last one's doing
        while (const auto event = sessions.poll_event())
            refused |= event->session == id && event->reason != session::CloseReason::idle;
        for (std::size_t i = 0; i + (refused ? 1 : 0) < watch.keys.size(); ++i)
            ++reached.answered[watch.keys[i]];
        reached.rebalances += groups.counters().rebalances;
        reached.commits += groups.counters().commits;
        reached.timed_out += groups.counters().members_timed_out;
    }
    void note_groups() {
        groups.for_each([](const groups::Group& group) {
            reached.members_of_one = std::max(reached.members_of_one, group.members.size());
            if (group.consumer != nullptr)
                reached.consumers_of_one =
                    std::max(reached.consumers_of_one, group.consumer->members.size());
        });
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
    groups::Groups groups{
        log, topics.registry, entropy, {.initial_rebalance_delay = milliseconds(0)}};
    quotas::Quotas quotas{log};
    Watch watch;
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
            broker->log.flush();
            broker->pass(milliseconds(60'000));
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
        if ((steer & 4) != 0) broker->pass(milliseconds(700));
        broker->note_groups();
    }
    broker->note(id);
    broker->sessions.closed(broker->now, id);
    for (int slices = 0; slices < 4; ++slices) {
        broker->log.flush();
        broker->log.on_storage(broker->now);
        broker->settle();
    }
    const auto fetching = broker->api.fetch_sessions();
    if (fetching.bytes > fetching.bytes_max || (fetching.open == 0 && fetching.bytes != 0))
        std::abort();
    if (broker->pool.counters().request_bytes != 0 || broker->pool.counters().response_bytes != 0)
        std::abort();
    const auto parked = broker->api.parked();
    if (parked.fetches != 0 || parked.produces != 0) std::abort();
    return 0;
}

/// Asked when the committed inputs have run: what they no longer get to, or null. A version that
/// went or a field that moved makes a seed useless without anybody seeing it.
extern "C" const char* corpus_lacks() {
    static std::string lacks;
    for (const api::Served& one : api::served())
        if (reached.answered[static_cast<std::int16_t>(one.key)] == 0)
            lacks += " key " + std::to_string(static_cast<int>(one.key)) + ";";
    if (reached.members_of_one < 2) lacks += " a group of two;";
    if (reached.consumers_of_one < 2) lacks += " a consumer group of two;";
    if (reached.rebalances == 0) lacks += " a rebalance;";
    if (reached.commits == 0) lacks += " a commit;";
    if (reached.timed_out == 0) lacks += " a member that times out;";
    return lacks.empty() ? nullptr : lacks.c_str();
}
