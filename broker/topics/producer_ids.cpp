#include "broker/topics/producer_ids.hpp"

#include <array>

#include "sdk/base/bytes.hpp"

namespace leat::topics {

Result<std::int64_t> ProducerIds::next() {
    if (counter_ == counter_end) {
        std::array<std::uint8_t, 8> random{};
        if (const Status filled = entropy_.fill(random); !filled) return fail(filled.error());
        prefix_ = static_cast<std::int64_t>(load_big<std::uint64_t>(random.data()) >> 21)
                  << 20;  // 43 bits, then 20 of zeros
        counter_ = 0;
    }
    return prefix_ | counter_++;
}

}  // namespace leat::topics
