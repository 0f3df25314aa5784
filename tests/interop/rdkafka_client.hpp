// What the files of the program rdkafka_client share.
#pragma once
#include <librdkafka/rdkafka.h>

#include <map>
#include <string>

namespace rdkafka_client {

using Settings = std::map<std::string, std::string>;

/// Ends the step under way with that result.
[[noreturn]] void fail(const std::string& text);

/// A client of the broker under test; `conf` brings callbacks and is taken over.
rd_kafka_t* open(rd_kafka_type_t type, Settings settings,
                 rd_kafka_conf_t* conf = rd_kafka_conf_new());

/// Asks the harness for a SIGKILL of the broker; await_kill returns when it was killed and runs
/// again.
void ask_for_kill();
void await_kill();

constexpr int group_partitions = 4;

/// Two members share the partitions of `topic`, a static one comes back and nothing moves, one
/// leaves and the other has all.
void group(const std::string& topic);

/// A commit, a SIGKILL, and both the member that lives on and a new one go on where the commit
/// stands.
void resume(const std::string& topic);

}  // namespace rdkafka_client
