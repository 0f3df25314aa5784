#include "sdk/wire/primitives.hpp"

#include <bit>

namespace leat::wire {
namespace {

constexpr std::uint8_t zeros[16] = {};
// Kafka holds strings to int16 in compact versions too. The bound also tells strings, whose classic
// length is an int16, from bytes and arrays, where it is an int32.
constexpr std::uint32_t string_max = 0x7fff;
constexpr std::uint32_t length_max = 0x7ffffffe;  // compact lengths are stored plus one

}  // namespace

void Reader::fail_with(Error error) {
    if (failed_) return;  // the first fault is the cause
    failed_ = true;
    error_ = error;
    at_ = end_;
}

const std::uint8_t* Reader::take(std::size_t count) {
    if (count > left()) {
        fail_with(Error::truncated);
        return zeros;
    }
    const std::uint8_t* taken = at_;
    at_ += count;
    return taken;
}

std::int8_t Reader::i8() { return static_cast<std::int8_t>(*take(1)); }
std::int16_t Reader::i16() { return load_big<std::int16_t>(take(2)); }
std::int32_t Reader::i32() { return load_big<std::int32_t>(take(4)); }
std::int64_t Reader::i64() { return load_big<std::int64_t>(take(8)); }
double Reader::f64() { return std::bit_cast<double>(i64()); }
bool Reader::boolean() { return i8() != 0; }

std::uint32_t Reader::uvarint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        std::uint8_t byte = *take(1);
        // The fifth byte holds the top four bits; more of them, or a sixth byte, is no int32.
        if (shift == 28 && byte > 0x0f) break;
        value |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    fail_with(Error::malformed);
    return 0;
}

std::int32_t Reader::varint() {
    std::uint32_t raw = uvarint();
    return static_cast<std::int32_t>((raw >> 1) ^ (0u - (raw & 1)));
}

std::int64_t Reader::varlong() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        std::uint8_t byte = *take(1);
        if (shift == 63 && byte > 1) break;
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80)
            return static_cast<std::int64_t>((value >> 1) ^ (std::uint64_t{0} - (value & 1)));
    }
    fail_with(Error::malformed);
    return 0;
}

Uuid Reader::uuid() {
    Uuid uuid;
    std::memcpy(uuid.bytes.data(), take(16), 16);
    return uuid;
}

/// -1 for null. At most left(), so that whoever trusts it stays inside the frame.
std::int32_t Reader::length(Lengths lengths, Null null, std::uint32_t max) {
    // Unsigned arithmetic on purpose: compact 0 and classic -1 both become "null" without 64 bits.
    std::uint32_t length = lengths == Lengths::compact ? uvarint() - 1
                           : max == string_max ? static_cast<std::uint32_t>(std::int32_t{i16()})
                                               : static_cast<std::uint32_t>(i32());
    if (failed_) return 0;
    if (length == 0xffffffff && null == Null::allowed) return -1;
    if (length > max || length > left()) {
        fail_with(length > max ? Error::malformed : Error::truncated);
        return 0;
    }
    return static_cast<std::int32_t>(length);
}

StringView Reader::string(Lengths lengths, Null null) {
    std::int32_t size = length(lengths, null, string_max);
    if (size < 0) return nullptr;
    const std::uint8_t* begin = at_;
    at_ += size;
    return text_of({begin, static_cast<std::size_t>(size)});
}

BytesView Reader::bytes(Lengths lengths, Null null) {
    std::int32_t size = length(lengths, null, length_max);
    if (size < 0) return nullptr;
    const std::uint8_t* begin = at_;
    at_ += size;
    return ByteView{begin, static_cast<std::size_t>(size)};
}

ArrayView Reader::array(ArrayView::Decode decode, std::int16_t version, bool flexible, Null null,
                        void* item) {
    ArrayView view;
    view.count = length(flexible ? Lengths::compact : Lengths::classic, null, length_max);
    view.first = at_;
    for (std::int32_t i = 0; i < view.count && !failed_; ++i)
        decode(*this, version, flexible, item);
    if (failed_) view.count = 0;
    elements_ += static_cast<std::uint32_t>(view.size());
    view.last = at_;
    view.decode = decode;
    view.version = version;
    view.flexible = flexible;
    return view;
}

const void* ArrayView::take(const void* at, void* item) const {
    auto begin = static_cast<const std::uint8_t*>(at);
    Reader reader({begin, static_cast<std::size_t>(last - begin)});
    decode(reader, version, flexible, item);
    return reader.at();
}

void Reader::skip(std::size_t count) {
    if (count > left()) return fail_with(Error::truncated);
    at_ += count;
}

void Reader::skip_tags() {
    for (std::uint32_t count = uvarint(); count > 0 && !failed_; --count) {
        uvarint();
        skip(uvarint());
    }
}

Status Reader::status() const {
    if (failed_) return fail(error_);
    return ok();
}

Status Reader::finish() const {
    if (failed_) return fail(error_);
    if (at_ != end_) return fail(Error::malformed);
    return ok();
}

void Writer::put(const void* from, std::size_t count) {
    // Once something did not fit, nothing later is written either: used_ stays above the capacity.
    if (used_ <= capacity_ && count <= capacity_ - used_ && count > 0)
        std::memcpy(memory_ + used_, from, count);
    used_ += count;
}

void Writer::i8(std::int8_t value) { put(&value, 1); }

void Writer::i16(std::int16_t value) {
    std::uint8_t bytes[2];
    store_big(bytes, value);
    put(bytes, 2);
}

void Writer::i32(std::int32_t value) {
    std::uint8_t bytes[4];
    store_big(bytes, value);
    put(bytes, 4);
}

void Writer::i64(std::int64_t value) {
    i32(static_cast<std::int32_t>(value >> 32));
    i32(static_cast<std::int32_t>(value));
}

void Writer::f64(double value) { i64(std::bit_cast<std::int64_t>(value)); }

void Writer::uvarint(std::uint32_t value) {
    for (; value >= 0x80; value >>= 7) i8(static_cast<std::int8_t>(value | 0x80));
    i8(static_cast<std::int8_t>(value));
}

void Writer::varint(std::int32_t value) {
    uvarint((static_cast<std::uint32_t>(value) << 1) ^ static_cast<std::uint32_t>(value >> 31));
}

void Writer::varlong(std::int64_t value) {
    std::uint64_t raw =
        (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
    for (; raw >= 0x80; raw >>= 7) i8(static_cast<std::int8_t>(raw | 0x80));
    i8(static_cast<std::int8_t>(raw));
}

void Writer::uuid(const Uuid& value) { put(value.bytes.data(), value.bytes.size()); }

void Writer::length(std::size_t length, bool is_null, Lengths lengths, Null null,
                    std::uint32_t max) {
    if ((is_null && null == Null::refused) || length > max) invalid_ = true;
    if (lengths == Lengths::compact) uvarint(is_null ? 0 : static_cast<std::uint32_t>(length) + 1);
    else if (max == string_max)
        i16(static_cast<std::int16_t>(is_null ? -1 : static_cast<int>(length)));
    else i32(is_null ? -1 : static_cast<std::int32_t>(length));
}

void Writer::string(const StringView& text, Lengths lengths, Null null) {
    length(text.size(), text.is_null(), lengths, null, string_max);
    put(text.view().data(), text.size());
}

void Writer::bytes(const BytesView& bytes, Lengths lengths, Null null) {
    length(bytes.size(), bytes.is_null(), lengths, null, length_max);
    if (!bytes.is_elsewhere()) return put(bytes.view().data(), bytes.size());
    apart_ += bytes.size();
    if (gap_count_ < gaps_.size()) gaps_[gap_count_++] = {.at = used_, .size = bytes.size()};
    else invalid_ = true;
}

void Writer::array_count(const ArrayView& array, Lengths lengths, Null null) {
    length(array.size(), array.is_null(), lengths, null, length_max);
}

Status Writer::finish() const {
    if (invalid_) return fail(Error::invalid);
    if (used_ > capacity_) return fail(Error::full);
    return ok();
}

}  // namespace leat::wire
