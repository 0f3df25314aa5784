#include "broker/config/load.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

using namespace leat::config;
using leat::milliseconds;

namespace {

Loaded from(std::string_view text) {
    Loaded loaded;
    apply_json(text, "leat.json", loaded);
    if (loaded.problems.empty()) check_together(loaded);
    return loaded;
}

// The one problem there should be.
std::string only_problem(std::string_view text) {
    const Loaded loaded = from(text);
    INFO(text);
    REQUIRE(loaded.problems.size() == 1);
    return loaded.problems[0];
}

}  // namespace

TEST_CASE("a whole file is taken, comments and all") {
    const Loaded loaded = from(R"({
        // where
        "data.dir": "/var/lib/leat", "listeners": "0.0.0.0:19092", "advertised.listeners": "gw.local:19092",
        "http.listener": "off", "node.id": 7, "cluster.id": "site-7",
        "log.budget.bytes": "256MiB", "log.segment.bytes": "1MiB", "log.page.bytes": 16384, "log.commit.interval.ms": "50ms",
        "auto.create.topics.enable": false, "num.partitions": 3, "accept.replication.factor": false,
        "message.max.bytes": "512KiB", "log.retention.ms": "2d", "log.retention.bytes": -1,
        "log.message.timestamp.before.max.ms": -1, "log.message.timestamp.after.max.ms": "1h",
        "max.connections": 100, "socket.request.max.bytes": "1MiB", "byte.pool.bytes": "1MiB", "fetch.session.bytes": "64KiB",
        "max.pipelined.requests": 5, "connections.max.idle.ms": "1min", "worker.threads": 4, "log.level": "debug", "log.format": "json",
        "routes": [ { "name": "center", "bootstrap.servers": "a:1, b:2", "topics": ["s.*", "t"], "upstream.topic": "x.{topic}",
                      "mapping": "by-key", "headers": true, "create.topics": true, "in.flight.bytes": "2MiB", "merge.bytes": "32KiB",
                      "on.poison": "skip",
                      "request.timeout.ms": "5s", "retry.backoff.ms": 10, "retry.backoff.max.ms": 20 } ]
    })");
    CHECK(loaded.problems == std::vector<std::string>{});
    const Config& config = loaded.config;
    CHECK(config.data_dir == "/var/lib/leat");
    CHECK(config.listen == HostPort{"0.0.0.0", 19092});
    CHECK(config.advertised == HostPort{"gw.local", 19092});
    CHECK(config.http_mode == Config::HttpMode::off);
    CHECK(config.node_id == 7);
    CHECK(config.budget_bytes == 256u << 20);
    CHECK(config.page_bytes == 16384);
    CHECK(config.commit_interval == milliseconds(50));
    CHECK_FALSE(config.auto_create_topics);
    CHECK(config.retention == milliseconds(172'800'000));
    CHECK(config.retention_bytes == -1);
    CHECK(config.fetch_session_bytes == 64u << 10);
    CHECK(config.worker_threads == 4);
    CHECK(config.log_json);
    REQUIRE(config.routes.size() == 1);
    CHECK(config.routes[0].bootstrap == std::vector<HostPort>{{"a", 1}, {"b", 2}});
    CHECK(config.routes[0].topics == std::vector<std::string>{"s.*", "t"});
    CHECK(config.routes[0].mapping == Route::Mapping::by_key);
    CHECK(config.routes[0].merge_bytes == 32 * 1024);
    CHECK(config.routes[0].on_poison == Route::OnPoison::skip);
    CHECK(config.routes[0].backoff_max == milliseconds(20));
}

TEST_CASE("an unknown key is named with its line and the key that was meant") {
    CHECK(only_problem("{\n  \"node.id\": 1,\n  \"num.partition\": 3\n}") ==
          "leat.json:3: unknown key \"num.partition\"; did you mean \"num.partitions\"?");
    CHECK(only_problem("{\"log.dirs\": \"/x\"}").ends_with("here it is \"data.dir\""));
    CHECK(only_problem("{\n\n\"zookeeper.connect\": 1}") ==
          "leat.json:3: unknown key \"zookeeper.connect\"; broker/README.md lists all keys");
    CHECK(only_problem("{\"routes\": [\n{\"bootstrap.servers\": \"a:1\",\n\"topic\": \"x\"}]}") ==
          "leat.json:3: unknown key \"topic\"; did you mean \"topics\"?");
}

TEST_CASE("a wrong type or range says what would be right") {
    CHECK(only_problem("{\n\"num.partitions\": 0\n}") ==
          "leat.json:2: \"num.partitions\" is 0; expected a whole number from 1 to 1000");
    CHECK(only_problem("{\"num.partitions\": 1001}").find("1001") != std::string::npos);
    CHECK(from("{\"num.partitions\": 1000}").problems.empty());
    CHECK(only_problem("{\"log.budget.bytes\": \"1G\"}") ==
          "leat.json:1: \"log.budget.bytes\" is \"1G\"; expected a size from \"1MiB\" to "
          "\"16TiB\", e.g. \"1GiB\"");
    CHECK(only_problem("{\"auto.create.topics.enable\": \"yes\"}")
              .ends_with("expected true or false"));
    CHECK(only_problem("{\"log.segment.bytes\": \"96KiB\"}").find("a power of two") !=
          std::string::npos);
    CHECK(only_problem("{\"log.page.bytes\": 8192}").ends_with("expected 4096 or 16384"));
    CHECK(only_problem("{\"log.budget.bytes\": \"1023KiB\"}").find("1MiB") != std::string::npos);
    CHECK(from("{\"log.budget.bytes\": \"1MiB\"}").problems.empty());
    CHECK(only_problem("{\"node.id\": 1.5}").find("is 1.5;") != std::string::npos);
    CHECK(only_problem("{\"node.id\": 99999999999999999999}").find("whole number") !=
          std::string::npos);
    CHECK(only_problem("{\"log.level\": \"verbose\"}").find("\"debug\"") != std::string::npos);
    CHECK(only_problem("{\"routes\": {}}").find("an array of objects") != std::string::npos);
    CHECK(only_problem("{\"routes\": [{\"bootstrap.servers\": \"h:1\", \"topics\": [\"\"]}]}")
              .find("\"topics\" is [\"\"]; expected topic names") != std::string::npos);
    CHECK(only_problem("{\"routes\": [{\"bootstrap.servers\": [\"a:1\", \"b\"], \"topics\": \"t\"}]}")
              .find("\"bootstrap.servers\" is [\"a:1\", \"b\"]; expected") != std::string::npos);
    CHECK(only_problem("{\"routes\": [\n\n7]}").starts_with("leat.json:3: a route is 7"));
}

TEST_CASE("all problems are told at once, in the order of the file") {
    const Loaded loaded = from("{\"node.id\": -1,\n\"listener\": 1,\n\"log.page.bytes\": 5000}");
    REQUIRE(loaded.problems.size() == 3);
    CHECK(loaded.problems[0].starts_with("leat.json:1:"));
    CHECK(loaded.problems[1].starts_with("leat.json:2:"));
    CHECK(loaded.problems[2].starts_with("leat.json:3:"));
}

TEST_CASE("broken JSON is told with its line, and nothing of it throws") {
    CHECK(only_problem("{\n\"node.id\": 1,\n}").starts_with("leat.json:3: this is not JSON: "));
    CHECK(only_problem("").find("not JSON") != std::string::npos);
    CHECK(only_problem("[1]").find("expected one object") != std::string::npos);
    CHECK(only_problem("{\"node.id\": 1,\n \"node.id\": 2}") ==
          "leat.json:2: \"node.id\" is here a second time (first on line 1); keep one of them");
    CHECK(only_problem(std::string(100, '[')).find("nested too deeply") != std::string::npos);
    std::string huge = "{";  // another program's file: one line, not one for each
    for (int i = 0; i < 2000; ++i) huge += "\"k" + std::to_string(i) + "\": 1,\n";
    CHECK(only_problem(huge + "\"k\": 1}") == "leat.json:1001: more than 1000 keys in one object");
    CHECK(from("\xef\xbb\xbf{\r\n\"node.id\": 1\r\n}\r\n").problems.empty());
    CHECK(only_problem("{\"a\": \"\xff\"}").find("not JSON") != std::string::npos);
    CHECK(only_problem(std::string_view("{\"node.id\": 1}\0", 15)).find("zero byte") !=
          std::string::npos);
    CHECK(only_problem("{\n\"data.dir\": \"/var/lib\\u0000/leat\"}")
              .starts_with("leat.json:2: a text with a zero byte"));
}

TEST_CASE("settings that contradict each other are refused") {
    CHECK(only_problem("{\"log.budget.bytes\": \"2MiB\", \"log.segment.bytes\": \"256KiB\", "
                       "\"message.max.bytes\": 1024}")
              .find("16 segments") != std::string::npos);
    CHECK(only_problem("{\"log.segment.bytes\": \"1MiB\", \"message.max.bytes\": \"768KiB\"}")
              .find("half a segment") != std::string::npos);
    CHECK(only_problem("{\"message.max.bytes\": \"2MiB\", \"socket.request.max.bytes\": \"1MiB\"}")
              .find("raise the latter") != std::string::npos);
    CHECK(only_problem("{\"group.min.session.timeout.ms\": \"1h\"}").find("could join") !=
          std::string::npos);
    CHECK(only_problem("{\"http.listener\": \"127.0.0.1:9092\"}").find("its own port") !=
          std::string::npos);
    CHECK(only_problem("{\"advertised.listeners\": \":9092\"}").find("no client can connect") !=
          std::string::npos);
    CHECK(only_problem("{\"routes\": [{\"bootstrap.servers\": \"a:1\"}]}")
              .find("has no \"topics\"") != std::string::npos);
    CHECK(only_problem("{\"routes\": [{\"bootstrap.servers\": \"a:1\", \"topics\": \"a\"}, "
                       "{\"bootstrap.servers\": \"b:1\", \"topics\": \"b\"}]}")
              .find("two routes") != std::string::npos);
}

TEST_CASE("no setting: the defaults are valid and safe") {
    const Loaded loaded = from("{}");
    CHECK(loaded.problems.empty());
    CHECK(loaded.config.listen == HostPort{"127.0.0.1", 9092});
    CHECK(loaded.config.budget_bytes == 0);
}

TEST_CASE("who chooses small segments and says nothing of batches gets what fits into them") {
    const Loaded loaded = from("{\"log.segment.bytes\": \"64KiB\"}");
    CHECK(loaded.problems.empty());
    CHECK(loaded.config.message_bytes_max == 32 * 1024);
    CHECK(from("{\"log.segment.bytes\": \"8MiB\"}").config.message_bytes_max == 1024 * 1024);
}

TEST_CASE("the operator's page lists every key, and its example is valid") {
    std::ifstream file(BROKER_README);
    const std::string readme(std::istreambuf_iterator<char>(file), {});
    for (const std::string_view key : known_keys()) {
        CAPTURE(key);
        const bool listed = readme.find("| `" + std::string(key) + "`") != std::string::npos ||
                            readme.find(", `" + std::string(key) + "`") != std::string::npos;
        CHECK(listed);
    }
    const std::size_t from_here = readme.find("```json") + 7;
    const Loaded loaded =
        from(std::string_view(readme).substr(from_here, readme.find("```", from_here) - from_here));
    CHECK(loaded.problems.empty());
    REQUIRE(loaded.config.routes.size() == 1);
    CHECK(loaded.config.routes[0].upstream_topic == "plant7.{topic}");
}

TEST_CASE("a pipe stands for the file, and one to which nobody writes is not waited for for ever") {
    const std::string path = "load_test." + std::to_string(::getpid()) + ".fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    Flags flags;
    flags.config = path;
    const Loaded nothing = load(flags, milliseconds(1));
    REQUIRE(nothing.problems.size() == 1);
    CHECK(nothing.problems[0] ==
          path + ": is no file, and nobody writes to it; check the path given to --config");
    const int fd = ::open(path.c_str(), O_RDWR);
    REQUIRE(fd >= 0);
    const std::string text = "{\"node.id\": 7}";
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    // Its writer holds it open and says no more: that is no end, either.
    CHECK(load(flags, milliseconds(1)).problems.size() == 1);
    ::close(fd);
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    ::close(ends[1]);
    flags.config = "/dev/fd/" + std::to_string(ends[0]);
    const Loaded loaded = load(flags);
    CHECK(loaded.problems.empty());
    CHECK(loaded.config.node_id == 7);
    ::close(ends[0]);
    ::unlink(path.c_str());
}
