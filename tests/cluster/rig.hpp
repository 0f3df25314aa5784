// A Router, a cluster and virtual time. Every step (a connect, a request, an answer) is counted and
// can be the one at which a connection breaks.
#pragma once

#include "doctest/doctest.h"
#include "sdk/client/accumulator.hpp"
#include "sdk/cluster/router.hpp"
#include "tests/cluster/model_cluster.hpp"

namespace leat::testing {

inline cluster::RouterConfig test_config() {
    cluster::RouterConfig config;
    config.bootstrap = {{"broker0", 9092}, {"broker1", 9092}};
    config.sender.delivery_timeout = milliseconds{0};
    config.sender.request_timeout = milliseconds{1000};
    config.request_timeout = milliseconds{1000};
    config.connect_timeout = milliseconds{1000};
    config.seed = 7;
    return config;
}

/// ApiVersions of a broker that serves `old` up to version `last`, or not at all.
inline Bytes without(wire::ApiKey old, const wire::Request& request,
                     std::optional<std::int16_t> last = std::nullopt) {
    std::vector<wire::ApiVersionsResponse::ApiVersion> entries;
    for (const wire::Api& api : wire::apis())
        if (api.key != old || last)
            entries.push_back({static_cast<std::int16_t>(api.key), api.codec.first,
                               api.key == old ? *last : api.codec.last});
    wire::ApiVersionsResponse response;
    response.api_keys = entries;
    return ModelBroker::answer(request.header, response, request.header.api_version);
}

class Rig {
public:
    enum class Break : std::uint8_t {
        none,
        connect,         ///< the connection is refused
        before_request,  ///< the pipe breaks, the request was never carried out
        after_request,   ///< it was carried out, the answer is lost
        half_answer,     ///< part of the answer arrives
    };

    explicit Rig(ModelCluster& its_cluster, cluster::RouterConfig config = test_config())
        : cluster(its_cluster), router(std::move(config)) {}

    ModelCluster& cluster;
    cluster::Router router;
    Instant now = instant_ms(1000);
    int break_at = -1;  ///< the step that fails
    Break how = Break::none;
    int steps = 0;
    bool broke = false;
    std::size_t bytes_at_once = 1 << 20;  ///< answers arrive in pieces of this size
    /// Called when nothing more can happen without time passing; true: it did something, look
    /// again.
    std::function<bool()> on_idle;
    std::function<void(Bytes&)> spoil;  ///< changes an answer on its way
    std::vector<cluster::RouterEvent> events;

    /// Everything that can happen now happens.
    void settle() {
        for (bool again = true; again;) {
            again = false;
            while (const auto action = router.poll_link_action()) {
                again = true;
                if (action->kind == cluster::LinkAction::Kind::close) {
                    links_.erase(action->link);
                    continue;
                }
                const std::int32_t node = cluster.node_at(action->host, action->port);
                if (!cluster.up.contains(node) || cluster.dead.contains(node) ||
                    fails(Break::connect)) {
                    router.link_closed(now, action->link, Error::refused);
                    continue;
                }
                links_[action->link] = {node, {}};
                router.link_opened(now, action->link);
            }
            while (const auto ready = router.link_ready()) {
                again = true;
                exchange(*ready);
            }
            while (auto event = router.poll_event()) events.push_back(std::move(*event));
        }
    }

    /// Until `is_done`, or `limit` has passed. Time moves to the next deadline whenever nothing
    /// else can.
    template <class Done>
    bool run(Done is_done, milliseconds limit = milliseconds{120'000}) {
        const Instant until = now + limit;
        for (int turns = 0; now <= until; ++turns) {
            REQUIRE_MESSAGE(turns < 200'000, "the router spins");
            settle();
            if (is_done()) return true;
            if (on_idle && on_idle()) continue;
            Instant next = router.deadline();
            if (extra_deadline) next = earlier(next, extra_deadline());
            if (!late_.empty()) next = earlier(next, late_.begin()->first);
            if (next == never) return false;
            if (next > now) turns = 0;
            now = std::max(now, next);
            while (!late_.empty() && late_.begin()->first <= now) {
                const auto [id, answer] = std::move(late_.begin()->second);
                late_.erase(late_.begin());
                deliver(id, answer);
            }
            if (on_time) on_time(now);
            router.on_deadline(now);
        }
        return false;
    }
    void kill(std::int32_t node) {
        cluster.up.erase(node);
        drop_connections(node);
    }
    void drop_connections(std::int32_t node) {
        std::vector<cluster::LinkId> gone;
        for (const auto& [id, link] : links_)
            if (link.node == node) gone.push_back(id);
        for (cluster::LinkId id : gone) {
            links_.erase(id);
            router.link_closed(now, id, Error::disconnected);
        }
    }
    std::size_t link_count() const { return links_.size(); }
    std::function<Instant()> extra_deadline;
    std::function<void(Instant)> on_time;

private:
    struct Link {
        std::int32_t node = -1;
        Bytes request;
    };

    bool fails(Break kind) {
        if (how != kind) return false;
        return steps++ == break_at && (broke = true);
    }

    void exchange(cluster::LinkId id) {
        Bytes bytes;
        for (const ByteView piece : router.link_poll_write(id))
            bytes.insert(bytes.end(), piece.begin(), piece.end());
        const auto at = links_.find(id);
        if (at == links_.end()) return;
        const std::int32_t node = at->second.node;
        at->second.request.insert(at->second.request.end(), bytes.begin(), bytes.end());
        router.link_sent(now, id, bytes.size());
        Bytes frame;
        while (take_frame(id, frame)) {
            if (fails(Break::before_request)) return lose(id);
            std::optional<Bytes> answer = cluster.handle(node, frame);
            if (fails(Break::after_request)) return lose(id);
            if (!answer) continue;
            if (spoil) spoil(*answer);
            if (fails(Break::half_answer)) {
                answer->resize(answer->size() / 2);
                router.link_received(now, id, *answer);
                return lose(id);
            }
            if (cluster.wait.count() > 0) {
                late_.emplace(now + cluster.wait, std::pair(id, *std::move(answer)));
                continue;
            }
            deliver(id, *answer);
        }
    }

    void deliver(cluster::LinkId id, const Bytes& answer) {
        for (std::size_t from = 0; from < answer.size() && links_.contains(id);
             from += bytes_at_once)
            router.link_received(
                now, id,
                ByteView(answer).subspan(from, std::min(bytes_at_once, answer.size() - from)));
    }

    bool take_frame(cluster::LinkId id, Bytes& frame) {
        const auto at = links_.find(id);
        if (at == links_.end()) return false;
        Bytes& bytes = at->second.request;
        if (bytes.size() < 4) return false;
        const auto size = static_cast<std::size_t>(load_big<std::int32_t>(bytes.data()));
        if (bytes.size() < 4 + size) return false;
        frame.assign(bytes.begin() + 4, bytes.begin() + 4 + static_cast<std::ptrdiff_t>(size));
        bytes.erase(bytes.begin(), bytes.begin() + 4 + static_cast<std::ptrdiff_t>(size));
        return true;
    }

    void lose(cluster::LinkId id) {
        links_.erase(id);
        router.link_closed(now, id, Error::disconnected);
    }

    std::map<cluster::LinkId, Link> links_;
    std::multimap<Instant, std::pair<cluster::LinkId, Bytes>> late_;  // answers of long polls
};

/// A producer of one topic on the rig: an Accumulator, a queue per partition, and what was told of
/// each record.
class TestProducer : public client::Deliveries {
public:
    TestProducer(Rig& rig, const std::string& topic, std::int32_t partitions,
                 milliseconds linger = milliseconds{0})
        : rig_(rig),
          slots_(static_cast<std::size_t>(partitions)),
          memory_(256 * 1024),
          buffers_(64),
          accumulator_(slots_, {.linger = linger, .batch_bytes = 4096}, this),
          topic_(topic) {
        accumulator_.add_buffers(buffers_, memory_);
        for (std::int32_t i = 0; i < partitions; ++i) {
            windows_.emplace_back();
            queues_.push_back(std::make_unique<client::PartitionQueue>(
                topic_, i, accumulator_, static_cast<std::uint16_t>(i), windows_.back()));
            accumulator_.attach(static_cast<std::uint16_t>(i), *queues_.back());
            rig_.router.route(rig_.now, *queues_.back());
        }
        rig_.extra_deadline = [this] { return accumulator_.deadline(); };
        rig_.on_time = [this](Instant now) { accumulator_.on_deadline(now); };
    }

    bool send(std::int32_t partition, const std::string& value) {
        wire::RecordInput record;
        record.key = nullptr;
        record.value = bytes_of(value);
        const bool taken =
            bool(accumulator_.append(static_cast<std::uint16_t>(partition), rig_.now, record));
        if (taken) ++sent;
        rig_.router.pump(rig_.now);
        return taken;
    }
    void delivered(const client::DeliveryReport& report) override {
        (report.error == wire::ErrorCode::none ? acked : failed) += report.record_count;
        if (report.error != wire::ErrorCode::none) last_error = report.error;
    }
    bool is_done() const { return acked + failed == sent; }
    client::PartitionQueue& queue(std::size_t i) { return *queues_[i]; }

    int sent = 0, acked = 0, failed = 0;
    wire::ErrorCode last_error = wire::ErrorCode::none;

private:
    Rig& rig_;
    std::vector<client::Accumulator::Slot> slots_;
    std::vector<std::uint8_t> memory_;
    std::vector<client::Accumulator::Buffer> buffers_;
    client::Accumulator accumulator_;
    std::string topic_;
    std::deque<std::array<client::TakenBatch, client::in_flight_max>> windows_;
    std::vector<std::unique_ptr<client::PartitionQueue>> queues_;
};

}  // namespace leat::testing
