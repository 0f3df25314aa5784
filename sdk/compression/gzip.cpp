#include <zlib.h>

#include "sdk/compression/sink.hpp"

namespace leat::compression {
namespace {

constexpr int gzip_window_bits =
    15 + 16;  // 16: a gzip header is a must, a bare zlib stream is refused as Java does

}  // namespace

Status inflate_gzip(ByteView in, Sink& sink) {
    z_stream stream{};
    if (inflateInit2(&stream, gzip_window_bits) != Z_OK) return fail(Error::full);
    struct End {
        z_stream& stream;
        ~End() { inflateEnd(&stream); }
    } end{stream};

    stream.next_in = const_cast<Bytef*>(in.data());  // zlib's own promise not to write there
    stream.avail_in = static_cast<uInt>(in.size());
    if (stream.avail_in != in.size()) return fail(Error::too_large);
    for (;;) {
        const MutableBytes room = sink.room();
        stream.next_out = room.data();
        stream.avail_out = static_cast<uInt>(room.size());
        const int answer = inflate(&stream, Z_NO_FLUSH);
        const std::size_t count = room.size() - stream.avail_out;
        if (const Status status = sink.wrote(count); !status) return status;
        if (answer == Z_STREAM_END) {
            if (stream.avail_in == 0) return ok();
            if (inflateReset(&stream) != Z_OK) return fail(Error::malformed);
            continue;
        }
        // Without progress, and there always was room: the input is over.
        if (answer == Z_BUF_ERROR || (answer == Z_OK && count == 0 && stream.avail_in == 0))
            return fail(Error::truncated);
        if (answer == Z_MEM_ERROR) return fail(Error::full);
        if (answer != Z_OK) return fail(Error::malformed);
    }
}

Status deflate_gzip(ByteView in, std::vector<std::uint8_t>& out) {
    z_stream stream{};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window_bits, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return fail(Error::full);
    struct End {
        z_stream& stream;
        ~End() { deflateEnd(&stream); }
    } end{stream};
    out.resize(deflateBound(&stream, static_cast<uLong>(in.size())));
    stream.next_in = const_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    const int answer = deflate(&stream, Z_FINISH);
    LEAT_CHECK(answer == Z_STREAM_END);  // deflateBound says that it fits
    out.resize(stream.total_out);
    return ok();
}

}  // namespace leat::compression
