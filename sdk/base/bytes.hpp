// Borrowed bytes and fixed-width integers in both byte orders: big-endian on the wire, little-endian on
// flash. Nothing here checks bounds; the readers that do stand in wire and log.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace leat {

using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

constexpr std::size_t KiB = 1024;
constexpr std::size_t MiB = 1024 * KiB;

template <class T>
constexpr void store_big(std::uint8_t* at, T value) {
    for (std::size_t i = sizeof(T); i-- > 0; value = static_cast<T>(sizeof(T) > 1 ? value >> 8 : 0))
        at[i] = static_cast<std::uint8_t>(value);
}
template <class T>
constexpr T load_big(const std::uint8_t* at) {
    std::make_unsigned_t<T> value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value = static_cast<std::make_unsigned_t<T>>((sizeof(T) > 1 ? value << 8 : 0) | at[i]);
    return static_cast<T>(value);
}
template <class T>
constexpr void store_little(std::uint8_t* at, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i, value = static_cast<T>(sizeof(T) > 1 ? value >> 8 : 0))
        at[i] = static_cast<std::uint8_t>(value);
}
template <class T>
constexpr T load_little(const std::uint8_t* at) {
    std::make_unsigned_t<T> value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;)
        value = static_cast<std::make_unsigned_t<T>>((sizeof(T) > 1 ? value << 8 : 0) | at[i]);
    return static_cast<T>(value);
}

inline ByteView bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view text_of(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline bool equal(ByteView a, ByteView b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}
/// Copies all of `from`, which must fit, to the front of `to`. Empty spans with null data are fine.
inline void copy_bytes(ByteView from, MutableBytes to) {
    if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace leat
