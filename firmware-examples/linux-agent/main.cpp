// A device program on the SDK: samples this machine's sensors, sends each reading as a record, and
// keeps the books: what was produced, acknowledged, given up. Rides through a gateway that is away.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "firmware-examples/linux-agent/options.hpp"
#include "firmware-examples/linux-agent/sensors.hpp"
#include "leat/producer.hpp"

namespace {

using leat::milliseconds;

std::int64_t now_ms(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

/// One key of one topic, with its own sequence. Lives as long as the program: callbacks point to
/// it.
struct Sensor {
    std::string topic;
    std::string key;
    std::uint64_t next_seq = 0;
};

/// Acknowledgements, told on the loop's thread.
class Books {
public:
    explicit Books(const std::string& acks_file) {
        if (!acks_file.empty()) acks_.reset(std::fopen(acks_file.c_str(), "w"));
        // Each line at once: who compares the file with the moment of a power cut must not find
        // there later what was acknowledged before.
        if (acks_) std::setvbuf(acks_.get(), nullptr, _IOLBF, 0);
    }
    bool is_open() const { return acks_ != nullptr; }

    void settle(const Sensor& sensor, std::uint64_t seq, const leat::Delivery& delivery) {
        const std::lock_guard lock(mutex_);
        if (!delivery) {
            ++failed_;
            return;
        }
        ++acked_;
        if (acks_)
            std::fprintf(acks_.get(), "%s\t%s\t%llu\t%lld\n", sensor.topic.c_str(),
                         sensor.key.c_str(), static_cast<unsigned long long>(seq),
                         static_cast<long long>(delivery.offset));
    }
    /// Lines reach the file before the counts that include them are told.
    void counts(std::uint64_t& acked, std::uint64_t& failed) {
        const std::lock_guard lock(mutex_);
        acked = acked_;
        failed = failed_;
    }

private:
    struct Closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::mutex mutex_;
    std::unique_ptr<std::FILE, Closer> acks_;
    std::uint64_t acked_ = 0, failed_ = 0;
};

class Agent {
public:
    Agent(const agent::Options& options, leat::Producer& producer, Books& books)
        : options_(options), producer_(producer), books_(books) {}

    /// Reads all sensors and sends, or keeps for the next time, what they say.
    void sample() {
        readings_.clear();
        sensors_.read(readings_);
        const std::int64_t time = now_ms(CLOCK_REALTIME);
        for (const agent::Reading& reading : readings_) {
            if (waiting_.size() == waiting_max) {
                ++dropped_;  // no sequence was given to it: the books stay without holes
                continue;
            }
            Sensor& sensor = sensor_of(reading);
            const std::uint64_t seq = sensor.next_seq++;
            std::string value = "{\"run\":\"" + options_.run_id +
                                "\",\"seq\":" + std::to_string(seq) +
                                ",\"time_ms\":" + std::to_string(time) + "," + reading.fields + "}";
            waiting_.push_back({&sensor, seq, time, std::move(value)});
        }
        send_waiting();
    }

    /// In order, until the producer has no room (or does not know the topic's partitions yet).
    void send_waiting() {
        while (!waiting_.empty()) {
            const Waiting& first = waiting_.front();
            const leat::Status sent = producer_.send(
                {.topic = first.sensor->topic,
                 .key = first.sensor->key,
                 .value = first.value,
                 .timestamp = leat::wall_ms(first.time_ms)},
                [this, sensor = first.sensor, seq = first.seq](const leat::Delivery& delivery) {
                    books_.settle(*sensor, seq, delivery);
                });
            if (!sent &&
                (sent.error() == leat::Error::full || sent.error() == leat::Error::would_block))
                return;
            if (sent)
                ++produced_;
            else
                ++refused_;
            waiting_.pop_front();
        }
    }

    bool is_drained() {
        std::uint64_t acked = 0, failed = 0;
        books_.counts(acked, failed);
        return waiting_.empty() && acked + failed == produced_;
    }
    bool is_whole() {
        std::uint64_t acked = 0, failed = 0;
        books_.counts(acked, failed);
        return waiting_.empty() && acked == produced_ && refused_ == 0;
    }

    std::string stats(const char* state) {
        std::uint64_t acked = 0, failed = 0;
        books_.counts(acked, failed);
        const leat::ProducerStats sdk = producer_.stats();
        char line[640];
        std::snprintf(
            line, sizeof line,
            "{\"state\":\"%s\",\"run\":\"%s\",\"time_ms\":%lld,\"produced\":%llu,\"acked\":%llu,"
            "\"buffered\":%llu,\"errors\":%llu,\"dropped\":%llu,\"sensors\":%zu,\"connected\":%s,"
            "\"connects\":%llu,\"disconnects\":%llu,\"buffer_bytes\":%llu,\"last_error\":\"%s\"}",
            state, options_.run_id.c_str(), static_cast<long long>(now_ms(CLOCK_REALTIME)),
            static_cast<unsigned long long>(produced_ + waiting_.size()),
            static_cast<unsigned long long>(acked),
            static_cast<unsigned long long>(produced_ + waiting_.size() - acked - failed),
            static_cast<unsigned long long>(failed + refused_),
            static_cast<unsigned long long>(dropped_), sensor_by_name_.size(),
            sdk.connections > 0 ? "true" : "false", static_cast<unsigned long long>(sdk.connects),
            static_cast<unsigned long long>(sdk.disconnects),
            static_cast<unsigned long long>(sdk.buffer_bytes), leat::wire::name(sdk.last_error));
        return line;
    }

private:
    struct Waiting {
        Sensor* sensor;
        std::uint64_t seq;
        std::int64_t time_ms;
        std::string value;
    };
    static constexpr std::size_t waiting_max = 20'000;

    Sensor& sensor_of(const agent::Reading& reading) {
        std::string topic = options_.topic_prefix + std::string(reading.kind);
        std::unique_ptr<Sensor>& sensor = sensor_by_name_[{topic, reading.sensor}];
        if (!sensor) sensor = std::make_unique<Sensor>(Sensor{std::move(topic), reading.sensor});
        return *sensor;
    }

    const agent::Options& options_;
    leat::Producer& producer_;
    Books& books_;
    agent::Sensors sensors_;
    std::vector<agent::Reading> readings_;
    std::deque<Waiting> waiting_;  // not in the producer yet
    std::map<std::pair<std::string, std::string>, std::unique_ptr<Sensor>> sensor_by_name_;
    std::uint64_t produced_ = 0, refused_ = 0, dropped_ = 0;
};

/// Waits for a signal to end, at most until `until_ms` of the monotonic clock. Returns whether one
/// came.
bool wait_for_end(const sigset_t& ends, std::int64_t until_ms) {
    for (;;) {
        const std::int64_t left = until_ms - now_ms(CLOCK_MONOTONIC);
        if (left <= 0) return false;
        const timespec wait{static_cast<std::time_t>(left / 1000),
                            static_cast<long>(left % 1000) * 1'000'000};
        if (::sigtimedwait(&ends, nullptr, &wait) > 0) return true;
        if (errno == EAGAIN) return false;
    }
}

void show(const agent::Options& options, const std::string& line, bool always) {
    if (options.stats || always) {
        std::printf("%s\n", line.c_str());
        std::fflush(stdout);
    }
    if (options.stats_file.empty()) return;
    const std::string fresh = options.stats_file + ".new";
    if (std::FILE* file = std::fopen(fresh.c_str(), "w")) {
        std::fprintf(file, "%s\n", line.c_str());
        std::fclose(file);
        (void)std::rename(fresh.c_str(), options.stats_file.c_str());
    }
}

int run(const agent::Options& options, const sigset_t& ends) {
    Books books(options.acks_file);
    if (!options.acks_file.empty() && !books.is_open()) {
        std::fprintf(stderr, "linux-agent: cannot write %s\n", options.acks_file.c_str());
        return 2;
    }
    leat::Loop loop;
    leat::Result<leat::Producer> producer = leat::Producer::open(
        loop, {.bootstrap = options.bootstrap,
               .client_id = "linux-agent",
               .linger = milliseconds(20),
               .buffer_bytes = options.buffer_bytes,
               .delivery_timeout = milliseconds(0),  // a reading is kept until the gateway has it
               .request_timeout = milliseconds(10'000),
               .when_full = leat::ProducerConfig::WhenFull::fail});
    if (!producer) {
        std::fprintf(stderr, "linux-agent: --bootstrap %s: %s\n", options.bootstrap.c_str(),
                     leat::error_text(producer.error()));
        return 2;
    }
    Agent agent(options, *producer, books);
    const std::int64_t start = now_ms(CLOCK_MONOTONIC);
    const std::int64_t end =
        options.duration.count() > 0 ? start + options.duration.count() : INT64_MAX;
    std::int64_t next_sample = start, next_stats = start + 1000;
    for (bool ended = false; !ended && now_ms(CLOCK_MONOTONIC) < end;) {
        agent.sample();
        if (now_ms(CLOCK_MONOTONIC) >= next_stats) {
            show(options, agent.stats("running"), false);
            next_stats += 1000;
        }
        next_sample += options.interval.count();
        // After a stop (a suspended machine) sampling goes on from now, not with a burst of old
        // samples.
        next_sample = std::max(next_sample, now_ms(CLOCK_MONOTONIC));
        ended = wait_for_end(ends, std::min(next_sample, end));
    }
    const std::int64_t give_up = now_ms(CLOCK_MONOTONIC) + options.drain.count();
    next_stats = 0;
    while (!agent.is_drained() && now_ms(CLOCK_MONOTONIC) < give_up) {
        agent.send_waiting();
        if (now_ms(CLOCK_MONOTONIC) >= next_stats) {
            show(options, agent.stats("draining"), false);
            next_stats = now_ms(CLOCK_MONOTONIC) + 1000;
        }
        (void)producer->flush(milliseconds(50));
        if (agent.is_drained()) break;
        if (wait_for_end(ends, now_ms(CLOCK_MONOTONIC) + 10))
            break;  // asked a second time: leave now
    }
    const bool is_whole = agent.is_whole();
    show(options, agent.stats(is_whole ? "done" : "given up"), true);
    (void)producer->close(milliseconds(0));
    return is_whole ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
    agent::Options options;
    const std::string problem = agent::parse(count, words, options);
    if (!problem.empty()) {
        std::fprintf(stderr, "linux-agent: %s\n(linux-agent --help lists the options)\n",
                     problem.c_str());
        return 2;
    }
    if (options.help) {
        std::fputs(agent::help_text, stdout);
        return 0;
    }
    if (options.run_id.empty()) options.run_id = std::to_string(now_ms(CLOCK_REALTIME));
    // Blocked before any thread starts, so that only wait_for_end sees them.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return run(options, ends);
}
