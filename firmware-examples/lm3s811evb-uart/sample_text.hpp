// A sample as JSON, without printf: {"run":1,"seq":42,"ms":4200,"adc":511,"skipped":0}
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

struct Sample {
    std::uint32_t run = 0;
    std::uint32_t sequence = 0;  ///< counts records taken by the producer, from 0
    std::uint32_t uptime_ms = 0;
    std::uint32_t value = 0;    ///< 0 to 1023
    std::uint32_t skipped = 0;  ///< samples before this one that found no room
};

class SampleText {
public:
    explicit SampleText(const Sample& sample) {
        field("{\"run\":", sample.run);
        field(",\"seq\":", sample.sequence);
        field(",\"ms\":", sample.uptime_ms);
        field(",\"adc\":", sample.value);
        field(",\"skipped\":", sample.skipped);
        text_[size_++] = '}';
    }
    std::span<const std::uint8_t> bytes() const { return {text_, size_}; }

private:
    void field(const char* name, std::uint32_t value) {
        while (*name) text_[size_++] = static_cast<std::uint8_t>(*name++);
        std::uint8_t digits[10];
        std::size_t count = 0;
        do digits[count++] = static_cast<std::uint8_t>('0' + value % 10);
        while (value /= 10);
        while (count) text_[size_++] = digits[--count];
    }

    static constexpr std::size_t size_max = 40 + 5 * 10;  // the names, and five numbers
    std::uint8_t text_[size_max];
    std::size_t size_ = 0;
};
