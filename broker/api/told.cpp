#include "broker/api/told.hpp"

namespace leat::api {

wire::StringView told(std::string_view text) {
    if (text.empty()) return nullptr;
    std::size_t size = text.size();
    if (size > told_bytes_max) {
        size = told_bytes_max;
        // Not within a character: there are clients that fail on half of one.
        while (size > 0 && (text[size] & 0xc0) == 0x80) --size;
    }
    return text.substr(0, size);
}

}  // namespace leat::api
