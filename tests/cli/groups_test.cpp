// Commands about groups and settings, against a real leatd: what they change, and exit codes.
#include "doctest/doctest.h"
#include "leat/consumer.hpp"
#include "leat/producer.hpp"
#include "sdk/cli/commands.hpp"
#include "tests/host/leatd_process.hpp"

using namespace leat;
using namespace leat::cli;

namespace {

constexpr milliseconds patience{30'000};

struct Bench {
    Bench() {
        options.bootstrap = leatd.bootstrap();
        options.timeout_seconds = 20;
        Options topic = options;
        topic.topics = {"t"};
        topic.partitions = 2;
        REQUIRE(create_topics(topic) == Exit::ok);
        auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
        REQUIRE(producer);
        for (int i = 0; i < 20; ++i)
            REQUIRE(producer->send({.topic = "t", .value = "a line", .partition = i % 2}));
        REQUIRE(producer->flush(patience));
        ConsumerConfig config;
        config.bootstrap = leatd.bootstrap();
        config.group_id = "g";
        group.emplace(*Consumer::open(loop, config));
    }
    Options of_group(const char* name = "g") const {
        Options of = options;
        of.groups = {name};
        return of;
    }
    Options of_topic(const char* name = "t") const {
        Options of = options;
        of.topics = {name};
        return of;
    }
    std::pair<std::int64_t, std::int64_t> committed() {
        const auto offsets = group->committed({{"t", 0}, {"t", 1}}, patience);
        REQUIRE(offsets);
        return {offsets->at({"t", 0}).offset, offsets->at({"t", 1}).offset};
    }
    std::string setting(const std::string& name) {
        auto admin = Admin::open(loop, {.bootstrap = leatd.bootstrap()});
        const auto configs = admin->describe_configs(ConfigResource::topic, "t");
        REQUIRE(configs);
        for (const ConfigEntry& entry : configs->entries)
            if (entry.name == name) return entry.value.value_or("");
        return "not there";
    }

    testing::LeatdProcess leatd{LEATD_PROGRAM};
    Loop loop;
    Options options;
    std::optional<Consumer> group;
};

using Pair = std::pair<std::int64_t, std::int64_t>;

}  // namespace

TEST_CASE("groups: reset-offsets goes where it is told, only with --execute, and not past the ends") {
    Bench at;
    CHECK(list_groups(at.options) == Exit::ok);
    CHECK(describe_groups(at.of_group("none")) == Exit::not_found);
    Options reset = at.of_group();
    reset.to_earliest = true;
    CHECK(reset_offsets(reset) == Exit::not_found);  // nothing is committed
    REQUIRE(at.group->commit({{{"t", 0}, {.offset = 4, .metadata = ""}},
                              {{"t", 1}, {.offset = 6, .metadata = ""}}},
                             patience));
    CHECK(describe_groups(at.of_group()) == Exit::ok);
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(at.committed() == Pair{4, 6});
    reset.execute = true;
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(at.committed() == Pair{0, 0});
    reset.to_earliest = false;
    reset.offset = 7;
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(at.committed() == Pair{7, 7});
    reset.offset.reset();
    reset.shift_by = -3;
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(at.committed() == Pair{4, 4});
    reset.shift_by = 100;
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(at.committed() == Pair{10, 10});
    reset.shift_by.reset();
    reset.time = "-1h";
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(at.committed() == Pair{0, 0});
    reset.time = "2100-01-01";
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(at.committed() == Pair{10, 10});
    reset.time = "soon";
    CHECK(reset_offsets(reset) == Exit::usage);
    reset.time.clear();
    reset.to_earliest = true;
    reset.topics = {"no such topic"};
    CHECK(reset_offsets(reset) == Exit::not_found);
}

TEST_CASE("groups: with a member, nothing is reset or deleted; afterwards both") {
    Bench at;
    REQUIRE(at.group->subscribe({"t"}));
    for (int i = 0; i < 1000 && at.group->assignment().size() < 2; ++i)
        (void)at.group->poll(milliseconds(20));
    REQUIRE(at.group->assignment().size() == 2);
    auto admin = Admin::open(at.loop, {.bootstrap = at.leatd.bootstrap()});
    const auto picture = admin->describe_group("g");
    REQUIRE(picture);
    CHECK(picture->state == "Stable");
    REQUIRE(picture->members.size() == 1);
    CHECK(picture->members[0].assignment.size() == 2);
    CHECK(picture->members[0].member_id == at.group->group_metadata().member_id);
    CHECK(describe_groups(at.of_group()) == Exit::ok);
    Options reset = at.of_group();
    reset.topics = {"t"};
    reset.to_earliest = reset.execute = true;
    CHECK(reset_offsets(reset) == Exit::failed);
    CHECK(delete_groups(at.of_group()) == Exit::failed);
    const auto altered = admin->alter_group_offsets("g", {{{"t", 0}, {.offset = 1, .metadata = ""}}});
    REQUIRE(altered);
    CHECK(altered->contains({"t", 0}));
    REQUIRE(at.group->close(patience));
    CHECK(reset_offsets(reset) == Exit::ok);
    CHECK(admin->group_offsets("g")->size() == 2);
    REQUIRE(admin->delete_group_offsets("g", {{"t", 1}}));
    CHECK(admin->group_offsets("g")->size() == 1);
    CHECK(delete_groups(at.of_group()) == Exit::ok);
    CHECK(delete_groups(at.of_group()) == Exit::not_found);
    CHECK(admin->list_groups()->empty());
}

TEST_CASE("configs and topics alter: what is set is there, what is refused changes nothing") {
    Bench at;
    const std::string before = at.setting("retention.ms");
    Options change = at.of_topic();
    change.configs = {"retention.ms=3600000"};
    CHECK(change_configs(change) == Exit::ok);
    CHECK(at.setting("retention.ms") == "3600000");
    change.configs = {"retention.ms=7200000", "no.such.setting=1"};
    CHECK(change_configs(change) == Exit::failed);
    CHECK(at.setting("retention.ms") == "3600000");
    change.configs = {"no pair"};
    CHECK(change_configs(change) == Exit::usage);
    change.configs.clear();
    change.unset = {"retention.ms"};
    CHECK(change_configs(change) == Exit::ok);
    CHECK(at.setting("retention.ms") == before);

    Options get = at.of_topic();
    get.configs = {"retention.ms"};
    CHECK(get_configs(get) == Exit::ok);
    get.configs = {"no.such.setting"};
    CHECK(get_configs(get) == Exit::not_found);
    CHECK(get_configs(at.of_topic("none")) == Exit::not_found);

    Options alter = at.of_topic();
    CHECK(alter_topic(alter) == Exit::usage);
    alter.partitions = 5;
    alter.configs = {"cleanup.policy=compact"};
    CHECK(alter_topic(alter) == Exit::ok);
    CHECK(*at.group->partition_count("t", patience) == 5);
    CHECK(at.setting("cleanup.policy") == "compact");
    alter.partitions = 3;
    CHECK(alter_topic(alter) == Exit::failed);
    alter = at.of_topic("none");
    alter.partitions = 5;
    CHECK(alter_topic(alter) == Exit::not_found);
}
