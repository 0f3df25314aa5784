#include "leat/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace leat {

// Weak, so that an image without stdio brings its own and the linker drops this one.
[[gnu::weak]] void check_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "leat: check failed: %s (%s:%d)\n", condition, file, line);
    std::abort();
}

}  // namespace leat
