// Many brokers, one client: which connection is open to whom, and which partition's queue (or fetch
// position) is lent to which broker's Sender (or Fetcher). Follows leaders as they move.
//
// Sans-IO: the Router asks its driver for pipes (poll_link_action), is told what becomes of them,
// is handed bytes, and hands out bytes. A link is one attempt at one TCP connection: its id is
// never used twice, so a late word about an old pipe cannot be taken for news about a new one. The
// hosted producer, consumer and admin client use it, and so does the gateway's uplink with a batch
// source of its own.
//
//   driver loop:  poll_link_action() until empty: connect or close a pipe
//                 link_opened(id) or link_closed(id, why) for each connect
//                 bytes came: link_received(id, bytes)
//                 link_ready() until empty: write link_poll_write(id), then link_sent(id, n)
//                 at deadline(): on_deadline()
//   after queue.wake(), seeks, or records read: pump()
//   poll_event() until empty
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdk/client/fetcher.hpp"
#include "sdk/client/sender.hpp"
#include "sdk/cluster/link.hpp"
#include "sdk/cluster/metadata.hpp"

namespace leat::cluster {

struct RouterConfig {
    std::string client_id = "leat";
    std::vector<Endpoint> bootstrap;
    client::SenderConfig sender{};
    client::FetcherConfig fetcher{};
    MetadataConfig metadata{};
    client::BackoffConfig reconnect{milliseconds{50}, milliseconds{1000}};
    milliseconds connect_timeout{10'000};
    milliseconds request_timeout{30'000};  ///< of Metadata, and of requests that name none
    std::uint32_t receive_bytes =
        32 * 1024;  ///< per connection; grows for longer answers up to receive_bytes_max
    std::uint32_t receive_bytes_max = 64 * 1024 * 1024;
    std::uint32_t send_bytes =
        32 * 1024;  ///< per connection: heads of requests that are not written yet
    std::uint16_t requests_in_flight_max =
        12;  ///< per connection: produce, fetch, metadata together
    std::uint32_t prefetch_bytes = 2 * 1024 * 1024;  ///< per broker that is fetched from
    std::uint32_t seed = 1;  ///< for jitter and choice; best another one in each process
};

/// Who sends requests of its own (admin). The Router calls back; see Router::send.
class Router;
class Requester {
public:
    /// Something changed: send what waits to be sent.
    virtual void pump(Instant now, Router& router) = 0;
    /// response, or failed: nobody knows whether the request was carried out. `context` is what
    /// send was given.
    virtual void on_answer(Instant now, Router& router, const client::Event& event,
                           std::uint64_t context) = 0;
    virtual Instant deadline() const = 0;

protected:
    ~Requester() = default;
};

/// Routes in an order that says nothing of addresses, so that a run can be repeated from its seed.
struct ByPlace {
    template <class T>
    bool operator()(const T* a, const T* b) const {
        if (const int topic = topic_of(*a).compare(topic_of(*b))) return topic < 0;
        if (partition_of(*a) != partition_of(*b)) return partition_of(*a) < partition_of(*b);
        return std::less<const T*>()(a, b);  // two sources of one partition
    }
    static std::string_view topic_of(const client::PartitionQueue& queue) { return queue.topic(); }
    static std::string_view topic_of(const client::FetchPartition& fetch) { return fetch.topic; }
    static std::int32_t partition_of(const client::PartitionQueue& queue) {
        return queue.partition();
    }
    static std::int32_t partition_of(const client::FetchPartition& fetch) {
        return fetch.partition;
    }
};

/// Whom a request is for.
struct Target {
    enum class Kind : std::uint8_t {
        any,
        controller,
        broker,
        leader,
        coordinator,  ///< `broker`, over a connection of its own: JoinGroup waits for minutes
                      ///< there, and what is asked behind it on the same connection waits, too
    } kind = Kind::any;
    std::int32_t broker = no_broker;
    std::string_view topic{};  ///< leader: of this topic (Metadata must know it: see want)
    std::int32_t partition = 0;
    std::int16_t version_max = INT16_MAX;  ///< of the request
};

struct RouterEvent {
    enum class Kind : std::uint8_t {
        connected,  ///< `broker` answers (no_broker: a bootstrap address whose id is not known yet)
        disconnected,      ///< it was connected, and is no more: `why`
        connect_failed,    ///< `why`; tried again after a back-off as long as somebody needs it
        metadata_changed,  ///< leaders, brokers or partition counts may have changed
        topic_error,       ///< Metadata answered with `error` for `topic`
        producer_refused,  ///< InitProducerId was refused with `error`; it is tried again
        queue_returned,    ///< `queue`, after unroute: nobody's now
        fetch,             ///< `fetch` says what
    };
    Kind kind{};
    std::int32_t broker = no_broker;
    Endpoint endpoint{};
    Error why{};
    wire::ErrorCode error{};
    /// disconnected: several times in a row instead of an answer to Produce, which is why such
    /// requests have at most about so many bytes from now on; 0: they are as before.
    std::uint32_t request_bytes_max = 0;
    std::string topic{};
    client::PartitionQueue* queue = nullptr;
    client::FetcherEvent fetch{};
};

class Router {
public:
    /// decompressor  for compressed batches that are fetched; without one they are `unsupported`
    explicit Router(RouterConfig config, client::BatchDecompressor* decompressor = nullptr);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    // ask
    const Metadata& metadata() const { return metadata_; }
    std::size_t connected_count() const;  ///< brokers that answer now
    bool is_connected(std::int32_t broker) const;
    const client::ProducerIdentity& identity() const { return identity_; }
    /// Asks for another one before queues begin or are renewed.
    void renew_producer_id() { identity_.producer_id = -1; }
    Instant deadline() const;

    // tell
    void link_opened(Instant now, LinkId link);
    void link_received(Instant now, LinkId link, ByteView bytes);
    void link_sent(Instant now, LinkId link, std::size_t count);
    void link_closed(Instant now, LinkId link, Error why);  ///< also: could not be opened
    void on_deadline(Instant now);

    // want
    void want(Instant now, std::string_view topic) { metadata_.want(now, topic); }
    void forget(std::string_view topic) { metadata_.forget(topic); }  ///< as often as wanted
    void want_all(Instant now) { metadata_.want_all(now); }
    void refresh_metadata(Instant now) { metadata_.refresh(now); }
    /// The same, asked over a connection to a bootstrap address that may be a new one: for who
    /// doubts that the brokers that answer are those that were meant.
    void ask_bootstrap(Instant now) {
        ask_bootstrap_ = true;
        metadata_.refresh(now);
    }
    /// The next request to this broker goes over a new connection: its name may mean another
    /// machine now. Not while an answer of it is awaited.
    void reconnect(Instant now, std::int32_t broker);
    /// From now on the queue is lent to its leader's Sender, wherever the leader is. The topic is
    /// wanted meanwhile. The queue lives until queue_returned has come, or this Router is gone.
    void route(Instant now, client::PartitionQueue& queue);
    void unroute(Instant now, client::PartitionQueue& queue);
    /// The same for a partition that is read. Unrouting takes it back at once.
    void route(Instant now, client::FetchPartition& partition);
    void unroute(client::FetchPartition& partition);
    /// Fetch positions; the partition is routed (a seek before its leader is known is kept).
    /// leader_epoch: as Fetcher::seek takes it
    void seek(Instant now, client::FetchPartition& partition, std::int64_t offset,
              std::int32_t leader_epoch = -1);
    void seek_to_time(Instant now, client::FetchPartition& partition, std::int64_t timestamp);
    void pause(client::FetchPartition& partition, bool paused);

    void add(Requester& requester);
    /// Answers that are still on their way to it are dropped.
    void remove(Requester& requester);
    /// Sends to `target` in the highest version that both sides know. Requester::pump is the place
    /// for it. fails: would_block (no connection or no room yet; the connection is being made: try
    /// at the next pump)
    ///        unsupported (the broker does not serve this) · not_found (no such broker) ·
    ///        too_large, invalid
    template <class M>
    Status send(Instant now, Requester& from, std::uint64_t context, const Target& target,
                const M& message, milliseconds timeout = milliseconds{0}) {
        Result<client::Connection*> connection = reach(now, target);
        if (!connection) return fail(connection.error());
        std::int16_t version = (*connection)->version(M::api_key, -1);
        if (version < 0) return fail(Error::unsupported);
        version = std::min(version, target.version_max);
        const client::RequestOptions options = open_letter(from, context, timeout);
        const Status sent = (*connection)->send(now, message, version, options);
        if (!sent) drop_letter(options);
        return sent;
    }
    /// Sends whatever can be sent.
    void pump(Instant now);

    // drain
    std::optional<LinkAction> poll_link_action();
    /// Links whose link_poll_write may have something; each once until it is asked.
    std::optional<LinkId> link_ready();
    /// What to write next, in order, for one gathered write; borrowed until link_sent, or until the
    /// link is closed (by an action or by link_closed). Ask again after link_sent.
    std::span<const ByteView> link_poll_write(LinkId link);
    /// The next fetched record of any partition that is routed and not paused; borrowed until the
    /// next call that is not const.
    std::optional<client::FetchedRecord> next_record(Instant now);
    std::optional<RouterEvent> poll_event();

private:
    struct Link;
    struct QueueRoute;
    struct FetchRoute;
    struct Letter {
        Requester* from = nullptr;
        std::uint64_t context = 0;
    };
    static constexpr client::Owner owner_sender = 0, owner_fetcher = 1, owner_metadata = 2,
                                   owner_letter = 3;
    static constexpr std::size_t events_max =
        4096;  // above it, hints are dropped, never a queue_returned

    // links
    Link* link_to(std::int32_t broker);
    Link* find(LinkId id) const;
    Link& make_link(std::int32_t node, const Endpoint& endpoint);
    Link* pick_ready();
    Link* pick_any(Instant now);
    Link* pick_bootstrap(Instant now);
    void connect(Instant now, Link& link);
    void hang_up(Link& link);
    void on_link_down(Instant now, Link& link, Error why);
    void drain(Instant now, Link& link);
    void dispatch(Instant now, Link& link, const client::Event& event);
    void grow_receive(Link& link, std::size_t at_least);
    bool is_needed(Instant now, const Link& link) const;
    void tidy_links(Instant now);
    void adopt_bootstrap();
    void connect_needed(Instant now);
    Result<client::Connection*> reach(Instant now, const Target& target);
    client::RequestOptions open_letter(Requester& from, std::uint64_t context,
                                       milliseconds timeout);
    void drop_letter(const client::RequestOptions& options);
    // metadata
    void ask_metadata(Instant now);
    void on_metadata(Instant now, const client::Event& event);
    void place_all(Instant now);
    // routes
    void place(Instant now, QueueRoute& route);
    void place(Instant now, FetchRoute& route);
    void end_queue_route(QueueRoute& route);
    void expire_unlent(Instant now);
    bool drain_sender(Instant now, Link& link);
    bool drain_fetcher(Instant now, Link& link);
    bool make_room(Link& link, wire::ErrorCode error);
    void tell(RouterEvent event);

    RouterConfig config_;
    Metadata metadata_;
    client::BatchDecompressor* decompressor_;
    client::ProducerIdentity identity_;
    client::Jitter jitter_;
    std::map<std::int32_t, std::unique_ptr<Link>>
        links_;  // by node id; bootstrap addresses lie below 0
    std::map<client::PartitionQueue*, std::unique_ptr<QueueRoute>, ByPlace> queues_;
    std::map<client::FetchPartition*, std::unique_ptr<FetchRoute>, ByPlace> fetches_;
    std::vector<Requester*> requesters_;
    std::map<std::uint64_t, Letter> letters_;  // in flight; bounded by the connections' slots
    std::deque<LinkAction> actions_;
    std::deque<RouterEvent> events_;
    LinkId next_link_ = 1;
    std::uint64_t next_letter_ = 1;
    std::uint64_t placed_version_ = 0;  // of the metadata that the routes follow
    std::size_t turn_ = 0;              // which broker is asked next, of several equals
    std::int32_t fetch_turn_ = 0;       // whose records are read
    Instant expire_at_ = never;         // queues lent to nobody
    bool ask_waits_ = false;            // metadata is due, but no connection takes the question
    bool ask_bootstrap_ = false;        // ... and none but these is to be asked
    bool pumping_ = false;
};

}  // namespace leat::cluster
