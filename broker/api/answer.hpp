// A response message to a frame in the session's queue.
#pragma once

#include "broker/api/context.hpp"
#include "sdk/wire/codec.hpp"
#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {

/// Answers above this size are counted in the byte pool, even if they cannot wait for it.
constexpr std::size_t uncounted_answer_bytes = 4096;

template <class Response>
void answer(Context& context, std::int16_t version, std::int32_t correlation_id,
            session::Reply& reply, const Response& response) {
    const std::size_t head = wire::response_header_size(Response::api_key, version);
    const std::size_t body = wire::encoded_size(response, version);
    const std::size_t size = wire::frame_prefix_size + head + body;
    session::Grant grant;
    if (size > uncounted_answer_bytes)
        grant = context.pool.take_now(session::PoolClass::response, size);
    session::Buffer frame(size, std::move(grant));
    const MutableBytes bytes = frame.all();
    wire::put_frame_prefix(bytes.data(), head + body);
    const auto header = wire::encode_response_header(Response::api_key, version, correlation_id,
                                                     bytes.subspan(wire::frame_prefix_size));
    const auto written =
        wire::encode(response, version, bytes.subspan(wire::frame_prefix_size + head));
    LEAT_CHECK(header && *header == head && written &&
               *written == body);  // the size was counted a moment ago
    reply.send(std::move(frame));
}

template <class Response>
void answer(Context& context, Call& call, const Response& response) {
    answer(context, call.version, call.correlation_id, call.reply, response);
}

template <class Response>
void answer(Context& context, Address& address, const Response& response) {
    answer(context, address.version, address.correlation_id, address.reply, response);
}

}  // namespace leat::api
