// Zigzag varints as records use them. Inline and branch-light: a broker reads six of them per
// record, and all but the time stamp are one byte long.
//
// Readers take a cursor [at, end) and return nullptr for damage, so that a caller can chain them
// and look once. Writers trust the caller, who has asked varint_size first.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leat::wire {

constexpr std::uint32_t zigzag(std::int32_t value) {
    return (static_cast<std::uint32_t>(value) << 1) ^ static_cast<std::uint32_t>(value >> 31);
}
constexpr std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int32_t unzigzag(std::uint32_t value) {
    return static_cast<std::int32_t>((value >> 1) ^ (~(value & 1) + 1));
}
constexpr std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

template <class U>
constexpr std::size_t uvarint_size(U value) {
    std::size_t size = 1;
    for (; value > 0x7f; value >>= 7) ++size;
    return size;
}
template <class I>
constexpr std::size_t varint_size(I value) {
    return uvarint_size(zigzag(value));
}

template <class U>
constexpr std::uint8_t* put_uvarint(std::uint8_t* at, U value) {
    for (; value > 0x7f; value >>= 7) *at++ = static_cast<std::uint8_t>(value | 0x80);
    *at++ = static_cast<std::uint8_t>(value);
    return at;
}
template <class I>
constexpr std::uint8_t* put_varint(std::uint8_t* at, I value) {
    return put_uvarint(at, zigzag(value));
}

/// The rest of a varint that is longer than one byte. fails (nullptr): the bytes end, or more than
/// 32 (64) bits are set; as in Kafka's own reader, the bits past the type's width in the last byte
/// must be 0.
template <class U>
constexpr const std::uint8_t* get_uvarint_long(const std::uint8_t* at, const std::uint8_t* end,
                                               U& value) {
    constexpr int bits = static_cast<int>(sizeof(U) * 8);
    U result = 0;
    for (int shift = 0; shift < bits; shift += 7) {
        if (at == end) return nullptr;
        const std::uint8_t byte = *at++;
        if (shift + 7 > bits && (byte >> (bits - shift)) != 0) return nullptr;
        result |= static_cast<U>(byte & 0x7f) << shift;
        if (byte < 0x80) {
            value = result;
            return at;
        }
    }
    return nullptr;
}
template <class I>
constexpr const std::uint8_t* get_varint(const std::uint8_t* at, const std::uint8_t* end,
                                         I& value) {
    using U = decltype(zigzag(I{}));
    if (at == nullptr || at == end) return nullptr;
    U raw = *at;
    if (raw < 0x80) {
        ++at;
    } else {
        at = get_uvarint_long<U>(at, end, raw);
        if (at == nullptr) return nullptr;
    }
    value = unzigzag(raw);
    return at;
}

}  // namespace leat::wire
