// Commands about groups, settings, quotas and old records, against a real leatd: what they change,
// and exit codes.
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

TEST_CASE(
    "groups: reset-offsets goes where it is told, only with --execute, and not past the ends") {
    Bench at;
    CHECK(list_groups(at.options) == Exit::ok);
    CHECK(describe_groups(at.of_group("none")) == Exit::not_found);
    Options reset = at.of_group();
    reset.to_earliest = true;
    CHECK(reset_offsets(reset) == Exit::not_found);  // nothing is committed
    REQUIRE(at.group->commit(
        {{{"t", 0}, {.offset = 4, .metadata = ""}}, {{"t", 1}, {.offset = 6, .metadata = ""}}},
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
    const auto altered =
        admin->alter_group_offsets("g", {{{"t", 0}, {.offset = 1, .metadata = ""}}});
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

TEST_CASE("topics delete-records: a topic begins where it was told, and never before") {
    Bench at;
    auto admin = Admin::open(at.loop, {.bootstrap = at.leatd.bootstrap()});
    const auto begins = [&] {
        const auto offsets = admin->list_offsets("t", {0, 1}, Admin::earliest);
        REQUIRE(offsets);
        return Pair{offsets->at(0).offset, offsets->at(1).offset};
    };
    Options remove = at.of_topic();
    remove.time = "-1h";  // nothing is older
    CHECK(delete_records(remove) == Exit::ok);
    remove.time = "2100-01-01";  // nothing is later
    CHECK(delete_records(remove) == Exit::not_found);
    CHECK(begins() == Pair{0, 0});
    remove.time.clear();
    remove.offset = 3;
    remove.only_partitions = {1};
    CHECK(delete_records(remove) == Exit::ok);
    CHECK(begins() == Pair{0, 3});
    remove.only_partitions.clear();
    remove.offset = 2;
    CHECK(delete_records(remove) == Exit::ok);
    CHECK(begins() == Pair{2, 3});
    remove.offset = 11;  // behind the end
    CHECK(delete_records(remove) == Exit::failed);
    CHECK(begins() == Pair{2, 3});
    remove.offset.reset();
    remove.time = "soon";
    CHECK(delete_records(remove) == Exit::usage);
    remove.time.clear();
    remove.all_records = true;
    CHECK(delete_records(remove) == Exit::ok);
    CHECK(begins() == Pair{10, 10});
    Options none = at.of_topic("none");
    none.all_records = true;
    CHECK(delete_records(none) == Exit::not_found);

    CHECK(show_log_dirs(at.options) == Exit::ok);
    const auto dirs = admin->describe_log_dirs();
    REQUIRE(dirs);
    REQUIRE(dirs->size() == 1);
    CHECK(dirs->at(0).replicas.size() >= 2);
}

TEST_CASE("configs: a group's own settings are set, shown and unset") {
    Bench at;
    const auto session = [&] {
        auto admin = Admin::open(at.loop, {.bootstrap = at.leatd.bootstrap()});
        const auto configs = admin->describe_configs(ConfigResource::group, "g");
        REQUIRE(configs);
        for (const ConfigEntry& entry : configs->entries)
            if (entry.name == "consumer.session.timeout.ms") return entry.value.value_or("");
        return std::string("not there");
    };
    const std::string before = session();
    Options change = at.options;
    change.group = "g";
    change.configs = {"consumer.session.timeout.ms=50000"};
    CHECK(change_configs(change) == Exit::ok);
    CHECK(session() == "50000");
    CHECK(get_configs(change) == Exit::not_found);  // that is no name
    change.configs = {"consumer.session.timeout.ms=soon"};
    CHECK(change_configs(change) == Exit::failed);
    change.configs.clear();
    change.unset = {"consumer.session.timeout.ms"};
    CHECK(change_configs(change) == Exit::ok);
    CHECK(session() == before);
    Options get = at.options;
    get.group = "g";
    get.configs = {"consumer.session.timeout.ms"};
    CHECK(get_configs(get) == Exit::ok);
}

TEST_CASE("configs: quotas are set, shown and removed, each for whom it was meant") {
    Bench at;
    auto admin = Admin::open(at.loop, {.bootstrap = at.leatd.bootstrap()});
    Options pump = at.options;
    pump.client = "pump";
    CHECK(show_quotas(pump) == Exit::not_found);
    CHECK(show_quotas(at.options) == Exit::ok);
    Options change = pump;
    change.configs = {"producer_byte_rate=65536", "request_percentage=12.5"};
    CHECK(change_quotas(change) == Exit::ok);
    change = at.options;
    change.client_default = true;
    change.configs = {"producer_byte_rate=1000"};
    CHECK(change_quotas(change) == Exit::ok);
    const auto both = admin->describe_quotas();
    REQUIRE(both);
    CHECK(both->size() == 2);
    const auto one = admin->describe_quotas({{"client-id", QuotaFilter::Match::name, "pump"}});
    REQUIRE(one);
    REQUIRE(one->size() == 1);
    CHECK(one->at(0).entity == QuotaEntity{{"client-id", "pump"}});
    CHECK(one->at(0).values == std::map<std::string, double>{{"producer_byte_rate", 65536},
                                                             {"request_percentage", 12.5}});
    CHECK(show_quotas(pump) == Exit::ok);
    change.configs = {"producer_byte_rate=many"};
    CHECK(change_quotas(change) == Exit::usage);
    change.configs = {"no.such.quota=1"};
    CHECK(change_quotas(change) == Exit::failed);
    change.configs.clear();
    change.unset = {"producer_byte_rate"};
    CHECK(change_quotas(change) == Exit::ok);
    CHECK(admin->describe_quotas()->size() == 1);
}
