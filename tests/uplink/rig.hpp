// A gateway's log and uplink against the scripted upstream, driven as the node drives them; every
// byte that moves is a step at which the rig may cut the connection.
#pragma once

#include <doctest/doctest.h>

#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "broker/uplink/uplink.hpp"
#include "sdk/compression/compression.hpp"
#include "tests/support/fake_log.hpp"
#include "tests/support/test_entropy.hpp"
#include "tests/uplink/upstream_model.hpp"

namespace leat::uplink::test {

constexpr std::int64_t time_of_records = 1'700'000'000'000;

struct BatchSpec {
    int count = 3;
    int first = 0;  ///< number of the first record; values are "v<number>"
    Codec codec = Codec::none;
    std::string key = {};  ///< empty: "k<number>"; "-": none
    std::size_t padding = 0;
    bool control = false;
    std::string from = {};  ///< a header leat-gateway of this value
};

inline Bytes make_batch(const BatchSpec& spec) {
    Bytes memory(4 * MiB);
    wire::BatchBuilder builder{MutableBytes(memory)};
    for (int i = 0; i < spec.count; ++i) {
        const std::string number = std::to_string(spec.first + i);
        const std::string key = spec.key.empty() ? "k" + number : spec.key;
        const std::string value = "v" + number + std::string(spec.padding, '.');
        wire::RecordInput record{.timestamp = time_of_records + i, .value = bytes_of(value)};
        if (key != "-") record.key = bytes_of(key);
        const wire::RecordHeader header{.key = "leat-gateway", .value = bytes_of(spec.from)};
        if (!spec.from.empty()) record.headers = {&header, 1};
        REQUIRE(builder.append(record));
    }
    Bytes packed;
    REQUIRE(compression::compress(spec.codec, builder.records(), packed));
    wire::BatchHeader header = builder.header();
    header.attributes = static_cast<std::int16_t>(spec.codec);
    if (spec.control) header.attributes = wire::attribute::control | wire::attribute::transactional;
    Bytes batch(wire::batch_header_size + packed.size());
    copy_bytes(packed, MutableBytes(batch).subspan(wire::batch_header_size));
    wire::seal_batch_header(header, packed, batch.data());
    return batch;
}

struct Plain {
    std::string key, value;  ///< key "-": none
    std::int64_t timestamp = 0;
    std::vector<std::pair<std::string, std::string>> headers;
};

inline std::vector<Plain> records_of(const Stored& stored) {
    Bytes plain;
    REQUIRE(compression::decompress(stored.header.codec(), stored.records, plain, 64 * MiB));
    std::vector<Plain> out;
    wire::RecordReader reader(plain, stored.header.record_count);
    while (auto record = reader.next()) {
        Plain& one = out.emplace_back();
        one.key = record->key.is_null() ? "-" : std::string(text_of(record->key));
        one.value = text_of(record->value);
        one.timestamp = stored.header.base_timestamp + record->timestamp_delta;
        while (const auto header = record->headers.next())
            one.headers.emplace_back(header->key.view(), text_of(header->value));
    }
    REQUIRE(reader.finish());
    return out;
}

inline config::Route make_route() {
    config::Route route;
    route.name = "up";
    route.bootstrap = {{"up1", 9001}};
    route.topics = {"*"};
    return route;
}

template <class LogOf>
class RigOn {
public:
    LogOf log;
    leat::test::TestEntropy entropy{7};
    UpstreamModel upstream;
    UplinkConfig config{.routes = {make_route()}, .gateway_id = "gw-1"};
    std::map<std::string, std::vector<log::StreamId>> topics;
    std::unique_ptr<Uplink> uplink;
    std::vector<Event> events;
    Instant now = instant_ms(10'000);
    Begin begin = Begin::forward;  ///< of the next start
    std::int64_t records_age = 0;  ///< of the records that are made, by everybody's wall clock

    // Faults.
    std::set<std::int32_t> silent;                  ///< brokers that take bytes and say nothing
    std::set<std::int32_t> refusing;                ///< brokers that take no connection
    std::map<std::int32_t, std::int32_t> leads_to;  ///< whose address is another broker's
    int connects = 0;
    bool upstream_is_down = false;  ///< connections are refused and open ones cut
    int cut_at_step = -1;           ///< the connection dies at this step, once
    bool cut_loses_answer = false;  ///< ... after the upstream has acted, before the answer arrives
    bool hold_answers = false;  ///< the upstream acts, its answers wait until this is false again
    int steps = 0;
    std::function<void(log::ReadDone&)> tamper;  ///< what the device makes of a read

    void make_topic(const std::string& name, int partitions) {
        for (int i = 0; i < partitions; ++i) {
            topics[name].push_back(next_stream_);
            REQUIRE(log.declare_stream(next_stream_++, {}));
        }
        if (uplink) uplink->topics_changed(now);
    }
    void delete_topic(const std::string& name) {
        uplink->topic_goes(now, {.name = name, .partitions = topics[name]});
        for (const log::StreamId stream : topics[name]) log.drop_stream(stream);
        topics.erase(name);
        uplink->topics_changed(now);
    }
    log::StreamId stream(const std::string& topic, std::size_t partition = 0) {
        return topics.at(topic).at(partition);
    }

    void start() {
        links_.clear();
        log.on_storage(now);
        for (const auto& [name, streams] : topics)
            for (const log::StreamId id : streams) readable_[id] = log.stream(id)->flushed;
        const auto for_each = [this](const TopicVisitor& visit) {
            for (const auto& [name, streams] : topics)
                visit({.name = name, .partitions = streams, .internal = name == "internal"});
        };
        config.wall = [this] { return wall_ms(wall()); };
        uplink = std::make_unique<Uplink>(log, for_each, entropy, config);
        uplink->start(now, begin);
        run();
    }
    /// SIGKILL: nothing is told, the links are gone, the reads were this process's.
    void kill() {
        uplink.reset();
        while (log.poll_read()) {
        }
        links_.clear();
    }
    void append(const std::string& topic, const BatchSpec& spec, std::size_t partition = 0,
                std::optional<WallTime> append_time = std::nullopt) {
        const Bytes batch = make_batch(spec);
        REQUIRE(log.append(
            now, wall_ms(0),
            {.stream = stream(topic, partition), .batch = batch, .log_append_time = append_time}));
    }

    /// Lets everything happen that needs no time.
    void run() {
        for (int turn = 0; turn < 100'000; ++turn) {
            log.on_storage(now);
            uplink->on_commit(now);
            bool moved = false;
            for (const auto& [name, streams] : topics)
                for (const log::StreamId id : streams) {
                    const log::Offset flushed = log.stream(id)->flushed;
                    if (flushed > readable_[id]) {
                        readable_[id] = flushed;
                        uplink->readable(now, id);
                        moved = true;
                    }
                }
            while (auto done = log.poll_read()) {
                if (tamper) tamper(*done);
                REQUIRE(uplink->on_read(now, *done));
                moved = true;
            }
            moved = drive_links() || moved;
            while (auto event = uplink->poll_event()) events.push_back(*event);
            if (uplink->deadline() <= now) {
                uplink->on_deadline(now);
                moved = true;
            }
            if (!moved) return;
        }
        FAIL("the uplink spins");
    }
    void pass(std::int64_t ms) {
        const Instant until = now + milliseconds{ms};
        run();
        while (uplink->deadline() <= until) {
            now = std::max(now, uplink->deadline());
            run();
        }
        now = until;
        run();
    }

    std::int64_t wall() const {
        return time_of_records + records_age + (now - instant_ms(10'000)).count();
    }

    // Asking.
    RouteStatus status(std::size_t route = 0) { return uplink->status(now).at(route); }
    std::vector<Plain> arrived(const std::string& topic, std::size_t partition = 0) {
        std::vector<Plain> all;
        for (const Stored& batch : upstream.topics[topic].at(partition).batches)
            for (Plain& record : records_of(batch)) all.push_back(std::move(record));
        return all;
    }
    std::vector<std::string> values(const std::string& topic, std::size_t partition = 0) {
        std::vector<std::string> all;
        for (const Plain& record : arrived(topic, partition))
            all.push_back(record.value.substr(0, record.value.find('.')));
        return all;
    }
    bool was_told(std::string_view part) const {
        for (const Event& event : events)
            if (event.text.find(part) != std::string::npos) return true;
        return false;
    }

    /// Every connection to this broker dies now, with the answers that were on their way.
    void cut_all(std::int32_t broker) {
        std::vector<LinkId> ids;
        for (const auto& [id, link] : links_)
            if (link.broker == broker) ids.push_back(id);
        for (const LinkId id : ids) cut(id);
    }

private:
    struct Link {
        std::int32_t broker = 0;
        Bytes received;  // by the upstream
        std::deque<Bytes> answers;
    };

    bool step_is_cut() { return steps++ == cut_at_step; }

    bool drive_links() {
        bool moved = false;
        while (const auto action = uplink->poll_link_action()) {
            moved = true;
            if (action->kind == LinkAction::Kind::close) {
                links_.erase(action->link);
                continue;
            }
            const std::int32_t broker = action->port - 9000;
            ++connects;
            const bool is_there = action->host == "up" + std::to_string(broker) &&
                                  !refusing.contains(broker) && !upstream_is_down && !step_is_cut();
            if (!is_there) {
                uplink->link_closed(now, action->link, Error::refused);
                continue;
            }
            const auto found = leads_to.find(broker);
            links_[action->link].broker = found == leads_to.end() ? broker : found->second;
            uplink->link_opened(now, action->link);
        }
        if (upstream_is_down) {
            while (!links_.empty()) {
                const LinkId id = links_.begin()->first;
                links_.erase(id);
                uplink->link_closed(now, id, Error::disconnected);
                moved = true;
            }
        }
        while (const auto id = uplink->link_ready()) {
            moved = true;
            Bytes out;
            for (const ByteView piece : uplink->link_poll_write(*id))
                out.insert(out.end(), piece.begin(), piece.end());
            const auto link = links_.find(*id);
            if (link == links_.end() || out.empty()) continue;
            if (!cut_loses_answer && step_is_cut()) {
                cut(*id);
                continue;
            }
            link->second.received.insert(link->second.received.end(), out.begin(), out.end());
            uplink->link_sent(now, *id, out.size());
            serve(link->second);
            if (std::exchange(upstream.hangs_up, false)) {
                cut(*id);
                continue;
            }
            if (cut_loses_answer && step_is_cut()) cut(*id);
        }
        std::vector<LinkId> ids;
        for (const auto& [id, link] : links_) ids.push_back(id);
        for (const LinkId id : ids) {
            while (!hold_answers && links_.contains(id) && !links_[id].answers.empty()) {
                moved = true;
                const Bytes answer = std::move(links_[id].answers.front());
                links_[id].answers.pop_front();
                if (step_is_cut()) {
                    cut(id);
                    break;
                }
                uplink->link_received(now, id, answer);
            }
        }
        return moved;
    }
    void serve(Link& link) {
        if (silent.contains(link.broker)) return link.received.clear();
        upstream.wall_ms = wall();
        for (;;) {
            if (link.received.size() < 4) return;
            const auto size =
                static_cast<std::size_t>(load_big<std::int32_t>(link.received.data()));
            if (link.received.size() - 4 < size) return;
            Bytes answer = upstream.answer(link.broker, ByteView(link.received).subspan(4, size));
            link.received.erase(link.received.begin(),
                                link.received.begin() + static_cast<std::ptrdiff_t>(4 + size));
            if (!answer.empty()) link.answers.push_back(std::move(answer));
        }
    }
    void cut(LinkId id) {
        links_.erase(id);
        uplink->link_closed(now, id, Error::disconnected);
    }

    std::map<LinkId, Link> links_;
    std::map<log::StreamId, log::Offset> readable_;
    log::StreamId next_stream_ = 1;
};
using Rig = RigOn<leat::test::FakeLog>;

inline std::vector<std::string> numbers(int first, int count) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back("v" + std::to_string(first + i));
    return all;
}

inline void one_topic(Rig& rig) {
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
}
/// And only the cursors that are written at once are kept.
inline void one_topic_forgotten(Rig& rig) {
    rig.config.cursor_interval = milliseconds{60'000};
    one_topic(rig);
}

/// `count` batches of one record each are upstream, and no cursor says so.
inline void deliver_unnoticed(Rig& rig, int count, int first = 0) {
    rig.hold_answers = false;
    for (int i = 0; i < count; ++i) {
        rig.append("t", {.count = 1, .first = first + i});
        rig.run();
    }
}

/// Each once, where it came first: what at least once promises to have kept in order.
inline std::vector<std::string> first_arrivals(const std::vector<std::string>& values) {
    std::vector<std::string> out;
    for (const std::string& value : values)
        if (std::find(out.begin(), out.end(), value) == out.end()) out.push_back(value);
    return out;
}

}  // namespace leat::uplink::test
