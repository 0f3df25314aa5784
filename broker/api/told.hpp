// Text for people. It repeats what a request named, which may be as long as a string of the
// protocol: with words around it no string of an answer would hold it.
#pragma once

#include <cstddef>
#include <string_view>

#include "sdk/wire/types.hpp"

namespace leat::api {

constexpr std::size_t told_bytes_max = 1'000;

/// The error_message that an answer tells of such a text: its beginning, or null if it is empty.
/// Borrows it. Every message that is no literal goes through here.
wire::StringView told(std::string_view text);

}  // namespace leat::api
