#include "sdk/compression/compression.hpp"

#include "sdk/compression/sink.hpp"

namespace leat::compression {
namespace {

class FixedSink final : public Sink {
public:
    explicit FixedSink(MutableBytes out) : Sink(out.size()), out_(out) {}

private:
    MutableBytes next_room(std::size_t left) override { return out_.last(left); }
    Status take(std::size_t) override { return ok(); }

    MutableBytes out_;
};

class GrowingSink final : public Sink {
public:
    GrowingSink(std::vector<std::uint8_t>& out, std::size_t limit) : Sink(limit), out_(out) {
        out_.clear();
    }

    void trim() { out_.resize(written()); }

private:
    MutableBytes next_room(std::size_t left) override {
        if (out_.size() == written()) {
            const std::size_t more =
                std::clamp(written(), std::size_t{8} * KiB, std::size_t{4} * MiB);
            out_.resize(written() + std::min(more, left));
        }
        return MutableBytes(out_).subspan(written());
    }
    Status take(std::size_t) override { return ok(); }

    std::vector<std::uint8_t>& out_;
};

class VisitingSink final : public Sink {
public:
    VisitingSink(std::size_t limit, const ChunkVisitor& visit)
        : Sink(limit), visit_(visit), chunk_(64 * KiB) {}

private:
    MutableBytes next_room(std::size_t) override { return chunk_; }
    Status take(std::size_t count) override { return visit_(ByteView(chunk_).first(count)); }

    const ChunkVisitor& visit_;
    std::vector<std::uint8_t> chunk_;
};

Status decode(Codec codec, ByteView in, Sink& sink) {
    switch (codec) {
        case Codec::none:
            return sink.put(in);
        case Codec::gzip:
            return inflate_gzip(in, sink);
        case Codec::snappy:
            return decode_snappy(in, sink);
        case Codec::lz4:
            return decode_lz4(in, sink);
        case Codec::zstd:
            return decode_zstd(in, sink);
    }
    return fail(Error::unsupported);
}

}  // namespace

Result<std::size_t> decompress(Codec codec, ByteView in, MutableBytes out) {
    FixedSink sink(out);
    if (const Status status = decode(codec, in, sink); !status) return fail(status.error());
    return sink.written();
}

Status decompress(Codec codec, ByteView in, std::vector<std::uint8_t>& out, std::size_t limit) {
    GrowingSink sink(out, limit);
    const Status status = decode(codec, in, sink);
    sink.trim();
    return status;
}

Status decompress_chunks(Codec codec, ByteView in, std::size_t limit, const ChunkVisitor& visit) {
    VisitingSink sink(limit, visit);
    return decode(codec, in, sink);
}

Status compress(Codec codec, ByteView in, std::vector<std::uint8_t>& out) {
    if (in.size() > 1024 * MiB) return fail(Error::too_large);
    switch (codec) {
        case Codec::none:
            out.assign(in.begin(), in.end());
            return ok();
        case Codec::gzip:
            return deflate_gzip(in, out);
        case Codec::snappy:
            return encode_snappy(in, out);
        case Codec::lz4:
            return encode_lz4(in, out);
        case Codec::zstd:
            return encode_zstd(in, out);
    }
    return fail(Error::unsupported);
}

}  // namespace leat::compression
