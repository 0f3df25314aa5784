#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "leat/producer.hpp"
#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

std::optional<Codec> codec_of(const std::string& name) {
    constexpr const char* names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    for (std::uint8_t i = 0; i < 5; ++i)
        if (name == names[i]) return static_cast<Codec>(i);
    return std::nullopt;
}

/// The lines of standard input, without their ends; the last one may lack its end.
class Lines {
public:
    ~Lines() { std::free(line_); }
    bool next(std::string_view& line) {
        errno = 0;
        const ssize_t size = ::getline(&line_, &capacity_, stdin);
        if (size < 0) {
            if (std::feof(stdin) == 0) error_ = errno;
            return false;
        }
        line = {line_, static_cast<std::size_t>(size)};
        if (line.ends_with('\n')) line.remove_suffix(1);
        return true;
    }

    int error() const { return error_; }  ///< errno of what ended them; 0: their end

private:
    int error_ = 0;
    char* line_ = nullptr;
    std::size_t capacity_ = 0;
};

struct Tally {
    std::atomic<std::uint64_t> delivered{0}, failed{0};
    std::atomic<std::int16_t> error{0};
};

}  // namespace

Exit produce(const Options& options) {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const std::string& text : options.headers) {
        const auto pair = parse_pair(text);
        if (!pair) {
            complain("--header " + text + " is no name=value");
            return Exit::usage;
        }
        pairs.push_back(*pair);
    }
    std::vector<Header> headers;
    for (const auto& [name, value] : pairs) headers.push_back({name, bytes_of(value)});

    Loop loop;
    ProducerConfig config;
    config.bootstrap = options.bootstrap;
    config.client_id = "leat-cli";
    config.acks = options.acks == "0"   ? ProducerAcks::none
                  : options.acks == "1" ? ProducerAcks::leader
                                        : ProducerAcks::all;
    config.idempotent = !options.no_idempotence && config.acks == ProducerAcks::all;
    config.compression = *codec_of(options.compression);
    config.linger = milliseconds(options.linger_ms);
    config.batch_bytes = options.batch_bytes;
    config.block_max = timeout_of(options);
    if (options.timeout_given) config.delivery_timeout = timeout_of(options);
    Result<Producer> producer = Producer::open(loop, config);
    if (!producer) {
        complain("--bootstrap " + options.bootstrap + " is no HOST:PORT");
        return Exit::usage;
    }
    Tally tally;
    const std::string separator = unescaped(options.key_separator);
    Lines lines;
    std::uint64_t sent = 0;
    Exit exit = Exit::ok;
    for (std::string_view line; lines.next(line);) {
        ProducerRecord record{.topic = options.topics.front()};
        record.partition = options.partition;
        record.headers = headers;
        record.value = line;
        if (!separator.empty()) {
            const std::size_t at = line.find(separator);
            if (at == std::string_view::npos) {
                complain("line " + std::to_string(sent + 1) + " is without \"" +
                         options.key_separator + "\": " + std::string(line.substr(0, 60)));
                exit = Exit::usage;
                break;
            }
            record.key = line.substr(0, at);
            record.value = line.substr(at + separator.size());
        }
        if (options.empty_is_null && record.value->empty()) record.value.reset();
        const Status accepted = producer->send(record, [&tally](const Delivery& delivery) {
            if (delivery) {
                ++tally.delivered;
                return;
            }
            ++tally.failed;
            tally.error = static_cast<std::int16_t>(delivery.error);
        });
        if (!accepted) {
            const ProducerStats stats = producer->stats();
            exit = complain(
                "produce to " + options.topics.front() + ", line " + std::to_string(sent + 1),
                accepted.error(),
                stats.last_error == ErrorCode::none ? producer->last_problem()
                                                    : wire::name(stats.last_error));
            break;
        }
        ++sent;
    }
    if (lines.error() != 0) {
        complain(std::string("standard input cannot be read: ") + std::strerror(lines.error()));
        exit = Exit::failed;
    }
    // What was accepted is worth waiting for as long as the delivery timeout says: it bounds
    // itself, but for a request that is under way. Whoever said how long waits no longer.
    (void)producer->flush(config.delivery_timeout +
                          (options.timeout_given ? milliseconds(0) : config.request_timeout));
    const std::string problem = producer->last_problem();
    (void)producer->close(milliseconds(0));
    ProduceSummary summary{tally.delivered, tally.failed, {}};
    if (summary.failed > 0) {
        summary.error = wire::name(static_cast<ErrorCode>(tally.error.load()));
        complain(std::to_string(summary.failed) + " of " + std::to_string(sent) +
                 " records were not delivered: " + summary.error +
                 (problem.empty() ? "" : " (" + problem + ")"));
        if (exit == Exit::ok) exit = Exit::failed;
    }
    if (options.json)
        std::printf("%s\n", json_of(summary).c_str());
    else
        std::fprintf(stderr, "%llu records delivered\n",
                     static_cast<unsigned long long>(summary.delivered));
    return exit;
}

}  // namespace leat::cli
