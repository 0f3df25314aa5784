#include <doctest/doctest.h>

#include "broker/topics/registry.hpp"
#include "broker/topics/topic_fact.hpp"
#include "broker/topics/topics.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/fake_log.hpp"
#include "tests/support/sim_storage.hpp"
#include "tests/support/test_entropy.hpp"

using namespace leat;
using namespace leat::topics;

TEST_CASE("registry: topics, ids, streams and settings come back from the facts alone") {
    test::FakeLog log;
    test::TestEntropy entropy;
    Registry registry(log, entropy, {});
    TopicConfig config = registry.new_config();
    REQUIRE(config.set("retention.ms", "77") == "");
    const Topic* a = *registry.create(instant_ms(1), "a.b", 3, config);
    const Topic* b = *registry.create(instant_ms(1), "b", 1, registry.new_config());
    CHECK(a->id != b->id);
    CHECK((a->id[6] >> 4) == 4);
    CHECK((a->id[8] >> 6) == 2);
    CHECK(registry.find_collision("a_b") == a);
    CHECK(registry.find_stream(a->partitions[2])->partition == 2);

    Registry again(log, entropy, {});
    REQUIRE(again.load());
    const Topic* same = again.find("a.b");
    REQUIRE(same != nullptr);
    CHECK(same->id == a->id);
    CHECK(same->partitions == a->partitions);
    CHECK(same->config.retention() == milliseconds(77));
    CHECK(again.find(b->id)->name == "b");
    CHECK(again.all().size() == 2);
    CHECK(again.partition_count() == 4);
}

TEST_CASE("registry: a stream id is never given twice, not even after delete and restart") {
    test::FakeLog log;
    test::TestEntropy entropy;
    log::StreamId last = 0;
    for (int round = 0; round < 5; ++round) {
        Registry registry(log, entropy, {});
        REQUIRE(registry.load());
        const Topic* topic = *registry.create(instant_ms(1), "t", 2, registry.new_config());
        CHECK(topic->partitions[0] > last);
        CHECK(topic->partitions[1] > topic->partitions[0]);
        last = topic->partitions[1];
        const TopicId id = topic->id;
        REQUIRE(registry.remove(instant_ms(1), *topic));
        CHECK(registry.find("t") == nullptr);
        CHECK(registry.find(id) == nullptr);
        CHECK_FALSE(registry.find_stream(last));
        CHECK(log.stream(last) == nullptr);
    }
}

TEST_CASE("registry: what the log refuses leaves no trace") {
    test::FakeLog log;
    test::TestEntropy entropy;
    log.streams_max = 2;
    Registry registry(log, entropy, {});
    const auto three = registry.create(instant_ms(1), "t", 3, registry.new_config());
    REQUIRE_FALSE(three);
    CHECK(three.error() == Error::full);
    CHECK(registry.all().empty());
    CHECK(registry.create(instant_ms(1), "t", 2, registry.new_config()));
    log.is_read_only = true;
    log.streams_max = 10;
    CHECK(registry.create(instant_ms(1), "u", 1, registry.new_config()).error() == Error::storage);
    CHECK(registry.all().size() == 1);
    log.is_read_only = false;
    log.streams_remembered_max = 3;
    CHECK(registry.create(instant_ms(1), "u", 2, registry.new_config()).error() == Error::full);
    CHECK(registry.add_partitions(instant_ms(1), *registry.find("t"), 2).error() == Error::full);
    CHECK(registry.find("t")->partitions.size() == 2);
    CHECK(registry.add_partitions(instant_ms(1), *registry.find("t"), 1));
    entropy.broken = true;
    CHECK_FALSE(registry.create(instant_ms(1), "u", 1, registry.new_config()));
}

TEST_CASE("registry: a creation whose commit is given up is undone") {
    test::FakeLog log;
    test::TestEntropy entropy;
    Registry registry(log, entropy, {});
    REQUIRE(registry.create(instant_ms(1), "kept", 1, registry.new_config()));
    log.on_storage(instant_ms(2));
    const auto lost = (*registry.create(instant_ms(1), "lost", 1, registry.new_config()))->created;
    registry.rolled_back(lost - 1, lost);
    CHECK(registry.find("kept") != nullptr);
    CHECK(registry.find("lost") == nullptr);
}

TEST_CASE("registry: a deletion that is given up is finished later, and its name may be used") {
    test::FakeLog log;
    test::TestEntropy entropy;
    {
        Registry registry(log, entropy, {});
        const Topic* first = *registry.create(instant_ms(1), "t", 1, registry.new_config());
        log.on_storage(instant_ms(2));
        const auto gone = *registry.remove(instant_ms(3), *first);
        log.give_up();
        registry.rolled_back(gone - 1, gone);
        CHECK(registry.find("t") == nullptr);
        REQUIRE(registry.create(instant_ms(4), "t", 2, registry.new_config()));
        log.on_storage(instant_ms(5));
    }
    Registry again(log, entropy, {});
    REQUIRE(again.load());
    CHECK(again.all().size() == 1);
    CHECK(again.find("t")->partitions.size() == 2);
    std::size_t facts = 0;
    log.for_each_fact(log::FactKind::topic, [&](ByteView, ByteView) { ++facts; });
    CHECK(facts == 1);
}

TEST_CASE("registry: a deletion that is given up is finished when the log takes facts again") {
    test::FakeLog log;
    test::TestEntropy entropy;
    Registry registry(log, entropy, {});
    const Topic* first = *registry.create(instant_ms(1), "t", 1, registry.new_config());
    log.on_storage(instant_ms(2));
    const auto gone = *registry.remove(instant_ms(3), *first);
    log.give_up();
    log.is_read_only = true;
    registry.rolled_back(gone - 1, gone);
    registry.settle(instant_ms(4));
    const auto facts = [&] {
        std::size_t count = 0;
        log.for_each_fact(log::FactKind::topic, [&](ByteView, ByteView) { ++count; });
        return count;
    };
    CHECK(facts() == 1);
    log.is_read_only = false;
    registry.settle(instant_ms(5));
    log.on_storage(instant_ms(6));
    CHECK(facts() == 0);
}

TEST_CASE("registry: of two facts of one name the newer topic counts, and the other one goes") {
    test::FakeLog log;
    test::TestEntropy entropy;
    for (const std::uint8_t older : {1, 2}) {  // the order of ids is not that of age
        for (const std::uint8_t id : {1, 2}) {
            Topic topic;
            topic.name = "t";
            topic.id.fill(id);
            topic.partitions = {id == older ? log::StreamId{7} : log::StreamId{9}};
            REQUIRE(
                log.put_fact(instant_ms(1), log::FactKind::topic, topic.id, encode_topic(topic)));
        }
        const std::array<std::uint8_t, 4> next{0, 0, 0, 10};
        REQUIRE(log.put_fact(instant_ms(1), log::FactKind::node, bytes_of("topics.next_stream"),
                             next));
        log.on_storage(instant_ms(2));
        Registry registry(log, entropy, {});
        REQUIRE(registry.load());
        REQUIRE(registry.all().size() == 1);
        CHECK(registry.find("t")->partitions == std::vector<log::StreamId>{9});
        CHECK(registry.find_stream(9)->topic == registry.find("t"));
        CHECK_FALSE(registry.find_stream(7));
        REQUIRE(registry.remove(instant_ms(3), *registry.find("t")));
        log.on_storage(instant_ms(4));
        Registry again(log, entropy, {});
        REQUIRE(again.load());
        CHECK(again.all().empty());
    }
}

TEST_CASE("registry: where damage took the topics' facts their records come back under a name") {
    test::FakeLog log;
    test::TestEntropy entropy;
    log::StreamId first = 0;
    {
        Registry registry(log, entropy, {});
        first = (*registry.create(instant_ms(1), "lost", 2, registry.new_config()))->partitions[0];
        log.on_storage(instant_ms(2));
    }
    std::vector<std::vector<std::uint8_t>> ids;
    log.for_each_fact(log::FactKind::topic, [&](ByteView key, ByteView) {
        ids.emplace_back(key.begin(), key.end());
    });
    for (const auto& id : ids) REQUIRE(log.erase_fact(instant_ms(2), log::FactKind::topic, id));
    REQUIRE(
        log.erase_fact(instant_ms(2), log::FactKind::node, bytes_of("topics.next_stream")));
    log.on_storage(instant_ms(3));

    const std::string names[] = {"recovered-" + std::to_string(first),
                                 "recovered-" + std::to_string(first + 1)};
    TopicId id{};
    {
        Registry registry(log, entropy, {});
        REQUIRE(registry.load());
        CHECK(registry.recovered() == 2);
        REQUIRE(registry.find(names[0]) != nullptr);
        REQUIRE(registry.find(names[1]) != nullptr);
        CHECK(registry.find(names[1])->partitions == std::vector<log::StreamId>{first + 1});
        CHECK(registry.find(names[0])->config.retention() == milliseconds(-1));
        id = registry.find(names[0])->id;
        log.facts_full = true;  // it waits for room
        registry.settle(instant_ms(4));
        log.facts_full = false;
        registry.settle(instant_ms(4));
        log.give_up();  // and its commit may fail
        registry.rolled_back(log.flushed_commit(), log.flushed_commit() + 1);
        // What is made next may be durable only behind them: the counter says that topics which are
        // not there were deleted.
        const Topic* made = *registry.create(instant_ms(5), "new", 1, registry.new_config());
        CHECK(made->partitions[0] > first + 1);
        log.on_storage(instant_ms(6));
        registry.settle(instant_ms(7));
        CHECK(registry.recovered() == 0);
    }
    Registry again(log, entropy, {});
    REQUIRE(again.load());
    CHECK(again.all().size() == 3);
    CHECK(again.recovered() == 0);
    REQUIRE(again.find(names[0]) != nullptr);
    CHECK(again.find(names[0])->id == id);
    CHECK(log.stream(first) != nullptr);
    CHECK(log.stream(first + 1) != nullptr);
}

TEST_CASE("registry: a power cut anywhere in a deletion leaves no stream without a topic") {
    std::size_t half_done = 0;
    for (std::uint64_t cut = 0;; ++cut) {
        REQUIRE(cut < 100);
        test::SimStorage device({.seed = cut, .size = 32 * KiB + 32 * 64 * KiB});
        test::SimEntropy entropy(cut);
        log::LogConfig config;
        config.segment_bytes = 64 * KiB;
        config.commit_interval = milliseconds(0);
        std::vector<log::StreamId> streams;
        bool finished = false;
        {
            const auto log = log::make_log(device, entropy, config);
            REQUIRE(log->open(instant_ms(1), wall_ms(1'700'000'000'000)));
            const auto settle = [&] {
                for (int i = 0; i < 100; ++i) {
                    log->on_storage(instant_ms(2));
                    log->on_deadline(instant_ms(2), wall_ms(1'700'000'000'001));
                }
            };
            Topics topics(*log, entropy, TopicDefaults{});
            REQUIRE(topics.registry.load());
            const Topic* topic =
                *topics.registry.create(instant_ms(1), "t", 500, topics.registry.new_config());
            streams = topic->partitions;
            for (std::int32_t i = 0; i < 500; ++i) {
                REQUIRE(topics
                            .append(instant_ms(1), wall_ms(1'700'000'000'000), *topic, i,
                                    test::make_batch({}), 9)
                            .error == wire::ErrorCode::none);
                if (i % 100 == 0) settle();
            }
            settle();
            device.hold(true);
            REQUIRE(topics.registry.remove(instant_ms(2), *topic));
            log->flush_soon(instant_ms(2));
            std::uint64_t done = 0;
            for (int i = 0; i < 200 && done < cut; ++i) {
                settle();
                if (device.writes_under_way() > 0) device.complete(0), ++done;
            }
            settle();
            finished = done < cut;
        }
        device.power_cycle();
        device.hold(false);
        const auto log = log::make_log(device, entropy, config);
        REQUIRE(log->open(instant_ms(3), wall_ms(1'700'000'000'002)));
        bool left = false;
        for (const log::StreamId stream : streams) left |= log->stream(stream) != nullptr;
        Registry registry(*log, entropy, {});
        REQUIRE(registry.load());
        half_done += left && registry.all().empty();
        for (const log::StreamId stream : streams)
            CHECK((log->stream(stream) != nullptr) == (registry.find("t") != nullptr));
        if (finished) break;
    }
    CHECK(half_done > 0);
}

TEST_CASE("registry: every cut or flipped byte of a topic's fact is refused or harmless") {
    Topic topic;
    topic.name = "abc";
    topic.id[6] = 0x40;
    topic.partitions = {5, 6};
    REQUIRE(topic.config.set("retention.ms", "12") == "");
    const auto bytes = encode_topic(topic);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut)
        CHECK_FALSE(decode_topic(topic.id, ByteView(bytes).first(cut), TopicConfig()));
    for (std::size_t at = 0; at < bytes.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            auto wrong = bytes;
            wrong[at] = static_cast<std::uint8_t>(wrong[at] ^ (1 << bit));
            (void)decode_topic(
                topic.id, wrong,
                TopicConfig());  // must not crash; what it means is checked by the log's CRC
        }
    CHECK(decode_topic(topic.id, bytes, TopicConfig()));
    CHECK(decode_topic(ByteView(topic.id).first(15), bytes, TopicConfig()).error() ==
          Error::malformed);
}
