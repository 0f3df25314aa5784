#pragma once
#include <cstdint>

#include "leat/port/entropy.hpp"

namespace leat::topics {

/// Fresh producer ids: 43 random bits drawn at each start, then a counter of 20 bits. Nothing is
/// stored, and yet a gateway that is re-imaged, or restored from a backup, never hands out an id it
/// gave before.
class ProducerIds {
public:
    explicit ProducerIds(port::Entropy& entropy) : entropy_(entropy) {}
    /// returns  an id from 0 to 2^63-1;  fails: what the entropy source says
    Result<std::int64_t> next();

private:
    static constexpr std::int64_t counter_end = std::int64_t{1} << 20;
    port::Entropy& entropy_;
    std::int64_t prefix_ = 0;
    std::int64_t counter_ = counter_end;  // the first call draws
};

}  // namespace leat::topics
