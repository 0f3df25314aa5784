#include "broker/api/answer.hpp"

#include "leat/result.hpp"
#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {

const char* log_says(Error error) {
    if (error == Error::busy)
        return "the log is full now: delete records, shorten retention, or let a topic drop its "
               "oldest records (leat.full.policy)";
    if (error == Error::full) return "the log's bound on what it remembers is reached";
    if (error == Error::storage) return "the log cannot write";
    return error_text(error);
}

std::size_t head_bytes(const AnyResponse& response) {
    return wire::frame_prefix_size + wire::response_header_size(response.key, response.version);
}

void put_head(MutableBytes into, const AnyResponse& response, std::int32_t correlation_id,
              std::size_t body) {
    const std::size_t header = into.size() - wire::frame_prefix_size;
    wire::put_frame_prefix(into.data(), header + body);
    const auto written = wire::encode_response_header(response.key, response.version,
                                                      correlation_id, into.last(header));
    LEAT_CHECK(written && *written == header);
}

// A large answer is not one more of those that do not wait while others, which are not read, hold
// all there is: they would have no bound.
bool may_send(Context& context, std::size_t bytes, session::Grant& grant, session::Reply& reply) {
    const bool too_large = bytes > answer_bytes_max;
    if (too_large || (bytes > session::modest_wish_bytes_max &&
                      context.pool.overdrawn(session::PoolClass::response))) {
        reply.close(too_large ? session::CloseReason::answer_too_large
                              : session::CloseReason::no_memory);
        return false;
    }
    if (bytes > uncounted_answer_bytes)
        grant = context.pool.take_now(session::PoolClass::response, bytes);
    return true;
}

void send_answer(Context& context, const AnyResponse& response, std::int32_t correlation_id,
                 session::Reply& reply) {
    const std::size_t body = response.size(response.message, response.version);
    const std::size_t head = head_bytes(response);
    session::Grant grant;
    if (!may_send(context, head + body, grant, reply)) return;
    session::Buffer frame(head + body, std::move(grant));
    put_head(frame.all().first(head), response, correlation_id, body);
    const auto written =
        response.encode(response.message, response.version, frame.all().last(body));
    // It repeats something that no string holds. told() is there so that none does.
    if (!written) return reply.close(session::CloseReason::answer_too_large);
    LEAT_CHECK(*written == body);  // the size was counted a moment ago
    reply.send(std::move(frame));
}

}  // namespace leat::api
