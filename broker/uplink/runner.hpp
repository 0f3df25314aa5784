// One route at work: its taps, its lanes, its Router, and what is told about them.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/uplink/cursor.hpp"
#include "broker/uplink/lane.hpp"
#include "broker/uplink/mirror.hpp"
#include "broker/uplink/recall.hpp"
#include "broker/uplink/tap.hpp"
#include "broker/uplink/topic_maker.hpp"
#include "broker/uplink/uplink.hpp"

namespace leat::uplink {

/// What every route of an Uplink shares.
struct Shared {
    log::Log& log;
    Cursors& cursors;
    std::string gateway_id, own_cluster_id;
    std::function<WallTime()> wall;
    std::deque<Event>& events;
};
constexpr std::size_t events_max = 256;  ///< above it the oldest are dropped

/// Names of problems: each is told when it begins and when it ends.
inline std::string lane_key(const Lane& lane) {
    return "lane " + lane.topic() + "-" + std::to_string(lane.partition());
}
inline std::string topic_key(const std::string& topic) { return "topic " + topic; }
inline std::string round_key(const std::string& topic) { return "round " + topic; }
inline std::string returned_key(const std::string& topic) { return "returned " + topic; }
constexpr const char* link_key = "link";
constexpr const char* producer_key = "producer";
constexpr const char* circle_key = "circle";

inline client::BackoffConfig backoff_of(const config::Route& route) {
    return {.min = route.backoff, .max = route.backoff_max};
}

/// Where in the log the records at `places` of `batch` come from.
std::vector<OffsetRange> offsets_of(const Outgoing& batch, std::span<const OffsetRange> places);

class Runner final : private LaneOwner {
public:
    Runner(Shared shared, config::Route route, RouteIndex index, std::uint32_t seed);
    ~Runner();

    void topics_changed(Instant now, const ForEachTopic& topics);
    /// Tells what it has not delivered of it; `left`: from where on, the least of all routes.
    void topic_goes(const LocalTopic& topic, std::map<log::StreamId, log::Offset>& left);
    void readable(Instant now, log::StreamId stream);
    void on_commit(Instant now);
    void fed_by(const std::string& topic, const std::string& gateway);
    bool on_read(Instant now, const log::ReadDone& done);
    void stop(Instant now);
    void on_deadline(Instant now);
    Instant deadline() const;
    RouteStatus status(Instant now) const;

    cluster::Router& router() { return router_; }
    const config::Route& route() const { return route_; }
    /// After every call into the router. Reads, sends, judges, until nothing moves by itself.
    void pump(Instant now);

private:
    using LaneKey = std::pair<std::string, std::int32_t>;
    struct Target {
        std::int32_t partitions_wanted = 0;  ///< the route needs indexes below this
        std::uint32_t taps = 0;
        Instant leaderless_since = never;  ///< a partition of it
    };

    // taps and lanes
    void add_tap(Instant now, const LocalTopic& topic, std::int32_t partition);
    std::uint64_t lost_between(log::StreamId stream, log::Offset from, log::Offset to) const;
    void remove_tap(Instant now, log::StreamId stream);
    Lane& lane_to(Instant now, const std::string& topic, std::int32_t partition);
    void drop_lane(Instant now, Lane& lane);
    void drop_lanes_from(Instant now, const std::string& topic, std::int32_t partition);
    bool leads_back() const;                          ///< the route ends at this very broker
    bool goes_round(const std::string& topic) const;  ///< ... at the one that brings the topic
    bool is_ours(const std::set<std::string>& gateways) const;
    std::set<std::int32_t> leaders_of(const std::string& topic) const;
    void look_into_mirror(Instant now);  ///< is it still this broker that is met there?
    void on_mirror_news();
    void tell_what_goes_round();
    bool can_deliver(const Tap& tap) const;
    bool wants_to_read(Instant now, const Tap& tap) const;
    void make_hungry(Tap& tap);
    void make_all_hungry();
    std::size_t chunk_bytes() const;
    std::size_t share_of_tap() const;

    // reading (feed.cpp), and what was read on its way to lanes (hand_out.cpp)
    void feed(Instant now);
    enum class Cuts : std::uint8_t { allowed, none };
    std::int32_t broker_of(const Tap& tap) const;
    std::size_t& held_by(std::int32_t broker) {
        return held_[static_cast<std::uint32_t>(broker) % held_.size()];
    }
    bool may_hold(std::int32_t broker, std::size_t more);
    bool somebody_may_hold(std::size_t more);
    bool start_read(Instant now, Tap& tap);
    void read_later(Instant now, Tap& tap);
    void hand_out(Instant now, Tap& tap, const std::shared_ptr<Chunk>& chunk, ByteView batches);
    void send_whole(Instant now, Tap& tap, const wire::BatchView& batch,
                    const std::shared_ptr<Chunk>& chunk, Cuts cuts);
    void send_parts(Instant now, Tap& tap, std::span<const wire::BatchView> run,
                    const std::shared_ptr<Chunk>& chunk);
    void send(Instant now, Tap& tap, std::span<const wire::BatchView> run,
              const std::shared_ptr<Chunk>& chunk);
    Outgoing outgoing(Instant now, Tap& tap, Part& part);
    void put(Lane& lane, Outgoing out);
    void pass_over(Instant now, Tap& tap, log::Offset next);
    void pass_over_hole(Instant now, Tap& tap, log::Offset next);
    void take_read(Instant now, Tap& tap, const std::shared_ptr<Chunk>& chunk,
                   const log::ReadDone& done);
    void read_failed(Instant now, Tap& tap, const log::ReadDone& done);
    std::int32_t partition_for(const Tap& tap) const;

    // LaneOwner
    void delivered(Lane& lane, const Outgoing& batch) override;
    void passed(Lane& lane, const Outgoing& batch) override;
    void wants_name(Lane& lane) override;
    bool may_be_forgotten(std::int64_t timestamp) override;
    void lane_failing(Lane& lane) override;
    void lane_retrying(Lane& lane, wire::ErrorCode error) override;

    // refused (refused.cpp)
    void tend_lanes(Instant now);
    enum class Way : std::uint8_t {
        blocked,     ///< a person has to do something
        read_again,  ///< free, for what is read from the cursor on
        held,        ///< free, for what the lane holds
    };
    Way make_way(Lane& lane);
    bool leave_out_refused(Lane& lane);
    void skip_refused(Lane& lane);
    void enter_refused(const Lane& lane, const Outgoing& batch, std::span<const OffsetRange> lost,
                       std::size_t count);
    void give_back(Lane& lane, Way way);

    // names: under which producer id and sequence an exact lane sends (names.cpp)
    bool is_exact() const;
    std::uint32_t place_of(const Lane& lane) const;
    void begin_lane(Instant now, Tap& tap, bool cursor_is_as_kept);
    SentAs sent_as(const Lane& lane, const Outgoing& batch) const;
    bool tend_names(Instant now);
    enum class Tended : std::uint8_t { done, later, waits };  ///< waits: for a commit
    static Tended later_unless(bool done) { return done ? Tended::done : Tended::later; }
    Tended tend(Instant now, Lane& lane, bool& moved);
    Tended tend_name(Instant now, Lane& lane, bool& moved);
    Kept keep_name(Instant now, Lane& lane, const client::ProducerState& as);
    void name_with_it(Instant now, const client::ProducerState& as);
    void look_at_names_again();
    Instant names_due() const;  ///< they are not waited for longer
    bool tend_doubt(Lane& lane, bool& moved);
    bool tend_recall(Instant now, Lane& lane, bool& moved);
    std::optional<SentBatches> recall(const Lane& lane, Recall::Question question, bool& moved,
                                      bool& unknown);
    void doubt_is_lost(const Lane& lane, wire::ErrorCode error);

    // what the router says
    void drain_events(Instant now);
    void look_at_metadata(Instant now);
    void on_created(Instant now, const std::string& topic, wire::ErrorCode error, std::string text);
    void look_at_cluster();

    // problems: told when they begin and when they end
    void problem(const std::string& key, Event::Level level, std::string text);
    void solved(const std::string& key, const std::string& text);
    void tell(Event::Level level, std::string text);

    Shared shared_;
    config::Route route_;
    RouteIndex index_;
    cluster::Router router_;
    TopicMaker maker_;
    Mirror mirror_;
    Recall recall_;
    client::Jitter jitter_;

    // Before what owns chunks, which count themselves here to the end.
    std::size_t memory_ = 0;              // of chunks
    std::array<std::size_t, 16> held_{};  // of it, by leader; some may share a place
    std::map<log::StreamId, std::unique_ptr<Tap>> taps_;
    std::map<LaneKey, std::unique_ptr<Lane>> lanes_;
    std::map<client::PartitionQueue*, std::unique_ptr<Lane>> leaving_;  // until queue_returned
    std::map<LaneKey, client::ProducerState> left_;     // what a lane that is gone had sent under
    std::map<std::string, Target> targets_;             // by upstream topic
    std::map<std::string, std::set<std::string>> fed_;  // by topic: the gateways that bring it
    std::map<log::ReadTicket, Tap*> reads_;
    std::map<log::ReadTicket, std::shared_ptr<Chunk>>
        orphans_;  // memory that the log still writes to
    std::deque<Tap*> hungry_;
    std::vector<Lane*> failing_;
    std::vector<Lane*> stalled_;
    std::vector<Lane*> naming_;  // lanes that may not send under their present name yet
    std::vector<Lane*> unkept_;  // ... until a commit has kept it; who waits longest is first
    std::int64_t named_ahead_ = -1;  // the producer id under which all that had a backlog were
    log::CommitId commit_seen_ = 0;  // by those
    log::CommitId commit_missed_ = UINT64_MAX;  // none has come behind it for too long
    bool told_unkept_ = false;
    std::map<std::string, std::string> problems_;  // key -> text
    std::size_t behind_ = 1;                       // taps with a backlog, at the last feed
    Instant now_{};
    Instant look_again_ =
        never;  // at metadata, while a topic is missing for a reason that is not retriable
    Instant mirror_at_ = never;      // while what is sent of some topic arrives here
    Instant read_again_at_ = never;  // a read failed: the earliest time to try again
    RouteStatus counts_;
    bool connect_failed_ = false;
    std::string connected_to_;  // until it answers
    std::string cluster_id_;    // whose numbers the lanes use
    bool pumping_ = false;
    bool stopped_ = false;
};

}  // namespace leat::uplink
