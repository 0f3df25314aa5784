#include "sdk/client/handshake.hpp"

#include "sdk/wire/api/18_api_versions.hpp"

namespace leat::client {

ApiVersionsHandshake::ApiVersionsHandshake(milliseconds timeout) : timeout_(timeout) {
    last_.fill(-1);
    picked_.fill(-1);
    for (const wire::Api& api : wire::apis())
        last_[static_cast<std::size_t>(api.key)] = static_cast<std::int8_t>(api.codec.last);
    limit(wire::ApiKey::produce, 12);
    limit(wire::ApiKey::fetch, 12);
    limit(wire::ApiKey::init_producer_id, 5);  // 6 is unstable up to Kafka 4.3
}

void ApiVersionsHandshake::limit(wire::ApiKey key, std::int16_t last) {
    std::int8_t& ours = last_[static_cast<std::size_t>(key)];
    if (last < ours) ours = static_cast<std::int8_t>(last);
}

Handshake::Step ApiVersionsHandshake::ask(Instant now, Connection& connection,
                                          std::int16_t version) {
    asked_version_ = version;
    const wire::ApiVersionsRequest request{.client_software_name = "leat",
                                           .client_software_version = "0.1.0"};
    Status sent = connection.send(now, request, version,
                                  {.owner = owner_handshake, .timeout = timeout_});
    return sent ? Step::waiting : Step::refused;
}

Handshake::Step ApiVersionsHandshake::start(Instant now, Connection& connection) {
    picked_.fill(-1);
    return ask(now, connection, 3);
}

Handshake::Step ApiVersionsHandshake::on_response(Instant now, Connection& connection,
                                                  const Event& event) {
    // Error 35 comes in the layout of version 0, whatever was asked; its first two bytes are the
    // error in both.
    const bool too_new = event.body.size() >= 2 &&
                         load_big<std::int16_t>(event.body.data()) ==
                             static_cast<std::int16_t>(wire::ErrorCode::unsupported_version);
    if (too_new) return asked_version_ == 0 ? Step::refused : ask(now, connection, 0);
    Result<wire::ApiVersionsResponse> answer =
        wire::decode<wire::ApiVersionsResponse>(event.body, event.api_version);
    if (!answer || answer->error_code != wire::ErrorCode::none) return Step::refused;
    for (const auto& theirs : answer->api_keys) {
        const wire::Api* ours = wire::find_api(theirs.api_key);
        if (ours == nullptr || static_cast<std::size_t>(theirs.api_key) >= keys_max) continue;
        const auto key = static_cast<std::size_t>(theirs.api_key);
        const std::int16_t best = std::min<std::int16_t>(theirs.max_version, last_[key]);
        if (best >= theirs.min_version && best >= ours->codec.first)
            picked_[key] = static_cast<std::int8_t>(best);
    }
    return Step::done;
}

std::int16_t ApiVersionsHandshake::version(wire::ApiKey key) const {
    return picked_[static_cast<std::size_t>(key)];
}

}  // namespace leat::client
