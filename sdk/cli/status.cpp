#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"
#include "sdk/cluster/endpoint.hpp"
#include "sdk/host/http_get.hpp"

namespace leat::cli {

Exit show_status(const Options& options) {
    const std::string broker = options.topics.empty() ? options.bootstrap : options.topics.front();
    Result<std::vector<cluster::Endpoint>> endpoints =
        cluster::parse_endpoints(options.http.empty() ? broker : options.http);
    if (!endpoints) {
        complain((options.http.empty() ? broker : options.http) + " is no HOST:PORT");
        return Exit::usage;
    }
    cluster::Endpoint at = endpoints->front();
    if (options.http.empty()) {  // leatd's default: the IPv4 loopback, whatever it listens on
        ++at.port;
        if (at.host == "::1") at.host = "127.0.0.1";
    }
    const Result<host::HttpAnswer> answer =
        host::http_get(at.host, at.port, "/status", timeout_of(options));
    if (!answer) {
        complain("no status from http://" + cluster::text_of(at) +
                 "/status: " + error_text(answer.error()) +
                 ". Is leatd running there? --http names another address.");
        return Exit::unreachable;
    }
    if (answer->status != 200) {
        complain("http://" + cluster::text_of(at) + "/status answered " +
                 std::to_string(answer->status));
        return Exit::failed;
    }
    const auto text = options.json                         ? status_line(answer->body)
                      : options.command == Command::ledger ? ledger_for_people(answer->body)
                                                           : status_for_people(answer->body);
    if (!text) {
        complain("http://" + cluster::text_of(at) + "/status is not leatd's");
        return Exit::failed;
    }
    std::fputs(text->c_str(), stdout);
    if (options.json) std::fputc('\n', stdout);
    return Exit::ok;
}

Exit watch_status(const Options& options) {
    static std::atomic<bool> stopped{false};
    std::signal(SIGINT, [](int) { stopped = true; });
    std::signal(SIGTERM, [](int) { stopped = true; });
    const bool is_screen = !options.json && ::isatty(STDOUT_FILENO) != 0;
    const auto interval = std::chrono::duration<double>(options.interval_seconds);
    Exit exit = Exit::ok;
    for (std::uint64_t round = 1;; ++round) {
        if (is_screen) std::fputs("\x1b[H\x1b[2J", stdout);
        exit = show_status(options);  // a gateway that is away may come back: go on
        // A reader that went away ends us quietly.
        if (std::fflush(stdout) != 0 || round == options.count_max) break;
        const auto until = std::chrono::steady_clock::now() + interval;
        while (!stopped && !reader_is_gone() && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (stopped || reader_is_gone()) break;
        if (!options.json && !is_screen) std::fputc('\n', stdout);
    }
    return exit;
}

}  // namespace leat::cli
