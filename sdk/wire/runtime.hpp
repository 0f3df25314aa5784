// The bodies of Runtime<M>. Included only where messages are instantiated (api/*.cpp) and by tests
// that describe messages of their own: `template struct leat::wire::Runtime<HeartbeatRequest>;`
#pragma once

#include "sdk/wire/codec.hpp"
#include "sdk/wire/print.hpp"

namespace leat::wire {

template <class M>
AnyVersion any_version(std::int16_t version) {
    return {version, version >= M::versions.flexible};
}

template <class M>
Status Runtime<M>::decode(ByteView body, std::int16_t version, M& m) {
    if (!M::versions.has(version)) return fail(Error::unsupported);
    Decoder<AnyVersion> decoder(Reader(body), any_version<M>(version));
    decoder.structure(m);
    return decoder.finish();
}

template <class M>
Result<std::uint32_t> Runtime<M>::decode_front(ByteView body, std::int16_t version, M& m) {
    if (!M::versions.has(version)) return fail(Error::unsupported);
    Decoder<AnyVersion> decoder(Reader(body), any_version<M>(version));
    decoder.structure(m);
    if (decoder.failed()) return fail(decoder.error());
    return decoder.elements();
}

template <class M>
std::size_t Runtime<M>::encoded_size(const M& m, std::int16_t version) {
    Encoder<AnyVersion> encoder(Writer{}, any_version<M>(version));
    encoder.structure(m);
    return encoder.size();
}

template <class M>
Result<Apart> Runtime<M>::encode(const M& m, std::int16_t version, MutableBytes out,
                                 std::span<Gap> gaps) {
    if (!M::versions.has(version)) return fail(Error::unsupported);
    Encoder<AnyVersion> encoder(Writer(out, gaps), any_version<M>(version));
    encoder.structure(m);
    Status status = encoder.finish();
    if (!status) return fail(status.error());
    return Apart{encoder.written(), encoder.size(), encoder.gap_count()};
}

template <class M>
std::size_t Runtime<M>::print(const M& m, std::int16_t version, std::span<char> out) {
    Printer printer(out, version);
    printer.structure(m);
    return printer.size();
}

}  // namespace leat::wire
