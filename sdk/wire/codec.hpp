// Messages to bytes and back: the functions that everybody calls.
//
// The version is either a number known when running, for programs that serve many, or a
// std::integral_constant<std::int16_t, N>, for devices that pay for one:
//
//     decode<ProduceRequest>(body, version);                               // in api/*.cpp, once
//     encode(request, std::integral_constant<std::int16_t, 9>{}, memory);  // here, folded to v9
//
// A body is what follows the request or response header (header.hpp). Decoded views borrow the
// body. Arrays to be encoded are spans; arrays that were decoded can be encoded again at run-time
// versions only. Fields that the version does not carry keep their defaults when decoded and are
// left out when encoded: whoever picks the version answers for what it cannot say.
#pragma once

#include <type_traits>

#include "sdk/wire/decoder.hpp"
#include "sdk/wire/encoder.hpp"

namespace leat::wire {

/// Where an encoding is that left bytes out.
struct Apart {
    std::size_t written = 0;  ///< bytes in `out`
    std::size_t total = 0;    ///< with what stands elsewhere: the body's length on the wire
    std::size_t gaps = 0;     ///< how many of the caller's Gap are filled, in order
};

/// A message's codec for versions known when running. Its members are defined in runtime.hpp and
/// instantiated once per message in api/*.cpp, so including a message's header stays cheap.
template <class M>
struct Runtime {
    static Status decode(ByteView body, std::int16_t version, M& m);
    /// How many elements all arrays have together, nested ones with them.
    static Result<std::uint32_t> decode_front(ByteView body, std::int16_t version, M& m);
    static std::size_t encoded_size(const M& m, std::int16_t version);
    static Result<Apart> encode(const M& m, std::int16_t version, MutableBytes out,
                                std::span<Gap> gaps);
    static std::size_t print(const M& m, std::int16_t version, std::span<char> out);
};

/// Decodes a whole body.
///
/// fails  unsupported: the message has no such version · truncated, malformed: the bytes lie, or
///        something follows the message
template <class M>
Result<M> decode(ByteView body, std::int16_t version) {
    Result<M> m{M{}};
    Status status = Runtime<M>::decode(body, version, *m);
    if (!status) return fail(status.error());
    return m;
}

/// Decodes the message at the front of `body` and leaves what follows it unread, as Kafka's broker
/// does: librdkafka 2.16 sends three bytes too many when it asks Metadata v12 for all topics.
template <class M>
Result<M> decode_front(ByteView body, std::int16_t version) {
    Result<M> m{M{}};
    const auto elements = Runtime<M>::decode_front(body, version, *m);
    if (!elements) return fail(elements.error());
    return m;
}

/// The exact number of bytes that encode() will write. The version must be one of the message's.
template <class M>
std::size_t encoded_size(const M& m, std::int16_t version) {
    return Runtime<M>::encoded_size(m, version);
}

/// Returns the number of bytes written.
///
/// fails  unsupported · full: `out` is too small (its content is then unspecified) · invalid: a
///        null where there may be none, a string above 32,767 bytes, bytes that stand elsewhere
template <class M>
Result<std::size_t> encode(const M& m, std::int16_t version, MutableBytes out) {
    Result<Apart> apart = Runtime<M>::encode(m, version, out, {});
    if (!apart) return fail(apart.error());
    return apart->written;
}

/// The same, but each BytesView::elsewhere() becomes a Gap: `out` holds what stands before, between
/// and after them. `gaps` must have room for all.
template <class M>
Result<Apart> encode_apart(const M& m, std::int16_t version, MutableBytes out,
                           std::span<Gap> gaps) {
    return Runtime<M>::encode(m, version, out, gaps);
}

/// For logs: `{group_id: "g", generation_id: 3}`, cut to fit. Bytes show only their number, so
/// records and credentials stay out of logs. Returns the number of characters written; the text is
/// not terminated.
template <class M>
std::size_t print(const M& m, std::int16_t version, std::span<char> out) {
    return Runtime<M>::print(m, version, out);
}

template <class M, std::int16_t N>
using Fixed = FixedVersion<N, (N >= M::versions.flexible)>;

template <class M, std::int16_t N>
Status decode_into(ByteView body, std::integral_constant<std::int16_t, N>, M& m) {
    static_assert(M::versions.has(N), "the message has no such version");
    Decoder<Fixed<M, N>> decoder(Reader(body), {});
    decoder.structure(m);
    return decoder.finish();
}

template <class M, std::int16_t N>
Result<M> decode(ByteView body, std::integral_constant<std::int16_t, N> version) {
    Result<M> m{M{}};
    Status status = decode_into(body, version, *m);
    if (!status) return fail(status.error());
    return m;
}

template <class M, std::int16_t N>
std::size_t encoded_size(const M& m, std::integral_constant<std::int16_t, N>) {
    static_assert(M::versions.has(N), "the message has no such version");
    Encoder<Fixed<M, N>> encoder(Writer{}, {});
    encoder.structure(m);
    return encoder.size();
}

template <class M, std::int16_t N>
Result<Apart> encode_apart(const M& m, std::integral_constant<std::int16_t, N>, MutableBytes out,
                           std::span<Gap> gaps) {
    static_assert(M::versions.has(N), "the message has no such version");
    Encoder<Fixed<M, N>> encoder(Writer(out, gaps), {});
    encoder.structure(m);
    Status status = encoder.finish();
    if (!status) return fail(status.error());
    return Apart{encoder.written(), encoder.size(), encoder.gap_count()};
}

template <class M, std::int16_t N>
Result<std::size_t> encode(const M& m, std::integral_constant<std::int16_t, N> version,
                           MutableBytes out) {
    Result<Apart> apart = encode_apart(m, version, out, {});
    if (!apart) return fail(apart.error());
    return apart->written;
}

}  // namespace leat::wire
