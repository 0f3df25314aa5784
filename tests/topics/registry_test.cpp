#include <doctest/doctest.h>

#include "broker/topics/registry.hpp"
#include "broker/topics/topic_fact.hpp"
#include "tests/support/fake_log.hpp"
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
