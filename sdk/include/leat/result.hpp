// The three kinds of error, two of them here: a check for programmers, a Result for what is expected
// to fail. The third, Kafka's own answer, is wire::ErrorCode.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "leat/check.hpp"

namespace leat {

/// Why an expected failure happened. Text for people is made where it is shown (error_text).
enum class Error : std::uint8_t {
    truncated,      ///< the bytes end before what they promise
    malformed,      ///< the bytes contradict their format
    corrupt,        ///< a checksum does not match
    unsupported,    ///< a version, codec or feature that this build or peer does not have
    too_large,      ///< above a named limit
    full,           ///< a bounded thing has no room now; later it may
    not_found,      ///< no such key, offset, topic, file
    busy,           ///< somebody else holds it (a lock, a port)
    would_block,    ///< nothing to do now; try after the next event
    disconnected,   ///< the peer is gone
    timed_out,      ///< a deadline passed
    storage,        ///< a read, write or sync of the device failed
    refused,        ///< the peer or a policy said no
    invalid,        ///< an argument or a setting outside what is allowed
    closed,         ///< the object was closed
};

/// A short English text, static, for logs and exceptions at the outer edge.
const char* error_text(Error error) noexcept;

struct Fail { Error error; };
constexpr Fail fail(Error error) { return {error}; }

/// A value or the reason there is none. Spelled like std::expected, so GCC 13 can make it an alias.
template <class T>
class [[nodiscard]] Result {
public:
    constexpr Result(T value) : value_(std::move(value)) {}
    constexpr Result(Fail failure) : error_(failure.error) {}

    constexpr explicit operator bool() const { return value_.has_value(); }
    constexpr const T& operator*() const& { LEAT_CHECK(value_.has_value()); return *value_; }
    constexpr T& operator*() & { LEAT_CHECK(value_.has_value()); return *value_; }
    constexpr T&& operator*() && { LEAT_CHECK(value_.has_value()); return std::move(*value_); }
    constexpr const T* operator->() const { LEAT_CHECK(value_.has_value()); return &*value_; }
    constexpr T* operator->() { LEAT_CHECK(value_.has_value()); return &*value_; }
    constexpr T value_or(T other) const { return value_ ? *value_ : std::move(other); }
    constexpr Error error() const { LEAT_CHECK(!value_.has_value()); return error_; }

private:
    std::optional<T> value_;
    Error error_{};
};

struct Done {};
using Status = Result<Done>;
constexpr Status ok() { return Done{}; }

}  // namespace leat
