#include "broker/net/bind.hpp"

#include <algorithm>
#include <asio/ip/v6_only.hpp>
#include <vector>

namespace leat::net {
namespace {

using asio::ip::tcp;

std::string shown(const config::HostPort& address) {
    return address.host + " port " + std::to_string(address.port);
}

Status explain(const std::error_code& code, const config::HostPort& address, std::string& why) {
    why = "cannot listen on " + shown(address) + ": ";
    if (code == asio::error::address_in_use) {
        why +=
            "the port is in use; stop what uses it (ss -ltnp shows it), or choose another with "
            "--listen or --http";
        return fail(Error::busy);
    }
    if (code == asio::error::access_denied) {
        why += "permission denied; ports below 1024 need a privilege, choose a higher one";
        return fail(Error::refused);
    }
    why += code.message() + "; use an address of this machine, 127.0.0.1 or 0.0.0.0";
    return fail(Error::invalid);
}

}  // namespace

Status bind_to(tcp::acceptor& acceptor, config::HostPort& address, std::string& why) {
    std::error_code code;
    std::vector<tcp::endpoint> endpoints;
    const asio::ip::address numeric = asio::ip::make_address(address.host, code);
    if (!code) {
        endpoints.emplace_back(numeric, address.port);
    } else {
        tcp::resolver resolver(acceptor.get_executor());
        for (const auto& entry : resolver.resolve(address.host, std::to_string(address.port), code))
            endpoints.push_back(entry.endpoint());
        std::stable_partition(endpoints.begin(), endpoints.end(),
                              [](const tcp::endpoint& end) { return end.address().is_v4(); });
        if (endpoints.empty()) {
            why = "cannot listen on " + shown(address) +
                  ": the host name is not known here; use a numeric address";
            return fail(Error::not_found);
        }
    }
    for (const tcp::endpoint& endpoint : endpoints) {
        acceptor.close(code);
        acceptor.open(endpoint.protocol(), code);
        if (!code) acceptor.set_option(tcp::acceptor::reuse_address(true), code);
        if (!code && endpoint.address().is_v6())
            acceptor.set_option(asio::ip::v6_only(false), code);
        if (!code) acceptor.bind(endpoint, code);
        if (!code) acceptor.non_blocking(true, code);
        if (!code) address.port = acceptor.local_endpoint(code).port();
        if (!code) return ok();
    }
    return explain(code, address, why);
}

Status start_listening(tcp::acceptor& acceptor, const config::HostPort& address, std::string& why) {
    std::error_code code;
    // The kernel caps it at net.core.somaxconn. A fleet that comes back after a power cut knocks
    // all at once.
    constexpr int backlog = 4096;
    acceptor.listen(backlog, code);
    return code ? explain(code, address, why) : ok();
}

}  // namespace leat::net
