#include "broker/ops/wear.hpp"

#include <stdlib.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

namespace leat::ops {
namespace {

constexpr std::uint64_t sector_bytes = 512;  // of sysfs, whatever the device's own
constexpr std::uint64_t assumed_rewrites = 1000;
constexpr milliseconds day{24 * 3'600'000};
constexpr milliseconds rate_known_after{600'000};  // less says nothing about a day
constexpr double days_per_year = 365.25;
constexpr int steps_exceeded = 11;

std::optional<std::string> text_of_file(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "re");
    if (!file) return std::nullopt;
    char text[256];
    const std::size_t count = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    text[count] = '\0';
    return std::string(text);
}

std::string real_path(const std::string& path) {
    char* found = ::realpath(path.c_str(), nullptr);
    std::string text = found ? found : "";
    std::free(found);
    return text;
}

/// The folder of the whole disk: a partition's lies inside it.
std::string disk_folder(const std::string& sysfs, dev_t device) {
    std::string folder = real_path(sysfs + "/dev/block/" + std::to_string(major(device)) + ":" +
                                   std::to_string(minor(device)));
    if (folder.empty()) return folder;
    if (text_of_file(folder + "/partition")) folder.resize(folder.rfind('/'));
    return folder;
}

/// Steps of 10 %, 1 to 11; 0 and what else there may be: not told.
std::optional<int> percent_of(int step) {
    if (step < 1 || step > steps_exceeded) return std::nullopt;
    return step * 10;
}

std::optional<int> worse(std::optional<int> a, std::optional<int> b) {
    return !a ? b : !b ? a : std::max(*a, *b);
}

const char* reserve_text(int level) {
    return level == 1 ? "normal" : level == 2 ? "warning" : level == 3 ? "urgent" : "";
}

int hex_file(const std::string& path) {
    const auto text = text_of_file(path);
    return text ? static_cast<int>(std::strtol(text->c_str(), nullptr, 0)) : 0;
}

void read_emmc(const std::string& folder, DeviceHealth& health) {
    const auto life = text_of_file(folder + "/device/life_time");
    if (!life) return;
    char* rest = nullptr;
    const auto a = static_cast<int>(std::strtol(life->c_str(), &rest, 0));
    const auto b = static_cast<int>(std::strtol(rest, nullptr, 0));
    health.life_used_percent = worse(percent_of(a), percent_of(b));
    health.reserve = reserve_text(hex_file(folder + "/device/pre_eol_info"));
}

/// The descriptor belongs to the host controller, some folders above the disk.
void read_ufs(std::string folder, DeviceHealth& health) {
    for (int up = 0; up < 8 && folder.size() > 1; ++up) {
        const std::string descriptor = folder + "/health_descriptor";
        if (text_of_file(descriptor + "/eol_info")) {
            health.life_used_percent =
                worse(percent_of(hex_file(descriptor + "/life_time_estimation_a")),
                      percent_of(hex_file(descriptor + "/life_time_estimation_b")));
            health.reserve = reserve_text(hex_file(descriptor + "/eol_info"));
            return;
        }
        const std::size_t slash = folder.rfind('/');
        if (slash == std::string::npos) return;
        folder.resize(slash);
    }
}

double rounded(double value) { return std::round(value * 10) / 10; }

}  // namespace

std::optional<DeviceHealth> read_device_health(const std::string& sysfs, dev_t device) {
    const std::string folder = disk_folder(sysfs, device);
    const auto stat = folder.empty() ? std::nullopt : text_of_file(folder + "/stat");
    if (!stat) return std::nullopt;
    // Documentation/block/stat: the seventh number is sectors written, the sixteenth is flushes,
    // the one behind it their milliseconds.
    unsigned long long sectors = 0, flushes = 0, flush_ms = 0;
    const int told = std::sscanf(stat->c_str(),
                                 "%*u %*u %*u %*u %*u %*u %llu %*u %*u %*u %*u %*u %*u %*u %*u "
                                 "%llu %llu",
                                 &sectors, &flushes, &flush_ms);
    if (told < 1) return std::nullopt;
    DeviceHealth health;
    if (told == 3) health.flushes = flushes, health.flush_ms = flush_ms;
    health.device = folder.substr(folder.rfind('/') + 1);
    health.written_bytes = sectors * sector_bytes;
    if (const auto size = text_of_file(folder + "/size"))
        health.size_bytes = std::strtoull(size->c_str(), nullptr, 10) * sector_bytes;
    read_emmc(folder, health);
    if (!health.life_used_percent && health.reserve.empty()) read_ufs(folder, health);
    return health;
}

void Wear::sample(Instant now) {
    const auto health = read_device_health(sysfs_, device_);
    if (!health) return;
    samples_.push_back({now, health->written_bytes});
    // The first one a day old or older stays: the rate is over the last whole day.
    while (samples_.size() > 2 && now - samples_[1].at >= day) samples_.pop_front();
}

std::string Wear::json(Instant now) const {
    const auto health = read_device_health(sysfs_, device_);
    if (!health) return "{}";
    nlohmann::ordered_json json;
    json["device"] = health->device;
    if (health->size_bytes > 0) json["size_bytes"] = health->size_bytes;
    json["written_bytes_total"] = health->written_bytes;
    if (health->flushes) json["flushes_total"] = *health->flushes;
    if (health->flush_ms) json["flush_ms_total"] = *health->flush_ms;
    const std::uint64_t endurance =
        endurance_bytes_ > 0 ? endurance_bytes_ : health->size_bytes * assumed_rewrites;
    double per_day = 0;
    if (!samples_.empty() && now - samples_.front().at >= rate_known_after &&
        health->written_bytes >= samples_.front().written_bytes) {
        const auto spent = static_cast<double>((now - samples_.front().at).count());
        per_day = static_cast<double>(health->written_bytes - samples_.front().written_bytes) /
                  spent * static_cast<double>(day.count());
        json["written_bytes_per_day"] = static_cast<std::uint64_t>(per_day);
    }
    if (endurance > 0) {
        json["endurance_bytes"] = endurance;
        json["endurance_assumed"] = endurance_bytes_ == 0;
    }
    if (health->life_used_percent) json["life_used_percent"] = *health->life_used_percent;
    if (!health->reserve.empty()) json["reserve"] = health->reserve;
    if (per_day >= 1 && endurance > 0) {
        const double years = static_cast<double>(endurance) / per_day / days_per_year;
        json["years_of_a_new_device"] = rounded(years);
        if (health->life_used_percent)
            json["years_left"] =
                rounded(years * std::max(0, 100 - *health->life_used_percent) / 100);
    }
    return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string Wear::warning() {
    const auto health = read_device_health(sysfs_, device_);
    std::string text;
    if (health && (health->reserve == "warning" || health->reserve == "urgent"))
        text = health->device + ": its reserve of good blocks is " +
               (health->reserve == "urgent" ? "nearly gone" : "80 % used") +
               "; replace it before it stops taking writes";
    else if (health && health->life_used_percent.value_or(0) >= 90)
        text = health->device + ": " + std::to_string(*health->life_used_percent) +
               " % of its promised life is used; plan its replacement";
    if (text == told_) return {};
    return told_ = text;
}

}  // namespace leat::ops
