#include <cstdio>

#include "sdk/cli/commands.hpp"

namespace leat::cli {

void complain(const std::string& text) {
    std::fprintf(stderr, "leat: %s\n", printable(text).c_str());
}

Exit complain(const std::string& what, Error error, const std::string& detail) {
    const bool nobody = error == Error::timed_out || error == Error::disconnected;
    complain(what + ": " + error_text(error) + (detail.empty() ? "" : " (" + detail + ")") +
             (nobody ? "; is the server up? --bootstrap or LEAT_BOOTSTRAP names it, --timeout says "
                       "how long to wait"
                     : ""));
    switch (error) {
        case Error::invalid:
            return Exit::usage;
        case Error::timed_out:
        case Error::disconnected:
        case Error::would_block:
            return Exit::unreachable;
        case Error::not_found:
            return Exit::not_found;
        default:
            return Exit::failed;
    }
}

Exit exit_of(ErrorCode error) {
    if (error == ErrorCode::none) return Exit::ok;
    return error == ErrorCode::unknown_topic_or_partition ? Exit::not_found : Exit::failed;
}

Exit no_topic(const std::string& topic, ErrorCode error) {
    if (exit_of(error) != Exit::not_found) {
        complain(topic + ": " + wire::name(error));
        return exit_of(error);
    }
    complain("topic " + topic + " is not there; leat topics list shows what is");
    return Exit::not_found;
}

Result<Admin> open_admin(Loop& loop, const Options& options) {
    return Admin::open(
        loop,
        {.bootstrap = options.bootstrap, .client_id = "leat-cli", .timeout = timeout_of(options)});
}

Exit bad_bootstrap(const Options& options) {
    complain("--bootstrap " + options.bootstrap + " is no HOST:PORT");
    return Exit::usage;
}

milliseconds timeout_of(const Options& options) {
    return milliseconds(static_cast<std::int64_t>(options.timeout_seconds * 1000));
}

}  // namespace leat::cli
