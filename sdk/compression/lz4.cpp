#include <lz4frame.h>

#include <memory>

#include "sdk/compression/sink.hpp"

namespace leat::compression {
namespace {

struct FreeDecoder {
    void operator()(LZ4F_dctx* decoder) const { LZ4F_freeDecompressionContext(decoder); }
};

}  // namespace

Status decode_lz4(ByteView in, Sink& sink) {
    LZ4F_dctx* raw = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) return fail(Error::full);
    const std::unique_ptr<LZ4F_dctx, FreeDecoder> decoder(raw);
    // A skippable frame would be passed over as if it were nothing; Java's reader takes only the
    // real one.
    if (in.size() >= 4 && load_little<std::uint32_t>(in.data()) != 0x184D2204U)
        return fail(Error::malformed);
    for (;;) {
        const MutableBytes room = sink.room();
        std::size_t produced = room.size();
        std::size_t consumed = in.size();
        const std::size_t answer =
            LZ4F_decompress(decoder.get(), room.data(), &produced, in.data(), &consumed, nullptr);
        if (LZ4F_isError(answer)) return fail(Error::malformed);
        in = in.subspan(consumed);
        if (const Status status = sink.wrote(produced); !status) return status;
        if (answer == 0) return in.empty() ? ok() : Status(fail(Error::malformed));
        if (produced == 0 && consumed == 0)
            return fail(in.empty() ? Error::truncated : Error::malformed);
    }
}

Status encode_lz4(ByteView in, std::vector<std::uint8_t>& out) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    out.resize(LZ4F_compressFrameBound(in.size(), &preferences));
    const std::size_t size =
        LZ4F_compressFrame(out.data(), out.size(), in.data(), in.size(), &preferences);
    if (LZ4F_isError(size)) return fail(Error::full);
    out.resize(size);
    return ok();
}

}  // namespace leat::compression
