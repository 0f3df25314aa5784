#include "firmware-examples/linux-agent/sensors.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

namespace agent {
namespace {

/// A whole file of /proc or /sys, which has no size to ask for.
std::string slurp(const std::string& path) {
    std::string text;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return text;
    std::array<char, 8192> part;
    for (ssize_t got; (got = ::read(file, part.data(), part.size())) > 0;) {
        text.append(part.data(), static_cast<std::size_t>(got));
        if (text.size() > 1024 * 1024) break;
    }
    ::close(file);
    return text;
}

/// The words are views of `text`, which therefore must not be a temporary.
std::vector<std::string_view> split(std::string&& text, std::string_view separators) = delete;
std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
    std::vector<std::string_view> parts;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = text.find_first_not_of(separators, at);
        if (begin == std::string_view::npos) break;
        at = std::min(text.find_first_of(separators, begin), text.size());
        parts.push_back(text.substr(begin, at - begin));
    }
    return parts;
}

/// Digits, with at most one sign and one point: what may stand in JSON as it is.
bool is_number(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

void add(std::string& fields, std::string_view name, std::string_view number) {
    if (!is_number(number)) return;
    if (!fields.empty()) fields += ',';
    fields.append("\"").append(name).append("\":").append(number);
}

void push(std::vector<Reading>& into, std::string_view kind, std::string_view sensor,
          std::string fields) {
    if (!fields.empty()) into.push_back({kind, std::string(sensor), std::move(fields)});
}

/// A sensor's name becomes a key and a word in a tab-separated file.
std::string tidy_name(std::string_view name) {
    std::string tidy;
    for (char c : name.substr(0, 64))
        tidy += (std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-')
                    ? c
                    : '_';
    while (!tidy.empty() && tidy.back() == '_') tidy.pop_back();
    return tidy;
}

}  // namespace

Sensors::Sensors(std::string root) : root_(std::move(root)) { find_gauges(); }

std::vector<std::string_view> Sensors::kinds() {
    return {"load", "cpu", "memory", "disk", "network", "pressure", "temperature", "frequency"};
}

void Sensors::read(std::vector<Reading>& into) const {
    read_load(into);
    read_cpu(into);
    read_memory(into);
    read_disks(into);
    read_network(into);
    read_pressure(into);
    for (const Gauge& gauge : gauges_) {
        std::string fields;
        const std::string text = slurp(gauge.path);
        const auto words = split(text, " \n");
        if (!words.empty()) add(fields, gauge.field, words[0]);
        push(into, gauge.kind, gauge.sensor, std::move(fields));
    }
}

// "0.20 0.18 0.12 1/80 11206": averages over 1, 5 and 15 minutes, runnable/all
void Sensors::read_load(std::vector<Reading>& into) const {
    const std::string text = slurp(root_ + "/proc/loadavg");
    const auto words = split(text, " /\n");
    if (words.size() < 5) return;
    constexpr std::array<std::string_view, 5> names{"load1", "load5", "load15", "runnable",
                                                    "tasks"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        std::string fields;
        add(fields, "value", words[i]);
        push(into, "load", names[i], std::move(fields));
    }
}

// "cpu0 user nice system idle iowait irq softirq steal ...", in ticks since boot; then counters of
// the kernel
void Sensors::read_cpu(std::vector<Reading>& into) const {
    const std::string text = slurp(root_ + "/proc/stat");
    constexpr std::array<std::string_view, 8> names{"user",   "nice", "system",  "idle",
                                                    "iowait", "irq",  "softirq", "steal"};
    for (std::string_view line : split(text, "\n")) {
        const auto words = split(line.substr(0, 400), " ");
        std::string fields;
        if (words[0].starts_with("cpu")) {
            for (std::size_t i = 0; i < names.size() && i + 1 < words.size(); ++i)
                add(fields, names[i], words[i + 1]);
            push(into, "cpu", words[0], std::move(fields));
        } else if (words.size() > 1 &&
                   (words[0] == "ctxt" || words[0] == "intr" || words[0] == "processes")) {
            add(fields, "count", words[1]);
            push(into, "cpu", words[0], std::move(fields));
        }
    }
}

// "MemFree:    123 kB"
void Sensors::read_memory(std::vector<Reading>& into) const {
    const std::string text = slurp(root_ + "/proc/meminfo");
    constexpr std::array<std::string_view, 10> wanted{
        "MemFree", "MemAvailable", "Buffers",   "Cached", "SwapFree",
        "Dirty",   "Writeback",    "AnonPages", "Slab",   "Committed_AS"};
    for (std::string_view line : split(text, "\n")) {
        const auto words = split(line, ": ");
        if (words.size() < 2 || std::find(wanted.begin(), wanted.end(), words[0]) == wanted.end())
            continue;
        std::string fields;
        add(fields, "kib", words[1]);
        push(into, "memory", words[0], std::move(fields));
    }
}

// "   8  0 sda reads merged sectors ms writes merged sectors ms ...": a sector is 512 bytes
void Sensors::read_disks(std::vector<Reading>& into) const {
    const std::string text = slurp(root_ + "/proc/diskstats");
    for (std::string_view line : split(text, "\n")) {
        const auto words = split(line, " ");
        if (words.size() < 14 || words[2].starts_with("ram")) continue;
        // A loop device that nobody has set up has never read anything.
        if (words[2].starts_with("loop") && words[3] == "0") continue;
        std::string fields;
        add(fields, "reads", words[3]);
        add(fields, "read_sectors", words[5]);
        add(fields, "writes", words[7]);
        add(fields, "written_sectors", words[9]);
        add(fields, "busy_ms", words[12]);
        push(into, "disk", words[2], std::move(fields));
    }
}

// "  eth0: bytes packets errs drop ... (8 of receive) bytes packets errs drop ..."
void Sensors::read_network(std::vector<Reading>& into) const {
    const std::string text = slurp(root_ + "/proc/net/dev");
    for (std::string_view line : split(text, "\n")) {
        const auto words = split(line, ": ");
        if (words.size() < 13 || !is_number(words[1])) continue;
        std::string fields;
        add(fields, "received_bytes", words[1]);
        add(fields, "received_packets", words[2]);
        add(fields, "receive_errors", words[3]);
        add(fields, "sent_bytes", words[9]);
        add(fields, "sent_packets", words[10]);
        add(fields, "send_errors", words[11]);
        push(into, "network", words[0], std::move(fields));
    }
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=123", in microseconds (kernels from 4.20)
void Sensors::read_pressure(std::vector<Reading>& into) const {
    for (std::string_view what : {"cpu", "io", "memory"}) {
        const std::string text = slurp(root_ + "/proc/pressure/" + std::string(what));
        std::string fields;
        const std::string_view line = std::string_view(text).substr(0, text.find('\n'));
        for (std::string_view word : split(line, " ")) {
            const std::size_t equals = word.find('=');
            if (equals != std::string_view::npos)
                add(fields, word.substr(0, equals), word.substr(equals + 1));
        }
        push(into, "pressure", what, std::move(fields));
    }
}

void Sensors::find_gauges() {
    namespace fs = std::filesystem;
    std::error_code ignored;
    for (const auto& zone : fs::directory_iterator(root_ + "/sys/class/thermal", ignored)) {
        const std::string path = zone.path().string();
        if (!zone.path().filename().string().starts_with("thermal_zone")) continue;
        const std::string type = tidy_name(slurp(path + "/type"));
        gauges_.push_back({"temperature", tidy_name(zone.path().filename().string()) + "." + type,
                           path + "/temp", "millidegrees"});
    }
    for (const auto& chip : fs::directory_iterator(root_ + "/sys/class/hwmon", ignored)) {
        const std::string path = chip.path().string();
        const std::string name = tidy_name(slurp(path + "/name"));
        for (int i = 1; i <= 16; ++i) {
            const std::string input = path + "/temp" + std::to_string(i);
            if (!fs::exists(input + "_input", ignored)) continue;
            const std::string label = tidy_name(slurp(input + "_label"));
            gauges_.push_back({"temperature",
                               name + "." + (label.empty() ? "temp" + std::to_string(i) : label),
                               input + "_input", "millidegrees"});
        }
    }
    for (const auto& core : fs::directory_iterator(root_ + "/sys/devices/system/cpu", ignored)) {
        const std::string path = core.path().string() + "/cpufreq/scaling_cur_freq";
        if (fs::exists(path, ignored))
            gauges_.push_back(
                {"frequency", tidy_name(core.path().filename().string()), path, "khz"});
    }
    // Two chips of one name would share a key, and with it a sequence.
    std::sort(gauges_.begin(), gauges_.end(),
              [](const Gauge& a, const Gauge& b) { return a.path < b.path; });
    for (std::size_t i = 0; i < gauges_.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (gauges_[i].kind == gauges_[j].kind && gauges_[i].sensor == gauges_[j].sensor)
                gauges_[i].sensor += "." + std::to_string(i);
}

}  // namespace agent
