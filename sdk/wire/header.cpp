#include "sdk/wire/header.hpp"

namespace leat::wire {

Result<Request> decode_request(ByteView frame) {
    Reader reader(frame);
    Request request;
    auto key = reader.i16();
    request.header.api_key = static_cast<ApiKey>(key);
    request.header.api_version = reader.i16();
    request.header.correlation_id = reader.i32();
    if (reader.failed()) return fail(reader.error());
    if (!find_api(key)) return fail(Error::unsupported);
    request.header.client_id = reader.string(Lengths::classic, Null::allowed);
    if (is_flexible(request.header.api_key, request.header.api_version)) reader.skip_tags();
    if (reader.failed()) return fail(reader.error());
    request.body = reader.rest();
    return request;
}

Result<std::size_t> encode_request_header(const RequestHeader& header, Lengths lengths,
                                          MutableBytes out) {
    Writer writer(out);
    writer.i16(static_cast<std::int16_t>(header.api_key));
    writer.i16(header.api_version);
    writer.i32(header.correlation_id);
    writer.string(header.client_id, Lengths::classic, Null::allowed);
    if (lengths == Lengths::compact) writer.uvarint(0);
    Status status = writer.finish();
    if (!status) return fail(status.error());
    return writer.size();
}

Result<Response> decode_response(ByteView frame, ApiKey key, std::int16_t version) {
    Reader reader(frame);
    Response response;
    response.correlation_id = reader.i32();
    if (response_header_size(key, version) > 4) reader.skip_tags();
    if (reader.failed()) return fail(reader.error());
    response.body = reader.rest();
    return response;
}

Result<std::size_t> encode_response_header(ApiKey key, std::int16_t version,
                                           std::int32_t correlation_id, MutableBytes out) {
    Writer writer(out);
    writer.i32(correlation_id);
    if (response_header_size(key, version) > 4) writer.uvarint(0);
    Status status = writer.finish();
    if (!status) return fail(status.error());
    return writer.size();
}

}  // namespace leat::wire
