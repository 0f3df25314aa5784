// Reading and writing the protocol's primitive types.
//
// Both ends are sticky: after the first fault a Reader yields zeros and a Writer writes nothing
// more, so that descriptions of messages read straight down and ask once, at the end. Both are out
// of line and know nothing of versions: on a microcontroller they are paid for once, however many
// messages there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "leat/result.hpp"
#include "sdk/wire/types.hpp"

namespace leat::wire {

/// How a length is written: classic (int16 or int32, -1 is null) or compact (varint of length + 1,
/// 0 is null).
enum class Lengths : bool { classic, compact };
enum class Null : bool { refused, allowed };

class Reader;

/// Array<T> without its T, so that what is the same for all elements is compiled once.
struct ArrayView {
    /// Decodes the element at the reader's place into `item`, a T that it resets first.
    using Decode = void (*)(Reader& reader, std::int16_t version, bool flexible, void* item);

    const void* first = nullptr;         ///< the first T of a span, or the first byte in the frame
    const std::uint8_t* last = nullptr;  ///< in a frame: where the last element ends
    Decode decode = nullptr;             ///< null: a span
    std::int32_t count = 0;              ///< -1: null
    std::int16_t version = 0;
    bool flexible = false;

    constexpr bool is_null() const { return count < 0; }
    constexpr std::size_t size() const { return count < 0 ? 0 : static_cast<std::size_t>(count); }
    constexpr bool empty() const { return count <= 0; }
    /// Decodes the element at `at` into `item` and returns where the next one begins.
    const void* take(const void* at, void* item) const;
};

/// Reads from a borrowed frame and never past its end.
class Reader {
public:
    constexpr explicit Reader(ByteView bytes)
        : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    std::int8_t i8();
    std::int16_t i16();
    std::int32_t i32();
    std::int64_t i64();
    double f64();
    bool boolean();           ///< any byte but 0 is true, as in Kafka
    std::uint32_t uvarint();  ///< at most 5 bytes, of the last only 4 bits
    std::int32_t varint();    ///< zigzag
    std::int64_t varlong();   ///< zigzag, at most 10 bytes
    Uuid uuid();
    StringView string(Lengths lengths, Null null);
    BytesView bytes(Lengths lengths, Null null);
    /// Reads a count and walks that many elements with `decode`, using `item` (a T) for each: after
    /// that iterating over the view cannot fail. A count above the bytes that are left is refused
    /// at once, so the walk is bounded by the frame: every element takes at least one byte.
    ArrayView array(ArrayView::Decode decode, std::int16_t version, bool flexible, Null null,
                    void* item);
    void skip(std::size_t count);
    /// Skips a whole section of tagged fields (KIP-482).
    void skip_tags();

    constexpr const std::uint8_t* at() const { return at_; }
    constexpr const std::uint8_t* end() const { return end_; }
    constexpr std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
    constexpr ByteView rest() const { return {at_, left()}; }
    constexpr bool failed() const { return failed_; }
    constexpr Error error() const { return error_; }
    /// Of all arrays that were walked, nested ones with them.
    constexpr std::uint32_t elements() const { return elements_; }
    void fail_with(Error error);
    /// All bytes were read and nothing failed.
    Status finish() const;
    /// Nothing failed; bytes may be left.
    Status status() const;

protected:
    /// `count` bytes, at most 16; zeros after the end.
    const std::uint8_t* take(std::size_t count);
    std::int32_t length(Lengths lengths, Null null, std::uint32_t max);

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    std::uint32_t elements_ = 0;
    Error error_ = Error::truncated;
    bool failed_ = false;
};

/// Where bytes belong that an encoder left out (BytesView::elsewhere).
struct Gap {
    std::size_t at = 0;  ///< the offset in the written bytes before which they come
    std::size_t size = 0;
};

/// Writes into memory that the caller brings, and goes on counting when it is full: a Writer
/// without memory is the size counter.
class Writer {
public:
    constexpr Writer() = default;
    constexpr explicit Writer(MutableBytes memory, std::span<Gap> gaps = {})
        : memory_(memory.data()), capacity_(memory.size()), gaps_(gaps) {}

    void i8(std::int8_t value);
    void i16(std::int16_t value);
    void i32(std::int32_t value);
    void i64(std::int64_t value);
    void f64(double value);
    void uvarint(std::uint32_t value);
    void varint(std::int32_t value);
    void varlong(std::int64_t value);
    void uuid(const Uuid& value);
    void string(const StringView& text, Lengths lengths, Null null);
    void bytes(const BytesView& bytes, Lengths lengths, Null null);
    void array_count(const ArrayView& array, Lengths lengths, Null null);
    void put(const void* from, std::size_t count);

    /// Bytes so far, whether they fitted or not, with those that stand elsewhere.
    constexpr std::size_t size() const { return used_ + apart_; }
    constexpr std::size_t written() const { return used_; }
    constexpr std::size_t gap_count() const { return gap_count_; }
    void refuse() { invalid_ = true; }
    /// fails  full: the memory is too small · invalid: a null where the protocol has none, a string
    ///        longer than 32,767 bytes, bytes elsewhere without a Gap for them, a decoded array in
    ///        an encoder of one version
    Status finish() const;

private:
    void length(std::size_t length, bool is_null, Lengths lengths, Null null, std::uint32_t max);

    std::uint8_t* memory_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t used_ = 0;
    std::size_t apart_ = 0;
    std::span<Gap> gaps_{};
    std::size_t gap_count_ = 0;
    bool invalid_ = false;
};

}  // namespace leat::wire
