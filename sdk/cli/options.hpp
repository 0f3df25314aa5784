// What the command line says, as plain data: CLI11 stays in options.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leat::cli {

/// Exit codes, told in `leat --help`.
enum class Exit : int {
    ok = 0,
    failed = 1,       ///< the server refused, or something was not delivered
    usage = 2,        ///< the command line is wrong
    unreachable = 3,  ///< nobody answered in time
    not_found = 4,    ///< no such topic, partition, group or setting
};

enum class Command : std::uint8_t {
    none,
    topics_list,
    topics_create,
    topics_delete,
    topics_describe,
    topics_alter,
    topics_delete_records,
    topics_log_dirs,
    configs_get,
    configs_change,
    configs_quotas,
    groups_list,
    groups_describe,
    groups_reset,
    groups_delete,
    produce,
    consume,
    status,
    ledger,
};

struct Options {
    Command command = Command::none;
    std::string bootstrap = "127.0.0.1:9092";
    bool json = false;
    double timeout_seconds = 10;
    bool timeout_given = false;  ///< produce: then it bounds the delivery, too

    // topics
    std::vector<std::string> topics;  ///< names; produce and consume have one
    bool internal = false;
    bool all_records = false;  ///< delete-records; else `offset` or `time`, and `only_partitions`
    std::int32_t partitions = -1;
    std::int16_t replication_factor = -1;
    std::vector<std::string> configs;         ///< name=value; configs get: names
    std::vector<std::string> unset;           ///< names of settings that shall be defaults again
    std::string broker;                       ///< id; empty: settings of a topic
    std::optional<std::string> user, client;  ///< configs: quotas of these
    bool user_default = false, client_default = false;
    bool if_not_exists = false;
    bool all_configs = false;

    // produce
    std::string key_separator;         ///< empty: no key; consume: printed between key and value
    std::vector<std::string> headers;  ///< name=value, on every record
    std::optional<std::int32_t> partition;
    std::string compression = "none";
    std::string acks = "all";
    std::uint32_t linger_ms = 5;
    std::uint32_t batch_bytes = 16 * 1024;
    bool no_idempotence = false;
    bool empty_is_null = false;  ///< a line without value is a tombstone

    // consume
    std::vector<std::int32_t> only_partitions;  ///< empty: all
    bool from_beginning = false;
    std::optional<std::int64_t> offset;  ///< negative: that many before the end
    std::string time;                    ///< see parse_time
    bool follow = false;
    std::uint64_t count_max = 0;             ///< 0: no bound
    std::string group;                       ///< empty: no group
    std::string group_instance;              ///< a static member; empty: none
    std::vector<std::string> assignors;      ///< of the classic protocol; empty: the SDK's
    std::string group_protocol = "classic";  ///< or "consumer" (KIP-848)
    std::string remote_assignor;             ///< of the consumer protocol; empty: the broker's
    bool matching = false;                   ///< the topic is a pattern, which the broker matches
    bool verbose = false;                    ///< tell of rebalances on standard error
    bool with_headers = false;
    bool read_committed = false;

    // groups; reset-offsets has one, and also `offset`, `time` and `topics`
    std::vector<std::string> groups;
    bool to_earliest = false, to_latest = false;
    std::optional<std::int64_t> shift_by;
    bool execute = false;

    // status; count_max: so many times
    bool watch = false;
    double interval_seconds = 2;
    std::string http;  ///< HOST:PORT; empty: the broker's host and port + 1
};

struct Parsed {
    Options options;
    std::optional<int> exit;  ///< set: leave with this (help and usage were printed)
};

Parsed parse_command_line(int count, const char* const* words);

std::int64_t wall_ms_now();  ///< milliseconds since 1970

/// "2024-05-01T12:00:00Z", "2024-05-01", milliseconds since 1970, or "-90s", "-15m", "-2h", "-1d"
/// before now. Nothing: not understood.
std::optional<std::int64_t> parse_time(const std::string& text, std::int64_t now_ms);

/// "name=value". Nothing: no '=', or no name.
std::optional<std::pair<std::string, std::string>> parse_pair(const std::string& text);

/// What a terminal would obey, as \xHH.
std::string printable(std::string_view text);

/// Backslash escapes of separators: \t, \n, \0, \\, \xHH.
std::string unescaped(const std::string& text);

}  // namespace leat::cli
