#include "sdk/wire/primitives.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

using namespace leat;
using namespace leat::wire;

namespace {

using Bytes = std::vector<std::uint8_t>;

template <class Write>
Bytes written(Write write) {
    std::array<std::uint8_t, 512> memory{};
    Writer writer{MutableBytes(memory)};
    write(writer);
    REQUIRE(writer.finish());
    return Bytes(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(writer.size()));
}

Error error_of(const Status& status) {
    REQUIRE(!status);
    return status.error();
}

}  // namespace

TEST_CASE("primitives: integers are big-endian and come back") {
    Bytes bytes = written([](Writer& w) {
        w.i8(-2);
        w.i16(0x0102);
        w.i32(std::numeric_limits<std::int32_t>::min());
        w.i64(0x0102030405060708);
        w.f64(-1.5);
    });
    CHECK(Bytes(bytes.begin(), bytes.begin() + 7) == Bytes{0xfe, 1, 2, 0x80, 0, 0, 0});
    Reader reader{ByteView(bytes)};
    CHECK(reader.i8() == -2);
    CHECK(reader.i16() == 0x0102);
    CHECK(reader.i32() == std::numeric_limits<std::int32_t>::min());
    CHECK(reader.i64() == 0x0102030405060708);
    CHECK(reader.f64() == -1.5);
    CHECK(reader.finish());
}

TEST_CASE("primitives: varints take the bytes that the protocol says, at every edge") {
    struct Case {
        std::uint32_t value;
        Bytes bytes;
    };
    const Case cases[] = {
        {0, {0}},
        {1, {1}},
        {127, {0x7f}},
        {128, {0x80, 1}},
        {300, {0xac, 2}},
        {16383, {0xff, 0x7f}},
        {16384, {0x80, 0x80, 1}},
        {0xffffffff, {0xff, 0xff, 0xff, 0xff, 0x0f}},
    };
    for (const Case& c : cases) {
        CHECK(written([&](Writer& w) { w.uvarint(c.value); }) == c.bytes);
        Reader reader{ByteView(c.bytes)};
        CHECK(reader.uvarint() == c.value);
        CHECK(reader.finish());
    }
    for (std::int32_t value : {0, -1, 1, 63, -64, 64, std::numeric_limits<std::int32_t>::max(),
                               std::numeric_limits<std::int32_t>::min()}) {
        Bytes bytes = written([&](Writer& w) { w.varint(value); });
        Reader reader{ByteView(bytes)};
        CHECK(reader.varint() == value);
    }
    for (std::int64_t value :
         {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::max(),
          std::numeric_limits<std::int64_t>::min()}) {
        Bytes bytes = written([&](Writer& w) { w.varlong(value); });
        Reader reader{ByteView(bytes)};
        CHECK(reader.varlong() == value);
        CHECK(reader.finish());
    }
    CHECK(written([](Writer& w) { w.varint(-1); }) == Bytes{1});
}

TEST_CASE(
    "primitives: a varint with too many bits or bytes is malformed, an unfinished one truncated") {
    const Bytes bits{0xff, 0xff, 0xff, 0xff, 0x1f}, longer{0x80, 0x80, 0x80, 0x80, 0x80, 0},
        cut{0x80, 0x80};
    for (const Bytes& bytes : {bits, longer}) {
        Reader reader{ByteView(bytes)};
        CHECK(reader.uvarint() == 0);
        CHECK(error_of(reader.finish()) == Error::malformed);
    }
    Reader reader{ByteView(cut)};
    reader.uvarint();
    CHECK(error_of(reader.finish()) == Error::truncated);
    const Bytes long_varlong{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    Reader wide{ByteView(long_varlong)};
    wide.varlong();
    CHECK(error_of(wide.finish()) == Error::malformed);
}

TEST_CASE("primitives: null, empty and full strings differ in both kinds of length") {
    for (Lengths lengths : {Lengths::classic, Lengths::compact})
        for (StringView text : {StringView(nullptr), StringView(""), StringView("pump-7")}) {
            Bytes bytes = written([&](Writer& w) { w.string(text, lengths, Null::allowed); });
            Reader reader{ByteView(bytes)};
            CHECK(reader.string(lengths, Null::allowed) == text);
            CHECK(reader.finish());
        }
    CHECK(written([](Writer& w) { w.string("ab", Lengths::classic, Null::refused); }) ==
          Bytes{0, 2, 'a', 'b'});
    CHECK(written([](Writer& w) { w.string("ab", Lengths::compact, Null::refused); }) ==
          Bytes{3, 'a', 'b'});
    CHECK(written([](Writer& w) { w.string(nullptr, Lengths::classic, Null::allowed); }) ==
          Bytes{0xff, 0xff});
    CHECK(written([](Writer& w) { w.bytes(nullptr, Lengths::classic, Null::allowed); }) ==
          Bytes{0xff, 0xff, 0xff, 0xff});
    CHECK(written([](Writer& w) { w.bytes(nullptr, Lengths::compact, Null::allowed); }) ==
          Bytes{0});
}

TEST_CASE("primitives: null where there must be none is refused on both sides") {
    const Bytes null_string{0xff, 0xff};
    Reader reader{ByteView(null_string)};
    reader.string(Lengths::classic, Null::refused);
    CHECK(error_of(reader.finish()) == Error::malformed);
    std::array<std::uint8_t, 8> memory{};
    Writer writer{MutableBytes(memory)};
    writer.string(nullptr, Lengths::compact, Null::refused);
    CHECK(error_of(writer.finish()) == Error::invalid);
}

TEST_CASE("primitives: a length never promises more than the frame holds") {
    const Bytes string{0, 5, 'a', 'b'}, bytes{0x7f, 0xff, 0xff, 0xff, 1},
        compact{0xff, 0xff, 0xff, 0xff, 0x0f, 1}, negative{0xff, 0xfe, 0, 0};
    Reader a{ByteView(string)};
    CHECK(a.string(Lengths::classic, Null::refused).empty());
    CHECK(error_of(a.finish()) == Error::truncated);
    Reader b{ByteView(bytes)};
    CHECK(b.bytes(Lengths::classic, Null::refused).empty());
    CHECK(b.failed());
    Reader c{ByteView(compact)};
    CHECK(c.bytes(Lengths::compact, Null::allowed).empty());
    CHECK(c.failed());
    Reader d{ByteView(negative)};
    d.string(Lengths::classic, Null::allowed);
    CHECK(error_of(d.finish()) == Error::malformed);
}

TEST_CASE("primitives: strings end at 32,767 bytes") {
    const std::string fits(32767, 'x'), long_one(32768, 'x');
    std::vector<std::uint8_t> memory(40000);
    for (Lengths lengths : {Lengths::classic, Lengths::compact}) {
        Writer writer{MutableBytes(memory)};
        writer.string(fits, lengths, Null::refused);
        CHECK(writer.finish());
        Writer over{MutableBytes(memory)};
        over.string(long_one, lengths, Null::refused);
        CHECK(error_of(over.finish()) == Error::invalid);
    }
    Writer writer{MutableBytes(memory)};
    writer.uvarint(32769);
    writer.put(long_one.data(), long_one.size());
    Reader reader{ByteView(memory)};
    reader.string(Lengths::compact, Null::refused);
    CHECK(reader.failed());
}

TEST_CASE("primitives: after the first fault a reader yields zeros and keeps the first error") {
    const Bytes bytes{0x12, 0x34, 0x56};
    Reader reader{ByteView(bytes)};
    CHECK(reader.i32() == 0);
    CHECK(reader.i8() == 0);
    CHECK(reader.uvarint() == 0);
    CHECK(reader.uuid().is_zero());
    reader.fail_with(Error::malformed);
    CHECK(error_of(reader.finish()) == Error::truncated);
}

TEST_CASE("primitives: a full writer counts on and never writes past its memory") {
    for (std::size_t room = 0; room <= 12; ++room) {
        std::vector<std::uint8_t> memory(room + 4, 0xee);
        Writer writer{MutableBytes(memory).first(room)};
        writer.i32(1);
        writer.i64(2);
        writer.i8(3);
        CHECK(writer.size() == 13);
        CHECK(error_of(writer.finish()) == Error::full);
        for (std::size_t i = room; i < memory.size(); ++i) CHECK(memory[i] == 0xee);
    }
}

TEST_CASE("primitives: tagged fields of any kind are skipped as a section") {
    const Bytes bytes{2, 0, 1, 0xaa, 0x85, 1, 2, 0xbb, 0xcc, 0x7f};
    Reader reader{ByteView(bytes)};
    reader.skip_tags();
    CHECK(reader.left() == 1);
    const Bytes lying{1, 0, 5, 1, 2};
    Reader short_one{ByteView(lying)};
    short_one.skip_tags();
    CHECK(error_of(short_one.finish()) == Error::truncated);
    // Four billion promised fields end at the end of the frame.
    const Bytes many{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0};
    Reader endless{ByteView(many)};
    endless.skip_tags();
    CHECK(endless.failed());
}
