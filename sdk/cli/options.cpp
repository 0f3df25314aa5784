// The only file that includes CLI11.
#include "sdk/cli/options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

namespace leat::cli {
namespace {

const char* const footer =
    "Exit codes: 0 done · 1 refused, or not delivered · 2 wrong command line · 3 nobody answered · "
    "4 no such topic, partition, group or setting\n"
    "\n"
    "Examples:\n"
    "  leat topics create temperature -p 4 -c retention.ms=86400000\n"
    "  echo 'boiler:81.5' | leat produce temperature -K :\n"
    "  leat consume temperature --from-beginning --json\n"
    "  leat consume temperature --time -15m --follow\n"
    "  leat consume temperature --group dashboards --follow\n"
    "  leat groups describe dashboards\n"
    "  leat groups reset-offsets dashboards --topic temperature --to-time -1h --execute\n"
    "  leat configs set temperature retention.ms=3600000\n"
    "  leat status 127.0.0.1:9092 --watch\n"
    "\n"
    "LEAT_BOOTSTRAP may hold the server's address.";

void add_common(CLI::App& app, Options& options) {
    app.add_option("-b,--bootstrap", options.bootstrap, "server, HOST:PORT, several with commas")
        ->envname("LEAT_BOOTSTRAP")
        ->capture_default_str();
    app.add_flag("--json", options.json, "machine-readable output");
    app.add_option(
           "--timeout", options.timeout_seconds,
           "seconds to wait for the server; not given, what produce has taken is tried for two "
           "minutes")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
}

void add_topics(CLI::App& app, Options& options) {
    CLI::App* topics = app.add_subcommand("topics", "list, create, delete and describe topics");
    topics->require_subcommand(1);

    CLI::App* list = topics->add_subcommand("list", "all topics, one a line");
    list->add_flag("--internal", options.internal, "internal ones, too");
    list->callback([&] { options.command = Command::topics_list; });

    CLI::App* create = topics->add_subcommand("create", "makes topics");
    create->add_option("NAME", options.topics, "their names")->required();
    create->add_option("-p,--partitions", options.partitions, "default: the server's")
        ->check(CLI::Range(1, 1'000'000));
    create
        ->add_option("-r,--replication-factor", options.replication_factor, "default: the server's")
        ->check(CLI::Range(1, 1000));
    create->add_option("-c,--config", options.configs, "setting, name=value")->take_all();
    create->add_flag("--if-not-exists", options.if_not_exists,
                     "a topic that is there already is fine");
    create->callback([&] { options.command = Command::topics_create; });

    CLI::App* remove = topics->add_subcommand("delete", "deletes topics and their records");
    remove->add_option("NAME", options.topics, "their names")->required();
    remove->callback([&] { options.command = Command::topics_delete; });

    CLI::App* alter = topics->add_subcommand("alter", "more partitions, other settings");
    alter->add_option("NAME", options.topics, "the topic")->required()->expected(1);
    alter->add_option("-p,--partitions", options.partitions, "how many there shall be")
        ->check(CLI::Range(1, 1'000'000));
    alter->add_option("-c,--config", options.configs, "setting, name=value")->take_all();
    alter->add_option("--unset", options.unset, "setting that shall be the default again")
        ->take_all();
    alter->callback([&] { options.command = Command::topics_alter; });

    CLI::App* delete_records =
        topics->add_subcommand("delete-records", "deletes the oldest records of a topic, for good");
    delete_records->add_option("NAME", options.topics, "the topic")->required()->expected(1);
    delete_records
        ->add_option("-p,--partition", options.only_partitions, "only these (default: all)")
        ->take_all();
    auto* before = delete_records->add_option_group("before", "which");
    before->add_option("--before", options.offset, "those before this offset")
        ->check(CLI::NonNegativeNumber);
    before->add_option("--before-time", options.time,
                       "2024-05-01T12:00:00Z, milliseconds, or -15m before now");
    before->add_flag("--all", options.all_records, "all that may be read now");
    before->require_option(1);
    delete_records->callback([&] { options.command = Command::topics_delete_records; });

    CLI::App* log_dirs =
        topics->add_subcommand("log-dirs", "where brokers keep partitions, and how many bytes");
    log_dirs->callback([&] { options.command = Command::topics_log_dirs; });

    CLI::App* describe =
        topics->add_subcommand("describe", "partitions, leaders, offsets and settings");
    describe->add_option("NAME", options.topics, "default: all");
    describe->add_flag("--all-configs", options.all_configs, "settings that are defaults, too");
    describe->callback([&] { options.command = Command::topics_describe; });
}

std::string not_empty(const std::string& text) { return text.empty() ? "the name is empty" : ""; }

/// TOPIC and then words; with --broker, --group, --user or --client all are words.
void add_place(CLI::App& app, Options& options, std::vector<std::string>& words, const char* what) {
    app.add_option("--broker", options.broker, "settings of this broker (its id), not of a topic")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--group", options.group,
                   "settings of this group (of the consumer protocol, KIP-848)")
        ->check(not_empty)
        ->excludes("--broker");
    auto* user = app.add_option("--user", options.user, "quotas of this user");
    app.add_flag("--user-default", options.user_default, "quotas of users without their own")
        ->excludes(user);
    auto* client = app.add_option("--client", options.client, "quotas of this client id");
    app.add_flag("--client-default", options.client_default, "quotas of clients without their own")
        ->excludes(client);
    app.add_option(
        "TOPIC", options.topics,
        std::string("the topic (left out with --broker, --group, --user, --client), then ") + what);
    app.parse_complete_callback([&options, &words] {
        const bool is_of_quota =
            options.user || options.user_default || options.client || options.client_default;
        const bool is_of_other = !options.broker.empty() || !options.group.empty();
        if (is_of_quota && is_of_other)
            throw CLI::ValidationError(
                "brokers and groups have no quotas: --user or --client alone");
        const bool is_of_topic = !is_of_other && !is_of_quota;
        if (is_of_topic && options.topics.empty())
            throw CLI::RequiredError("TOPIC, --broker, --group, --user or --client");
        const auto first = options.topics.begin() + (is_of_topic ? 1 : 0);
        words.assign(first, options.topics.end());
        options.topics.erase(first, options.topics.end());
    });
}

void add_configs(CLI::App& app, Options& options) {
    CLI::App* configs = app.add_subcommand("configs", "settings of topics, brokers and groups, quotas");
    configs->require_subcommand(1);
    configs->footer(
        "Examples:\n"
        "  leat configs get temperature\n"
        "  leat configs get temperature retention.ms --json\n"
        "  leat configs get --broker 0\n"
        "  leat configs set --group dashboards consumer.session.timeout.ms=60000\n"
        "  leat configs set temperature retention.ms=3600000 cleanup.policy=compact\n"
        "  leat configs unset temperature retention.ms\n"
        "  leat configs quotas\n"
        "  leat configs set --client pump-7 producer_byte_rate=65536\n"
        "  leat configs set --client-default request_percentage=50");

    CLI::App* quotas = configs->add_subcommand("quotas", "all bounds on clients' rates");
    quotas->callback([&] { options.command = Command::configs_quotas; });

    CLI::App* get = configs->add_subcommand("get", "shows settings, their values and sources");
    add_place(*get, options, options.configs, "names of settings (default: all)");
    get->callback([&] { options.command = Command::configs_get; });

    const auto some = [](const std::vector<std::string>& words, const char* what) {
        if (words.empty()) throw CLI::RequiredError(what);
    };
    CLI::App* set = configs->add_subcommand("set", "changes settings, all of them or none");
    add_place(*set, options, options.configs, "name=value");
    set->callback([&options, some] {
        some(options.configs, "name=value");
        options.command = Command::configs_change;
    });

    CLI::App* unset = configs->add_subcommand("unset", "makes settings the defaults again");
    add_place(*unset, options, options.unset, "names of settings");
    unset->callback([&options, some] {
        some(options.unset, "SETTING");
        options.command = Command::configs_change;
    });
}

void add_groups(CLI::App& app, Options& options) {
    CLI::App* groups =
        app.add_subcommand("groups", "list, describe, reset and delete consumer groups");
    groups->require_subcommand(1);
    groups->footer(
        "Examples:\n"
        "  leat groups list\n"
        "  leat groups describe dashboards --json\n"
        "  leat groups reset-offsets dashboards --to-earliest                  shows what it would "
        "do\n"
        "  leat groups reset-offsets dashboards -t temperature --shift-by -100 --execute\n"
        "  leat groups delete dashboards");

    CLI::App* list = groups->add_subcommand("list", "all groups of the cluster, one a line");
    list->callback([&] { options.command = Command::groups_list; });

    CLI::App* describe =
        groups->add_subcommand("describe", "members, committed offsets, and how far it is behind");
    describe->add_option("GROUP", options.groups, "their names")->required();
    describe->callback([&] { options.command = Command::groups_describe; });

    CLI::App* reset = groups->add_subcommand(
        "reset-offsets",
        "where a group without members goes on; changes nothing without --execute");
    reset->add_option("GROUP", options.groups, "its name")->required()->expected(1);
    reset->add_option("-t,--topic", options.topics, "only these (default: all that it has read)")
        ->take_all();
    auto* to = reset->add_option_group("to", "where to");
    to->add_flag("--to-earliest", options.to_earliest, "the first record");
    to->add_flag("--to-latest", options.to_latest, "the end");
    to->add_option("--to-offset", options.offset, "this offset")->check(CLI::NonNegativeNumber);
    to->add_option("--to-time", options.time,
                   "2024-05-01T12:00:00Z, milliseconds, or -15m before now");
    to->add_option("--shift-by", options.shift_by, "so many records on; -N: back");
    to->require_option(1);
    reset->add_flag("--execute", options.execute, "do it");
    reset->callback([&] { options.command = Command::groups_reset; });

    CLI::App* remove =
        groups->add_subcommand("delete", "forgets groups without members, and their offsets");
    remove->add_option("GROUP", options.groups, "their names")->required();
    remove->callback([&] { options.command = Command::groups_delete; });
}

void add_produce(CLI::App& app, Options& options) {
    CLI::App* produce =
        app.add_subcommand("produce", "sends the lines of standard input as records");
    produce->add_option("TOPIC", options.topics, "where to")->required()->expected(1);
    produce->add_option("-K,--key-separator", options.key_separator,
                        "a line is key, this, value (\\t for a tab); without it lines have no key");
    produce->add_option("-H,--header", options.headers, "name=value, on every record")->take_all();
    produce->add_option("-p,--partition", options.partition, "default: by key")
        ->check(CLI::Range(0, 0x7fffffff));
    produce->add_option("-z,--compression", options.compression, "none, gzip, snappy, lz4 or zstd")
        ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
        ->capture_default_str();
    produce->add_option("--acks", options.acks, "all, 1 or 0")
        ->check(CLI::IsMember({"all", "-1", "1", "0"}))
        ->capture_default_str();
    produce->add_option("--linger", options.linger_ms, "milliseconds to wait for more")
        ->capture_default_str();
    produce->add_option("--batch-bytes", options.batch_bytes, "a batch is sent at this size")
        ->check(CLI::Range(1, 32 * 1024 * 1024))  // of the producer's memory
        ->capture_default_str();
    produce->add_flag("--no-idempotence", options.no_idempotence,
                      "without producer id and sequences");
    produce->add_flag("--empty-is-null", options.empty_is_null, "an empty value is a tombstone");
    produce->callback([&] { options.command = Command::produce; });
}

void add_consume(CLI::App& app, Options& options) {
    CLI::App* consume =
        app.add_subcommand("consume", "prints records; stops at the end unless --follow");
    consume->add_option("TOPIC", options.topics, "where from")->required()->expected(1);
    consume->add_option("-p,--partition", options.only_partitions, "only these (default: all)")
        ->take_all();
    auto* start = consume->add_option_group(
        "start", "where to start (default: the beginning; with --follow the end)");
    start->add_flag("--from-beginning", options.from_beginning, "with the first record");
    start->add_option("-o,--offset", options.offset,
                      "at this offset; -N: N records before the end");
    start->add_option("--time", options.time,
                      "2024-05-01T12:00:00Z, milliseconds, or -15m before now");
    start->require_option(0, 1);
    consume
        ->add_option("-g,--group", options.group,
                     "read as a member of this group, from its committed offsets")
        ->check(not_empty)
        ->excludes("--partition")
        ->excludes("--offset")
        ->excludes("--time");
    consume
        ->add_option("--group-instance", options.group_instance,
                     "static member of this name: a restart moves no partitions")
        ->needs("--group");
    consume
        ->add_option("--assignor", options.assignors,
                     "what the members have to agree on, the first one best; of the classic "
                     "protocol (default: range, cooperative-sticky)")
        ->check(CLI::IsMember({"range", "roundrobin", "sticky", "cooperative-sticky"}))
        ->delimiter(',')
        ->needs("--group");
    CLI::Option* const protocol =
        consume
            ->add_option("--protocol", options.group_protocol,
                         "of the group: classic, or consumer (KIP-848: the broker assigns)")
            ->check(CLI::IsMember({"classic", "consumer"}))
            ->capture_default_str()
            ->needs("--group");
    consume
        ->add_option("--remote-assignor", options.remote_assignor,
                     "uniform or range; of the consumer protocol")
        ->needs(protocol);
    consume
        ->add_flag("--matching", options.matching,
                   "TOPIC is a regular expression (RE2) for whole names; of the consumer protocol")
        ->needs(protocol);
    consume->add_flag("-v,--verbose", options.verbose, "tell of rebalances on standard error");
    consume->add_flag("-f,--follow", options.follow, "wait for more at the end");
    consume->add_option("-n,--count", options.count_max, "stop after so many records");
    consume->add_option("-K,--key-separator", options.key_separator,
                        "print the key and this before the value");
    consume->add_flag("--headers", options.with_headers, "print headers, too");
    consume->add_flag("--read-committed", options.read_committed,
                      "of transactions show only what was committed");
    consume->callback([&] { options.command = Command::consume; });
}

void add_status(CLI::App& app, Options& options) {
    CLI::App* status =
        app.add_subcommand("status", "what a leatd gateway holds and how its link is");
    status->add_option("BROKER", options.topics, "HOST:PORT of the broker (default: --bootstrap)")
        ->expected(0, 1);
    status->add_option("--http", options.http,
                       "its status address (default: the broker's host, port + 1)");
    status->add_flag("-w,--watch", options.watch, "again and again, until interrupted");
    status->add_option("--interval", options.interval_seconds, "seconds between two looks")
        ->check(CLI::Range(0.1, 86400.0))
        ->capture_default_str();
    status->add_option("-n,--count", options.count_max, "stop after so many looks");
    status->callback([&] { options.command = Command::status; });

    CLI::App* ledger = app.add_subcommand("ledger", "what a leatd gateway had to drop, and why");
    ledger->add_option("BROKER", options.topics, "HOST:PORT of the broker (default: --bootstrap)")
        ->expected(0, 1);
    ledger->add_option("--http", options.http,
                       "its status address (default: the broker's host, port + 1)");
    ledger->callback([&] { options.command = Command::ledger; });
}

}  // namespace

Parsed parse_command_line(int count, const char* const* words) {
    Parsed parsed;
    CLI::App app("leat: looks after topics, sends and reads records, and shows a gateway's state.",
                 "leat");
    app.set_version_flag("--version", "leat 0.1.0");
    app.footer(footer);
    app.require_subcommand(1);
    app.fallthrough();  // common flags may stand behind the command
    add_common(app, parsed.options);
    add_topics(app, parsed.options);
    add_configs(app, parsed.options);
    add_groups(app, parsed.options);
    add_produce(app, parsed.options);
    add_consume(app, parsed.options);
    add_status(app, parsed.options);
    for (CLI::App* command : app.get_subcommands({})) {
        command->fallthrough();
        for (CLI::App* below : command->get_subcommands({})) below->fallthrough();
    }
    try {
        app.parse(count, words);
        parsed.options.timeout_given = app.count("--timeout") > 0;
    } catch (const CLI::ParseError& error) {
        // CLI11 has an exit code per kind of mistake; here they are all one.
        const bool is_help = error.get_exit_code() == 0;
        // CLI11 misses a command before it sees that there is a word it does not know.
        const std::vector<std::string> unknown = app.remaining(true);
        if (!is_help && !unknown.empty())
            std::cerr << "leat: " << unknown.front()
                      << " is not known here; --help shows what is\n";
        else
            app.exit(error, std::cout, std::cerr);
        parsed.exit = is_help ? 0 : static_cast<int>(Exit::usage);
    }
    return parsed;
}

}  // namespace leat::cli
