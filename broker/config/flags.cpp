#include "broker/config/flags.hpp"

#include <CLI/CLI.hpp>
#include <array>

#include "broker/config/json.hpp"
#include "broker/config/load.hpp"
#include "broker/config/text.hpp"
#include "broker/config/version.hpp"

namespace leat::config {
namespace {

constexpr std::array<std::string_view, 14> flag_names{
    "--config", "--data",    "--listen",    "--advertised", "--http",
    "--budget", "--node-id", "--log-level", "--log-format", "--check-config",
    "--adopt",  "--fork",    "--version",   "--help"};

constexpr const char* footer =
    "Without --config it listens on 127.0.0.1:9092 only, keeps its log in ./leat-data and takes at "
    "most 1 GiB\n"
    "and a tenth of the free space.\n"
    "\n"
    "Examples:\n"
    "  leatd                                        a broker for this machine\n"
    "  leatd --data /var/lib/leat --listen 0.0.0.0:9092 --advertised gateway.local:9092\n"
    "  leatd --config /etc/leat/leatd.json --check-config\n"
    "  leatd log verify /var/lib/leat   also dump and stats: looks, changes nothing\n"
    "\n"
    "Signals: SIGTERM or SIGINT stops cleanly within 10 s; a second one stops at once.\n"
    "SIGHUP does so only when leatd was started from a terminal.\n"
    "Exit codes: 0 stopped as asked or check passed; 1 failed while running; 2 wrong flags or "
    "configuration;\n"
    "3 the data folder cannot be used; 4 an address cannot be listened on.\n";

/// A flag that stands where the value of another should be: "--data --check-config". Nobody names a
/// folder like that, and taken as one it would start a broker.
std::string swallowed_flag(const CLI::App& app) {
    for (const CLI::Option* option : app.get_options())
        for (const std::string& value : option->results())
            if (value.starts_with("--") && app.get_option_no_throw(value) != nullptr)
                return "leatd: " + option->get_name() + " needs a value, and " + value +
                       " is a flag\nleatd --help lists the flags\n";
    return {};
}

}  // namespace

ParsedFlags parse_flags(int argc, const char* const* argv) {
    ParsedFlags parsed;
    Flags& flags = parsed.flags;
    bool version = false;
    CLI::App app{
        "leatd, a gateway broker that speaks the Kafka protocol and forwards to a Kafka cluster",
        "leatd"};
    app.footer(footer);
    app.set_help_flag("-h,--help", "this text");
    app.add_flag("--version", version, "print the version");
    app.add_option("--config", flags.config, "JSON file with settings; flags override it")
        ->type_name("FILE");
    app.add_flag("--check-config", flags.check_config,
                 "say what is wrong with file and flags, then leave (0 or 2)");
    app.add_option("--data", flags.data, "folder of the log; made if missing")->type_name("DIR");
    app.add_option("--listen", flags.listen, "where Kafka clients connect")->type_name("HOST:PORT");
    app.add_option("--advertised", flags.advertised, "the address that clients are told")
        ->type_name("HOST:PORT");
    app.add_option("--http", flags.http, "status and metrics; default: loopback, listen port + 1")
        ->type_name("HOST:PORT|off");
    app.add_option("--budget", flags.budget,
                   "bytes on flash, e.g. 1GiB; another one at a later start: the log follows")
        ->type_name("SIZE");
    app.add_option("--node-id", flags.node_id, "this broker's id")->type_name("N");
    app.add_option("--log-level", flags.log_level, "debug, info, warn or error")
        ->type_name("LEVEL");
    app.add_option("--log-format", flags.log_format, "text or json")->type_name("FORMAT");
    CLI::Option* adopt = app.add_flag(
        "--adopt", flags.adopt,
        "the log comes from another device that is gone: it is this one's, forward it all");
    app.add_flag("--fork", flags.fork,
                 "the log is a copy and the original still runs: a new identity, and only what "
                 "comes from now on is forwarded")
        ->excludes(adopt);
    try {
        app.parse(argc, argv);
        parsed.text = swallowed_flag(app);
        if (!parsed.text.empty()) parsed.exit_code = 2;
    } catch (const CLI::CallForHelp&) {
        parsed.exit_code = 0;
        parsed.text = app.help();
    } catch (const CLI::ParseError& error) {
        parsed.exit_code = 2;
        parsed.text = std::string("leatd: ") + error.what();
        for (int i = 1; i < argc; ++i) {
            const std::string_view given =
                std::string_view(argv[i]).substr(0, std::string_view(argv[i]).find('='));
            if (!given.starts_with("--") ||
                std::find(flag_names.begin(), flag_names.end(), given) != flag_names.end())
                continue;
            if (const auto close = nearest(given, flag_names))
                parsed.text += "; did you mean " + std::string(*close) + "?";
        }
        parsed.text += "\nleatd --help lists the flags\n";
    }
    if (version) {
        parsed.exit_code = 0;
        parsed.text = std::string("leatd ") + version_text + "\n";
    }
    return parsed;
}

void apply_flags(const Flags& flags, Loaded& loaded) {
    // Flags speak through the same table as the file: one grammar, one set of bounds.
    const auto apply = [&loaded](const std::optional<std::string>& flag, std::string_view name,
                                 std::string_view key, bool quoted) {
        if (!flag) return;
        std::string escaped;
        for (const char c : *flag) {
            if (c == '"' || c == '\\') escaped.push_back('\\');
            escaped.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
        }
        const bool number = !quoted && !escaped.empty() && escaped.size() < 19 &&
                            escaped.find_first_not_of("0123456789") == std::string::npos;
        const std::size_t before = loaded.problems.size();
        apply_json(
            "{\"" + std::string(key) + "\": " + (number ? escaped : "\"" + escaped + "\"") + "}",
            name, loaded);
        for (std::size_t i = before; i < loaded.problems.size(); ++i) {
            std::string& problem = loaded.problems[i];  // "--budget:1: "log.budget.bytes" is "x";
                                                        // ..." -> "--budget: is ..."
            const std::string noise = ":1: \"" + std::string(key) + "\"";
            if (const std::size_t at = problem.find(noise); at != std::string::npos)
                problem.replace(at, noise.size(), "");
        }
    };
    if (flags.adopt) loaded.config.foreign_log = Config::ForeignLog::adopt;
    if (flags.fork) loaded.config.foreign_log = Config::ForeignLog::fork;
    apply(flags.data, "--data", "data.dir", true);
    apply(flags.listen, "--listen", "listeners", true);
    apply(flags.advertised, "--advertised", "advertised.listeners", true);
    apply(flags.http, "--http", "http.listener", true);
    apply(flags.budget, "--budget", "log.budget.bytes", true);
    apply(flags.node_id, "--node-id", "node.id", false);
    apply(flags.log_level, "--log-level", "log.level", true);
    apply(flags.log_format, "--log-format", "log.format", true);
}

}  // namespace leat::config
