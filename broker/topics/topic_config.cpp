#include "broker/topics/topic_config.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <vector>

namespace leat::topics {
namespace {

constexpr std::int64_t int_max = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t long_max = std::numeric_limits<std::int64_t>::max();
using Type = SettingType;

// Kafka 4.3's topic settings. Where one log on flash has no use for a setting it is checked, kept
// and told back, because tools set it as a matter of course; where the broker would have to do
// otherwise than asked (keep data in a remote tier), only the value that it does is allowed.
constexpr Setting table[] = {
    {"cleanup.policy", Type::list, "delete", 0, 0, "delete|compact",
     "What becomes of old records: delete by age and size, or keep the newest of each key."},
    {"compression.gzip.level", Type::int32, "-1", -1, 9, "",
     "No effect here: the codec's own middle."},
    {"compression.lz4.level", Type::int32, "9", 1, 17, "",
     "No effect here: the codec's own middle."},
    {"compression.type", Type::string, "producer", 0, 0,
     "uncompressed|zstd|lz4|snappy|gzip|producer",
     "How batches are stored: as the producer compressed them, or compressed anew on arrival."},
    {"compression.zstd.level", Type::int32, "3", -131072, 22, "",
     "No effect here: the codec's own middle."},
    {"delete.retention.ms", Type::int64, "86400000", 0, long_max, "",
     "How long tombstones of a compacted topic stay."},
    {"file.delete.delay.ms", Type::int64, "60000", 0, long_max, "",
     "No effect here: one log, no files per topic."},
    {"flush.messages", Type::int64, "9223372036854775807", 1, long_max, "",
     "No effect here: acks=all is answered after the flush, always."},
    {"flush.ms", Type::int64, "9223372036854775807", 0, long_max, "",
     "How long records wait for their flush at most, if log.commit.interval.ms is longer."},
    {"follower.replication.throttled.replicas", Type::list, "", 0, 0, "",
     "No effect here: no followers."},
    {"index.interval.bytes", Type::int32, "4096", 0, int_max, "",
     "No effect here: segments end in a footer."},
    {"leader.replication.throttled.replicas", Type::list, "", 0, 0, "",
     "No effect here: no followers."},
    {"leat.full.policy", Type::string, "", 0, 0, "drop-oldest|reject|block",
     "When the log is full: drop the oldest records, refuse new ones, or let the producer wait."},
    {"leat.priority", Type::int32, "5", 1, 10, "",
     "Of what may be dropped the lowest priority goes first; 10 is the highest."},
    {"leat.reserved.bytes", Type::int64, "0", 0, std::int64_t{1} << 40, "",
     "Batch bytes of each partition that find room when the log is full, and are not dropped."},
    {"leat.retention.uplinked", Type::boolean, "false", 0, 0, "",
     "Whether records go once all routes of the topic have delivered them; without a route never."},
    {"local.retention.bytes", Type::int64, "-2", -2, long_max, "",
     "No effect here: no remote tier."},
    {"local.retention.ms", Type::int64, "-2", -2, long_max, "", "No effect here: no remote tier."},
    {"max.compaction.lag.ms", Type::int64, "9223372036854775807", 1, long_max, "",
     "Longest time a record stays uncompacted once its segment of the log is full. Costs copies."},
    {"max.message.bytes", Type::int32, "", 0, int_max, "",
     "Largest record batch; at most half a segment of the log."},
    {"message.timestamp.after.max.ms", Type::int64, "", 0, long_max, "",
     "How far in the future a record's CreateTime may lie."},
    {"message.timestamp.before.max.ms", Type::int64, "", 0, long_max, "",
     "How far in the past a record's CreateTime may lie."},
    {"message.timestamp.type", Type::string, "CreateTime", 0, 0, "CreateTime|LogAppendTime",
     "Whose clock stamps the records."},
    {"min.cleanable.dirty.ratio", Type::real, "0.5", 0, 1, "",
     "When a compacted topic is worth compacting."},
    {"min.compaction.lag.ms", Type::int64, "0", 0, long_max, "",
     "Shortest time a record stays uncompacted."},
    {"min.insync.replicas", Type::int32, "1", 1, int_max, "",
     "No effect here: one node; durable means flushed."},
    {"preallocate", Type::boolean, "false", 0, 0, "", "No effect here: the log is preallocated."},
    {"remote.log.copy.disable", Type::boolean, "false", 0, 0, "",
     "No effect here: no remote tier."},
    {"remote.log.delete.on.disable", Type::boolean, "false", 0, 0, "",
     "No effect here: no remote tier."},
    {"remote.storage.enable", Type::boolean, "false", 0, 0, "false",
     "There is no remote tier here."},
    {"retention.bytes", Type::int64, "", -1, long_max, "",
     "Batch bytes a partition keeps; -1: no bound."},
    {"retention.ms", Type::int64, "", -1, long_max, "",
     "How long records are kept, in the log's own time; -1: for ever."},
    {"segment.bytes", Type::int32, "1073741824", 14, int_max, "",
     "No effect here: the log's segments are shared and of one size."},
    {"segment.index.bytes", Type::int32, "10485760", 4, int_max, "",
     "No effect here: segments end in a footer."},
    {"segment.jitter.ms", Type::int64, "0", 0, long_max, "", "No effect here."},
    {"segment.ms", Type::int64, "604800000", 1, long_max, "",
     "No effect here: the log's segments are shared."},
    {"unclean.leader.election.enable", Type::boolean, "false", 0, 0, "",
     "No effect here: one node."},
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

template <class F>
bool all_parts(std::string_view text, char separator, F&& accept) {
    while (true) {
        const std::size_t end = text.find(separator);
        if (!accept(trimmed(text.substr(0, end)))) return false;
        if (end == std::string_view::npos) return true;
        text.remove_prefix(end + 1);
    }
}

bool is_choice(std::string_view choices, std::string_view word) {
    return choices.empty() ||
           !all_parts(choices, '|', [word](std::string_view choice) { return choice != word; });
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return value;
}

std::string problem_of(const Setting& setting, std::string_view value) {
    const std::string named = "Invalid value " + std::string(value) + " for configuration " +
                              std::string(setting.name) + ": ";
    switch (setting.type) {
        case Type::boolean:
            if (value != "true" && value != "false") return named + "must be true or false";
            if (!is_choice(setting.choices, value))
                return named + "this broker supports only " + std::string(setting.choices);
            return {};
        case Type::int32:
        case Type::int64: {
            const auto parsed = number(value);
            if (!parsed) return named + "not a number";
            if (*parsed < setting.min || *parsed > setting.max)
                return named + "must be from " + std::to_string(setting.min) + " to " +
                       std::to_string(setting.max);
            return {};
        }
        case Type::real: {
            double parsed = 0;
            const auto [end, error] =
                std::from_chars(value.data(), value.data() + value.size(), parsed);
            if (error != std::errc() || end != value.data() + value.size())
                return named + "not a number";
            if (!(parsed >= static_cast<double>(setting.min) &&
                  parsed <= static_cast<double>(setting.max)))
                return named + "must be from 0 to 1";
            return {};
        }
        case Type::string:
            return is_choice(setting.choices, value)
                       ? std::string()
                       : named + "must be one of " + std::string(setting.choices);
        case Type::list:
            if (value.empty()) return {};  // KIP-1161: of cleanup.policy, too
            if (all_parts(value, ',',
                          [&](std::string_view word) { return is_choice(setting.choices, word); }))
                return {};
            return named + "must be made of " + std::string(setting.choices);
    }
    return named + "not understood";
}

// What no string of the protocol holds could not be told to anybody, and from twice that on not be
// read back from the log. A list becomes so long word by word.
constexpr std::size_t value_bytes_max = 32'767;

milliseconds bound(std::string_view text) {
    const std::int64_t value = *number(text);
    return milliseconds(value == long_max ? -1 : value);
}

}  // namespace

std::span<const Setting> settings() { return table; }

const Setting* find_setting(std::string_view name) {
    const auto at = std::lower_bound(
        std::begin(table), std::end(table), name,
        [](const Setting& setting, std::string_view wanted) { return setting.name < wanted; });
    return at != std::end(table) && at->name == name ? &*at : nullptr;
}

TopicConfig::TopicConfig(const TopicDefaults& defaults) : defaults_(defaults) { apply(); }

std::string TopicConfig::set(std::string_view name, std::optional<std::string_view> value) {
    const Setting* setting = find_setting(name);
    if (setting == nullptr) return "Unknown topic config name: " + std::string(name);
    if (!value) {
        if (const auto at = overrides_.find(name); at != overrides_.end()) overrides_.erase(at);
    } else {
        std::string text(trimmed(*value));
        if (setting->type == Type::boolean)  // as Kafka: Python says True
            for (char& c : text)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (text.size() > value_bytes_max)
            return "The value of " + std::string(name) + " is too long";
        if (std::string problem = problem_of(*setting, text); !problem.empty()) return problem;
        overrides_.insert_or_assign(std::string(name), std::move(text));
    }
    apply();
    return {};
}

std::string TopicConfig::change_list(std::string_view name, std::string_view words,
                                     ListChange change) {
    const Setting* setting = find_setting(name);
    if (setting == nullptr) return "Unknown topic config name: " + std::string(name);
    const char* verb = change == ListChange::append ? "append" : "subtract";
    if (setting->type != Type::list)
        return std::string("Can't ") + verb + " to key " + std::string(name) +
               " because its type is not LIST.";
    std::vector<std::string> list;
    const auto add = [&](std::string_view word) {
        if (!word.empty() && std::find(list.begin(), list.end(), word) == list.end())
            list.emplace_back(word);
        return true;
    };
    const std::string before = value(*setting);
    all_parts(before, ',', add);
    all_parts(words, ',', [&](std::string_view word) {
        if (change == ListChange::append) return add(word);
        std::erase(list, word);
        return true;
    });
    std::string joined;
    for (const std::string& word : list) joined += (joined.empty() ? "" : ",") + word;
    return set(name, joined);
}

std::string TopicConfig::conflict() const {
    const auto text = [this](std::string_view name) { return value(*find_setting(name)); };
    const std::string least = text("min.compaction.lag.ms"), most = text("max.compaction.lag.ms");
    if (*number(least) <= *number(most)) return {};
    return "conflict topic config setting min.compaction.lag.ms (" + least +
           ") > max.compaction.lag.ms (" + most + ")";
}

std::string TopicConfig::value(const Setting& setting) const {
    if (const auto at = overrides_.find(setting.name); at != overrides_.end()) return at->second;
    return default_value(setting);
}

bool TopicConfig::default_is_configured(const Setting& setting) const {
    return default_value(setting) != TopicConfig().default_value(setting);
}

std::string TopicConfig::default_value(const Setting& setting) const {
    const auto unbounded = [](milliseconds value) {
        return std::to_string(value.count() < 0 ? long_max : value.count());
    };
    if (setting.name == "leat.full.policy") return std::string(defaults_.full_policy);
    if (setting.name == "max.message.bytes") return std::to_string(defaults_.message_bytes_max);
    if (setting.name == "retention.ms") return std::to_string(defaults_.retention.count());
    if (setting.name == "retention.bytes") return std::to_string(defaults_.retention_bytes);
    if (setting.name == "message.timestamp.after.max.ms")
        return unbounded(defaults_.timestamp_after_max);
    if (setting.name == "message.timestamp.before.max.ms")
        return unbounded(defaults_.timestamp_before_max);
    return std::string(setting.fallback);
}

std::optional<Codec> TopicConfig::codec_of(std::string_view word) {
    constexpr std::string_view words[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
    for (std::size_t i = 0; i < std::size(words); ++i)
        if (word == words[i]) return static_cast<Codec>(i);
    return std::nullopt;  // as the producer did it
}

void TopicConfig::apply() {
    const auto text = [this](std::string_view name) { return value(*find_setting(name)); };
    const std::string policy = text("cleanup.policy");
    compression_ = codec_of(text("compression.type"));
    compacted_ = policy.find("compact") != std::string::npos;
    deletes_ = policy.find("delete") != std::string::npos;
    retention_ = deletes_ ? milliseconds(*number(text("retention.ms"))) : milliseconds(-1);
    retention_bytes_ = deletes_ ? *number(text("retention.bytes")) : -1;
    message_bytes_max_ = static_cast<std::uint32_t>(*number(text("max.message.bytes")));
    // The newest value of every key is what a compacted topic is kept for.
    drops_oldest_ = text("leat.full.policy") == "drop-oldest" && (!compacted_ || deletes_);
    waits_when_full_ = text("leat.full.policy") == "block";
    reserved_bytes_ = *number(text("leat.reserved.bytes"));
    until_uplinked_ = deletes_ && text("leat.retention.uplinked") == "true";
    priority_ = static_cast<std::uint8_t>(*number(text("leat.priority")));
    log_append_time_ = text("message.timestamp.type") == "LogAppendTime";
    // As old as a log can be: sums with it stay within 64 bits.
    const auto lasting = [&](std::string_view name) {
        return milliseconds(std::min<std::int64_t>(*number(text(name)), long_max / 4));
    };
    compaction_lag_ = lasting("min.compaction.lag.ms");
    compaction_lag_max_ = bound(text("max.compaction.lag.ms"));
    tombstone_retention_ = lasting("delete.retention.ms");
    dirty_permille_min_ = static_cast<std::uint16_t>(
        std::clamp(std::strtod(text("min.cleanable.dirty.ratio").c_str(), nullptr), 0.0, 1.0) *
        1000);
    before_max_ = bound(text("message.timestamp.before.max.ms"));
    after_max_ = bound(text("message.timestamp.after.max.ms"));
    flush_within_ = bound(text("flush.ms"));
}

}  // namespace leat::topics
