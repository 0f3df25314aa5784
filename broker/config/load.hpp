// From a JSON text and flags to one Config, or to everything that is wrong with them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config/config.hpp"
#include "broker/config/flags.hpp"

namespace leat::config {

struct Loaded {
    Config config;
    /// One line each, naming place, key and what would be right. Empty: config is valid.
    std::vector<std::string> problems;
};

/// The file of the flags (if any), the flags over it, then the checks between settings.
/// quiet_max: how long a pipe that stands for the file may say nothing
Loaded load(const Flags& flags, milliseconds quiet_max = milliseconds(10'000));

/// The same for a text that was read already; `name` stands before each line number.
void apply_json(std::string_view text, std::string_view name, Loaded& loaded);
void apply_flags(const Flags& flags, Loaded& loaded);
/// What no setting alone can tell: combinations.
void check_together(Loaded& loaded);

/// Every key of the file, in the order of the documentation: for README and tests.
std::vector<std::string_view> known_keys();

}  // namespace leat::config
