// What a Router keeps per broker: the connection with its memory, and who uses it. Only router*.cpp
// see it.
#pragma once

#include <algorithm>
#include <utility>

#include "sdk/client/handshake.hpp"
#include "sdk/cluster/router.hpp"

namespace leat::cluster {

/// Bootstrap address number i, until Metadata names the broker behind it.
constexpr std::int32_t bootstrap_node(std::size_t i) {
    return -1000 - static_cast<std::int32_t>(i);
}
/// The second connection to a broker, for the group that it coordinates.
constexpr std::int32_t coordinator_node(std::int32_t broker) { return INT32_MIN + broker; }
constexpr bool is_coordinator(std::int32_t node) { return node < INT32_MIN / 2; }
constexpr bool is_bootstrap(std::int32_t node) { return node <= -1000 && !is_coordinator(node); }
/// The broker's id behind a link's.
constexpr std::int32_t broker_of(std::int32_t node) {
    return is_coordinator(node) ? node - INT32_MIN : is_bootstrap(node) ? no_broker : node;
}

struct Router::Link {
    enum class State : std::uint8_t { down, connecting, open };

    Link(std::int32_t its_node, const Endpoint& its_endpoint, const RouterConfig& config)
        : node(its_node),
          endpoint(its_endpoint),
          request_bytes_full(config.sender.request_bytes_max),
          request_bytes_max(request_bytes_full),
          receive(config.receive_bytes),
          // The leader of a group sends everybody's assignment in one request.
          send(is_coordinator(its_node) ? 4 * std::size_t{config.send_bytes} : config.send_bytes),
          pieces(2 * std::size_t{config.sender.request_batches_max} * 5 + 32),
          in_flight(config.requests_in_flight_max),
          handshake(config.connect_timeout),
          connection({receive, send, pieces, in_flight}, config.client_id, &handshake) {
        handshake.limit(wire::ApiKey::init_producer_id, 5);  // 6 is marked unstable in Kafka 4.3
    }

    /// The connection ends. true: its Produce requests are half as large from now on.
    bool cut_requests() {
        constexpr unsigned in_vain_max = 3;
        constexpr std::uint32_t bytes_min = 16 * 1024;
        if (!std::exchange(produce_is_lost, false) || produce_is_answered) return false;
        if (++in_vain < in_vain_max || request_bytes_max <= bytes_min) return false;
        in_vain = answered_since_cut = 0;
        request_bytes_max /= 2;
        sender->limit_requests(request_bytes_max);
        return true;
    }
    /// A Produce request was answered. A link that was only bad for a while is not slow for ever.
    void on_produce_answer() {
        constexpr unsigned answers_until_growth = 16'384;
        produce_is_answered = true;
        in_vain = 0;
        if (request_bytes_max >= request_bytes_full || ++answered_since_cut < answers_until_growth)
            return;
        answered_since_cut = 0;
        request_bytes_max = std::min(2 * request_bytes_max, request_bytes_full);
        sender->limit_requests(request_bytes_max);
    }

    bool is_ready() const { return state == State::open && connection.is_ready(); }

    std::int32_t node;
    Endpoint endpoint;
    LinkId id = 0;  ///< of the attempt under way or the open pipe; 0: none
    State state = State::down;
    bool write_told =
        false;  ///< link_ready has named it, link_poll_write has not been called since
    bool pipe_is_gone = false;  ///< the driver said so: no close action needed
    bool was_ready = false;     ///< of this attempt
    bool wants_growth = false;
    // A broker whose socket.request.max.bytes is less than a Produce request hangs up instead of an
    // answer, each time.
    std::uint32_t request_bytes_full, request_bytes_max;  ///< of Produce requests: asked for, now
    bool produce_is_lost = false, produce_is_answered = false;  ///< over this connection
    unsigned answered_since_cut = 0;
    unsigned in_vain = 0;  ///< connections in a row on which one was lost and none answered
    unsigned failures = 0;
    Instant not_before{};  ///< the back-off's end
    Instant connect_deadline = never;
    Instant wanted_until{};   ///< somebody without a route asked for it
    std::size_t queues = 0;   ///< lent to the sender
    std::size_t fetches = 0;  ///< assigned to the fetcher

    std::vector<std::uint8_t> receive, send;
    std::vector<ByteView> pieces;
    std::vector<client::Connection::InFlight> in_flight;
    client::ApiVersionsHandshake handshake;
    client::Connection connection;
    std::unique_ptr<client::Sender> sender;
    std::vector<std::vector<std::uint8_t>> prefetch;  ///< the last one is in use
    std::vector<client::Fetcher::Run> runs;
    std::unique_ptr<client::Fetcher> fetcher;
};

struct Router::QueueRoute {
    client::PartitionQueue* queue = nullptr;
    Link* lent_to = nullptr;
    bool recalled = false;
    bool leaving = false;
};

struct Router::FetchRoute {
    client::FetchPartition* partition = nullptr;
    Link* at = nullptr;
};

}  // namespace leat::cluster
