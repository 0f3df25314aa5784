// One function per command. Each prints, and says how the program leaves.
#pragma once

#include "leat/admin.hpp"
#include "sdk/cli/options.hpp"

namespace leat::cli {

Exit list_topics(const Options& options);
Exit create_topics(const Options& options);
Exit delete_topics(const Options& options);
Exit describe_topics(const Options& options);
Exit alter_topic(const Options& options);
Exit delete_records(const Options& options);
Exit show_log_dirs(const Options& options);
Exit get_configs(const Options& options);
Exit change_configs(const Options& options);
/// --user and --client; empty: neither was given.
QuotaEntity quota_entity(const Options& options);
Exit show_quotas(const Options& options);
Exit change_quotas(const Options& options);
Exit list_groups(const Options& options);
Exit describe_groups(const Options& options);
Exit reset_offsets(const Options& options);
Exit delete_groups(const Options& options);
Exit produce(const Options& options);
Exit consume(const Options& options);
Exit show_status(const Options& options);
/// Again and again until interrupted, or count_max times. Exit code of the last look.
Exit watch_status(const Options& options);

/// Before anything is opened: what is closed of 0, 1 and 2 fails when used, and is nothing else.
void occupy_standard_streams();
/// Nobody reads standard output any more (`| head`): a reason to end, quietly.
bool reader_is_gone();
/// At the end: what could not be printed is a failure, unless its reader went away.
Exit end_output(Exit exit);

/// "leat: <text>" on standard error, printable: a server may have said some of it.
void complain(const std::string& text);
/// Complains about an error of an SDK call and picks the exit code.
Exit complain(const std::string& what, Error error, const std::string& detail = {});
/// How to leave for what a server said of a topic.
Exit exit_of(ErrorCode error);
/// Metadata knows no topic of this name, or says another error of it.
Exit no_topic(const std::string& topic, ErrorCode error = ErrorCode::unknown_topic_or_partition);
/// fails: invalid (then bad_bootstrap says it)
Result<Admin> open_admin(Loop& loop, const Options& options);
Exit bad_bootstrap(const Options& options);
milliseconds timeout_of(const Options& options);

}  // namespace leat::cli
