#include <zstd.h>
#include <zstd_errors.h>

#include <memory>

#include "sdk/compression/sink.hpp"

namespace leat::compression {
namespace {

struct FreeContext {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

Error error_of(std::size_t answer) {
    switch (ZSTD_getErrorCode(answer)) {
        case ZSTD_error_frameParameter_windowTooLarge:
            return Error::too_large;
        case ZSTD_error_memory_allocation:
            return Error::full;
        case ZSTD_error_srcSize_wrong:
            return Error::truncated;
        default:
            return Error::malformed;
    }
}

}  // namespace

Status decode_zstd(ByteView in, Sink& sink) {
    const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
    if (!context) return fail(Error::full);
    const std::size_t set =
        ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, zstd_window_log_max);
    LEAT_CHECK(!ZSTD_isError(set));
    if (in.empty()) return fail(Error::truncated);
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    for (;;) {
        const MutableBytes room = sink.room();
        ZSTD_outBuffer output{room.data(), room.size(), 0};
        const std::size_t before = input.pos;
        const std::size_t answer = ZSTD_decompressStream(context.get(), &output, &input);
        if (ZSTD_isError(answer)) return fail(error_of(answer));
        if (const Status status = sink.wrote(output.pos); !status) return status;
        if (answer == 0) {  // a frame is over; another may follow
            if (input.pos == input.size) return ok();
            continue;
        }
        if (output.pos == 0 && input.pos == before) return fail(Error::truncated);
    }
}

Status encode_zstd(ByteView in, std::vector<std::uint8_t>& out) {
    const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
    if (!context) return fail(Error::full);
    out.resize(ZSTD_compressBound(in.size()));
    const std::size_t size = ZSTD_compressCCtx(context.get(), out.data(), out.size(), in.data(),
                                               in.size(), ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(size)) return fail(error_of(size));
    out.resize(size);
    return ok();
}

}  // namespace leat::compression
