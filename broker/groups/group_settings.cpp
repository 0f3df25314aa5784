#include "broker/groups/group_settings.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "broker/topics/fact_bytes.hpp"

namespace leat::groups {
namespace {

constexpr std::uint8_t format = 1;
constexpr char key_begin = 'g';

constexpr std::int64_t int_max = std::numeric_limits<std::int32_t>::max();

constexpr GroupSetting table[] = {
    {"consumer.assignment.interval.ms", "group.consumer.assignment.interval.ms", 0, 0,
     "Between two assignments; 0: members that come and go have it made at once."},
    {"consumer.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms", 1, 3'600'000,
     "How often members of the consumer protocol have to say that they live."},
    {"consumer.session.timeout.ms", "group.consumer.session.timeout.ms", 1, int_max,
     "After how long a member that does not say so is taken for gone."},
};
constexpr const GroupSetting& heartbeat = table[1];
constexpr const GroupSetting& session = table[2];

// What Kafka has and is not here. Words of its own for it: the name is no mistake.
std::string unknown(std::string_view name) {
    const auto is_of = [name](std::string_view kind) { return name.starts_with(kind); };
    if (is_of("share.") || is_of("streams."))
        return "This broker has no " + std::string(name.substr(0, name.find('.'))) +
               " groups, so it does not have their settings: " + std::string(name);
    if (name == "consumer.assignor.offload.enable")
        return "This broker has no threads for assignors, so it does not have " +
               std::string(name);
    return "Unknown group config name: " + std::string(name);
}

std::string key_of(std::string_view group) { return key_begin + std::string(group); }

std::optional<GroupSettings::Values> decode(ByteView bytes) {
    topics::FactReader from(bytes);
    if (from.number<std::uint8_t>() != format) return std::nullopt;
    GroupSettings::Values values;
    while (from.ok && !from.left.empty()) {
        const std::string_view name = from.name();
        values[std::string(name)] = from.number<std::int64_t>();
    }
    return from.ok ? std::optional(values) : std::nullopt;
}

std::vector<std::uint8_t> encode(const GroupSettings::Values& values) {
    topics::FactWriter to;
    to.number(format);
    for (const auto& [name, value] : values) {
        to.name(name);
        to.number(value);
    }
    return std::move(to.bytes);
}

}  // namespace

std::span<const GroupSetting> GroupSettings::known() { return table; }

void GroupSettings::load() {
    all_.clear();
    unreadable_ = 0;
    erased_in_ = 0;
    log_.for_each_fact(log::FactKind::config, [this](ByteView key, ByteView value) {
        if (key.empty() || key[0] != key_begin) return;
        if (auto values = decode(value))
            all_[std::string(text_of(key.subspan(1)))] = *std::move(values);
        else
            ++unreadable_;
    });
}

std::string GroupSettings::set(Values& values, std::string_view name,
                               std::optional<std::string_view> value) {
    const auto setting = std::find_if(std::begin(table), std::end(table),
                                      [&](const GroupSetting& one) { return one.name == name; });
    if (!value) {  // of what is no setting nothing is set
        if (const auto at = values.find(name); at != values.end()) values.erase(at);
        return {};
    }
    if (setting == std::end(table)) return unknown(name);
    std::int64_t number = 0;
    const auto [end, error] =
        std::from_chars(value->data(), value->data() + value->size(), number);
    const std::string wrong = "Invalid value " + std::string(*value) + " for configuration " +
                              std::string(name) + ": ";
    if (error != std::errc() || end != value->data() + value->size() || value->empty() ||
        number > int_max || number < -int_max - 1)
        return wrong + "Not a number of type INT";
    if (number < setting->min)
        return wrong + "Value must be at least " + std::to_string(setting->min);
    if (number > setting->max)
        return wrong + "Value must be no more than " + std::to_string(setting->max);
    values.insert_or_assign(std::string(name), number);
    return {};
}

std::string GroupSettings::problem(const Values& values) const {
    const auto value = [&](const GroupSetting& setting) {
        const auto at = values.find(setting.name);
        return at == values.end() ? default_of(setting) : at->second;
    };
    if (values.empty() || value(session) > value(heartbeat)) return {};
    return std::string(session.name) + " must be greater than " + std::string(heartbeat.name) +
           ": " + std::to_string(value(session)) + " is not above " +
           std::to_string(value(heartbeat));
}

const GroupSettings::Values& GroupSettings::of(std::string_view group) const {
    static const Values none;
    const auto at = all_.find(group);
    return at == all_.end() ? none : at->second;
}

std::int64_t GroupSettings::default_of(const GroupSetting& setting) const {
    return setting.name == session.name     ? config_.consumer_session_timeout.count()
           : setting.name == heartbeat.name ? config_.consumer_heartbeat_interval.count()
                                            : 0;
}

Result<log::CommitId> GroupSettings::put(Instant now, std::string_view group,
                                         const Values& values) {
    const std::string key = key_of(group);
    // They are gone, but perhaps not yet durably.
    if (values.empty() && !log_.find_fact(log::FactKind::config, bytes_of(key)))
        return std::max(erased_in_, log_.flushed_commit());
    if (!values.empty() && !all_.contains(group) && all_.size() >= config_.group_settings_max)
        return fail(Error::full);
    const auto commit = values.empty()
                            ? log_.erase_fact(now, log::FactKind::config, bytes_of(key))
                            : log_.put_fact(now, log::FactKind::config, bytes_of(key),
                                            encode(values));
    if (!commit) return commit;
    if (!values.empty())
        all_.insert_or_assign(std::string(group), values);
    else if (const auto at = all_.find(group); at != all_.end())
        all_.erase(at);
    if (values.empty()) erased_in_ = *commit;
    return commit;
}

milliseconds GroupSettings::in_force(std::string_view group, const GroupSetting& setting) const {
    const Values& values = of(group);
    const auto at = values.find(setting.name);
    return milliseconds(at == values.end() ? default_of(setting) : at->second);
}

milliseconds GroupSettings::session_timeout(std::string_view group) const {
    return in_force(group, session);
}

milliseconds GroupSettings::heartbeat_interval(std::string_view group) const {
    return in_force(group, heartbeat);
}

}  // namespace leat::groups
