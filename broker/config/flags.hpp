// The command line of leatd. Each flag overrides the key of the same meaning in the file.
#pragma once

#include <optional>
#include <string>

namespace leat::config {

struct Flags {
    std::optional<std::string> config, data, listen, advertised, http, budget, node_id, log_level,
        log_format;
    bool check_config = false;
    bool adopt = false, fork = false;  ///< at most one of them
};

struct ParsedFlags {
    Flags flags;
    /// Set: print `text` (to stdout if 0, else to stderr) and leave with this code.
    std::optional<int> exit_code;
    std::string text;
};

ParsedFlags parse_flags(int argc, const char* const* argv);

}  // namespace leat::config
