#pragma once
#include <cstdint>

#include "leat/port/entropy.hpp"

namespace leat::test {

/// Reproducible bytes from a seed (splitmix64); may be told to fail.
class TestEntropy final : public port::Entropy {
public:
    explicit TestEntropy(std::uint64_t seed = 1) : state_(seed) {}
    bool broken = false;
    Status fill(std::span<std::uint8_t> into) override {
        if (broken) return fail(Error::would_block);
        for (std::uint8_t& byte : into) byte = static_cast<std::uint8_t>(next());
        return ok();
    }
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }

private:
    std::uint64_t state_;
};

}  // namespace leat::test
