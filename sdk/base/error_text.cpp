#include "leat/result.hpp"

namespace leat {

const char* error_text(Error error) noexcept {
    switch (error) {
        case Error::truncated: return "truncated";
        case Error::malformed: return "malformed";
        case Error::corrupt: return "checksum does not match";
        case Error::unsupported: return "not supported";
        case Error::too_large: return "too large";
        case Error::full: return "full";
        case Error::not_found: return "not found";
        case Error::busy: return "in use";
        case Error::would_block: return "not ready";
        case Error::disconnected: return "disconnected";
        case Error::timed_out: return "timed out";
        case Error::storage: return "storage error";
        case Error::refused: return "refused";
        case Error::invalid: return "invalid";
        case Error::closed: return "closed";
    }
    return "unknown error";
}

}  // namespace leat
