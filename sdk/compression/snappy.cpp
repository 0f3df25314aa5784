// Raw snappy names its length first; xerial framing is 16 bytes of header and then blocks, each an
// int32 length and that much raw snappy. No raw block of Kafka records begins with xerial's magic:
// 0x82 'S' would be a length of 10,626, followed by an element that copies from before the start.
#include <snappy.h>

#include "sdk/compression/sink.hpp"

namespace leat::compression {
namespace {

constexpr std::uint8_t xerial_header[16] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                            0,    0,   0,   1,   0,   0,   0,   1};
constexpr std::size_t xerial_magic_size = 8;

const char* chars(const std::uint8_t* bytes) { return reinterpret_cast<const char*>(bytes); }
char* chars(std::uint8_t* bytes) { return reinterpret_cast<char*>(bytes); }

Status decode_block(ByteView in, Sink& sink, std::vector<std::uint8_t>& scratch) {
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(chars(in.data()), in.size(), &size))
        return fail(in.size() < 5 ? Error::truncated : Error::malformed);
    // The densest element of the format makes 64 bytes of 3. A length above that is a lie, and is
    // caught here before memory is taken for it.
    if (size / 64 > in.size() / 3 + 1) return fail(Error::malformed);
    if (size > sink.left()) return fail(Error::too_large);
    if (size == 0)
        return snappy::IsValidCompressedBuffer(chars(in.data()), in.size())
                   ? ok()
                   : Status(fail(Error::malformed));
    const MutableBytes room = sink.room();
    if (room.size() >= size) {
        if (!snappy::RawUncompress(chars(in.data()), in.size(), chars(room.data())))
            return fail(Error::malformed);
        return sink.wrote(size);
    }
    scratch.resize(size);
    if (!snappy::RawUncompress(chars(in.data()), in.size(), chars(scratch.data())))
        return fail(Error::malformed);
    return sink.put(scratch);
}

}  // namespace

Status decode_snappy(ByteView in, Sink& sink) {
    std::vector<std::uint8_t> scratch;
    const bool is_xerial =
        in.size() >= xerial_magic_size &&
        equal(in.first(xerial_magic_size), ByteView(xerial_header).first(xerial_magic_size));
    if (!is_xerial) return decode_block(in, sink, scratch);
    if (in.size() < sizeof xerial_header) return fail(Error::truncated);
    // Bytes 8 to 15 are version and lowest compatible version. Writers in the field put other
    // numbers there (and in both byte orders), and all readers ignore them.
    for (ByteView left = in.subspan(sizeof xerial_header); !left.empty();) {
        if (left.size() < 4) return fail(Error::truncated);
        const auto size = load_big<std::uint32_t>(left.data());
        left = left.subspan(4);
        if (size > 0x7fff'ffffU) return fail(Error::malformed);
        if (size > left.size()) return fail(Error::truncated);
        if (const Status status = decode_block(left.first(size), sink, scratch); !status)
            return status;
        left = left.subspan(size);
    }
    return ok();
}

Status encode_snappy(ByteView in, std::vector<std::uint8_t>& out) {
    const std::size_t blocks = in.size() / snappy_block_bytes + 1;
    out.resize(sizeof xerial_header +
               blocks * (4 + snappy::MaxCompressedLength(snappy_block_bytes)));
    copy_bytes(xerial_header, out);
    std::size_t at = sizeof xerial_header;
    while (!in.empty()) {
        const ByteView block = in.first(std::min(in.size(), snappy_block_bytes));
        std::size_t size = 0;
        snappy::RawCompress(chars(block.data()), block.size(), chars(out.data() + at + 4), &size);
        store_big(out.data() + at, static_cast<std::uint32_t>(size));
        at += 4 + size;
        in = in.subspan(block.size());
    }
    out.resize(at);
    return ok();
}

}  // namespace leat::compression
