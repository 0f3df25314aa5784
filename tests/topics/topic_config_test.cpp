#include <doctest/doctest.h>

#include <algorithm>

#include "broker/topics/topic_config.hpp"
#include "broker/topics/topic_name.hpp"

using namespace leat;
using namespace leat::topics;

TEST_CASE("topic names: Kafka's rule at its bounds") {
    CHECK(topic_name_problem("a") == nullptr);
    CHECK(topic_name_problem("Sensor.temp_1-x") == nullptr);
    CHECK(topic_name_problem(std::string(249, 'x')) == nullptr);
    CHECK(topic_name_problem(std::string(250, 'x')) != nullptr);
    for (const char* wrong : {"", ".", "..", "a b", "a/b", "\xc3\xa9", "a\n"})
        CHECK(topic_name_problem(wrong) != nullptr);
    CHECK(topic_name_problem(std::string_view("a\0b", 3)) != nullptr);
    CHECK(collision_key("a.b_c") == collision_key("a_b.c"));
    CHECK(collision_key("a.b") != collision_key("ab"));
}

TEST_CASE("topic settings: the table is sorted and every default passes its own check") {
    const auto all = settings();
    CHECK(std::is_sorted(all.begin(), all.end(),
                         [](const Setting& a, const Setting& b) { return a.name < b.name; }));
    for (const Setting& setting : all) {
        CAPTURE(setting.name);
        TopicConfig config;
        CHECK(find_setting(setting.name) == &setting);
        CHECK(config.set(setting.name, config.value(setting)) == "");
    }
}

TEST_CASE("topic settings: unknown names and bad values are refused and change nothing") {
    TopicConfig config;
    CHECK(config.set("retention.msx", "1") == "Unknown topic config name: retention.msx");
    struct Wrong {
        const char *name, *value;
    };
    for (const Wrong& wrong : {Wrong{"retention.ms", "abc"},
                               {"retention.ms", "-2"},
                               {"retention.ms", ""},
                               {"retention.ms", "1 2"},
                               {"retention.ms", "9223372036854775808"},
                               {"max.message.bytes", "-1"},
                               {"max.message.bytes", "2147483648"},
                               {"cleanup.policy", "destroy"},
                               {"cleanup.policy", "delete,destroy"},
                               {"cleanup.policy", "delete,"},
                               {"compression.type", "none"},
                               {"compression.gzip.level", "10"},
                               {"message.timestamp.type", "createtime"},
                               {"preallocate", "yes"},
                               {"remote.storage.enable", "true"},
                               {"min.cleanable.dirty.ratio", "1.5"},
                               {"min.cleanable.dirty.ratio", "nan"},
                               {"min.insync.replicas", "0"}}) {
        CAPTURE(wrong.name);
        CAPTURE(wrong.value);
        CHECK(config.set(wrong.name, wrong.value) != "");
        CHECK(config.overrides().empty());
    }
}

TEST_CASE("topic settings: booleans in any case, as Kafka takes them") {
    for (const char* text : {"true", "True", "TRUE", " tRuE "}) {
        TopicConfig config;
        CHECK(config.set("preallocate", text) == "");
        CHECK(config.value(*find_setting("preallocate")) == "true");
    }
}

TEST_CASE("topic settings: what matters here is parsed, and falls back when an override goes") {
    TopicConfig config(TopicDefaults{.retention = milliseconds(5000), .message_bytes_max = 4096});
    CHECK(config.retention() == milliseconds(5000));
    CHECK(config.message_bytes_max() == 4096);
    CHECK(config.set("retention.ms", " 77 ") == "");
    CHECK(config.retention() == milliseconds(77));
    CHECK(config.value(*find_setting("retention.ms")) == "77");
    CHECK(config.set("retention.ms", std::nullopt) == "");
    CHECK(config.retention() == milliseconds(5000));
    CHECK(config.set("retention.ms", "-1") == "");
    CHECK(config.retention() == milliseconds(-1));

    CHECK(config.set("cleanup.policy", "compact") == "");
    CHECK(config.compacted());
    CHECK(config.retention() == milliseconds(-1));  // only compacted: nothing is deleted by age
    CHECK(config.set("retention.ms", "9") == "");
    CHECK(config.set("cleanup.policy", "compact, delete") == "");
    CHECK(config.retention() == milliseconds(9));
    CHECK(config.change_list("cleanup.policy", "delete,compact",
                             TopicConfig::ListChange::subtract) == "");
    CHECK(config.retention() == milliseconds(-1));  // nothing is deleted by age, nor compacted
    CHECK_FALSE(config.compacted());
    CHECK(config.set("cleanup.policy", std::nullopt) == "");
    CHECK(config.set("cleanup.policy", "") == "");
    CHECK_FALSE(config.deletes());
    CHECK(config.value(*find_setting("cleanup.policy")) == "");

    CHECK(config.flush_within() == milliseconds(-1));
    CHECK(config.set("flush.ms", "250") == "");
    CHECK(config.flush_within() == milliseconds(250));

    CHECK_FALSE(config.log_append_time());
    CHECK(config.set("message.timestamp.type", "LogAppendTime") == "");
    CHECK(config.log_append_time());
    CHECK(config.timestamp_before_max() == milliseconds(-1));
    CHECK(config.value(*find_setting("message.timestamp.before.max.ms")) == "9223372036854775807");
    CHECK(config.set("message.timestamp.before.max.ms", "9223372036854775807") == "");
    CHECK(config.timestamp_before_max() == milliseconds(-1));
}

TEST_CASE("topic config: records may be kept until they are uplinked, where any are deleted") {
    TopicConfig config;
    const Setting& setting = *find_setting("leat.retention.uplinked");
    CHECK(config.value(setting) == "false");
    CHECK_FALSE(config.until_uplinked());
    CHECK(config.set("leat.retention.uplinked", "1") != "");
    CHECK(config.set("leat.retention.uplinked", "True") == "");
    CHECK(config.value(setting) == "true");
    CHECK(config.until_uplinked());
    CHECK(config.set("cleanup.policy", "compact") == "");
    CHECK_FALSE(config.until_uplinked());
    CHECK(config.set("cleanup.policy", "compact,delete") == "");
    CHECK(config.until_uplinked());
    CHECK(config.set("leat.retention.uplinked", std::nullopt) == "");
    CHECK_FALSE(config.until_uplinked());
}

TEST_CASE("topic config: the shortest lag of compaction may not be longer than the longest") {
    TopicConfig config;
    CHECK(config.compaction_lag_max() == milliseconds(-1));
    CHECK(config.conflict() == "");
    CHECK(config.set("max.compaction.lag.ms", "0") != "");
    CHECK(config.set("max.compaction.lag.ms", "70") == "");
    CHECK(config.compaction_lag_max() == milliseconds(70));
    CHECK(config.set("min.compaction.lag.ms", "70") == "");
    CHECK(config.conflict() == "");
    CHECK(config.set("min.compaction.lag.ms", "71") == "");
    CHECK(config.conflict() ==
          "conflict topic config setting min.compaction.lag.ms (71) > max.compaction.lag.ms (70)");
    CHECK(config.set("max.compaction.lag.ms", std::nullopt) == "");
    CHECK(config.conflict() == "");
}

TEST_CASE("topic config: who is compacted keeps the newest of every key, also in a full log") {
    TopicConfig config;
    CHECK(config.drops_oldest());  // the default of the broker
    REQUIRE(config.set("cleanup.policy", "compact").empty());
    CHECK_FALSE(config.drops_oldest());
    REQUIRE(config.set("leat.full.policy", "drop-oldest").empty());
    CHECK_FALSE(config.drops_oldest());
    REQUIRE(config.set("cleanup.policy", "compact,delete").empty());  // may be deleted by age, too
    CHECK(config.drops_oldest());
}
