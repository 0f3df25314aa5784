// The uplink: forwards the log's records to upstream clusters, at least once, in order per
// partition.
//
// Per route it is an SDK producer whose spool is the log: a tap reads a stream up to its high
// watermark, a lane is the way to one upstream partition (a BatchSource under the SDK's Sender),
// the Router finds brokers and leaders. Nothing times out: what cannot be delivered now is
// delivered later, and says why meanwhile.
//
//   uplinked_offset of a stream = the least cursor of its routes; without a route it is the high
//   watermark
//
// The cursor of a stream on a route is the end of what that route's upstream has acknowledged. It
// is a fact of the log, written at most once per cursor_interval and not waited for: after a power
// cut up to so much is sent again, under the numbers that it had, where a route allows it
// (lane.hpp). Records from uplinked_offset on are never freed (Log::set_release).
//
// Sans-IO, one thread. Every call may start reads: the caller polls Log::poll_read afterwards and
// hands the tickets that it does not know to on_read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config/config.hpp"
#include "broker/log/log.hpp"
#include "leat/port/entropy.hpp"
#include "leat/time.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/cluster/router.hpp"

namespace leat::uplink {

/// An uplink's client id is this and its gateway's id.
constexpr std::string_view client_prefix = "leat-uplink-";
inline std::string gateway_of(std::string_view cluster_id) {
    return "leat-" + std::string(cluster_id);
}

using LinkId = cluster::LinkId;
using LinkAction = cluster::LinkAction;

/// One topic of this gateway, as topics knows it; borrowed for the call.
struct LocalTopic {
    std::string_view name;
    std::span<const log::StreamId> partitions;  ///< by partition index
    bool internal = false;                      ///< never forwarded
};
/// Calls `visit` for every topic there is now.
using TopicVisitor = std::function<void(const LocalTopic&)>;
using ForEachTopic = std::function<void(const TopicVisitor& visit)>;

struct UplinkConfig {
    std::vector<config::Route> routes;
    std::string gateway_id = "leat";    ///< who we are upstream: client id, header leat-gateway
    std::string own_cluster_id = {};    ///< an upstream of this id is us: nothing is sent there
    milliseconds cursor_interval{250};  ///< between two writes of moved cursors; longer for many
    /// How old a record is, as Kafka sees it; empty: not to be known.
    std::function<WallTime()> wall = {};
};

/// Something worth a log line. Told once when it begins and once when it is over, not at every
/// retry.
struct Event {
    enum class Level : std::uint8_t { info, warn, error } level = Level::info;
    std::string route;
    std::string text;  ///< what happened, and what to do about it
};

/// How start() begins.
enum class Begin : std::uint8_t {
    forward,
    held,    ///< another device may be forwarding the same records: connects to nobody, keeps all
    at_end,  ///< what there is already belongs to somebody else: forwards what comes from now on
};

enum class LinkState : std::uint8_t {
    idle,  ///< nothing to forward: no topic matches the route yet
    connecting,
    connected,  ///< at least one upstream broker answers
    waiting,    ///< none answers: the next try comes after a back-off
    held,       ///< Begin::held
};

struct RouteStatus {
    std::string name;
    LinkState link = LinkState::idle;
    std::string cluster_id;             ///< the upstream's, once known
    std::uint32_t partitions = 0;       ///< local ones that this route forwards
    std::uint32_t stalled = 0;          ///< upstream partitions that refuse their next batch
    std::uint64_t backlog_records = 0;  ///< readable here, not yet acknowledged upstream
    std::uint64_t backlog_bytes = 0;    ///< of them, estimated from the stream's average record
    milliseconds backlog_age{0};        ///< since the oldest of them became readable in this run
    std::uint64_t delivered_batches = 0, delivered_records = 0,
                  delivered_bytes = 0;  ///< in this run
    std::uint64_t refused_batches = 0;  ///< answers that refused a batch; each is tried again
    std::uint64_t lost_records =
        0;  ///< damaged or gone from the log before they were delivered, in this run
    std::uint64_t skipped_batches = 0,
                  skipped_records = 0;   ///< refused for what they are, by a route that skips
    std::uint64_t returned_records = 0;  ///< came back from upstream, and were not sent again
    std::uint64_t doubts_lost = 0;  ///< times that a partition's last records went twice perhaps:
                                    ///< the upstream did not know what it had, nor did its log tell
    std::uint64_t in_flight_bytes = 0;  ///< memory of batches between log and acknowledgement
    std::string last_error;             ///< empty while all is well
};

class Uplink {
public:
    /// All references outlive the Uplink; the log's reads that it started must be over or the log
    /// closed before it is destroyed.
    Uplink(log::Log& log, ForEachTopic topics, port::Entropy& entropy, UplinkConfig config);
    ~Uplink();
    Uplink(const Uplink&) = delete;
    Uplink& operator=(const Uplink&) = delete;

    /// After log.open() and once the topics are known. Reads the cursors and begins. at_end writes
    /// new cursors: they are as durable as whatever is appended afterwards.
    void start(Instant now, Begin begin = Begin::forward);
    /// Sends nothing more and writes the cursors. Before log.close(). What is acknowledged
    /// afterwards is sent again by the next run.
    void stop(Instant now);

    // tell
    void topics_changed(Instant now);  ///< created, deleted, more partitions. cost: all topics
    /// It is being deleted, and its streams are still there: what a route has not delivered is
    /// told, and entered as lost.
    void topic_goes(Instant now, const LocalTopic& topic);
    /// topics_changed where there are no routes: only what is new has to be known.
    void streams_made(std::span<const log::StreamId> streams);
    void readable(Instant now, log::StreamId stream);  ///< its high watermark moved
    void on_commit(Instant now);  ///< Log::flushed_commit may have. cost: nothing, if none waits
    /// The uplink of `gateway` brings records of `topic`, which it keeps under the same name. A
    /// route that would take them back to it under that name sends nothing of the topic from now
    /// on: they would go round for good. The same if that uplink is this one.
    void fed_by(const std::string& topic, const std::string& gateway);
    /// true: the ticket was ours.
    bool on_read(Instant now, const log::ReadDone& done);
    void link_opened(Instant now, LinkId link);
    void link_received(Instant now, LinkId link, ByteView bytes);
    void link_sent(Instant now, LinkId link, std::size_t count);
    void link_closed(Instant now, LinkId link, Error why);
    void on_deadline(Instant now);

    // drain
    std::optional<LinkAction> poll_link_action();
    std::optional<LinkId> link_ready();  ///< each once until link_poll_write is called
    std::span<const ByteView> link_poll_write(LinkId link);  ///< borrowed until link_sent
    std::optional<Event> poll_event();
    Instant deadline() const;

    // ask
    std::vector<RouteStatus> status(Instant now) const;
    /// The least cursor of the routes that forward this stream; its high watermark if none does.
    log::Offset uplinked_offset(log::StreamId stream) const;

private:
    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace leat::uplink
