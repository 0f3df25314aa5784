// Settings of single groups, by Kafka's names: of groups of the consumer protocol (KIP-848), whose
// members are told by the broker how often to come and how long they may be away.
//
// A fact of the log each, kind config:
//   key    'g', the group's name
//   value  u8 format 1, then per setting that is set: u16 length, name; i64
//
// They hold for a group that is not there yet, and stay when it goes.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "broker/groups/words.hpp"

namespace leat::groups {

struct GroupSetting {
    std::string_view name, broker_name;  ///< and of the broker's setting that is its default
    std::int64_t min, max;               ///< milliseconds
    std::string_view documentation;
};

class GroupSettings {
public:
    /// By name, what is set for one group.
    using Values = std::map<std::string, std::int64_t, std::less<>>;

    GroupSettings(log::Log& log, const GroupsConfig& config) : log_(log), config_(config) {}
    void load();  ///< after log.open(), and after a rollback
    std::size_t unreadable() const { return unreadable_; }

    static std::span<const GroupSetting> known();  ///< sorted by name
    /// Sets one, or takes it away. Returns an empty string, else why it is refused.
    static std::string set(Values& values, std::string_view name,
                           std::optional<std::string_view> value);
    /// Why these values do not go together, or an empty string.
    std::string problem(const Values& values) const;

    const Values& of(std::string_view group) const;
    std::int64_t default_of(const GroupSetting& setting) const;
    /// Holds from the next heartbeat of each member on, for good when the commit is durable.
    /// fails: full (group_settings_max), what put_fact says; then nothing has changed
    Result<log::CommitId> put(Instant now, std::string_view group, const Values& values);
    const std::map<std::string, Values, std::less<>>& all() const { return all_; }
    const GroupsConfig& config() const { return config_; }

    milliseconds session_timeout(std::string_view group) const;
    milliseconds heartbeat_interval(std::string_view group) const;

private:
    milliseconds in_force(std::string_view group, const GroupSetting& setting) const;

    log::Log& log_;
    const GroupsConfig& config_;
    std::map<std::string, Values, std::less<>> all_;
    std::size_t unreadable_ = 0;
    log::CommitId erased_in_ = 0;  ///< the newest of them, perhaps not yet durable
};

}  // namespace leat::groups
