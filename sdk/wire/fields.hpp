// The words of a message's description.
//
//     static void fields(auto& io, auto& m) {
//         io("group_id", m.group_id);
//         io("group_instance_id", m.group_instance_id, since(3).nullable());
//     }
//     static constexpr void tags(auto& io, auto& m) {  // only if there are tagged fields
//         io(0, "cluster_id", m.cluster_id, since(12).nullable(), StringView(nullptr));
//     }
//
// `io` is a Decoder, an Encoder (which is the size counter, too) or a Printer. Fields stand in wire
// order; tagged fields (KIP-482) in the order of their tags, each with its default, at which it is
// left out.
#pragma once

#include <cstdint>

#include "sdk/wire/api_key.hpp"
#include "sdk/wire/array.hpp"
#include "sdk/wire/error_code.hpp"
#include "sdk/wire/primitives.hpp"

namespace leat::wire {

/// In which versions a field is on the wire, and in which of them it may be null. All of it is
/// forced inline: at -Os GCC would otherwise call it, and ask at run time what a fixed version
/// answers.
struct FieldVersions {
    std::int16_t first = 0;
    std::int16_t last = 0x7fff;
    std::int16_t null_first = 0x7fff;

    [[gnu::always_inline]] constexpr bool on_wire_in(std::int16_t version) const {
        return version >= first && version <= last;
    }
    [[gnu::always_inline]] constexpr Null null_in(std::int16_t version) const {
        return version >= null_first ? Null::allowed : Null::refused;
    }
    [[gnu::always_inline]] constexpr FieldVersions nullable(std::int16_t since = 0) const {
        return {first, last, since};
    }
};

inline constexpr FieldVersions always{};
[[gnu::always_inline]] constexpr FieldVersions since(std::int16_t first) {
    return {.first = first};
}
[[gnu::always_inline]] constexpr FieldVersions until(std::int16_t last) { return {.last = last}; }
[[gnu::always_inline]] constexpr FieldVersions between(std::int16_t first, std::int16_t last) {
    return {.first = first, .last = last};
}

/// A version known when compiling: everything about other versions folds away.
template <std::int16_t Number, bool Flexible>
struct FixedVersion {
    static constexpr bool is_fixed = true;
    static constexpr FixedVersion make(std::int16_t, bool) { return {}; }
    static constexpr std::int16_t number() { return Number; }
    static constexpr Lengths lengths() { return Flexible ? Lengths::compact : Lengths::classic; }
    static constexpr bool flexible() { return Flexible; }
};

/// A version known when running.
class AnyVersion {
public:
    static constexpr bool is_fixed = false;
    static constexpr AnyVersion make(std::int16_t number, bool flexible) {
        return {number, flexible};
    }
    constexpr AnyVersion(std::int16_t number, bool flexible)
        : number_(number), flexible_(flexible) {}
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

/// The struct has tagged fields in some version.
template <class M>
concept HasTags = requires {
    &M::template tags<Reader, M>;
};

struct TagProbe {
    std::int16_t version;
    bool any = false;

    constexpr void operator()(std::uint32_t, const char*, const auto&, FieldVersions versions,
                              const auto&...) {
        any = any || versions.on_wire_in(version);
    }
};
/// Has M tagged fields in this version? A constant for a fixed version, whose code for them then
/// vanishes.
template <class M, class Version>
constexpr bool has_tags() {
    if constexpr (!HasTags<M>) return false;
    else if constexpr (Version::is_fixed) {
        M m{};
        TagProbe probe{Version::number()};
        M::tags(probe, m);
        return probe.any;
    } else return true;
}

}  // namespace leat::wire
