#pragma once

#include <cstdint>
#include <string>

#include "leat/result.hpp"
#include "leat/time.hpp"

namespace leat::host {

struct HttpAnswer {
    int status = 0;  ///< 200, 404, ...
    std::string body;
};

/// One GET over plain HTTP/1.1; waits for the whole answer, of at most 16 MiB.
/// fails: not_found (no such host) · refused · timed_out · disconnected · malformed (not HTTP) ·
/// too_large
Result<HttpAnswer> http_get(const std::string& host, std::uint16_t port, const std::string& path,
                            milliseconds timeout);

}  // namespace leat::host
