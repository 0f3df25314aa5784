#include "sdk/host/codecs.hpp"

#include "sdk/compression/compression.hpp"

namespace leat::host {

Result<std::size_t> Compressor::compress(ByteView records, MutableBytes out) {
    const Status done = compression::compress(codec_, records, scratch_);
    if (!done) return fail(done.error());
    if (scratch_.size() > out.size()) return fail(Error::too_large);
    copy_bytes(scratch_, out);
    return scratch_.size();
}

Result<std::size_t> Compressor::expand(ByteView records, MutableBytes out) {
    return compression::decompress(codec_, records, out);
}

Result<ByteView> Decompressor::decompress(Codec codec, ByteView records) {
    const Status done = compression::decompress(codec, records, scratch_, bytes_max_);
    if (!done) return fail(done.error());
    return ByteView(scratch_);
}

}  // namespace leat::host
