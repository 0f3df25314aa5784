// Settings of a broker that Kafka changes while it runs and that rule nothing here (its threads,
// its cleaner, replicas, Kerberos): they are kept and told, as Kafka does, so that a tool which
// sets them on every broker of a fleet, and looks whether they are set, need not know this one.
//
// A fact of the log for each resource, kind config:
//   key    'b', the resource's name: the node's id, or nothing for all brokers
//   value  a line name=value for each that is set
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/api/config_entries.hpp"
#include "broker/log/log.hpp"

namespace leat::api {

class KeptSettings {
public:
    KeptSettings(const log::Log& log, std::string_view resource);

    /// Sets one, or takes it away; what is no setting is not set. Returns why not, or nothing.
    std::string set(std::string_view name, std::optional<std::string_view> value);
    void clear() { lines_.clear(); }
    /// fails: what put_fact says; then nothing has changed
    Result<log::CommitId> put(Instant now, log::Log& log) const;

    /// Adds what it has or, of a node, each setting: its own value, that `of_all`, Kafka's default.
    void tell(std::vector<ConfigEntry>& entries, const KeptSettings* of_all) const;

private:
    std::string key_, lines_;
};

}  // namespace leat::api
