// leatd log dump | verify | stats: looks at a data folder, stopped or live, and changes nothing.
#pragma once

namespace leat {

/// `argv` from "log" on. Returns the exit code: 0 whole, 1 damage (verify), 2 usage, 3 no log there.
int run_log_tool(int argc, const char* const* argv);

}  // namespace leat
