// leat, the command line tool. It speaks to a running broker only, and to any Kafka-protocol
// server.
#include <csignal>

#include "sdk/cli/commands.hpp"

namespace leat::cli {

static Exit run(const Options& options) {
    switch (options.command) {
        case Command::topics_list:
            return list_topics(options);
        case Command::topics_create:
            return create_topics(options);
        case Command::topics_delete:
            return delete_topics(options);
        case Command::topics_describe:
            return describe_topics(options);
        case Command::topics_alter:
            return alter_topic(options);
        case Command::topics_delete_records:
            return delete_records(options);
        case Command::topics_log_dirs:
            return show_log_dirs(options);
        case Command::configs_get:
            return quota_entity(options).empty() ? get_configs(options) : show_quotas(options);
        case Command::configs_change:
            return quota_entity(options).empty() ? change_configs(options) : change_quotas(options);
        case Command::configs_quotas:
            return show_quotas(options);
        case Command::groups_list:
            return list_groups(options);
        case Command::groups_describe:
            return describe_groups(options);
        case Command::groups_reset:
            return reset_offsets(options);
        case Command::groups_delete:
            return delete_groups(options);
        case Command::produce:
            return produce(options);
        case Command::consume:
            return consume(options);
        case Command::status:
        case Command::ledger:
            return options.watch ? watch_status(options) : show_status(options);
        case Command::none:
            break;
    }
    return Exit::usage;
}

}  // namespace leat::cli

int main(int count, char** words) {
    leat::cli::occupy_standard_streams();
    std::signal(SIGPIPE, SIG_IGN);
    const leat::cli::Parsed parsed = leat::cli::parse_command_line(count, words);
    if (parsed.exit) return *parsed.exit;
    return static_cast<int>(leat::cli::end_output(leat::cli::run(parsed.options)));
}
