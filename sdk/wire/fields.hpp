// The words of a message's description.
//
//     static void fields(auto& io, auto& m) {
//         io("group_id", m.group_id);
//         io("group_instance_id", m.group_instance_id, since(3).nullable());
//     }
//     static void tags(auto& io, auto& m) {                       // only if the struct has tagged fields
//         io(0, "cluster_id", m.cluster_id, since(12).nullable(), StringView(nullptr));
//     }
//
// `io` is a Decoder, an Encoder (which is the size counter, too) or a Printer. Fields stand in wire order;
// tagged fields (KIP-482) in the order of their tags, each with its default, at which it is left out.
#pragma once

#include <cstdint>

#include "sdk/wire/api_key.hpp"
#include "sdk/wire/error_code.hpp"
#include "sdk/wire/primitives.hpp"
#include "sdk/wire/array.hpp"

namespace leat::wire {

/// In which versions a field is on the wire, and in which of them it may be null.
struct FieldVersions {
    std::int16_t first = 0;
    std::int16_t last = 0x7fff;
    std::int16_t null_first = 0x7fff;

    constexpr bool on_wire_in(std::int16_t version) const { return version >= first && version <= last; }
    constexpr Null null_in(std::int16_t version) const {
        return version >= null_first ? Null::allowed : Null::refused;
    }
    constexpr FieldVersions nullable(std::int16_t since = 0) const { return {first, last, since}; }
};

inline constexpr FieldVersions always{};
constexpr FieldVersions since(std::int16_t first) { return {.first = first}; }
constexpr FieldVersions until(std::int16_t last) { return {.last = last}; }
constexpr FieldVersions between(std::int16_t first, std::int16_t last) { return {.first = first, .last = last}; }

/// A version known when compiling: everything about other versions folds away.
template <std::int16_t Number, bool Flexible>
struct FixedVersion {
    static constexpr FixedVersion make(std::int16_t, bool) { return {}; }
    static constexpr std::int16_t number() { return Number; }
    static constexpr Lengths lengths() { return Flexible ? Lengths::compact : Lengths::classic; }
    static constexpr bool flexible() { return Flexible; }
};

/// A version known when running.
class AnyVersion {
public:
    static constexpr AnyVersion make(std::int16_t number, bool flexible) { return {number, flexible}; }
    constexpr AnyVersion(std::int16_t number, bool flexible) : number_(number), flexible_(flexible) {}
    constexpr std::int16_t number() const { return number_; }
    constexpr Lengths lengths() const { return flexible_ ? Lengths::compact : Lengths::classic; }
    constexpr bool flexible() const { return flexible_; }

private:
    std::int16_t number_;
    bool flexible_;
};

template <class T>
inline constexpr bool is_array = false;
template <class T>
inline constexpr bool is_array<Array<T>> = true;

template <class M>
concept HasTags = requires(M& m, Reader& io) { &M::template tags<Reader, M>; };

}  // namespace leat::wire
