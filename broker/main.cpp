// leatd: flags and signals, and the real ports around one node. Whatever decides something is in
// node/.
//
// Exit codes (also in --help): 0 stopped as asked, 1 failed while running, 2 flags or
// configuration, 3 the data folder, 4 an address. Supervisors may restart on 1; 2 to 4 need a
// person.
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>
#include <system_error>

#include "broker/config/geometry.hpp"
#include "broker/config/load.hpp"
#include "broker/config/text.hpp"
#include "broker/config/version.hpp"
#include "broker/log/superblock.hpp"
#include "broker/log_tool.hpp"
#include "broker/net/bind.hpp"
#include "broker/net/driver.hpp"
#include "broker/net/system.hpp"
#include "broker/node/json.hpp"
#include "broker/node/node.hpp"
#include "broker/ops/http.hpp"
#include "broker/ops/log_lines.hpp"
#include "broker/ops/metrics.hpp"
#include "broker/ops/wear.hpp"
#include "sdk/host/file_storage.hpp"

namespace leat {
namespace {

using asio::ip::tcp;
using Level = node::Event::Level;
using HttpMode = config::Config::HttpMode;

constexpr int exit_ok = 0, exit_failed = 1, exit_config = 2, exit_data = 3, exit_address = 4;
constexpr std::chrono::seconds stop_max{10};

void print(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
}

std::string first_line_of(const char* path) {
    std::array<char, 256> text{};
    std::FILE* file = std::fopen(path, "re");
    if (!file) return {};
    const std::size_t count = std::fread(text.data(), 1, text.size(), file);
    std::fclose(file);
    const std::string_view whole(text.data(), count);
    return std::string(whole.substr(0, whole.find_first_of(std::string_view("\n\0", 2))));
}

// A card that is copied whole takes /etc/machine-id along; the board's serial number stays behind.
std::string device_identity() {
    const std::string serial = first_line_of("/sys/firmware/devicetree/base/serial-number");
    return serial.empty() ? first_line_of("/etc/machine-id") : "serial " + serial;
}

// Each connection is a descriptor. The soft limit is often 1,024 for the sake of select(), unused
// here.
std::uint64_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

// Started with stderr closed, the next file opened would become descriptor 2: the log of lines
// would be written into the log of records.
void occupy_standard_descriptors() {
    for (int fd = ::open("/dev/null", O_RDWR); fd >= 0 && fd <= STDERR_FILENO;) fd = ::dup(fd);
}

class Leatd {
public:
    explicit Leatd(config::Config config)
        : config_(std::move(config)),
          lines_({.level = ops::level_of(config_.log_level), .json = config_.log_json}),
          signals_(io_, SIGTERM, SIGINT, SIGHUP),
          stop_timer_(io_),
          wear_timer_(io_),
          acceptor_(io_),
          http_acceptor_(io_),
          started_(clock_.monotonic()) {}
    // What still reads for the node writes into memory of the node's.
    ~Leatd() {
        if (storage_) storage_->stop();
    }

    int run() {
        await_signal();
        std::string why;
        if (!net::bind_to(acceptor_, config_.listen, why)) return refuse(exit_address, "net", why);
        if (!bind_http(why)) return refuse(exit_address, "net", why);
        complete_config();

        host::FileStorageError storage_why;
        storage_ = host::FileStorage::open(
            {.folder = config_.data_dir,
             .budget_bytes = config_.budget_bytes,
             .made_for = log::bytes_made_for},
            storage_why);
        if (!storage_) return refuse(exit_data, "storage", storage_why.text);
        tell_notices();
        if (config_.segment_bytes == 0 && storage_->is_new())
            config_.segment_bytes =
                config::segment_bytes_for(storage_->geometry().size, config_.message_bytes_max);
        node_ = node::make_node(config_, {*storage_, entropy_, &thread_time_});
        const Status started = node_->start(clock_.monotonic(), clock_.wall());
        tell_notices();
        tell_events();
        // What a device refuses now it may do the next time: whoever restarts us is to go on.
        if (!started)
            return refuse(started.error() == Error::storage ? exit_failed : exit_data, "node",
                          node_->start_error_text());

        if (!net::start_listening(acceptor_, config_.listen, why))
            return refuse(exit_address, "net", why);
        driver_.emplace(
            io_, *node_, clock_,
            [this](const node::Event& event) {
                tell_notices();
                lines_.write(clock_.monotonic(), clock_.wall(), event);
            },
            config_.worker_threads);
        driver_->watch_storage(storage_->wake_fd(), [this] { tell_notices(); });
        if (!serve_http(why)) return refuse(exit_address, "net", why);
        struct stat folder {};
        (void)::stat(config_.data_dir.c_str(), &folder);
        wear_.emplace("/sys", folder.st_dev, config_.endurance_bytes);
        watch_wear();
        say_ready();
        driver_->accept_on(std::move(acceptor_));
        driver_->start();
        io_.run();
        // All is sealed. A look-up cannot be interrupted, and tearing down would wait for its end.
        if (driver_->resolving()) ::_exit(exit_ok);
        return exit_ok;
    }

private:
    void say(Level level, const char* room, std::string_view text) {
        lines_.write(clock_.monotonic(), clock_.wall(), level, room, text);
    }

    int refuse(int code, const char* room, const std::string& why) {
        say(Level::error, room, why);
        return code;
    }

    bool bind_http(std::string& why) {
        if (config_.http_mode == HttpMode::off) return true;
        const bool automatic = config_.http_mode == HttpMode::automatic;
        if (automatic)
            config_.http = {"127.0.0.1", static_cast<std::uint16_t>(config_.listen.port + 1)};
        if (net::bind_to(http_acceptor_, config_.http, why)) return true;
        return automatic && give_up_http(why);
    }

    // Nobody asked for this port by number: a broker without a status page is better than none.
    bool give_up_http(const std::string& why) {
        std::error_code ignored;
        http_acceptor_.close(ignored);
        say(Level::warn, "net", "no status and metrics: " + why);
        return true;
    }

    // What only the running machine knows.
    void complete_config() {
        if (config_.advertised.host.empty()) config_.advertised.host = config_.listen.host;
        if (config_.advertised.port == 0) config_.advertised.port = config_.listen.port;
        if (config_.advertised.host == "0.0.0.0" || config_.advertised.host == "::") {
            std::array<char, 256> name{};
            ::gethostname(name.data(), name.size() - 1);
            config_.advertised.host = name.data();
            say(Level::warn, "net",
                "clients are told to connect to " + config::to_text(config_.advertised) +
                    ", this machine's name; set --advertised if they do not know that name");
        }
        if (!config::is_loopback(config_.listen.host))
            say(Level::warn, "net",
                "listening on " + config::to_text(config_.listen) +
                    ": whoever reaches it may read and write; keep it in a trusted network");
        config_.device_identity = device_identity();
        config_.build_date_ms = std::int64_t{LEAT_BUILD_DAY} * 86'400'000;
        // Refused at the door, a client knows at once; out of descriptors, the uplink could not
        // connect either. Some twenty are in use; the rest is for links and the status page.
        const std::uint64_t limit = raise_descriptor_limit();
        const auto own_descriptors = std::clamp<std::uint64_t>(limit / 2, 32, 64);
        const std::uint64_t descriptors = std::max(limit, own_descriptors + 1);
        if (descriptors - own_descriptors >= config_.connections_max) return;
        config_.connections_max = static_cast<std::uint32_t>(descriptors - own_descriptors);
        say(Level::warn, "net",
            "at most " + std::to_string(config_.connections_max) +
                " connections: the limit of open files is " + std::to_string(descriptors) +
                " (ulimit -Hn)");
    }

    bool serve_http(std::string& why) {
        if (!http_acceptor_.is_open()) return true;
        if (!config::is_loopback(config_.http.host))
            say(Level::warn, "net",
                "status on " + config::to_text(config_.http) +
                    ": whoever reaches it sees topic names and counts");
        if (!net::start_listening(http_acceptor_, config_.http, why))
            return config_.http_mode == HttpMode::automatic && give_up_http(why);
        http_.emplace(io_, std::move(http_acceptor_),
                      [this](std::string_view path) { return answer(path); });
        return true;
    }

    ops::HttpAnswer answer(std::string_view path) {
        if (path == "/status") return {200, "application/json", status() + "\n"};
        if (path == "/metrics")
            return {200, "text/plain; version=0.0.4; charset=utf-8",
                    ops::prometheus_text(status())};
        if (path == "/healthz") {
            const ops::Health health = stopping_
                                           ? ops::Health{false, "stopping"}
                                           : ops::health_of(node_->status_json(clock_.monotonic()));
            return {health.well ? 200 : 503, "text/plain; charset=utf-8", health.text + "\n"};
        }
        return {404, "text/plain; charset=utf-8", "here are /status, /metrics and /healthz\n"};
    }

    // The node knows no disk: what is told of it stands behind what the node tells.
    std::string status() {
        std::string text = node_->status_json(clock_.monotonic());
        text.pop_back();
        return text + ",\"storage\":" + storage_json() +
               ",\"device\":" + wear_->json(clock_.monotonic()) + "}";
    }
    std::string storage_json() const {
        const host::FileStorageCounters did = storage_->counters();
        node::Json json;
        json.object()
            .truth("direct", storage_->is_direct())
            .count("writes_total", did.writes)
            .count("written_bytes_total", did.write_bytes)
            .count("flushes_total", did.flushes)
            .count("reads_total", did.reads)
            .count("read_bytes_total", did.read_bytes)
            .count("errors_total", did.errors)
            .end_object();
        return json.take();
    }

    void watch_wear() {
        wear_->sample(clock_.monotonic());
        if (const std::string text = wear_->warning(); !text.empty())
            say(Level::warn, "storage", text);
        wear_timer_.expires_after(ops::Wear::sample_every);
        wear_timer_.async_wait([this](const std::error_code& code) {
            if (!code && !stopping_) watch_wear();
        });
    }

    void say_ready() {
        say(Level::info, "leatd",
            std::string("leatd ") + config::version_text + " listens on " +
                config::to_text(config_.listen) +
                (config_.http_mode != HttpMode::off && http_
                     ? ", status on http://" + config::to_text(config_.http) + "/status"
                     : "") +
                ", log in " + storage_->path() + " (" +
                std::to_string(storage_->geometry().size / MiB) + " MiB" +
                (storage_->is_direct() ? "" : ", write + fdatasync") + "), ready after " +
                std::to_string((clock_.monotonic() - started_).count()) + " ms");
    }

    void tell_notices() {
        while (const auto notice = storage_->poll_notice())
            say(notice->level == host::Notice::Level::info   ? Level::info
                : notice->level == host::Notice::Level::warn ? Level::warn
                                                             : Level::error,
                "storage", notice->text);
    }
    void tell_events() {
        while (const auto event = node_->poll_event())
            lines_.write(clock_.monotonic(), clock_.wall(), *event);
    }

    void await_signal() {
        signals_.async_wait([this](const std::error_code& code, int signal) {
            if (code) return;
            // A service is told "read your settings again" this way: it must not end for it.
            if (signal == SIGHUP && !has_terminal_) {
                say(Level::info, "leatd", "SIGHUP: settings are read at the start only: restart");
                return await_signal();
            }
            // Kernel and shell both tell of it.
            if (signal == SIGHUP && stopping_) return await_signal();
            // Whoever signals twice does not want to wait; what was acknowledged is on flash
            // already.
            if (stopping_) ::_exit(exit_failed);
            stopping_ = true;
            say(Level::info, "leatd",
                std::string(signal == SIGTERM  ? "SIGTERM"
                            : signal == SIGINT ? "SIGINT"
                                               : "SIGHUP, the terminal is gone") +
                    ": stopping; a second one stops at once");
            await_signal();
            stop();
        });
    }

    void stop() {
        stop_timer_.expires_after(stop_max);
        stop_timer_.async_wait([this](const std::error_code& code) {
            if (code) return;
            say(Level::error, "leatd",
                "not stopped after 10 s: leaving without the seal; the next start recovers what "
                "was acknowledged");
            ::_exit(exit_failed);
        });
        driver_->stop([this] {
            tell_events();
            say(Level::info, "leatd", "stopped");
            io_.stop();
        });
    }

    config::Config config_;
    net::SystemClock clock_;
    net::ThreadTime thread_time_;
    net::SystemEntropy entropy_;
    ops::LogLines lines_;
    asio::io_context io_{1};
    asio::signal_set signals_;
    asio::steady_timer stop_timer_, wear_timer_;
    tcp::acceptor acceptor_, http_acceptor_;
    Instant started_;
    std::unique_ptr<host::FileStorage> storage_;
    std::unique_ptr<node::Node> node_;
    std::optional<net::Driver> driver_;
    std::optional<ops::Wear> wear_;
    std::optional<ops::HttpServer> http_;
    bool stopping_ = false;
    // Looked at now: of a terminal that is gone nobody can tell any more that it was one.
    bool has_terminal_ =
        ::isatty(STDIN_FILENO) != 0 || ::isatty(STDOUT_FILENO) != 0 || ::isatty(STDERR_FILENO) != 0;
};

int run(int argc, char** argv) {
    occupy_standard_descriptors();
    if (argc > 1 && std::string_view(argv[1]) == "log") return run_log_tool(argc - 1, argv + 1);
    const config::ParsedFlags parsed = config::parse_flags(argc, argv);
    if (parsed.exit_code) {
        print(*parsed.exit_code == exit_ok ? STDOUT_FILENO : STDERR_FILENO, parsed.text);
        return *parsed.exit_code;
    }
    config::Loaded loaded = config::load(parsed.flags);
    std::string problems;
    for (const std::string& problem : loaded.problems) problems += problem + "\n";
    if (!problems.empty()) {
        print(STDERR_FILENO, problems);
        return exit_config;
    }
    if (parsed.flags.check_config) {
        print(STDOUT_FILENO, "ok\n");
        return exit_ok;
    }
    std::signal(SIGPIPE, SIG_IGN);
    // One arena: only one thread allocates much, and each further arena would keep pages of its
    // own. A fixed threshold: left alone, glibc raises it after the first large request is freed,
    // and the heap then keeps every megabyte once used (after 1M records: 25 MB resident against 8,
    // for 0.2 s of page faults).
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    return Leatd(std::move(loaded.config)).run();
}

}  // namespace
}  // namespace leat

int main(int argc, char** argv) {
    try {
        return leat::run(argc, argv);
    } catch (const std::bad_alloc&) {
        leat::print(STDERR_FILENO,
                    "leatd: out of memory: the system, or a limit, gives no more (ulimit -d and -v; "
                    "in systemd MemoryMax= and LimitDATA=): raise it, or let fewer clients connect; "
                    "what was acknowledged is kept\n");
        return 1;
    } catch (const std::system_error& error) {
        const bool limit = error.code() == std::errc::resource_unavailable_try_again;
        leat::print(STDERR_FILENO,
                    std::string("leatd: ") + error.what() +
                        (limit ? ": no thread can be started: raise the limit of processes (ulimit "
                                 "-u; in systemd TasksMax= and LimitNPROC=) or of memory (ulimit -d "
                                 "and -v; MemoryMax= and LimitDATA=)\n"
                               : "\n"));
        return 1;
    } catch (const std::exception& error) {
        leat::print(STDERR_FILENO, std::string("leatd: ") + error.what() + "\n");
        return 1;
    }
}
