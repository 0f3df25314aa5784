#include "sdk/client/scan.hpp"

namespace leat::client {

ByteView Scan::bytes(std::size_t size) {
    if (size > static_cast<std::size_t>(end_ - at_)) {
        bad_ = true;
        size = 0;
        at_ = end_;
    }
    const ByteView found(at_, size);
    at_ += size;
    return found;
}

std::uint8_t Scan::u8() {
    const ByteView byte = bytes(1);
    return byte.empty() ? 0 : byte[0];
}
std::uint16_t Scan::u16() {
    const std::uint8_t high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
}
std::uint32_t Scan::u32() {
    const ByteView word = bytes(4);
    return word.empty() ? 0 : get32(word.data());
}

std::uint32_t Scan::uvarint() {
    std::uint32_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        const std::uint32_t byte = u8();
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    bad_ = true;
    return 0;
}

void Scan::skip_tags() {
    for (std::uint32_t count = uvarint(); count > 0 && !bad_; --count) {
        uvarint();
        bytes(uvarint());
    }
}

namespace {

constexpr std::size_t length_bytes_max = 5;

/// Writes what fits and counts on.
class RecordWriter {
public:
    explicit RecordWriter(MutableBytes out, std::size_t used = 0) : out_(out), used_(used) {}

    void varint(std::int64_t value) {
        auto raw = static_cast<std::uint64_t>(value) << 1;
        if (value < 0) raw = ~raw;
        do {
            const auto byte = static_cast<std::uint8_t>(raw & 0x7f);
            raw >>= 7;
            put(raw > 0 ? byte | 0x80 : byte);
        } while (raw > 0);
    }
    void bytes(const wire::BytesView& bytes) {
        varint(bytes.is_null() ? -1 : static_cast<std::int64_t>(bytes.size()));
        append(bytes.view().data(), bytes.size());
    }
    void append(const std::uint8_t* bytes, std::size_t size) {
        if (size > 0 && used_ <= out_.size() && size <= out_.size() - used_)
            std::memcpy(out_.data() + used_, bytes, size);
        used_ += size;
    }
    std::size_t used() const { return used_; }

private:
    void put(int byte) {
        const auto one = static_cast<std::uint8_t>(byte);
        append(&one, 1);
    }
    MutableBytes out_;
    std::size_t used_;
};

}  // namespace

std::size_t record_bytes_max(const wire::RecordInput& record) {
    constexpr std::size_t words = 1 + 10 + 5 * length_bytes_max;
    std::size_t size = words + record.key.size() + record.value.size();
    if constexpr (profile.record_headers) {
        // To the byte: there may be many, and a bound that is far above what is written would make
        // a record too long for a buffer that holds it.
        RecordWriter headers({}, size);
        for (const wire::RecordHeader& header : record.headers) {
            headers.bytes(bytes_of(header.key.view()));
            headers.bytes(header.value);
        }
        size = headers.used();
    }
    return size;
}

std::size_t write_record(MutableBytes out, const wire::RecordInput& record,
                         std::int64_t timestamp_delta, std::int32_t offset_delta) {
    // The length comes first and is known last: the body is written behind the longest, then moved
    // up.
    RecordWriter body(out, length_bytes_max);
    body.varint(0);  // attributes
    body.varint(timestamp_delta);
    body.varint(offset_delta);
    body.bytes(record.key);
    body.bytes(record.value);
    if constexpr (profile.record_headers) {
        body.varint(static_cast<std::int64_t>(record.headers.size()));
        for (const wire::RecordHeader& header : record.headers) {
            body.bytes(bytes_of(header.key.view()));
            body.bytes(header.value);
        }
    } else {
        LEAT_CHECK(record.headers.empty());
        body.varint(0);
    }
    if (body.used() > out.size()) return 0;
    const std::size_t size = body.used() - length_bytes_max;
    RecordWriter length(out);
    length.varint(static_cast<std::int64_t>(size));
    std::memmove(out.data() + length.used(), out.data() + length_bytes_max, size);
    return length.used() + size;
}

}  // namespace leat::client
