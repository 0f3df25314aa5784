#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "leat/consumer.hpp"
#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

void print(const ConsumerRecord& record, const Options& options, const std::string& separator) {
    if (options.json) {
        std::printf("%s\n", json_of(record).c_str());
        return;
    }
    const auto put = [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
    };
    if (options.with_headers)
        for (const Header& header : record.headers) {
            put(header.key.view());
            put("=");
            put(text_of(header.value.view()));
            put("\t");
        }
    if (!separator.empty()) {
        put(record.key.value_or(""));
        put(separator);
    }
    put(record.value.value_or(""));
    put("\n");
}

constexpr milliseconds poll_wait{200};

/// Whether reading gets on, and what was said of it when it does not.
class Progress {
public:
    explicit Progress(const Options& options) : quiet_max_(timeout_of(options)) {}

    /// After each poll. Positions count, too: what a poll steps over (markers, emptied batches) is
    /// no record. Only polls that waited are quiet time: it was not the broker's when the reader of
    /// our output was slow, the program stood still or the clock was set.
    void look(const Consumer& consumer, const std::vector<TopicPartition>& partitions,
              const Records& records) {
        std::int64_t sum = 0;
        for (const TopicPartition& partition : partitions)
            sum += consumer.position(partition).value_or(-1);
        const bool moves = std::exchange(sum_, sum) != sum || !records.empty();
        quiet_ = moves ? milliseconds{} : quiet_ + poll_wait;
        if (moves) told_.clear();
    }
    /// Once, until reading gets on: what is tried again every 100 ms fails as often.
    void complain_once(const std::string& text) {
        if (told_.insert(text).second) complain(text);
    }
    bool has_complained() const { return !told_.empty(); }
    bool is_silent() const { return quiet_ > quiet_max_; }

private:
    const milliseconds quiet_max_;
    milliseconds quiet_{};
    std::int64_t sum_ = 0;
    std::set<std::string> told_;
};

/// Where reading stands, for people.
std::string standing(const Consumer& consumer, const std::vector<TopicPartition>& partitions) {
    std::string text = "the broker answers, but nothing comes";
    for (const TopicPartition& partition : partitions) {
        const std::string name = partition.topic + "-" + std::to_string(partition.partition);
        const auto position = consumer.position(partition);
        const auto end = consumer.high_watermark(partition);
        if (!position)
            text += "; the offset where to start in " + name + " is not told";
        else if (!end || *position < *end)
            text += "; " + name + " stands at offset " + std::to_string(*position);
    }
    return text;
}

class Reading {
public:
    Reading(const Options& options, Loop& loop, Consumer& consumer)
        : options_(options),
          consumer_(consumer),
          progress_(options),
          admin_(Admin::open(loop, {.bootstrap = options.bootstrap,
                                    .client_id = "leat-cli",
                                    .timeout = timeout_of(options)})) {}

    Exit run() {
        if (const Exit found = find_partitions(); found != Exit::ok) return found;
        if (const Exit placed = find_start(); placed != Exit::ok) return placed;
        const std::string separator = unescaped(options_.key_separator);
        std::uint64_t printed = 0;
        while (!is_at_end()) {
            const std::size_t at_once = options_.count_max == 0
                                            ? 1000
                                            : static_cast<std::size_t>(std::min<std::uint64_t>(
                                                  1000, options_.count_max - printed));
            const Records records = consumer_.poll(poll_wait, at_once);
            for (const ConsumerRecord& record : records) {
                if (!options_.follow && record.offset >= ends_[record.partition]) continue;
                print(record, options_, separator);
                ++printed;
            }
            // A reader that went away (head, a closed terminal) ends us quietly.
            if ((options_.follow || records.empty()) && std::fflush(stdout) != 0) return Exit::ok;
            if (std::ferror(stdout) || (options_.follow && reader_is_gone())) return Exit::ok;
            if (options_.count_max > 0 && printed >= options_.count_max) break;
            progress_.look(consumer_, partitions_, records);
            if (const Exit told = tell_events(); told != Exit::ok) return told;
        }
        std::fflush(stdout);
        return Exit::ok;
    }

private:
    Exit find_partitions() {
        const std::string& topic = options_.topics.front();
        const Result<std::int32_t> count = consumer_.partition_count(topic, timeout_of(options_));
        if (!count && count.error() == Error::not_found) return no_topic(topic);
        if (!count) return complain("topic " + topic, count.error(), consumer_.last_problem());
        std::vector<std::int32_t> numbers = options_.only_partitions;
        if (numbers.empty())
            for (std::int32_t i = 0; i < *count; ++i) numbers.push_back(i);
        for (std::int32_t number : numbers) {
            if (number < 0 || number >= *count) {
                complain("partition " + std::to_string(number) + " of " + topic +
                         " is not there: they are 0 to " + std::to_string(*count - 1));
                return Exit::not_found;
            }
            partitions_.push_back({topic, number});
        }
        return Exit::ok;
    }

    Exit find_start() {
        std::vector<std::int32_t> numbers;
        for (const TopicPartition& partition : partitions_) numbers.push_back(partition.partition);
        const std::string& topic = options_.topics.front();
        if (!admin_) return Exit::usage;
        const auto ends = admin_->list_offsets(topic, numbers, Admin::latest);
        if (!ends) return complain("the ends of " + topic, ends.error(), admin_->last_problem());
        for (const PartitionOffset& end : *ends) ends_[end.partition] = end.offset;
        const bool from_end = options_.follow && !options_.from_beginning;
        if (const Status assigned =
                consumer_.assign(partitions_, from_end ? StartAt::end : StartAt::beginning);
            !assigned)
            return complain("assign", assigned.error());
        std::optional<std::int64_t> time;
        if (!options_.time.empty()) {
            time = parse_time(options_.time, wall_ms_now());
            if (!time) {
                complain("--time " + options_.time +
                         " is no time: 2024-05-01T12:00:00Z, milliseconds, or -15m");
                return Exit::usage;
            }
        }
        for (const TopicPartition& partition : partitions_) {
            if (time) (void)consumer_.seek_to_time(partition, wall_ms(*time));
            if (!options_.offset) continue;
            const std::int64_t end = ends_[partition.partition];
            const std::int64_t offset = *options_.offset < 0
                                            ? std::max<std::int64_t>(0, end + *options_.offset)
                                            : *options_.offset;
            (void)consumer_.seek(partition, offset);
        }
        return Exit::ok;
    }

    /// Every partition stands at (or behind) the end that it had when we started.
    bool is_at_end() const {
        if (options_.follow) return false;
        return std::all_of(
            partitions_.begin(), partitions_.end(), [this](const TopicPartition& partition) {
                const std::int64_t end = ends_.at(partition.partition);
                if (end == 0) return true;
                const Result<std::int64_t> position = consumer_.position(partition);
                if (!position || *position >= end) return bool(position);
                // Before it there may be what an open transaction wrote: nobody knows for how long.
                const Result<std::int64_t> stable = consumer_.high_watermark(partition);
                return options_.read_committed && stable && *position >= *stable;
            });
    }

    Exit tell_events() {
        while (const std::optional<ConsumerEvent> event = consumer_.poll_event()) {
            switch (event->kind) {
                case ConsumerEvent::Kind::connected:
                    is_connected_ = true;
                    break;
                case ConsumerEvent::Kind::disconnected:
                    is_connected_ = false;
                    break;
                case ConsumerEvent::Kind::offset_out_of_range:
                    complain("partition " + std::to_string(event->partition) +
                             ": that offset is not in the log, which ends at " +
                             std::to_string(ends_[event->partition]) +
                             "; --from-beginning reads what is there");
                    return Exit::failed;
                case ConsumerEvent::Kind::group_failed:
                    complain(event->text);
                    return Exit::failed;
                case ConsumerEvent::Kind::log_truncated:  // it stands still until a seek
                    complain(event->text + "; read on with -p " + std::to_string(event->partition) +
                             " -o " + std::to_string(std::max<std::int64_t>(event->offset, 0)));
                    return Exit::failed;
                case ConsumerEvent::Kind::commit_failed:
                case ConsumerEvent::Kind::topic_error:
                case ConsumerEvent::Kind::corrupt:
                case ConsumerEvent::Kind::refused:
                case ConsumerEvent::Kind::too_large:
                    progress_.complain_once(event->text);
                    break;
            }
        }
        if (options_.follow || !progress_.is_silent()) return Exit::ok;
        if (!is_connected_) return complain("consume", Error::timed_out, "connection lost");
        if (progress_.has_complained()) {
            complain("consume: the rest cannot be read");
            return Exit::failed;
        }
        return complain("consume", Error::timed_out, standing(consumer_, partitions_));
    }

    const Options& options_;
    Consumer& consumer_;
    Progress progress_;
    Result<Admin> admin_;
    std::vector<TopicPartition> partitions_;
    std::map<std::int32_t, std::int64_t> ends_;
    bool is_connected_ = true;
};

std::atomic<bool> stopped{false};

/// Every partition that the group gave us is read to its end of now.
bool has_read_all(const Consumer& consumer) {
    const std::vector<TopicPartition> mine = consumer.assignment();
    return !mine.empty() &&
           std::all_of(mine.begin(), mine.end(), [&consumer](const TopicPartition& partition) {
               const auto position = consumer.position(partition);
               const auto end = consumer.high_watermark(partition);
               return position && end && *position >= *end;
           });
}

Exit consume_as_member(const Options& options, Consumer& consumer) {
    // Who is stopped commits and leaves, so that the others need not wait for the session's end.
    std::signal(SIGINT, [](int) { stopped = true; });
    std::signal(SIGTERM, [](int) { stopped = true; });
    const auto telling = [&options](const char* what) -> RebalanceCallbacks::Call {
        if (!options.verbose) return nullptr;
        return [what](const std::vector<TopicPartition>& partitions) {
            std::string text = what;
            for (const TopicPartition& place : partitions)
                text += " " + place.topic + "-" + std::to_string(place.partition);
            complain(text);
        };
    };
    const RebalanceCallbacks callbacks{telling("assigned"), telling("revoked"), telling("lost")};
    const Status subscribed = options.matching
                                  ? consumer.subscribe_pattern(options.topics.front(), callbacks)
                                  : consumer.subscribe(options.topics, callbacks);
    if (!subscribed) return complain("subscribe", subscribed.error());
    const std::string separator = unescaped(options.key_separator);
    std::uint64_t printed = 0;
    Progress progress(options);
    Exit exit = Exit::ok;
    while (!stopped && exit == Exit::ok &&
           (options.count_max == 0 || printed < options.count_max)) {
        const std::uint64_t left = options.count_max == 0
                                       ? 1000
                                       : std::min<std::uint64_t>(1000, options.count_max - printed);
        const Records records = consumer.poll(poll_wait, static_cast<std::size_t>(left));
        for (const ConsumerRecord& record : records) print(record, options, separator);
        printed += records.size();
        if (std::fflush(stdout) != 0 || reader_is_gone()) break;
        while (const std::optional<ConsumerEvent> event = consumer.poll_event()) {
            if (event->kind == ConsumerEvent::Kind::group_failed) exit = Exit::failed;
            if (event->kind == ConsumerEvent::Kind::log_truncated)
                complain(event->text + (event->offset < 0 ? "; it is read as if new to the group"
                                                          : "; it is read on from there"));
            else if (event->kind != ConsumerEvent::Kind::connected)
                progress.complain_once(event->text);
        }
        const std::vector<TopicPartition> mine = consumer.assignment();
        progress.look(consumer, mine, records);
        if (options.follow || exit != Exit::ok) continue;
        if (has_read_all(consumer)) break;
        if (progress.is_silent())
            exit = complain(
                "consume as member of " + options.group, Error::timed_out,
                mine.empty() ? "the group gave this member nothing" : standing(consumer, mine));
    }
    if (const Status left = consumer.close(timeout_of(options)); !left && exit == Exit::ok)
        exit = complain("leaving " + options.group, left.error());
    return exit;
}

}  // namespace

Exit consume(const Options& options) {
    Loop loop;
    ConsumerConfig config;
    config.bootstrap = options.bootstrap;
    config.client_id = "leat-cli";
    config.reset = ConsumerConfig::Reset::none;
    config.read_committed = options.read_committed;
    config.allow_auto_topic_creation = false;  // looking must not make topics
    if (!options.group.empty()) {
        config.group_id = options.group;
        if (!options.group_instance.empty()) config.group_instance_id = options.group_instance;
        if (options.group_protocol == "consumer") config.group_protocol = GroupProtocol::consumer;
        config.group_remote_assignor = options.remote_assignor;
        if (!options.assignors.empty()) config.assignors.clear();
        for (const std::string& name : options.assignors)
            config.assignors.push_back(*cluster::assignor_named(name));
        config.reset = options.follow && !options.from_beginning ? ConsumerConfig::Reset::end
                                                                 : ConsumerConfig::Reset::beginning;
    }
    Result<Consumer> consumer = Consumer::open(loop, config);
    if (!consumer) {
        complain("--bootstrap " + options.bootstrap + " is no HOST:PORT");
        return Exit::usage;
    }
    if (!options.group.empty()) return consume_as_member(options, *consumer);
    return Reading(options, loop, *consumer).run();
}

}  // namespace leat::cli
