#include "broker/config/flags.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "broker/config/load.hpp"

using namespace leat::config;

namespace {

ParsedFlags parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "leatd");
    return parse_flags(static_cast<int>(arguments.size()), arguments.data());
}

}  // namespace

TEST_CASE("flags override and speak the grammar of the file") {
    const ParsedFlags parsed = parse({"--data", "d\"x", "--listen=127.0.0.1:0", "--budget", "64MiB",
                                      "--node-id", "5", "--http", "off", "--log-format", "json",
                                      "--log-level", "warn", "--advertised", "h:1"});
    REQUIRE_FALSE(parsed.exit_code);
    const Loaded loaded = load(parsed.flags);
    CHECK(loaded.problems == std::vector<std::string>{});
    CHECK(loaded.config.data_dir == "d\"x");
    CHECK(loaded.config.listen == HostPort{"127.0.0.1", 0});
    CHECK(loaded.config.budget_bytes == 64u << 20);
    CHECK(loaded.config.node_id == 5);
    CHECK(loaded.config.http_mode == Config::HttpMode::off);
    CHECK(loaded.config.log_json);
}

TEST_CASE("a wrong flag value names the flag and what would be right") {
    const auto problem = [](std::vector<const char*> arguments) {
        const Loaded loaded = load(parse(arguments).flags);
        REQUIRE(loaded.problems.size() == 1);
        return loaded.problems[0];
    };
    CHECK(problem({"--budget", "1G"}) ==
          "--budget is \"1G\"; expected a size from \"1MiB\" to \"16TiB\", e.g. \"1GiB\"");
    CHECK(problem({"--listen", "9092"})
              .starts_with("--listen is \"9092\"; expected one \"host:port\""));
    CHECK(problem({"--node-id", "x"}).find("whole number") != std::string::npos);
    CHECK(problem({"--node-id", "-1"}).find("whole number") != std::string::npos);
    CHECK(problem({"--config", "/does/not/exist"}).find("cannot be read: No such file") !=
          std::string::npos);
}

TEST_CASE("an unknown flag leaves with 2 and the flag that was meant; help and version with 0") {
    const ParsedFlags typo = parse({"--bugdet", "1GiB"});
    CHECK(typo.exit_code == 2);
    CHECK(typo.text.find("did you mean --budget?") != std::string::npos);
    CHECK(parse({"--data"}).exit_code == 2);
    CHECK(parse({"stray"}).exit_code == 2);
    const ParsedFlags swallowed = parse({"--data", "--check-config"});
    CHECK(swallowed.exit_code == 2);
    CHECK(swallowed.text.find("--data needs a value, and --check-config is a flag") !=
          std::string::npos);
    CHECK_FALSE(parse({"--data=--odd"}).exit_code);
    const ParsedFlags help = parse({"--help"});
    CHECK(help.exit_code == 0);
    for (const char* flag :
         {"--data", "--listen", "--advertised", "--http", "--budget", "--config", "--check-config",
          "--node-id", "--log-level", "--log-format", "--version", "Exit codes"})
        CHECK(help.text.find(flag) != std::string::npos);
    CHECK(parse({"--version"}).exit_code == 0);
    CHECK(parse({"--version"}).text.starts_with("leatd 0."));
}

TEST_CASE("a copied card: one answer for one start, and not both") {
    using Foreign = Config::ForeignLog;
    CHECK(load(parse({"leatd"}).flags).config.foreign_log == Foreign::hold_uplink);
    CHECK(load(parse({"leatd", "--adopt"}).flags).config.foreign_log == Foreign::adopt);
    CHECK(load(parse({"leatd", "--fork"}).flags).config.foreign_log == Foreign::fork);
    CHECK(parse({"leatd", "--fork", "--adopt"}).exit_code == 2);
}
