// The words of which topics and groups make their facts: big-endian numbers, texts behind their length.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sdk/base/bytes.hpp"

namespace leat::topics {

class FactWriter {
public:
    template <class T>
    void number(T value) {
        bytes.resize(bytes.size() + sizeof(T));
        store_big(bytes.data() + bytes.size() - sizeof(T), value);
    }
    void raw(ByteView value) { bytes.insert(bytes.end(), value.begin(), value.end()); }
    void name(std::string_view value) {
        number(static_cast<std::uint16_t>(value.size()));
        raw(bytes_of(value));
    }
    void blob(std::string_view value) {
        number(static_cast<std::uint32_t>(value.size()));
        raw(bytes_of(value));
    }
    std::vector<std::uint8_t> bytes;
};

/// Sticky: after an overrun everything reads as zero and ok is false.
class FactReader {
public:
    explicit FactReader(ByteView from) : left(from) {}
    template <class T>
    T number() {
        const ByteView bytes = take(sizeof(T));
        return bytes.empty() ? T{} : load_big<T>(bytes.data());
    }
    ByteView take(std::size_t size) {
        if (left.size() < size) {
            ok = false;
            left = {};
            return {};
        }
        const ByteView bytes = left.first(size);
        left = left.subspan(size);
        return bytes;
    }
    std::string_view name() { return text_of(take(number<std::uint16_t>())); }
    std::string_view blob() { return text_of(take(number<std::uint32_t>())); }
    ByteView left;
    bool ok = true;
};

}  // namespace leat::topics
