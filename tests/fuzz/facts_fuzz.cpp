// What the rooms above the log find in its facts when they start: topics, groups of both protocols, committed offsets,
// settings, quotas and the uplink's cursors. Whatever stands there, nothing crashes or asks for memory beyond a bound,
// what is read and written again reads the same, and a second start, behind what the first one wrote, goes as well.
//
//   facts one behind the other: u8 kind, u8 bytes of the key, u16 bytes of the value, key, value; little-endian
#include <cstdio>
#include <cstdlib>

#include "broker/api/kept_settings.hpp"
#include "broker/groups/group_fact.hpp"
#include "broker/groups/groups.hpp"
#include "broker/quotas/quota_fact.hpp"
#include "broker/topics/topic_fact.hpp"
#include "broker/uplink/cursor.hpp"
#include "tests/fuzz/flash_changes.hpp"
#include "tests/support/fake_log.hpp"
#include "tests/support/test_entropy.hpp"

using namespace leat;

namespace {

constexpr std::size_t facts_max = 64;
constexpr std::int64_t hour_ms = 3600 * 1000;

void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

void put_facts(log::Log& log, ByteView program) {
    for (std::size_t i = 0; i < facts_max && program.size() >= 4; ++i) {
        const auto kind = static_cast<log::FactKind>(1 + program[0] % 6);
        const std::size_t key = std::min<std::size_t>(program[1], program.size() - 4);
        const std::size_t value = std::min<std::size_t>(
            load_little<std::uint16_t>(program.data() + 2), program.size() - 4 - key);
        (void)log.put_fact(Instant{}, kind, program.subspan(4, key),
                           program.subspan(4 + key, value));
        program = program.subspan(4 + key + value);
    }
}

void topics_again(const topics::Registry& registry) {
    for (const auto& [name, topic] : registry.all()) {
        const auto bytes = topics::encode_topic(*topic);
        const auto again = topics::decode_topic(topic->id, bytes, registry.new_config());
        must(static_cast<bool>(again), "a topic that was read is read again");
        must((*again)->name == name && (*again)->partitions == topic->partitions &&
                 (*again)->config.overrides() == topic->config.overrides(),
             "and is the same");
    }
}

void settings(log::Log& log) {
    quotas::Quotas quotas(log);
    quotas.load();
    for (const auto& [key, values] : quotas.all()) {
        const auto entity = quotas::entity_of(key);
        must(static_cast<bool>(entity), "a quota that was read says for whom");
        (void)quotas.limit(quotas::Kind::produce, entity->user.name, entity->client.name);
        const auto payer = quotas.payer(instant_ms(1), quotas::Kind::mutate, entity->user.name,
                                        entity->client.name);
        if (payer != 0) (void)quotas.mutate(instant_ms(2), payer, 3, quotas::Quotas::Debt::grows);
        (void)quotas.may_connect(instant_ms(3), entity->ip.name);
    }
    const api::KeptSettings all(log, ""), one(log, "1");
    std::vector<api::ConfigEntry> entries;
    one.tell(entries, &all);
    all.tell(entries, nullptr);
}

void start(test::FakeLog& log, std::uint64_t seed) {
    test::TestEntropy entropy(seed);
    topics::Registry registry(log, entropy, {});
    if (!registry.load()) return;
    topics_again(registry);
    Instant now = instant_ms(1'000'000);
    groups::Groups groups(log, registry, entropy, {});
    groups.load(now);
    const auto settle = [&] {
        for (int i = 0; i < 50; ++i) {
            log.on_storage(now);
            groups.settle(now);
            for (int turns = 0; turns < 200 && groups.assigns(); ++turns) groups.assign_some(now);
        }
        while (groups.poll_joined()) {}
        while (groups.poll_synced()) {}
        while (groups.poll_consumer_answer()) {}
    };
    settle();
    std::vector<std::string> names;
    groups.for_each([&](const groups::Group& group) { names.push_back(group.id); });
    for (const std::string& name : names) {
        (void)groups.describe(name);
        std::string topic;
        for (int i = 0; i < 100; ++i) {
            topic = groups.fetch_next(name, topic, [](std::int32_t, const groups::Fetched&) {});
            if (topic.empty()) break;
        }
        (void)groups.settings().of(name);
        groups::ConsumerHeartbeat joins;
        joins.group = name;
        joins.member = "new";
        groups.consumer_heartbeat(now, 7, joins);
        (void)groups.heartbeat(now, {.group = name, .member = "a", .instance = {}});
    }
    settle();
    for (int i = 0; i < 40; ++i) {
        now = std::max(now + milliseconds(1),
                       std::min(groups.deadline(), now + milliseconds(hour_ms)));
        groups.on_deadline(now);
        settle();
    }
    for (const std::string& name : names) (void)groups.delete_group(now, name);
    settle();
    settings(log);
    uplink::Cursors cursors(log, {"r", "center"}, milliseconds(250));
    cursors.load();
    for (log::StreamId id = 0; id < 8; ++id) {
        (void)cursors.attach(0, id);
        (void)cursors.least(id);
        cursors.move(now, 0, id, cursors.at(0, id) / 2 + 5, cursors.sent_as(0, id));
    }
    cursors.write_all(now);
    log.on_storage(now);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    log::fuzz::bound_memory(64 * MiB);
    {
        test::FakeLog log;
        put_facts(log, {data, size});
        log.on_storage(Instant{});
        start(log, 1);
        start(log, 2);
    }
    log::fuzz::bound_memory(0);
    return 0;
}
