#include "sdk/wire/api/consumer_protocol.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ConsumerProtocolSubscription>;
template struct leat::wire::Runtime<leat::wire::ConsumerProtocolAssignment>;

namespace leat::wire {
namespace {

template <class M>
Result<M> decode_versioned(ByteView bytes) {
    Reader reader(bytes);
    std::int16_t version = std::min(reader.i16(), M::versions.last);
    if (reader.failed()) return fail(reader.error());
    if (version < 0) return fail(Error::unsupported);
    // Not decode(): it insists on the end, and a newer version has more to say.
    Decoder<AnyVersion> decoder(Reader(reader.rest()), any_version<M>(version));
    M m;
    decoder.structure(m);
    if (decoder.failed()) return fail(decoder.error());
    return m;
}

template <class M>
Result<std::size_t> encode_versioned(const M& m, std::int16_t version, MutableBytes out) {
    if (out.size() < 2) return fail(Error::full);
    Result<std::size_t> size = encode(m, version, out.subspan(2));
    if (!size) return size;
    store_big(out.data(), version);
    return *size + 2;
}

}  // namespace

Result<ConsumerProtocolSubscription> decode_subscription(ByteView bytes) {
    return decode_versioned<ConsumerProtocolSubscription>(bytes);
}

Result<ConsumerProtocolAssignment> decode_assignment(ByteView bytes) {
    return decode_versioned<ConsumerProtocolAssignment>(bytes);
}

Result<std::size_t> encode_subscription(const ConsumerProtocolSubscription& subscription,
                                        std::int16_t version, MutableBytes out) {
    return encode_versioned(subscription, version, out);
}

Result<std::size_t> encode_assignment(const ConsumerProtocolAssignment& assignment,
                                      std::int16_t version, MutableBytes out) {
    return encode_versioned(assignment, version, out);
}

}  // namespace leat::wire
