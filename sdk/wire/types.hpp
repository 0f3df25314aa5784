// The words that messages are made of: text and bytes that may be null, and ids of 16 bytes.
//
// Kafka tells null from empty, so std::string_view is not enough. All of these borrow.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <string_view>

#include "sdk/base/bytes.hpp"

namespace leat::wire {

/// Borrowed text, UTF-8 by Kafka's rules but not checked here. Default: empty, which is not null.
class StringView {
public:
    constexpr StringView() = default;
    constexpr StringView(std::nullptr_t) : data_(nullptr) {}
    constexpr StringView(std::string_view text)
        : data_(text.data() ? text.data() : ""), size_(text.size()) {}
    constexpr StringView(const char* text)
        : data_(text), size_(text ? std::string_view(text).size() : 0) {}
    template <class Text>
        requires(!std::same_as<Text, StringView> &&
                 !std::convertible_to<const Text&, const char*> &&
                 std::convertible_to<const Text&, std::string_view>)
    constexpr StringView(const Text& text) : StringView(static_cast<std::string_view>(text)) {}

    constexpr bool is_null() const { return data_ == nullptr; }
    constexpr std::size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    /// Null gives an empty view.
    constexpr std::string_view view() const { return {data_, size_}; }
    constexpr operator std::string_view() const { return view(); }

    friend constexpr bool operator==(const StringView& a, const StringView& b) {
        return a.is_null() == b.is_null() && a.view() == b.view();
    }

private:
    const char* data_ = "";
    std::size_t size_ = 0;
};

/// Borrowed bytes. Default: empty, which is not null.
///
/// To be encoded only, it may also say "these bytes stand elsewhere": the encoder then writes the
/// length, leaves the bytes out, and reports where they belong (encode_apart in codec.hpp), so that
/// record batches go from where they lie to the socket without a copy.
class BytesView {
public:
    constexpr BytesView() = default;
    constexpr BytesView(std::nullptr_t) : data_(nullptr) {}
    constexpr BytesView(ByteView bytes)
        : data_(bytes.data() ? bytes.data() : &empty_), size_(bytes.size()) {}
    template <class Bytes>
        requires(!std::same_as<Bytes, BytesView> && !std::same_as<Bytes, ByteView> &&
                 std::convertible_to<const Bytes&, ByteView>)
    constexpr BytesView(const Bytes& bytes) : BytesView(static_cast<ByteView>(bytes)) {}

    static constexpr BytesView elsewhere(std::size_t size) {
        BytesView bytes;
        bytes.data_ = &elsewhere_;
        bytes.size_ = size;
        return bytes;
    }

    constexpr bool is_null() const { return data_ == nullptr; }
    constexpr bool is_elsewhere() const { return data_ == &elsewhere_; }
    constexpr std::size_t size() const { return size_; }
    constexpr bool empty() const { return size_ == 0; }
    /// Null gives an empty view. Must not be called when the bytes are elsewhere.
    constexpr ByteView view() const { return {data_, size_}; }
    constexpr operator ByteView() const { return view(); }

    friend bool operator==(const BytesView& a, const BytesView& b) {
        return a.is_null() == b.is_null() && equal(a.view(), b.view());
    }

private:
    static constexpr std::uint8_t empty_ = 0;
    static constexpr std::uint8_t elsewhere_ = 0;

    const std::uint8_t* data_ = &empty_;
    std::size_t size_ = 0;
};

/// 16 bytes in network order. All zero means "none" (KIP-516); text is unpadded URL-safe base64.
struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    constexpr bool is_zero() const { return *this == Uuid{}; }
    friend constexpr bool operator==(const Uuid&, const Uuid&) = default;
    friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
};

}  // namespace leat::wire
