#include "doctest/doctest.h"
#include "sdk/cli/json.hpp"
#include "sdk/cli/options.hpp"

using namespace leat;
using namespace leat::cli;

namespace {

Parsed parse(std::vector<const char*> words) {
    words.insert(words.begin(), "leat");
    return parse_command_line(static_cast<int>(words.size()), words.data());
}

}  // namespace

TEST_CASE("times: instants, milliseconds and ages") {
    const std::int64_t now = 1'700'000'000'000;
    CHECK(parse_time("1970-01-01T00:00:00Z", now) == 0);
    CHECK(parse_time("2023-11-14T22:13:20Z", now) == now);
    CHECK(parse_time("2023-11-14T22:13:20.5Z", now) == now + 500);
    CHECK(parse_time("2023-11-14 22:13:20.123456", now) == now + 123);
    CHECK(parse_time("2023-11-14", now) == 1'699'920'000'000);
    CHECK(parse_time("12345", now) == 12345);
    CHECK(parse_time("-90s", now) == now - 90'000);
    CHECK(parse_time("-15m", now) == now - 900'000);
    CHECK(parse_time("-2h", now) == now - 7'200'000);
    CHECK(parse_time("-1d", now) == now - 86'400'000);
    for (const char* bad : {"", "yesterday", "-15", "-m", "-1w", "2023-11-14T22:13",
                            "2023-11-14T22:13:20+01:00", "-99999999999999999d", "12x"}) {
        INFO(bad);
        CHECK(!parse_time(bad, now));
    }
}

TEST_CASE("pairs and escapes") {
    CHECK(parse_pair("a=b")->second == "b");
    CHECK(parse_pair("a=")->second.empty());
    CHECK(parse_pair("a=b=c")->second == "b=c");
    CHECK(!parse_pair("a"));
    CHECK(!parse_pair("=b"));
    CHECK(unescaped("a\\tb\\n") == "a\tb\n");
    CHECK(unescaped("\\x41\\\\") == "A\\");
    CHECK(unescaped("\\x4") == "x4");
    CHECK(unescaped("\\0") == std::string(1, '\0'));
    CHECK(unescaped("end\\") == "end\\");
}

TEST_CASE("command line: a batch that the producer's memory cannot hold is a mistake") {
    CHECK(!parse({"produce", "t", "--batch-bytes", "33554432"}).exit);
    for (const char* bad : {"33554433", "0", "-1", "much"})
        CHECK(parse({"produce", "t", "--batch-bytes", bad}).exit == 2);
}

TEST_CASE("command line: common flags may stand on either side; mistakes are exit code 2") {
    const Parsed before = parse({"--json", "-b", "h:1", "topics", "list"});
    REQUIRE(!before.exit);
    CHECK(before.options.json);
    CHECK(before.options.bootstrap == "h:1");
    CHECK(before.options.command == Command::topics_list);
    const Parsed after =
        parse({"consume", "t", "-p", "1", "-p", "2", "-o", "-5", "--json", "-b", "h:2"});
    REQUIRE(!after.exit);
    CHECK(after.options.json);
    CHECK(after.options.only_partitions == std::vector<std::int32_t>{1, 2});
    CHECK(after.options.offset == -5);
    CHECK(after.options.topics == std::vector<std::string>{"t"});
    CHECK(parse({"topics", "create", "a", "b", "-p", "3", "-c", "x=y"}).options.topics.size() == 2);
    CHECK(parse({"--help"}).exit == 0);
    CHECK(parse({"--version"}).exit == 0);
    CHECK(parse({}).exit == 2);
    CHECK(parse({"topics"}).exit == 2);
    CHECK(parse({"produce"}).exit == 2);
    CHECK(parse({"produce", "t", "-z", "rar"}).exit == 2);
    CHECK(parse({"consume", "t", "--from-beginning", "-o", "1"}).exit == 2);
    CHECK(parse({"nonsense"}).exit == 2);
}

TEST_CASE("command line: configs take a topic or a broker, reset-offsets exactly one place") {
    const Parsed of_topic = parse({"configs", "set", "t", "a=1", "b=2", "--json"});
    REQUIRE(!of_topic.exit);
    CHECK(of_topic.options.command == Command::configs_change);
    CHECK(of_topic.options.topics == std::vector<std::string>{"t"});
    CHECK(of_topic.options.configs == std::vector<std::string>{"a=1", "b=2"});
    const Parsed of_broker = parse({"configs", "unset", "--broker", "0", "a"});
    REQUIRE(!of_broker.exit);
    CHECK(of_broker.options.broker == "0");
    CHECK(of_broker.options.topics.empty());
    CHECK(of_broker.options.unset == std::vector<std::string>{"a"});
    const Parsed of_group = parse({"configs", "set", "--group", "g", "a=1"});
    REQUIRE(!of_group.exit);
    CHECK(of_group.options.group == "g");
    CHECK(of_group.options.topics.empty());
    CHECK(of_group.options.configs == std::vector<std::string>{"a=1"});
    CHECK(parse({"configs", "get", "--group", "", "t"}).exit == 2);
    CHECK(parse({"configs", "get", "--group", "g", "--broker", "0"}).exit == 2);
    CHECK(parse({"configs", "set", "--group", "g", "--user", "u", "a=1"}).exit == 2);
    CHECK(parse({"consume", "t", "--group", ""}).exit == 2);
    CHECK(parse({"configs", "get"}).exit == 2);
    CHECK(parse({"configs", "set", "t"}).exit == 2);
    CHECK(parse({"configs", "unset", "t"}).exit == 2);
    const Parsed reset =
        parse({"groups", "reset-offsets", "g", "-t", "a", "-t", "b", "--shift-by", "-5"});
    REQUIRE(!reset.exit);
    CHECK(reset.options.groups == std::vector<std::string>{"g"});
    CHECK(reset.options.topics.size() == 2);
    CHECK(reset.options.shift_by == -5);
    CHECK(!reset.options.execute);
    CHECK(parse({"groups", "reset-offsets", "g"}).exit == 2);
    CHECK(parse({"groups", "reset-offsets", "g", "--to-latest", "--to-earliest"}).exit == 2);
    CHECK(parse({"groups", "describe"}).exit == 2);
    CHECK(parse({"consume", "t", "--group-instance", "a"}).exit == 2);
}

TEST_CASE("json: bytes that are no text come as base64") {
    ConsumerRecord record;
    record.topic = "t";
    record.partition = 2;
    record.offset = 7;
    record.timestamp = wall_ms(5);
    record.value = std::string_view("\xff\x00\x01", 3);
    CHECK(
        json_of(record) ==
        R"({"topic":"t","partition":2,"offset":7,"timestamp":5,"key":null,"value_base64":"/wAB"})");
    record.key = "k\"\xc3\xa9";
    record.value = "";
    const Header header{"h", bytes_of("x")};
    record.headers = std::span(&header, 1);
    CHECK(json_of(record) ==
          "{\"topic\":\"t\",\"partition\":2,\"offset\":7,\"timestamp\":5,\"key\":\"k\\\"\xc3\xa9\","
          "\"value\":\"\",\"headers\":[{\"name\":\"h\",\"value\":\"x\"}]}");
    for (const char* bad :
         {"\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe0\x80\x80"}) {
        record.value = bad;
        CHECK(json_of(record).find("value_base64") != std::string::npos);
    }
}

TEST_CASE("status: people see what is held and what waits; other documents are refused") {
    const auto text = status_for_people(
        R"({"name":"leatd","version":"0.1.0","uptime_ms":90000,"cluster_id":"c","node_id":0,)"
        R"("log":{"budget_bytes":1048576,"used_bytes":524288,"segments":16,"segments_free":4,"payload_bytes_total":1000,)"
        R"("written_bytes_total":2000,"commits_total":3,"read_only":true},"groups":{"groups":9,"stable":5,"preparing_rebalance":1,"completing_rebalance":1,"empty":2,"members":11,"commits_total":70,"offsets_expired_total":4},)"
        R"("uplink":[{"route":"default","link":"waiting","backlog_records":12,"backlog_age_ms":1900,"lost_records_total":3,"new_word":"x"}],)"
        R"("topics":[{"name":"sensors.cpu","partitions":[{"partition":0,"log_start":0,"high_watermark":50,"uplinked_offset":38,"bytes":2048}]}]})");
    REQUIRE(text);
    for (const char* part :
         {"leatd 0.1.0, up 90.0 s", "512.0 KiB of 1.0 MiB (50 %), 4 of 16 segments free",
          "(2.00 x)", "READ ONLY", "9: 5 stable, 2 rebalancing, 2 empty; 11 members; 70 commits, 4 offsets expired",
          "uplink default      waiting",
          "12 records, 0 B, the oldest for 1.9 s", "3 records were lost", "new_word", "sensors.cpu",
          "2.0 KiB"}) {
        INFO(part);
        CHECK(text->find(part) != std::string::npos);
    }
    const auto full = status_for_people(
        R"({"log":{"reserved_bytes":2097152,"dropped_records_total":7},"produce":{"throttle_ms":250}})");
    REQUIRE(full);
    for (const char* part : {"2.0 MiB for topics with leat.reserved.bytes",
                             "7 undelivered records dropped for room", "wait 250 ms a request"})
        CHECK(full->find(part) != std::string::npos);
    CHECK(status_for_people(R"({"device":{}})")->find("device") == std::string::npos);
    CHECK(!status_for_people("<html>"));
    CHECK(!status_for_people("[1]"));
    CHECK(status_for_people("{}"));
    CHECK(*status_line("{ \"a\": 1 }") == "{\"a\":1}");
}

TEST_CASE("status: what is written for what, and what a forecast of wear rests on") {
    const auto written = status_for_people(
        R"({"log":{"payload_bytes_total":1024,"written_bytes_total":8192,"written_data_bytes_total":2048,)"
        R"("written_padding_bytes_total":6144,"written_zeros_bytes_total":65536,"commits_total":2},)"
        R"("storage":{"flushes_total":3}})");
    REQUIRE(written);
    for (const char* part :
         {"8.0 KiB written for 1.0 KiB of records (8.00 x), 2 commits, 3 flushes\n",
          "of that           data 2.0 KiB, padding 6.0 KiB\n", "64.0 KiB of zeros"})
        CHECK(written->find(part) != std::string::npos);

    const std::string known =
        R"({"device":{"device":"mmcblk0","written_bytes_total":3145728,"flushes_total":77,"written_bytes_per_day":1073741824,)"
        R"("endurance_bytes":1099511627776)";
    const struct {
        const char* rest;
        std::vector<const char*> parts;
    } cases[] = {
        {R"(,"endurance_assumed":true,"life_used_percent":30,"reserve":"warning","years_of_a_new_device":10.0,"years_left":7.0}})",
         {"mmcblk0, by everybody: 3.0 MiB written and 77 flushes since boot, 1.0 GiB a day",
          "attention           up to 30 % of its life used, reserve of good blocks: warning",
          "7.0 years left at", "1.0 TiB for a new one, which is a guess",
          "and the device's own account"}},
        {R"(,"endurance_assumed":false,"years_of_a_new_device":10.0}})",
         {"10.0 years for a new one at the last day's rate",
          "1.0 TiB for a new one (flash.endurance.bytes); how much of it is used the device does "
          "not tell"}},
        {R"(,"endurance_assumed":false,"life_used_percent":110,"reserve":"normal"}})",
         {"wear                more than its promised life is used, reserve of good blocks: "
          "normal"}}};
    for (const auto& one : cases) {
        const auto text = status_for_people(known + one.rest);
        REQUIRE(text);
        for (const char* part : one.parts) {
            INFO(*text, part);
            CHECK(text->find(part) != std::string::npos);
        }
    }
    const auto young =
        status_for_people(R"({"device":{"device":"sda","endurance_bytes":1099511627776}})");
    CHECK(young->find("forecast            after ten minutes") != std::string::npos);
}

TEST_CASE(
    "ledger: entries, unclean stops and whether the books add up; other documents are refused") {
    const std::string books =
        R"({"ledger":{"losses":[{"id":0,"reason":"cut, acknowledgement unknown","events":2}]},"topics":[{"name":"pumps","partitions":[)"
        R"({"partition":3,"books":{"lost":30,"balanced":true,"losses":[{"id":0,"reason":"dropped for room","from":10,"to":40,"records":30,"bytes":2048}]}}]}]})";
    const auto text = ledger_for_people(books);
    REQUIRE(text);
    for (const char* part : {"pumps-3  offsets 10 to 39, 30 records, 2.0 KiB: dropped for room",
                             "2 unclean stops", "30 records lost; the books add up"}) {
        INFO(*text, part);
        CHECK(text->find(part) != std::string::npos);
    }
    std::string wrong = books;
    wrong.replace(wrong.find("true"), 4, "false");
    CHECK(ledger_for_people(wrong)->find("DO NOT ADD UP") != std::string::npos);
    CHECK(!ledger_for_people("<html>"));
    CHECK(ledger_for_people("{}"));
}
