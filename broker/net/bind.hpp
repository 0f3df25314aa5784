#pragma once

#include <asio/ip/tcp.hpp>
#include <string>

#include "broker/config/config.hpp"
#include "leat/result.hpp"

namespace leat::net {

/// Opens `acceptor` on `address`, bound but not yet listening: until accepting begins a client is
/// refused rather than left waiting. A host name may wait for its resolution (start only); IPv4 is
/// preferred, since a client that is told "localhost" tries both. `address.port` becomes the real
/// one if it was 0. fails: busy (port in use) · not_found (host) · refused (permission) · invalid;
/// `why` says it and what to do.
Status bind_to(asio::ip::tcp::acceptor& acceptor, config::HostPort& address, std::string& why);
/// fails: busy: somebody else began to listen there meanwhile.
Status start_listening(asio::ip::tcp::acceptor& acceptor, const config::HostPort& address,
                       std::string& why);

}  // namespace leat::net
