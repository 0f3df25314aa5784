// Random schedules, each from one seed: clients in fetch sessions see exactly what a client without
// one is told at the same moment, are told nothing twice, and nobody's records wait for ever.
#include <algorithm>
#include <cstdlib>

#include "tests/api/session_client.hpp"

namespace leat::test {
namespace {

struct Random {
    std::uint64_t below(std::uint64_t bound) { return entropy.next() % bound; }
    bool one_in(std::uint64_t bound) { return below(bound) == 0; }
    TestEntropy entropy;
};

struct Told {
    ErrorCode error = ErrorCode::none;
    std::int64_t high_watermark = -1, log_start = -1;
    bool operator==(const Told&) const = default;
};

struct Reader {
    explicit Reader(std::int16_t version) : client(version) {}
    SessionClient client;
    session::SessionId connection = 0;
    std::map<PartitionKey, Told> told;
    std::map<PartitionKey, std::size_t> passed_over;  // answers without its records, though it has
};

struct Run {
    static api::Settings settings_of(std::uint64_t seed) {
        api::Settings settings = ApiBench::default_settings();
        const std::uint32_t bounds[] = {0, 1'200, 2'500, 6'000, 1 << 20};
        settings.fetch_session_bytes_max = bounds[seed % 5];
        return settings;
    }
    explicit Run(std::uint64_t seed)
        : seed_(seed), random{.entropy = TestEntropy(seed)}, bench(3, settings_of(seed)) {
        bench.topic("u", 1 + static_cast<std::int32_t>(random.below(4)));
        const std::size_t count = 1 + random.below(3);
        for (std::size_t i = 0; i < count; ++i) {
            readers.emplace_back(static_cast<std::int16_t>(7 + random.below(12)));
            readers.back().connection = bench.open();
        }
    }

    void go() {
        const std::uint64_t steps = 60 + random.below(120);
        for (std::uint64_t i = 0; i < steps; ++i) step();
        bench.flush();
        for (Reader& reader : readers) drain(reader);
    }

    const char* any_name() {
        const char* names[] = {"t", "u", "v"};
        return names[random.below(3)];
    }
    const topics::Topic* any_topic() { return bench.topics.registry.find(any_name()); }

    void step() {
        Reader& reader = readers[random.below(readers.size())];
        switch (random.below(16)) {
            case 0:
            case 1:
            case 2:
                return produce();
            case 3:
            case 4:
                return want(reader);
            case 5:
                return leave(reader);
            case 6:
                return change_topics();
            case 7:
                return delete_records();
            case 8:
                return lose(reader);
            case 9:
                if (random.one_in(4)) bench.advance(130'000);
                return;
            default:
                return poll(reader);
        }
    }

    void produce() {
        const topics::Topic* topic = any_topic();
        if (topic == nullptr) return;
        const auto partition = static_cast<std::int32_t>(random.below(topic->partitions.size()));
        for (std::uint64_t i = 0; i <= random.below(4); ++i)
            (void)bench.topics.append(bench.now, bench.wall, *topic, partition,
                                      make_batch({.records = 1 + static_cast<int>(random.below(3)),
                                                  .value_bytes = random.below(900)}),
                                      9);
        if (!random.one_in(5)) bench.flush();
    }

    void want(Reader& reader) {
        PartitionKey key{any_name(), {}, static_cast<std::int32_t>(random.below(5))};
        const topics::Topic* topic = bench.topics.registry.find(key.name);
        if (reader.client.version >= 13) {
            key.id = {topic != nullptr ? topic->id : topics::TopicId{9}};
            // Names are for people: two that never were are the same topic here.
            if (topic == nullptr) key.name = "gone";
            reader.client.names[key.id] = key.name;
        }
        Wanted wanted;
        if (topic != nullptr && topic->has(key.partition))
            wanted.offset = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(
                bench.log.stream(topic->partitions[static_cast<std::size_t>(key.partition)])
                    ->log_end +
                2)));
        if (random.one_in(8)) wanted.leader_epoch = static_cast<std::int32_t>(random.below(2));
        reader.client.wanted[key] = wanted;
    }
    void leave(Reader& reader) {
        if (reader.client.wanted.empty()) return;
        auto at = reader.client.wanted.begin();
        std::advance(at, random.below(reader.client.wanted.size()));
        reader.client.wanted.erase(at);
    }

    void change_topics() {
        if (!random.one_in(3)) return;
        const topics::Topic* topic = any_topic();
        if (topic == nullptr) {
            for (const char* name : {"t", "u", "v"})
                if (bench.topics.registry.find(name) == nullptr && random.one_in(2))
                    bench.topic(name, 1 + static_cast<std::int32_t>(random.below(4)));
        } else if (random.one_in(2)) {
            (void)bench.topics.registry.remove(bench.now, *topic);
        } else {
            (void)bench.topics.registry.add_partitions(bench.now, *topic, 1);
        }
        bench.flush();
    }
    void delete_records() {
        const topics::Topic* topic = any_topic();
        if (topic == nullptr) return;
        const log::StreamId stream = topic->partitions[random.below(topic->partitions.size())];
        const auto flushed = static_cast<std::uint64_t>(bench.log.stream(stream)->flushed);
        (void)bench.log.set_log_start(bench.now, stream,
                                      static_cast<std::int64_t>(random.below(flushed + 1)));
        bench.flush();
    }

    /// The connection breaks while an answer is on its way, or a request.
    void lose(Reader& reader) {
        if (!random.one_in(3)) return;
        bench.send(reader.connection, reader.client.ask({.wait_ms = random.one_in(2) ? 0 : 5'000}));
        bench.settle();
        bench.sessions.closed(bench.now, reader.connection);
        bench.settle();
        reader.connection = bench.open();
        reader.client.lost();
    }

    void poll(Reader& reader) {
        FetchTerms terms;
        if (random.one_in(2)) terms.bytes_max = static_cast<std::int32_t>(random.below(3'000));
        if (random.one_in(3)) terms.wait_ms = static_cast<std::int32_t>(1 + random.below(2'000));
        if (random.one_in(3)) terms.bytes_min = static_cast<std::int32_t>(random.below(4'000));
        poll(reader, terms);
    }
    void poll(Reader& reader, FetchTerms terms) {
        const bool full = reader.client.epoch == 0;
        if (bench.closed(reader.connection)) {  // idle for too long; its session need not be
            bench.sessions.closed(bench.now, reader.connection);
            reader.connection = bench.open();
        }
        bench.send(reader.connection, reader.client.ask(terms));
        std::erase_if(reader.told, [&reader](const auto& one) {
            return !reader.client.wanted.contains(one.first);
        });
        bench.settle();
        Bytes answer = bench.take(reader.connection);
        bool changed = false;
        for (int i = 0; answer.empty() && i < 10; ++i) {  // it waits: the world goes on
            const std::uint64_t what = random.below(6);
            if (what < 3) produce();
            // Once: of a topic that goes and comes again it hears only that it went.
            if (what == 3 && !std::exchange(changed, true)) change_topics();
            if (what == 4) delete_records();
            answer = bench.take(reader.connection);
        }
        if (answer.empty()) {
            bench.advance(terms.wait_ms);
            answer = bench.take(reader.connection);
        }
        REQUIRE(!answer.empty());
        const Seen seen = reader.client.take(answer);
        CHECK(bench.api.fetch_sessions().bytes <= bench.api.fetch_sessions().bytes_max);
        if (seen.error != ErrorCode::none) {
            // Another client's session may have taken the place of this one.
            CHECK(seen.error == ErrorCode::fetch_session_id_not_found);
            CHECK(!full);
            return;
        }
        check(reader, seen, full);
    }

    void check(Reader& reader, const Seen& seen, bool full) {
        for (const SeenPartition& one : seen.partitions) {
            const Told now{one.error, one.high_watermark, one.log_start};
            const auto known = reader.told.find(one.key);
            if (!full && known != reader.told.end())
                CHECK_MESSAGE(
                    (now != known->second || one.error != ErrorCode::none || !one.offsets.empty()),
                    "told twice: ", one.key.name, "-", one.key.partition, ", seed ", seed_);
            reader.told[one.key] = now;
        }
        const auto other = bench.open();
        bench.send(other,
                   session_frame(reader.client.version, reader.client.wanted, {}, 0, -1, {}));
        bench.settle();
        const Seen truth =
            decode_seen(bench.take(other), reader.client.version, reader.client.names);
        bench.sessions.closed(bench.now, other);
        CHECK(truth.session_id == 0);
        REQUIRE(truth.partitions.size() == reader.client.wanted.size());
        for (const SeenPartition& one : truth.partitions) {
            const auto known = reader.told.find(one.key);
            const bool same = known != reader.told.end() &&
                              known->second == Told{one.error, one.high_watermark, one.log_start};
            const Told was = known != reader.told.end() ? known->second : Told{};
            CHECK_MESSAGE(same, "wrong or missing: ", one.key.name, "-", one.key.partition,
                          ", seed ", seed_, ", version ", reader.client.version, ": told ",
                          static_cast<int>(was.error), " ", was.high_watermark, " ", was.log_start,
                          ", true ", static_cast<int>(one.error), " ", one.high_watermark, " ",
                          one.log_start, ", full ", full);
            const SeenPartition* mine = nullptr;
            for (const SeenPartition& told : seen.partitions)
                if (!(told.key < one.key) && !(one.key < told.key)) mine = &told;
            std::size_t& passed_over = reader.passed_over[one.key];
            if (full || one.offsets.empty() || (mine != nullptr && !mine->offsets.empty()))
                passed_over = 0;
            else
                ++passed_over;
            CHECK_MESSAGE(passed_over <= reader.client.wanted.size(), "starves: ", one.key.name,
                          "-", one.key.partition, ", seed ", seed_);
            if (mine == nullptr || mine->offsets.empty()) continue;
            REQUIRE(mine->offsets.size() <= one.offsets.size());
            CHECK(std::equal(mine->offsets.begin(), mine->offsets.end(), one.offsets.begin()));
            if (!random.one_in(8)) reader.client.wanted[one.key].offset = mine->next;
        }
    }

    /// No more faults: everything there is comes, and then nothing more.
    void drain(Reader& reader) {
        for (int i = 0; i < 200; ++i) poll(reader, {.bytes_max = 1'000});
        for (int i = 0; i < 20; ++i) poll(reader, {});
        poll(reader, {});
        for (const auto& [key, told] : reader.told)
            if (told.error == ErrorCode::none && reader.client.wanted.contains(key))
                CHECK_MESSAGE(reader.client.wanted[key].offset >= told.high_watermark,
                              "left unread, seed ", seed_);
    }

    std::uint64_t seed_;
    Random random;
    FetchBench bench;
    std::vector<Reader> readers;
};

}  // namespace

TEST_CASE("fetch sessions: a client in one sees what a client without one sees") {
    // SEED=n replays one, SEEDS=n says how many.
    const char* only = std::getenv("SEED");
    const char* count = std::getenv("SEEDS");
    const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
    const std::uint64_t seeds = only != nullptr    ? 1
                                : count != nullptr ? std::strtoull(count, nullptr, 10)
                                                   : 100;
    std::uint64_t in_session = 0, evicted = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
        Run run(seed);
        run.go();
        in_session += run.bench.api.fetch_sessions().made;
        evicted += run.bench.api.fetch_sessions().evicted;
    }
    MESSAGE(seeds, " schedules, ", in_session, " sessions, ", evicted, " evicted");
    if (only == nullptr) CHECK(in_session > seeds);
}

}  // namespace leat::test
