#pragma once
#include <cstdint>
#include <span>
#include "leat/result.hpp"

namespace leat::port {

/// Random bytes. Fails closed: on a board without a source it says so, and nothing is invented.
class Entropy {
public:
    virtual Status fill(std::span<std::uint8_t> into) = 0;

protected:
    ~Entropy() = default;
};

}  // namespace leat::port
