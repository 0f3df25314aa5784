#include "broker/api/answer.hpp"

#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {

void send_answer(Context& context, const AnyResponse& response, std::int32_t correlation_id,
                 session::Reply& reply) {
    const std::size_t head = wire::response_header_size(response.key, response.version);
    const std::size_t body = response.size(response.message, response.version);
    const std::size_t size = wire::frame_prefix_size + head + body;
    session::Grant grant;
    if (size > uncounted_answer_bytes)
        grant = context.pool.take_now(session::PoolClass::response, size);
    session::Buffer frame(size, std::move(grant));
    const MutableBytes bytes = frame.all();
    wire::put_frame_prefix(bytes.data(), head + body);
    const auto header = wire::encode_response_header(response.key, response.version, correlation_id,
                                                     bytes.subspan(wire::frame_prefix_size));
    const auto written = response.encode(response.message, response.version,
                                         bytes.subspan(wire::frame_prefix_size + head));
    LEAT_CHECK(header && *header == head && written &&
               *written == body);  // the size was counted a moment ago
    reply.send(std::move(frame));
}

}  // namespace leat::api
