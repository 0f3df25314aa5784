// The group side of the bench: the same program, without a client library, against leatd and Kafka.
//
//   groups_bench rebalance BOOTSTRAP MEMBERS ROUNDS   a group forms, then one leaves: ms until all
//                                                     have their part of the same generation
//   groups_bench commits BOOTSTRAP TOPIC PARTITIONS DEPTH CONNECTIONS SECONDS
//                      each connection has a group of its own and DEPTH commits of all partitions
//                      on the way; every commit moves every offset
//   groups_bench metadata BOOTSTRAP DEPTH SECONDS     all topics, on one connection
//   groups_bench hold BOOTSTRAP GROUPS MEMBERS SECONDS
//                      groups at rest with a heartbeat each 3 s; prints `ready` once all are stable
//
// Prints one JSON object.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <thread>

#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/12_heartbeat.hpp"
#include "tests/bench/group.hpp"

namespace {

using namespace leat;
using namespace leat::bench;
using std::chrono::milliseconds;
using wire::ErrorCode;

constexpr milliseconds beat_in_change{5}, beat_at_rest{3'000};
constexpr double patience_ms = 90'000;

std::string bootstrap;

std::string fresh_name(const char* what) {
    static std::random_device random;
    return std::string(what) + "-" + std::to_string(random()) + std::to_string(random());
}

double part(std::vector<double>& sorted, double share) {
    if (sorted.empty()) return 0;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(static_cast<double>(sorted.size() - 1) * share)];
}

bool not_yet(ErrorCode error) {
    return error == ErrorCode::coordinator_load_in_progress ||
           error == ErrorCode::coordinator_not_available || error == ErrorCode::not_coordinator;
}

/// Kafka makes its topic of offsets when somebody first asks for a coordinator, and then loads it.
void wait_for_coordinator(const std::string& group) {
    const auto begun = Clock::now();
    for (;;) {
        wire::FindCoordinatorRequest find;
        find.key = group;
        const Bytes found = Connections::ask(bootstrap, frame_of(find, 1, 1));
        wire::HeartbeatRequest beat;
        beat.group_id = group;
        beat.member_id = "nobody";
        const Bytes beaten = Connections::ask(bootstrap, frame_of(beat, 3, 1));
        if (answer_of<wire::FindCoordinatorResponse>(ByteView(found), 1).error_code ==
                ErrorCode::none &&
            !not_yet(answer_of<wire::HeartbeatResponse>(ByteView(beaten), 3).error_code))
            return;
        if (ms_between(begun, Clock::now()) > patience_ms) die("no coordinator");
        std::this_thread::sleep_for(milliseconds(100));
    }
}

template <class Done>
void run_until(Connections& connections, Group& group, Done done) {
    const auto begun = Clock::now();
    while (!done()) {
        connections.turn(milliseconds(2), [&](int from, ByteView frame) {
            if (!group.take(from, frame)) die("an answer to nobody");
        });
        const auto now = Clock::now();
        group.tick(now);
        if (ms_between(begun, now) > patience_ms) die("the group does not become stable");
    }
}

struct Times {
    double formed_ms, left_ms;
};

Times form_and_leave(Connections& connections, int members) {
    const std::string name = fresh_name("bench-group");
    wait_for_coordinator(name);
    Group group(connections, name, beat_in_change);
    Times times{};
    auto begun = Clock::now();
    for (int i = 0; i < members; ++i) group.add(i);
    run_until(connections, group, [&] { return group.stable(); });
    times.formed_ms = ms_between(begun, Clock::now());

    group.beat_every(std::chrono::hours(1));
    run_until(connections, group, [&] { return group.quiet(); });
    group.beat_every(beat_in_change);
    const std::int32_t generation = group.generation();
    begun = Clock::now();
    group.remove_last();
    run_until(connections, group,
              [&] { return group.stable() && group.generation() > generation; });
    times.left_ms = ms_between(begun, Clock::now());

    group.beat_every(std::chrono::hours(1));
    run_until(connections, group, [&] { return group.quiet(); });
    group.remove_all();
    run_until(connections, group, [&] { return group.size() == 0; });
    return times;
}

int rebalance(int members, int rounds) {
    Connections connections(bootstrap);
    for (int i = 0; i < members; ++i) connections.open();
    std::vector<double> formed, left;
    for (int round = 0; round <= rounds; ++round) {
        const Times times = form_and_leave(connections, members);
        if (round == 0) continue;  // a warm-up
        formed.push_back(times.formed_ms);
        left.push_back(times.left_ms);
    }
    std::printf("{\"formed_ms\": %.3f, \"left_ms\": %.3f, \"formed_ms_max\": %.3f}\n",
                part(formed, 0.5), part(left, 0.5), part(formed, 1));
    return 0;
}

/// Keeps `depth` questions open on each connection; `make(connection, number)` is the next one,
/// `check` looks at an answer. Prints what came of it.
template <class Make, class Check>
int drive(int connections_count, int depth, double seconds, int items, Make make, Check check) {
    struct Open {
        std::deque<Clock::time_point> asked;
        long number = 0;
    };
    Connections connections(bootstrap);
    std::vector<Open> open(static_cast<std::size_t>(connections_count));
    const auto ask = [&](int connection) {
        Open& one = open[static_cast<std::size_t>(connection)];
        const Bytes frame = make(connection, one.number++);
        one.asked.push_back(Clock::now());
        connections.send(connection, frame);
    };
    for (int i = 0; i < connections_count; ++i)
        for (int j = 0, at = connections.open(); j < depth; ++j) ask(at);
    const auto begun = Clock::now(), counted = begun + milliseconds(500);
    const auto end = counted + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(seconds));
    std::vector<double> took;
    std::uint64_t bytes = 0;
    for (auto now = begun; now < end; now = Clock::now()) {
        connections.turn(milliseconds(20), [&](int from, ByteView frame) {
            check(frame);
            Open& one = open[static_cast<std::size_t>(from)];
            const auto answered = Clock::now();
            if (answered >= counted && answered < end) {
                took.push_back(ms_between(one.asked.front(), answered));
                bytes += frame.size();
            }
            one.asked.pop_front();
            if (answered < end) ask(from);
        });
    }
    if (took.empty()) die("nothing was answered");
    const double rate = static_cast<double>(took.size()) / seconds;
    std::printf(
        "{\"per_s\": %.1f, \"items_per_s\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
        "\"answer_bytes\": %.0f}\n",
        rate, rate * items, part(took, 0.5), part(took, 0.99),
        static_cast<double>(bytes) / static_cast<double>(took.size()));
    return 0;
}

int commits(const std::string& topic, int partitions, int depth, int connections, double seconds) {
    constexpr std::int16_t version = 7;
    std::vector<std::string> names;
    for (int i = 0; i < connections; ++i) {
        names.push_back(fresh_name("bench-commit"));
        wait_for_coordinator(names.back());
    }
    std::vector<wire::OffsetCommitRequest::OffsetCommitRequestPartition> places(
        static_cast<std::size_t>(partitions));
    return drive(
        connections, depth, seconds, partitions,
        [&](int connection, long number) {
            for (std::size_t i = 0; i < places.size(); ++i) {
                places[i].partition_index = static_cast<std::int32_t>(i);
                places[i].committed_offset = number + 1;
            }
            wire::OffsetCommitRequest::OffsetCommitRequestTopic one;
            one.name = topic;
            one.partitions = places;
            wire::OffsetCommitRequest request;
            request.group_id = names[static_cast<std::size_t>(connection)];
            request.topics = std::span(&one, 1);
            return frame_of(request, version, static_cast<std::int32_t>(number));
        },
        [&](ByteView frame) {
            int good = 0;
            for (const auto& one : answer_of<wire::OffsetCommitResponse>(frame, version).topics)
                for (const auto& place : one.partitions) {
                    if (place.error_code != ErrorCode::none)
                        die("commit: error " + std::to_string(static_cast<int>(place.error_code)));
                    ++good;
                }
            if (good != partitions) die("commit: not every partition was answered");
        });
}

int metadata(int depth, double seconds) {
    constexpr std::int16_t version = 9;
    int partitions = 0;
    wire::MetadataRequest request;
    request.topics = nullptr;
    request.allow_auto_topic_creation = false;
    const Bytes asked = frame_of(request, version, 1);
    {
        const Bytes frame = Connections::ask(bootstrap, asked);
        for (const auto& topic : answer_of<wire::MetadataResponse>(frame, version).topics)
            partitions += static_cast<int>(topic.partitions.size());
    }
    std::fprintf(stderr, "%d partitions\n", partitions);
    // The answer's bytes are counted, not read: what a client makes of them is no broker's doing.
    return drive(
        1, depth, seconds, partitions, [&](int, long) { return asked; }, [](ByteView) {});
}

int hold(int groups, int members, double seconds) {
    Connections connections(bootstrap);
    std::vector<Group> all;
    all.reserve(static_cast<std::size_t>(groups));
    for (int g = 0; g < groups; ++g) {
        const std::string name = fresh_name("bench-hold");
        wait_for_coordinator(name);
        all.emplace_back(connections, name, milliseconds(200));
        for (int m = 0; m < members; ++m) all.back().add(connections.open());
    }
    const auto turn = [&] {
        connections.turn(milliseconds(5), [&](int from, ByteView frame) {
            if (!all[static_cast<std::size_t>(from / members)].take(from, frame)) die("to nobody");
        });
        const auto now = Clock::now();
        for (Group& group : all) group.tick(now);
    };
    const auto begun = Clock::now();
    while (
        !std::all_of(all.begin(), all.end(), [](const Group& group) { return group.stable(); })) {
        turn();
        if (ms_between(begun, Clock::now()) > patience_ms) die("the groups do not become stable");
    }
    std::printf("ready %.1f\n", ms_between(begun, Clock::now()));
    std::fflush(stdout);
    std::uint64_t beats = 0, rejoins = 0;
    for (Group& group : all) {
        group.beat_every(beat_at_rest);
        beats += group.beats();
        rejoins += group.rejoins();
    }
    const auto ready = Clock::now();
    while (ms_between(ready, Clock::now()) < seconds * 1e3) turn();
    std::uint64_t beats_then = 0, rejoins_then = 0;
    for (const Group& group : all) {
        beats_then += group.beats();
        rejoins_then += group.rejoins();
    }
    if (rejoins_then != rejoins) die("a group at rest was made to rebalance");
    std::printf("{\"beats_per_s\": %.0f}\n", static_cast<double>(beats_then - beats) / seconds);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string verb = argc > 2 ? argv[1] : "";
    if (argc > 2) bootstrap = argv[2];
    const auto number = [&](int i) { return i < argc ? std::atof(argv[i]) : 1; };
    const auto whole = [&](int i) { return static_cast<int>(number(i)); };
    if (verb == "rebalance") return rebalance(whole(3), whole(4));
    if (verb == "commits" && argc > 7)
        return commits(argv[3], whole(4), whole(5), whole(6), number(7));
    if (verb == "metadata") return metadata(whole(3), number(4));
    if (verb == "hold") return hold(whole(3), whole(4), number(5));
    std::fprintf(stderr, "usage: see the head of groups_bench.cpp\n");
    return 2;
}
