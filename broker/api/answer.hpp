// A response message to a frame in the session's queue, with the throttle time it must tell.
#pragma once

#include "broker/api/context.hpp"
#include "broker/api/throttle.hpp"
#include "sdk/wire/codec.hpp"

namespace leat::api {

/// Answers above this size are counted in the byte pool, even if they cannot wait for it.
constexpr std::size_t uncounted_answer_bytes = 4096;
/// A larger one is not given: the connection is closed. Nothing that is asked in earnest comes near
/// it (10,000 topics with all texts of their settings are 39 MB), and a few bytes may ask for more.
constexpr std::size_t answer_bytes_max = 64 * MiB;

/// Why a change was not kept, to people: a literal. full and busy as of put_fact.
const char* log_says(Error error);

/// A message without its type, so that what all answers have in common stands once in the program.
struct AnyResponse {
    wire::ApiKey key;
    std::int16_t version;
    const void* message;
    std::size_t (*size)(const void* message, std::int16_t version);
    Result<std::size_t> (*encode)(const void* message, std::int16_t version, MutableBytes out);
};
void send_answer(Context& context, const AnyResponse& response, std::int32_t correlation_id,
                 session::Reply& reply);

// The same of a body that is there already; of `response` only key and version count.

/// Bytes in front of a body.
std::size_t head_bytes(const AnyResponse& response);
void put_head(MutableBytes into, const AnyResponse& response, std::int32_t correlation_id,
              std::size_t body);
/// false: its connection is closed, as it is too large or there is no memory for it.
bool may_send(Context& context, std::size_t bytes, session::Grant& grant, session::Reply& reply);

template <class Response>
AnyResponse any_response(const Response& response, std::int16_t version) {
    return {.key = Response::api_key,
            .version = version,
            .message = &response,
            .size =
                [](const void* message, std::int16_t v) {
                    return wire::encoded_size(*static_cast<const Response*>(message), v);
                },
            .encode =
                [](const void* message, std::int16_t v, MutableBytes out) {
                    return wire::encode(*static_cast<const Response*>(message), v, out);
                }};
}

template <class Response>
void answer(Context& context, std::int16_t version, std::int32_t correlation_id,
            session::Reply& reply, Response& response) {
    if constexpr (requires { response.throttle_time_ms; })
        response.throttle_time_ms = throttle_time_ms(context, reply);
    send_answer(context, any_response(response, version), correlation_id, reply);
}

template <class Response>
void answer(Context& context, Call& call, Response& response) {
    answer(context, call.version, call.correlation_id, call.reply, response);
}

template <class Response>
void answer(Context& context, Address& address, Response& response) {
    answer(context, address.version, address.correlation_id, address.reply, response);
}

}  // namespace leat::api
