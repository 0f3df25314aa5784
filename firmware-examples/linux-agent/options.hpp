#pragma once

#include <cstdint>
#include <string>

#include "leat/time.hpp"

namespace agent {

struct Options {
    std::string bootstrap = "127.0.0.1:9092";
    std::string topic_prefix = "sensors.";
    std::string run_id;                ///< empty: made from the clock
    leat::milliseconds interval{100};  ///< between two samples
    leat::milliseconds duration{0};    ///< 0: until SIGTERM
    leat::milliseconds drain{60'000};  ///< how long the end waits for acknowledgements
    std::uint64_t buffer_bytes = 16 * 1024 * 1024;
    std::string acks_file;   ///< empty: none
    std::string stats_file;  ///< empty: none
    bool stats = false;      ///< a JSON line on stdout each second
    bool help = false;
};

/// Reads the command line. Returns what is wrong with it, empty if nothing.
std::string parse(int count, char** words, Options& options);
extern const char* const help_text;

}  // namespace agent
