// LEAT_CHECK: programmer errors stop the program, in release builds too.
//
// It stands beside result.hpp, below base, because result.hpp needs it. Bytes from a peer or from
// flash never reach a check: they are expected failures and travel in a Result.
#pragma once

namespace leat {

/// Called once when a check fails; never returns. base/check.cpp prints and aborts on hosts; a firmware
/// image links its own definition (reset, halt), so that no stdio is pulled in.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace leat

#define LEAT_CHECK(condition)                                      \
    (static_cast<bool>(condition)                                  \
         ? void(0)                                                 \
         : ::leat::check_failed(#condition, __FILE__, __LINE__))
