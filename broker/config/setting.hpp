// One line of the table of settings, and the usual ways to take a value: numbers, sizes, durations,
// words.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "broker/config/config.hpp"
#include "broker/config/json.hpp"
#include "broker/config/text.hpp"

namespace leat::config {

using Kind = JsonValue::Kind;
constexpr std::int64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib, tib = 1024 * gib;

template <class Owner>
struct Setting {
    std::string_view key;
    std::string_view right;  ///< completes "expected ..."
    bool (*take)(const JsonValue&, Owner&);
};

template <class T>
struct MemberOf;
template <class Owner, class Type>
struct MemberOf<Type Owner::*> {
    using owner = Owner;
    using type = Type;
};
template <auto member>
using OwnerOf = typename MemberOf<decltype(member)>::owner;
template <auto member>
using TypeOf = typename MemberOf<decltype(member)>::type;

template <auto member, std::int64_t min, std::int64_t max>
bool number(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::integer || value.integer < min || value.integer > max) return false;
    owner.*member = static_cast<TypeOf<member>>(value.integer);
    return true;
}

template <auto member, std::int64_t min, std::int64_t max>
bool size(const JsonValue& value, OwnerOf<member>& owner) {
    std::int64_t bytes = value.integer;
    if (value.kind == Kind::string) {
        const auto parsed = parse_size(value.text);
        if (!parsed) return false;
        bytes = static_cast<std::int64_t>(*parsed);
    } else if (value.kind != Kind::integer) {
        return false;
    }
    if (bytes < min || bytes > max) return false;
    owner.*member = static_cast<TypeOf<member>>(bytes);
    return true;
}

template <auto member, std::int64_t min, std::int64_t max>
bool duration(const JsonValue& value, OwnerOf<member>& owner) {
    milliseconds time{value.integer};
    if (value.kind == Kind::string) {
        const auto parsed = parse_duration(value.text);
        if (!parsed) return false;
        time = *parsed;
    } else if (value.kind != Kind::integer) {
        return false;
    }
    if (time.count() < min || time.count() > max) return false;
    owner.*member = time;
    return true;
}

template <auto member>
bool boolean(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::boolean) return false;
    owner.*member = value.boolean;
    return true;
}

template <auto member, std::size_t max>
bool word(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::string || value.text.empty() || value.text.size() > max) return false;
    owner.*member = value.text;
    return true;
}

template <auto member>
bool address(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::string) return false;
    const auto parsed = parse_host_port(value.text);
    if (parsed) owner.*member = *parsed;
    return parsed.has_value();
}

template <auto member>
bool power_of_two(const JsonValue& value, OwnerOf<member>& owner) {
    return std::has_single_bit(owner.*member) || (value.integer == 0 && owner.*member == 0);
}

inline bool is_id(std::string_view text, std::size_t max) {
    return !text.empty() && text.size() <= max &&
           text.find_first_not_of(
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               std::string_view::npos;
}

constexpr std::int64_t year_ms = std::int64_t{366} * 86'400'000;
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();

std::span<const Setting<Config>> config_settings();
std::span<const Setting<Route>> route_settings();

}  // namespace leat::config
