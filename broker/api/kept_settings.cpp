#include "broker/api/kept_settings.hpp"

#include <cctype>
#include <charconv>
#include <initializer_list>

namespace leat::api {
namespace {

using topics::SettingType;

// A line for each: the number of its type, the least of its values (M: a megabyte, -: any), name,
// Kafka's default (empty: it has none, and is told only where it is set). One text: a table of
// views would weigh twice as much.
constexpr std::string_view table =
    "31background.threads=10\n"
    "50follower.replication.throttled.rate=\n"
    "50leader.replication.throttled.rate=\n"
    "50log.cleaner.backoff.ms=15000\n"
    "5Mlog.cleaner.dedupe.buffer.size=134217728\n"
    "30log.cleaner.io.buffer.size=524288\n"
    "31log.cleaner.threads=1\n"
    "30log.index.interval.bytes=4096\n"
    "34log.index.size.max.bytes=10485760\n"
    "1-log.preallocate=false\n"
    "31num.io.threads=8\n"
    "31num.network.threads=3\n"
    "31num.recovery.threads.per.data.dir=2\n"
    "31num.replica.fetchers=1\n"
    "50replica.alter.log.dirs.io.max.bytes.per.second=\n"
    "5-sasl.kerberos.min.time.before.relogin=60000\n"
    "1-unclean.leader.election.enable=false\n";
constexpr std::size_t name_at = 2;

struct Line {
    std::string_view name, value;
};
// Takes the first line away.
Line take_line(std::string_view& lines) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(line.size() + 1);
    const std::size_t equals = line.find('=');
    return {line.substr(0, equals), line.substr(equals + 1)};
}

// Where the line of that name begins, or nowhere (npos).
std::size_t find_line(std::string_view lines, std::string_view name) {
    for (std::string_view left = lines; !left.empty();) {
        const std::size_t at = lines.size() - left.size();
        if (take_line(left).name == name) return at;
    }
    return std::string_view::npos;
}

// As Kafka trims.
std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

// What Kafka says of such a value, or nothing. kept: its shortest form, for it is remembered and
// told.
std::string problem(SettingType type, char least, std::string_view text, std::string& kept) {
    const std::string_view value = trimmed(text);
    kept = value;
    if (type == SettingType::boolean) {
        for (char& c : kept) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return kept == "true" || kept == "false" ? ""
                                                 : "Expected value to be either true or false";
    }
    const bool is_int = type == SettingType::int32;
    std::int64_t number = 0;
    const char* const last = value.data() + value.size();
    const auto [end, error] = std::from_chars(value.data(), last, number);
    if (error != std::errc() || end != last ||
        (is_int && number != static_cast<std::int32_t>(number)))
        return is_int ? "Not a number of type INT" : "Not a number of type LONG";
    kept = std::to_string(number);
    const std::int64_t bound = least == 'M' ? 1024 * 1024 : least - '0';
    if (least == '-' || number >= bound) return {};
    return "Value must be at least " + std::to_string(bound);
}

std::string joined(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts) text += part;
    return text;
}

}  // namespace

KeptSettings::KeptSettings(const log::Log& log, std::string_view resource)
    : key_("b" + std::string(resource)) {
    if (const auto fact = log.find_fact(log::FactKind::config, bytes_of(key_)))
        lines_ = text_of(*fact);
    if (!lines_.empty() && lines_.back() != '\n') lines_ += '\n';  // not ours: each line ends
}

std::string KeptSettings::set(std::string_view name, std::optional<std::string_view> value) {
    bool known = !value;
    std::string wrong, kept;
    for (std::string_view left = table; !known && !left.empty();) {
        const Line line = take_line(left);
        known = line.name.substr(name_at) == name;
        if (known)
            wrong = problem(static_cast<SettingType>(line.name[0] - '0'), line.name[1], *value,
                            kept);
    }
    if (!known)
        return joined({"Cannot update these configs dynamically: [", name,
                       "]: they come from the broker's configuration file"});
    if (!wrong.empty())
        return joined({"Invalid value ", *value, " for configuration ", name, ": ", wrong});
    if (const std::size_t at = find_line(lines_, name); at != std::string::npos)
        lines_.erase(at, lines_.find('\n', at) + 1 - at);
    if (value) lines_ += joined({name, "=", kept, "\n"});
    return {};
}

Result<log::CommitId> KeptSettings::put(Instant now, log::Log& log) const {
    // What is empty again stays: whoever empties it once more has to wait for the first time.
    if (lines_.empty() && !log.find_fact(log::FactKind::config, bytes_of(key_)))
        return log.flushed_commit();
    return log.put_fact(now, log::FactKind::config, bytes_of(key_), bytes_of(lines_));
}

void KeptSettings::tell(std::vector<ConfigEntry>& entries, const KeptSettings* of_all) const {
    const auto add = [](ConfigEntry& entry, const KeptSettings& from, ConfigSource source) {
        std::string_view left = from.lines_;
        const std::size_t at = find_line(left, entry.name);
        if (at == std::string_view::npos) return;
        left.remove_prefix(at);
        entry.synonyms.push_back({entry.name, std::string(take_line(left).value), source});
    };
    for (std::string_view left = table; !left.empty();) {
        const Line line = take_line(left);
        ConfigEntry entry;
        entry.name = line.name.substr(name_at);
        add(entry, *this, of_all != nullptr ? ConfigSource::broker : ConfigSource::brokers);
        if (of_all != nullptr) add(entry, *of_all, ConfigSource::brokers);
        if (entry.synonyms.empty() && of_all == nullptr) continue;
        if (!line.value.empty())
            entry.synonyms.push_back({entry.name, std::string(line.value), ConfigSource::fallback});
        if (entry.synonyms.empty()) continue;
        entry.value = entry.synonyms.front().value;
        entry.source = entry.synonyms.front().source;
        entry.type = static_cast<SettingType>(line.name[0] - '0');
        entry.documentation = "Kept for tools that set it; here it rules nothing.";
        entries.push_back(std::move(entry));
    }
}

}  // namespace leat::api
