// Two ways over the records of a batch: one over bytes that lie together, fast; one over bytes that
// come in pieces out of a decompressor. Both see the same records and stop at the same damage (a
// test holds them against each other).
#pragma once

#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/wire/varint.hpp"

namespace leat::topics {

/// What validation wants to know of a record.
struct RecordFacts {
    std::int64_t timestamp_delta = 0;
    std::int32_t offset_delta = 0;
    bool keyless = false;
};

/// Walks `count` records that fill `bytes` exactly, and shows each to `visit`.
/// returns  false on damage; the records before it were shown
template <class Visit>
bool walk_records(ByteView bytes, std::int32_t count, Visit&& visit) {
    const std::uint8_t* at = bytes.data();
    const std::uint8_t* const all_end = at + bytes.size();
    const auto skip = [](const std::uint8_t* from, const std::uint8_t* end, std::int32_t& length) {
        from = wire::get_varint(from, end, length);
        if (from == nullptr || length <= 0) return from;
        return length <= end - from ? from + length : nullptr;
    };
    for (std::int32_t i = 0; i < count; ++i) {
        std::int32_t length = 0;
        at = wire::get_varint(at, all_end, length);
        if (at == nullptr || length <= 0 || length > all_end - at) return false;
        const std::uint8_t* const end = at + length;
        RecordFacts facts;
        std::int32_t key_length = 0, value_length = 0, headers = 0;
        at = wire::get_varint(at + 1, end, facts.timestamp_delta);  // + 1: attributes, unused
        at = wire::get_varint(at, end, facts.offset_delta);
        at = skip(at, end, key_length);
        at = skip(at, end, value_length);
        at = wire::get_varint(at, end, headers);
        if (at == nullptr || headers < 0) return false;
        for (; headers > 0; --headers) {
            std::int32_t name_length = 0;
            at = skip(at, end, name_length);
            if (at == nullptr || name_length < 0) return false;
            at = skip(at, end, value_length);
            if (at == nullptr) return false;
        }
        if (at != end) return false;
        facts.keyless = key_length < 0;
        visit(i, facts);
    }
    return at == all_end;
}

/// The same, fed piece by piece.
template <class Visit>
class PieceWalk {
public:
    PieceWalk(std::int32_t count, Visit& visit) : count_(count), visit_(visit) {}

    /// fails: malformed
    Status feed(ByteView piece) {
        while (!piece.empty()) {
            if (skip_ > 0) {
                const std::size_t some = skip_ < piece.size() ? skip_ : piece.size();
                skip_ -= some;
                left_ -= some;
                piece = piece.subspan(some);
                if (skip_ == 0 && !close_if_done()) return fail(Error::malformed);
                continue;
            }
            const std::uint8_t byte = piece.front();
            piece = piece.subspan(1);
            if (!take(byte)) return fail(Error::malformed);
        }
        return ok();
    }
    /// All bytes were fed: exactly `count` records, none cut short.
    bool finished() const { return index_ == count_ && step_ == Step::length && bits_ == 0; }

private:
    enum class Step : std::uint8_t {
        length,
        attributes,
        timestamp,
        offset,
        key,
        value,
        header_count,
        header_key,
        header_value,
    };

    bool take(std::uint8_t byte) {
        if (step_ != Step::length) {
            if (left_ == 0) return false;
            --left_;
        } else if (index_ == count_) {
            return false;
        }
        if (step_ == Step::attributes) {
            step_ = Step::timestamp;
            return left_ > 0;
        }
        // A varint of 32 bits ends with its fifth byte, of which 4 bits count; one of 64 with its
        // tenth, 1 bit.
        const unsigned width = step_ == Step::timestamp ? 64 : 32;
        if (bits_ + 7 > width && (byte >> (width - bits_)) != 0) return false;
        value_ |= static_cast<std::uint64_t>(byte & 0x7f) << bits_;
        bits_ += 7;
        if (byte >= 0x80) return bits_ < width;
        const std::uint64_t raw = value_;
        value_ = 0;
        bits_ = 0;
        return on_number(raw);
    }

    bool on_number(std::uint64_t raw) {
        const std::int32_t number = wire::unzigzag(static_cast<std::uint32_t>(raw));
        switch (step_) {
            case Step::length:
                if (number <= 0) return false;
                left_ = static_cast<std::size_t>(number);
                step_ = Step::attributes;
                return true;
            case Step::timestamp:
                facts_.timestamp_delta = wire::unzigzag(raw);
                step_ = Step::offset;
                return true;
            case Step::offset:
                facts_.offset_delta = number;
                step_ = Step::key;
                return true;
            case Step::key:
                facts_.keyless = number < 0;
                step_ = Step::value;
                return skip(number);
            case Step::value:
                step_ = Step::header_count;
                return skip(number);
            case Step::header_count:
                if (number < 0) return false;
                headers_ = number;
                step_ = Step::header_key;
                return close_if_done();
            case Step::header_key:
                step_ = Step::header_value;
                return number >= 0 && skip(number);
            case Step::header_value:
                --headers_;
                step_ = Step::header_key;
                return skip(number) && (skip_ > 0 || close_if_done());
            case Step::attributes:
                break;
        }
        return false;
    }

    bool skip(std::int32_t length) {
        if (length <= 0) return true;
        skip_ = static_cast<std::size_t>(length);
        return skip_ <= left_;
    }

    /// After the last header the record must be over, and nowhere else is it.
    bool close_if_done() {
        if (step_ != Step::header_key || headers_ > 0) return true;
        if (left_ != 0) return false;
        visit_(index_, facts_);
        ++index_;
        facts_ = {};
        step_ = Step::length;
        return true;
    }

    std::int32_t count_;
    Visit& visit_;
    std::int32_t index_ = 0;
    Step step_ = Step::length;
    unsigned bits_ = 0;
    std::uint64_t value_ = 0;
    std::size_t left_ = 0;  // bytes of this record still to come
    std::size_t skip_ = 0;  // of them: not looked at
    std::int32_t headers_ = 0;
    RecordFacts facts_;
};

}  // namespace leat::topics
