// A node that does as it is told: echoes, holds its window shut, counts what the driver did.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/node/node.hpp"

namespace leat::test {

class FakeNode final : public node::Node {
public:
    struct Session {
        std::vector<std::uint8_t> window;
        std::string in, out;
        std::string peer;
        bool wants_close = false;
        bool closed = false;
    };
    struct Link {
        std::string in, out;
        bool opened = false, closed = false;
        Error why{};
    };

    // knobs
    std::size_t window_bytes = 16;
    bool window_shut = false;
    bool echo = true;
    std::size_t sessions_max = 1000;
    Instant deadline_at = never;
    bool stop_at_once = true;
    node::SessionId restless = 0;  ///< is ready again as soon as it was looked after
    std::size_t restless_left = 0, looked_after = 0;

    // what was seen
    std::map<node::SessionId, Session> sessions;
    std::map<node::LinkId, Link> links;
    int deadlines = 0, storage_events = 0, stops = 0;
    Instant last_deadline{};
    std::string start_error;

    void ready(node::SessionId id) { ready_.push_back(id); }
    void send(node::SessionId id, std::string_view text) {
        sessions[id].out += text;
        ready(id);
    }
    void open_window() {
        window_shut = false;
        for (auto& [id, session] : sessions) ready(id);
    }
    void want_link(node::LinkId id, std::string host, std::uint16_t port) {
        actions_.push_back({node::LinkAction::Kind::connect, id, std::move(host), port});
        links[id];
    }
    void close_link(node::LinkId id) {
        actions_.push_back({node::LinkAction::Kind::close, id, "", 0});
    }
    void link_send(node::LinkId id, std::string_view text) {
        links[id].out += text;
        links_ready_.push_back(id);
    }
    std::size_t open_sessions() const {
        std::size_t count = 0;
        for (const auto& [id, session] : sessions) count += !session.closed;
        return count;
    }

    Status start(Instant, WallTime) override { return ok(); }
    const std::string& start_error_text() const override { return start_error; }
    void stop(Instant, WallTime) override { ++stops; }
    bool stopped() const override { return stops > 0 && stop_at_once; }

    Result<node::SessionId> open_session(Instant, std::string peer) override {
        if (open_sessions() >= sessions_max) return fail(Error::full);
        sessions[++last_id_].peer = std::move(peer);
        return last_id_;
    }
    MutableBytes receive_window(Instant, node::SessionId id) override {
        Session& session = sessions.at(id);
        LEAT_CHECK(!session.closed);
        if (window_shut) return {};
        session.window.resize(window_bytes);
        return session.window;
    }
    void received(Instant, WallTime, node::SessionId id, std::size_t count) override {
        Session& session = sessions.at(id);
        const std::string_view text(reinterpret_cast<const char*>(session.window.data()), count);
        session.in += text;
        if (echo) send(id, text);
        if (on_received) on_received(id);
    }
    ByteView poll_write(node::SessionId id) override { return bytes_of(sessions.at(id).out); }
    void sent(Instant, node::SessionId id, std::size_t count) override {
        LEAT_CHECK(count <= sessions.at(id).out.size());
        sessions.at(id).out.erase(0, count);
    }
    bool wants_close(node::SessionId id) const override { return sessions.at(id).wants_close; }
    void session_closed(Instant, node::SessionId id) override {
        LEAT_CHECK(!sessions.at(id).closed);
        sessions.at(id).closed = true;
    }
    std::optional<node::SessionId> session_ready() override {
        ++looked_after;
        if (ready_.empty() && restless_left > 0) return --restless_left, restless;
        return pop(ready_);
    }

    std::optional<node::LinkAction> poll_link_action() override { return pop(actions_); }
    void link_opened(Instant, node::LinkId id) override { links.at(id).opened = true; }
    void link_received(Instant, node::LinkId id, ByteView bytes) override {
        links.at(id).in += text_of(bytes);
    }
    ByteView link_poll_write(node::LinkId id) override { return bytes_of(links.at(id).out); }
    void link_sent(Instant, node::LinkId id, std::size_t count) override {
        links.at(id).out.erase(0, count);
    }
    void link_closed(Instant, node::LinkId id, Error why) override {
        LEAT_CHECK(!links.at(id).closed);
        links.at(id).closed = true;
        links.at(id).why = why;
    }
    std::optional<node::LinkId> link_ready() override { return pop(links_ready_); }

    std::optional<node::Work> poll_work() override { return pop(works); }
    void work_done(Instant, WallTime, node::WorkId id) override {
        works_done.push_back(id);
        if (on_work_done) on_work_done(id);
    }
    void on_storage(Instant, WallTime) override { ++storage_events; }
    void on_deadline(Instant now, WallTime) override {
        ++deadlines;
        last_deadline = now;
        deadline_at = never;
    }
    Instant deadline() const override { return deadline_at; }
    std::optional<node::Event> poll_event() override { return pop(events); }
    std::string status_json(Instant) const override { return "{}"; }

    std::deque<node::Event> events;
    std::deque<node::Work> works;
    std::vector<node::WorkId> works_done;
    std::function<void(node::WorkId)> on_work_done;
    std::function<void(node::SessionId)> on_received;

private:
    template <class T>
    static std::optional<T> pop(std::deque<T>& queue) {
        if (queue.empty()) return std::nullopt;
        T first = std::move(queue.front());
        queue.pop_front();
        return first;
    }
    node::SessionId last_id_ = 0;
    std::deque<node::SessionId> ready_;
    std::deque<node::LinkAction> actions_;
    std::deque<node::LinkId> links_ready_;
};

}  // namespace leat::test
