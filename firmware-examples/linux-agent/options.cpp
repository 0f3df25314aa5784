#include "firmware-examples/linux-agent/options.hpp"

#include <charconv>
#include <functional>
#include <map>

namespace agent {

const char* const help_text =
    "linux-agent: sends this machine's sensors to a Kafka-protocol server.\n"
    "\n"
    "  --bootstrap HOST:PORT  the gateway (default 127.0.0.1:9092)\n"
    "  --rate N               samples per second, 0.01 to 1000 (default 10)\n"
    "  --duration SECONDS     then drain and leave (default: until SIGTERM)\n"
    "  --drain SECONDS        how long the end waits for acknowledgements (default 60)\n"
    "  --buffer BYTES         memory for what is not acknowledged yet (default 16777216)\n"
    "  --acks FILE            a line for each acknowledged record: topic, key, sequence, offset, "
    "with tabs\n"
    "  --stats                a line of JSON on stdout each second\n"
    "  --stats-file FILE      the same line, always the newest, in a file\n"
    "  --run-id ID            stands in every value (default: made from the clock)\n"
    "  --topic-prefix TEXT    in front of the kinds (default \"sensors.\")\n"
    "\n"
    "Topics: load cpu memory disk network pressure temperature frequency; key: the sensor; value: "
    "JSON.\n"
    "Exit code: 0 all is acknowledged, 1 something is not, 2 the command line is wrong.\n";

namespace {

bool to_seconds(const std::string& text, leat::milliseconds& to) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || end != text.data() + text.size() || seconds < 0 || seconds > 1e9)
        return false;
    to = leat::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    return true;
}

bool to_interval(const std::string& text, leat::milliseconds& to) {
    double rate = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
    if (error != std::errc{} || end != text.data() + text.size() || !(rate >= 0.01 && rate <= 1000))
        return false;
    to = leat::milliseconds(static_cast<std::int64_t>(1000 / rate));
    return true;
}

bool to_bytes(const std::string& text, std::uint64_t& to) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
    return error == std::errc{} && end == text.data() + text.size() && to >= 64 * 1024;
}

}  // namespace

std::string parse(int count, char** words, Options& options) {
    const auto text = [](std::string& to) {
        return [&to](const std::string& value) {
            to = value;
            return !value.empty();
        };
    };
    const std::map<std::string, std::function<bool(const std::string&)>> flags{
        {"--bootstrap", text(options.bootstrap)},
        {"--topic-prefix",
         [&](const std::string& value) {
             options.topic_prefix = value;
             return true;
         }},
        {"--run-id",
         [&](const std::string& value) {  // it stands in JSON as it is
             options.run_id = value;
             return !value.empty() &&
                    value.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                        std::string::npos;
         }},
        {"--acks", text(options.acks_file)},
        {"--stats-file", text(options.stats_file)},
        {"--rate", [&](const std::string& value) { return to_interval(value, options.interval); }},
        {"--duration",
         [&](const std::string& value) { return to_seconds(value, options.duration); }},
        {"--drain", [&](const std::string& value) { return to_seconds(value, options.drain); }},
        {"--buffer",
         [&](const std::string& value) { return to_bytes(value, options.buffer_bytes); }},
    };
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        if (word == "--help" || word == "-h") {
            options.help = true;
        } else if (word == "--stats") {
            options.stats = true;
        } else if (const auto flag = flags.find(word); flag == flags.end()) {
            return "unknown option " + word;
        } else if (i + 1 == count) {
            return word + " needs a value";
        } else if (!flag->second(words[++i])) {
            return word + ": " + words[i] + " is not a good value";
        }
    }
    return {};
}

}  // namespace agent
