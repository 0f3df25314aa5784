// The composition: which room is told what, and in which order results travel.
#pragma once

#include <deque>
#include <memory>

#include "broker/api/api.hpp"
#include "broker/node/fill.hpp"
#include "broker/node/node.hpp"
#include "broker/session/sessions.hpp"
#include "broker/topics/topics.hpp"
#include "broker/uplink/uplink.hpp"

namespace leat::node {

class NodeImpl final : public Node {
public:
    /// `log` is for tests: null makes the real one on ports.storage.
    NodeImpl(const config::Config& config, Ports ports, std::unique_ptr<log::Log> log = nullptr);

    Status start(Instant now, WallTime wall) override;
    const std::string& start_error_text() const override { return start_error_; }
    void stop(Instant now, WallTime wall) override;
    bool stopped() const override { return stopping_ && log_->closed(); }

    Result<SessionId> open_session(Instant now, std::string peer) override;
    MutableBytes receive_window(Instant now, SessionId session) override {
        return sessions_.receive_window(now, session);
    }
    void received(Instant now, WallTime wall, SessionId session, std::size_t count) override;
    ByteView poll_write(SessionId session) override { return sessions_.poll_write(session); }
    void sent(Instant now, SessionId session, std::size_t count) override;
    bool wants_close(SessionId session) const override { return sessions_.wants_close(session); }
    void session_closed(Instant now, SessionId session) override;
    std::optional<SessionId> session_ready() override { return sessions_.poll_ready(); }

    std::optional<LinkAction> poll_link_action() override;
    void link_opened(Instant now, LinkId link) override;
    void link_received(Instant now, LinkId link, ByteView bytes) override;
    ByteView link_poll_write(LinkId link) override;
    void link_sent(Instant now, LinkId link, std::size_t count) override;
    void link_closed(Instant now, LinkId link, Error why) override;
    std::optional<LinkId> link_ready() override;

    std::optional<Work> poll_work() override { return api_.poll_work(); }
    void work_done(Instant now, WallTime wall, WorkId work) override;

    void on_storage(Instant now, WallTime wall) override;
    void on_deadline(Instant now, WallTime wall) override;
    Instant deadline() const override;

    std::optional<Event> poll_event() override;
    std::string status_json(Instant now) const override;

private:
    Status refuse_start(Error error, std::string text);
    void settle(Instant now);
    void say(Event::Level level, const char* room, std::string text);
    void finish_fork(Instant now);
    bool topics_untold() const { return uplink_ && topics_told_ != topics_.registry.changes(); }
    void tell_topics(Instant now);
    void tell_log_status();
    void tell_shrinking();
    void tell_slow_write();
    void collect_events();
    std::uint64_t arrived_bytes() const;
    std::uint64_t delivered_bytes() const;

    config::Config config_;
    Ports ports_;
    std::unique_ptr<log::Log> log_;
    session::BytePool pool_;
    topics::Topics topics_;
    groups::Groups groups_;
    quotas::Quotas quotas_;
    session::Sessions sessions_;
    api::Api api_;  // after the sessions: the replies it holds must end before they do
    std::unique_ptr<uplink::Uplink> uplink_;  // from start() on
    std::uint64_t topics_told_ = 0;           // to the uplink
    Instant tell_topics_at_{};                // not before
    std::string start_error_, cluster_id_;
    std::string unfinished_fork_;  // the log id whose fact is not put yet
    std::deque<Event> events_;
    WallTime wall_{};
    Instant started_{};
    bool stopping_ = false;
    Instant requested_at_{};  // when the last request was seen by a deadline
    std::uint64_t requests_seen_ = 0;
    std::uint64_t told_write_errors_ = 0, told_damaged_ = 0, told_scrubbed_ = 0;
    std::uint64_t told_full_ = 0, told_dropped_ = 0, told_shrink_ = 0, told_slow_ = 0;
    bool writes_fail_ = false;  // as it was told
    Fill fill_;
    Instant slow_since_ = never;  // a write that was told
    // Many are refused, by a full log or where all connections are taken: one line a minute, and
    // the next one if it goes on.
    static constexpr milliseconds told_quiet{60'000};
    Instant seen_{}, tell_full_at_{}, tell_dropped_at_{}, tell_refused_at_{};
};

}  // namespace leat::node
