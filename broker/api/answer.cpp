#include "broker/api/answer.hpp"

#include "leat/result.hpp"
#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {

namespace {

/// A frame for a body of this size, with all that stands before it. Empty: there is no memory for
/// it. A large answer is not one more of those that do not wait while others, which are not read,
/// hold all there is: they would have no bound.
session::Buffer begin_frame(Context& context, const AnyResponse& response,
                            std::int32_t correlation_id, std::size_t body) {
    const std::size_t head = wire::response_header_size(response.key, response.version);
    const std::size_t size = wire::frame_prefix_size + head + body;
    session::Grant grant;
    if (size > session::modest_wish_bytes_max &&
        context.pool.overdrawn(session::PoolClass::response))
        return {};
    if (size > uncounted_answer_bytes)
        grant = context.pool.take_now(session::PoolClass::response, size);
    session::Buffer frame(size, std::move(grant));
    wire::put_frame_prefix(frame.all().data(), head + body);
    const auto header =
        wire::encode_response_header(response.key, response.version, correlation_id,
                                     frame.all().subspan(wire::frame_prefix_size));
    LEAT_CHECK(header && *header == head);
    return frame;
}

}  // namespace

const char* log_says(Error error) {
    if (error == Error::busy)
        return "the log is full now: delete records, shorten retention, or let a topic drop its "
               "oldest records (leat.full.policy)";
    if (error == Error::full) return "the log's bound on what it remembers is reached";
    if (error == Error::storage) return "the log cannot write";
    return error_text(error);
}

void send_answer(Context& context, const AnyResponse& response, std::int32_t correlation_id,
                 session::Reply& reply) {
    const std::size_t body = response.size(response.message, response.version);
    if (body > answer_bytes_max) return reply.close(session::CloseReason::answer_too_large);
    session::Buffer frame = begin_frame(context, response, correlation_id, body);
    if (frame.empty()) return reply.close(session::CloseReason::no_memory);
    const auto written =
        response.encode(response.message, response.version, frame.all().last(body));
    LEAT_CHECK(written && *written == body);  // the size was counted a moment ago
    reply.send(std::move(frame));
}

void send_pieces(Context& context, const AnyResponse& response, std::span<const ByteView> pieces,
                 std::int32_t correlation_id, session::Reply& reply) {
    std::size_t body = 0;
    for (const ByteView piece : pieces) body += piece.size();
    if (body > answer_bytes_max) return reply.close(session::CloseReason::answer_too_large);
    session::Buffer frame = begin_frame(context, response, correlation_id, body);
    if (frame.empty()) return reply.close(session::CloseReason::no_memory);
    MutableBytes into = frame.all().last(body);
    for (const ByteView piece : pieces) {
        copy_bytes(piece, into);
        into = into.subspan(piece.size());
    }
    reply.send(std::move(frame));
}

}  // namespace leat::api
