// What this machine can tell about itself: load, CPU time, memory, disks, network, pressure,
// temperatures, frequencies. From /proc and /sys; what a system does not have is left out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace agent {

/// One figure or a few that belong together. `fields` is the inside of a JSON object: "a":1,"b":2.5
struct Reading {
    std::string_view kind;  ///< static: "load", "cpu", ...
    std::string sensor;     ///< "cpu0", "eth0", "MemFree"
    std::string fields;
};

class Sensors {
public:
    /// root  in front of /proc and /sys, for tests
    explicit Sensors(std::string root = {});
    /// Everything there is, now. A file that cannot be read this time is skipped.
    void read(std::vector<Reading>& into) const;
    /// What read() can yield.
    static std::vector<std::string_view> kinds();

private:
    struct Gauge {
        std::string_view kind;
        std::string sensor;
        std::string path;  ///< a file with one integer
        std::string_view field;
    };
    void find_gauges();
    void read_load(std::vector<Reading>& into) const;
    void read_cpu(std::vector<Reading>& into) const;
    void read_memory(std::vector<Reading>& into) const;
    void read_disks(std::vector<Reading>& into) const;
    void read_network(std::vector<Reading>& into) const;
    void read_pressure(std::vector<Reading>& into) const;

    std::string root_;
    std::vector<Gauge> gauges_;  // temperatures and frequencies, found once
};

}  // namespace agent
