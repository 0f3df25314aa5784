// How worn the flash is, and how long it will last at the present rate.
//
// What the kernel knows of a block device, from sysfs: bytes written since boot by everybody
// (block/NAME/stat), and, where the device tells, its own account: eMMC life_time and pre_eol_info
// (JESD84-B51, EXT_CSD 267 to 269), UFS health descriptor. Devices that tell nothing are counted
// all the same.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "leat/time.hpp"

namespace leat::ops {

struct DeviceHealth {
    std::string device;               ///< of the whole disk: mmcblk0, sda, loop3
    std::uint64_t size_bytes = 0;     ///< 0: not told
    std::uint64_t written_bytes = 0;  ///< since boot
    /// Cache flushes since boot and the time they took; kernels from 5.5 on. A device that takes
    /// writes past its cache (FUA) is asked for none.
    std::optional<std::uint64_t> flushes, flush_ms;
    /// Worst area, upper bound of the device's 10 % step; 110: its promised life is exceeded.
    std::optional<int> life_used_percent;
    std::string reserve;  ///< blocks kept for bad ones: normal, warning (80 % used), urgent; empty:
                          ///< not told
};

/// Of the disk under a file's st_dev. Nothing for tmpfs, overlayfs and what else is no disk.
/// `sysfs`: "/sys", or a copy of it.
std::optional<DeviceHealth> read_device_health(const std::string& sysfs, dev_t device);

/// The rate over the last day (as far as it is known), and years at it.
class Wear {
public:
    /// `endurance_bytes`: what the data sheet promises; 0: 1,000 times the device's size, which is
    /// a plain MLC card (3,000 cycles) behind a controller that writes three bytes for one.
    Wear(std::string sysfs, dev_t device, std::uint64_t endurance_bytes = 0)
        : sysfs_(std::move(sysfs)), device_(device), endurance_bytes_(endurance_bytes) {}

    /// At the start and every `sample_every`.
    void sample(Instant now);
    static constexpr milliseconds sample_every{3'600'000};

    /// One JSON object: device, size_bytes, written_bytes_total, flushes_total, flush_ms_total,
    /// written_bytes_per_day,
    /// endurance_bytes, endurance_assumed, life_used_percent, reserve, years_of_a_new_device,
    /// years_left (of this one, if it tells its use). What is not known is left out; `{}`: no disk.
    std::string json(Instant now) const;
    /// What a person should hear, once per change; empty: nothing.
    std::string warning();

private:
    struct Sample {
        Instant at{};
        std::uint64_t written_bytes = 0;
    };
    std::string sysfs_;
    dev_t device_;
    std::uint64_t endurance_bytes_;
    std::deque<Sample> samples_;  ///< at most a day
    std::string told_;
};

}  // namespace leat::ops
