// The few words of the protocol that the client's own state machines read and write themselves: the
// frame's head, a record, and on devices the one pinned version. Out of line and few: they are paid
// for in flash.
#pragma once

#include <bit>

#include "leat/profile.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::client {

/// Big-endian, wherever they lie; what follows them is returned. A byte swap and a store, not a
/// loop: on a Cortex-M3 6 bytes of flash each.
template <class T>
inline std::uint8_t* put_swapped(T value, std::uint8_t* at) {
    if constexpr (std::endian::native == std::endian::little) {
        if constexpr (sizeof(T) == 2)
            value = __builtin_bswap16(value);
        else
            value = __builtin_bswap32(value);
    }
    std::memcpy(at, &value, sizeof value);
    return at + sizeof value;
}
inline std::uint8_t* put16(std::uint16_t value, std::uint8_t* at) { return put_swapped(value, at); }
inline std::uint8_t* put32(std::uint32_t value, std::uint8_t* at) { return put_swapped(value, at); }
inline std::uint8_t* put64(std::int64_t value, std::uint8_t* at) {
    const auto raw = static_cast<std::uint64_t>(value);
    return put32(static_cast<std::uint32_t>(raw), put32(static_cast<std::uint32_t>(raw >> 32), at));
}
inline std::uint32_t get32(const std::uint8_t* at) {
    std::uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return std::endian::native == std::endian::little ? __builtin_bswap32(value) : value;
}

/// Reads and never passes the end: sticky, zeros after the first fault.
class Scan {
public:
    explicit Scan(ByteView bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

    std::uint8_t u8();
    std::uint16_t u16();
    std::uint32_t u32();
    std::int64_t i64() {
        const std::uint64_t high = u32();
        return static_cast<std::int64_t>(high << 32 | u32());
    }
    std::uint32_t uvarint();
    ByteView bytes(std::size_t size);
    /// A compact length (KIP-482: one more than the length, 0 for null) and what it counts.
    ByteView compact() {
        const std::uint32_t length = uvarint();
        return bytes(length > 0 ? length - 1 : 0);
    }
    void skip_tags();
    ByteView rest() const { return {at_, end_}; }
    bool is_bad() const { return bad_; }

private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
    bool bad_ = false;
};

/// What write_record may need at most: the exact size and a few bytes.
std::size_t record_bytes_max(const wire::RecordInput& record);
/// Writes one record as in a RecordBatch. Returns its bytes; 0: it does not fit into `out`.
std::size_t write_record(MutableBytes out, const wire::RecordInput& record,
                         std::int64_t timestamp_delta, std::int32_t offset_delta);

}  // namespace leat::client
