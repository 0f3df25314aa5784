#include "sdk/cluster/endpoint.hpp"

#include <charconv>

namespace leat::cluster {
namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

Result<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0)
        return fail(Error::invalid);
    return port;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
    text = trimmed(text);
    std::string_view host = text, rest;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return fail(Error::invalid);
        host = text.substr(1, close - 1);
        rest = text.substr(close + 1);
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        rest = text.substr(colon);
    }
    if (host.empty() || host.find_first_of(" \t/,") != std::string_view::npos)
        return fail(Error::invalid);
    Endpoint endpoint{std::string(host), default_port};
    if (rest.empty()) return endpoint;
    if (rest.front() != ':') return fail(Error::invalid);
    Result<std::uint16_t> port = parse_port(rest.substr(1));
    if (!port) return fail(port.error());
    endpoint.port = *port;
    return endpoint;
}

Result<std::vector<Endpoint>> parse_endpoints(std::string_view text) {
    std::vector<Endpoint> endpoints;
    for (std::string_view left = text;;) {
        const auto comma = left.find(',');
        Result<Endpoint> endpoint = parse_endpoint(left.substr(0, comma));
        if (!endpoint) return fail(endpoint.error());
        endpoints.push_back(*std::move(endpoint));
        if (comma == std::string_view::npos) return endpoints;
        left.remove_prefix(comma + 1);
    }
}

std::string text_of(const Endpoint& endpoint) {
    const bool is_ipv6 = endpoint.host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" +
           std::to_string(endpoint.port);
}

}  // namespace leat::cluster
