#include "broker/session/session_state.hpp"

#include <algorithm>

namespace leat::session {
namespace {
constexpr std::size_t frame_min = 8;     // api key, version, correlation id
constexpr std::size_t events_max = 256;  // more at once are dropped: they are log lines
}  // namespace

Sessions::Sessions(Limits limits, BytePool& pool, Handler& handler)
    : limits_(limits), pool_(pool), handler_(handler) {}
Sessions::~Sessions() = default;

Sessions::Session* Sessions::find(SessionId id) const {
    const std::size_t index = static_cast<std::uint32_t>(id);
    if (index >= sessions_.size() || !sessions_[index] || sessions_[index]->id != id)
        return nullptr;
    return sessions_[index].get();
}

std::string_view Sessions::peer_of(SessionId id) const {
    const Session* session = find(id);
    return session != nullptr ? std::string_view(session->peer) : std::string_view();
}

Result<SessionId> Sessions::open(Instant now, std::string peer) {
    now_ = now;
    if (counters_.now_open >= limits_.connections_max) {
        ++counters_.refused;
        return fail(Error::full);
    }
    std::uint32_t index;
    if (free_.empty()) {
        index = static_cast<std::uint32_t>(sessions_.size());
        sessions_.emplace_back();
        generations_.push_back(0);
    } else {
        index = free_.back();
        free_.pop_back();
    }
    auto session = std::make_unique<Session>();
    session->id = (static_cast<SessionId>(++generations_[index]) << 32) | index;
    session->peer = std::move(peer);
    session->last_active = now;
    sessions_[index] = std::move(session);
    ++counters_.opened;
    ++counters_.now_open;
    wake_at(*sessions_[index], now + limits_.idle);
    return sessions_[index]->id;
}

void Sessions::closed(Instant now, SessionId id) {
    now_ = now;
    Session* session = find(id);
    if (session == nullptr) return;
    if (session->reading == Session::Reading::wants_grant) pool_.forget(PoolClass::request, id);
    wakes_.erase({session->registered, id});
    const std::size_t index = static_cast<std::uint32_t>(id);
    std::unique_ptr<Session> gone =
        std::move(sessions_[index]);  // before the handler drops its replies
    free_.push_back(static_cast<std::uint32_t>(index));
    --counters_.now_open;
    unsent_bytes_ -= gone->out_bytes;
    gone.reset();
    handler_.on_session_closed(id);
}

// -- reading
// ------------------------------------------------------------------------------------------

bool Sessions::may_dispatch(const Session& session) const {
    return session.holds == 0 && !session.closing && session.reading != Session::Reading::off &&
           session.muted_until <= now_ && session.slots.size() < limits_.pipelined_requests_max &&
           session.out_bytes < limits_.unsent_bytes_max &&
           (session.out_bytes == 0 || unsent_bytes_ < limits_.unsent_all_bytes_max);
}

MutableBytes Sessions::receive_window(Instant now, SessionId id) {
    now_ = now;
    Session* session = find(id);
    if (session == nullptr || session->closing) return {};
    switch (session->reading) {
        case Session::Reading::body:
            return session->body.all().subspan(session->body_have,
                                               session->body_size - session->body_have);
        case Session::Reading::head:
            if (!may_dispatch(*session)) return {};
            if (!session->head)
                session->head = std::make_unique_for_overwrite<std::uint8_t[]>(head_bytes);
            return MutableBytes(session->head.get(), head_bytes).subspan(session->head_size);
        case Session::Reading::wants_grant:
        case Session::Reading::off:
            break;
    }
    return {};
}

void Sessions::received(Instant now, WallTime wall, SessionId id, std::size_t count) {
    now_ = now;
    Session* session = find(id);
    if (session == nullptr || session->closing || count == 0) return;
    counters_.bytes_in += count;
    session->last_active = now;
    moves(*session, count);
    if (session->reading == Session::Reading::body) {
        LEAT_CHECK(count <= session->body_size - session->body_have);
        session->body_have += static_cast<std::uint32_t>(count);
        if (session->body_have == session->body_size) session->read_due = never;
    } else {
        LEAT_CHECK(count <= head_bytes - session->head_size);
        session->head_size = static_cast<std::uint16_t>(session->head_size + count);
    }
    run(now, wall, *session);
    if (session->head_size == 0) session->head.reset();
}

// Dispatches as many whole requests as there are and may be. A handler may close sessions only by
// marking, so `session` stays valid throughout.
void Sessions::run(Instant now, WallTime wall, Session& session) {
    while (may_dispatch(session) && take_frame(now, wall, session)) {
    }
    mark_ready(session);
}

bool Sessions::take_frame(Instant now, WallTime wall, Session& session) {
    if (session.reading == Session::Reading::wants_grant) return false;
    if (session.reading == Session::Reading::body) {
        if (session.body_have < session.body_size) return false;
        Buffer body = std::move(session.body);
        session.body = Buffer();
        session.reading = Session::Reading::head;
        session.read_due = never;
        session.quick = true;
        const ByteView frame = body.bytes();
        dispatch(now, wall, session, frame, &body);
        return true;
    }
    if (session.head_size < 4) return false;
    const std::int32_t length = load_big<std::int32_t>(session.head.get());
    if (length < 0) return close_now(session, CloseReason::negative_length, length), false;
    const auto size = static_cast<std::uint32_t>(length);
    if (size > limits_.request_bytes_max)
        return close_now(session, CloseReason::frame_too_large, length), false;
    if (size < frame_min) return close_now(session, CloseReason::frame_too_short, length), false;
    if (size > head_bytes - 4) {
        session.body_size = size;
        session.reading = Session::Reading::wants_grant;
        if (auto grant = pool_.ask(PoolClass::request, size, session.id,
                                   session.quick ? Asker::known : Asker::stranger))
            grant_arrived(now, session, std::move(*grant));
        return false;
    }
    if (session.head_size < 4 + size) {
        if (session.read_due == never) {
            session.read_due = now + patience(size);
            begins(session);
            wake_at(session, session.read_due);
        }
        return false;
    }
    session.read_due = never;
    dispatch(now, wall, session, ByteView(session.head.get() + 4, size), nullptr);
    const std::size_t left = session.head_size - (4 + size);
    std::copy_n(session.head.get() + 4 + size, left, session.head.get());
    session.head_size = static_cast<std::uint16_t>(left);
    return true;
}

void Sessions::grant_arrived(Instant now, Session& session, Grant grant) {
    session.body = Buffer(session.body_size, std::move(grant));
    const std::size_t have = session.head_size - 4u;
    copy_bytes(ByteView(session.head.get() + 4, have), session.body.all());
    session.body_have = static_cast<std::uint32_t>(have);
    session.head.reset();
    session.head_size = 0;
    session.reading = Session::Reading::body;
    session.quick = false;
    session.read_due = now + patience(session.body_size);
    begins(session);
    wake_at(session, session.read_due);
    mark_ready(session);
}

void Sessions::dispatch(Instant now, WallTime wall, Session& session, ByteView frame,
                        Buffer* owner) {
    const std::uint64_t slot = session.first_slot + session.slots.size();
    const Request request(session.id, frame, owner);
    Slot& mine = session.slots.emplace_back();
    mine.key = request.api_key();
    mine.version = request.api_version();
    ++counters_.requests;
    handler_.handle(now, wall, request, Reply(this, session.id, slot));
}

void Sessions::close_now(Session& session, CloseReason reason, std::int64_t detail) {
    if (session.closing) return;
    session.closing = true;
    session.reading = Session::Reading::off;
    session.body = Buffer();
    ++counters_.closed_by_us;
    if (events_.size() < events_max)
        events_.push_back(
            {.reason = reason, .session = session.id, .peer = session.peer, .detail = detail});
    mark_ready(session);
}

void Sessions::pump(Instant now, WallTime wall) {
    now_ = now;
    for (;;) {
        bool again = false;
        while (auto granted = pool_.poll_granted(PoolClass::request)) {
            Session* session = find(granted->first);
            if (session == nullptr || session->reading != Session::Reading::wants_grant) continue;
            grant_arrived(now, *session, std::move(granted->second));
            again = true;
        }
        if (!pump_.empty()) {
            const std::size_t count = pump_.size();  // those that come meanwhile are next
            for (std::size_t i = 0; i < count; ++i) {
                Session* session = find(pump_[i]);
                if (session == nullptr) continue;
                session->in_pump = false;
                run(now, wall, *session);
            }
            pump_.erase(pump_.begin(), pump_.begin() + static_cast<std::ptrdiff_t>(count));
            again = true;
        }
        if (!again) break;
    }
    watch_crowd(now);
}

// -- what the driver asks
// ------------------------------------------------------------------------------------------

void Sessions::mark_ready(Session& session) {
    if (session.in_ready) return;
    session.in_ready = true;
    ready_.push_back(session.id);
}

void Sessions::mark_pump(Session& session) {
    if (session.in_pump || session.closing) return;
    session.in_pump = true;
    pump_.push_back(session.id);
}

std::optional<SessionId> Sessions::poll_ready() {
    while (ready_at_ < ready_.size()) {
        Session* session = find(ready_[ready_at_++]);
        if (session == nullptr) continue;
        session->in_ready = false;
        return session->id;
    }
    ready_.clear();
    ready_at_ = 0;
    return std::nullopt;
}

std::optional<Event> Sessions::poll_event() {
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.erase(events_.begin());
    return event;
}

// -- time
// ---------------------------------------------------------------------------------------------

milliseconds Sessions::patience(std::size_t bytes) const {
    return limits_.crawl_base +
           milliseconds(static_cast<std::int64_t>(bytes) * 1000 / limits_.crawl_bytes_per_second);
}

Instant Sessions::idle_at(const Session& session) const {
    return std::max(session.last_active, session.muted_until) + limits_.idle;
}

Instant Sessions::next_due(const Session& session) const {
    Instant due = earlier(session.read_due, session.write_due);
    if (session.slots.empty() && session.out.empty()) due = earlier(due, idle_at(session));
    if (session.muted_until > now_) due = earlier(due, session.muted_until);
    return due == never ? session.last_active + limits_.idle : due;
}

// One entry per session and wake-up: an entry that comes too early finds out and is pushed again,
// so a busy session costs one heap operation per idle period and not one per request.
void Sessions::wake_at(Session& session, Instant when) {
    if (session.registered <= when) return;
    wakes_.erase({session.registered, session.id});
    session.registered = when;
    wakes_.emplace(when, session.id);
}

// -- a crowd before the byte pool
// ---------------------------------------------------------------------------------------------

void Sessions::begins(Session& session) {
    session.moved_at = now_;
    session.moved = 0;
}

// A byte now and then is not enough: with it three peers could hold all there is for minutes.
void Sessions::moves(Session& session, std::size_t count) {
    session.moved += static_cast<std::uint32_t>(count);
    const std::size_t held = session.body.size() + session.out_bytes;
    if (session.moved > std::min<std::size_t>(held / 512, limits_.crawl_bytes_per_second / 4))
        begins(session);
}

/// Since when this session did not move on with the memory that it holds; never: it holds none.
Instant Sessions::stands_since(const Session& session) const {
    const bool unread_by_us =
        session.reading == Session::Reading::head && !may_dispatch(session);  // see read_late
    const bool reads = session.read_due != never && !unread_by_us;
    return reads || session.write_due != never ? session.moved_at : never;
}

// Waiting is normal for moments under load, and looking costs all sessions: not at once.
void Sessions::watch_crowd(Instant now) {
    if (pool_.waiting_count() == 0 && unsent_bytes_ < limits_.unsent_all_bytes_max &&
        !pool_.overdrawn(PoolClass::response))
        crowd_look_ = never;
    else if (crowd_look_ == never)
        crowd_look_ = now + limits_.stalled_max / 10;
}

void Sessions::close_stalled(Instant now) {
    const auto crowd = std::min<std::size_t>(5, 1 + pool_.waiting_count() / 4);
    const milliseconds stalled_max = limits_.stalled_max / static_cast<std::int64_t>(crowd);
    crowd_look_ = now + stalled_max;
    for (const auto& session : sessions_) {
        if (!session || session->closing) continue;
        const Instant since = stands_since(*session);
        if (since == never) continue;
        if (now - since >= stalled_max)
            close_now(*session, CloseReason::crawling, 0);
        else
            crowd_look_ = earlier(crowd_look_, since + stalled_max);
    }
}

Instant Sessions::deadline() const {
    return wakes_.empty() ? crowd_look_ : earlier(crowd_look_, wakes_.begin()->first);
}

// Half a frame whose rest we do not take (a held or muted session) is not the peer's crawling.
bool Sessions::read_late(Session& session) {
    if (session.read_due > now_) return false;
    if (session.reading != Session::Reading::head || may_dispatch(session)) return true;
    session.read_due = now_ + limits_.crawl_base;
    return false;
}

void Sessions::on_deadline(Instant now, WallTime wall) {
    now_ = now;
    while (!wakes_.empty() && wakes_.begin()->first <= now) {
        Session* session = find(wakes_.begin()->second);
        wakes_.erase(wakes_.begin());
        LEAT_CHECK(session != nullptr);  // closed() takes its entry along
        session->registered = never;
        if (session->closing) continue;
        if (read_late(*session) || session->write_due <= now) {
            close_now(*session, CloseReason::crawling, 0);
            continue;
        }
        if (session->muted_until != Instant{} && session->muted_until <= now) {
            session->last_active = std::max(session->last_active, session->muted_until);
            session->muted_until = {};
            mark_pump(*session);
        }
        if (session->slots.empty() && session->out.empty() && idle_at(*session) <= now) {
            close_now(*session, CloseReason::idle, 0);
            continue;
        }
        const Instant due = next_due(*session);
        // Silent for long but with an answer to come (a parked fetch): look again an idle period
        // later.
        wake_at(*session, due > now ? due : now + limits_.idle);
    }
    if (crowd_look_ <= now) close_stalled(now);
    pump(now, wall);
}

void Sessions::close_all(Instant now, CloseReason reason) {
    now_ = now;
    for (auto& session : sessions_)
        if (session && !session->closing) {
            if (session->out.empty())
                close_now(*session, reason, 0);
            else
                session->reading = Session::Reading::off;
        }
}

bool Sessions::has_unsent() const {
    return std::any_of(sessions_.begin(), sessions_.end(), [](const auto& session) {
        return session && !session->closing && (!session->out.empty() || !session->slots.empty());
    });
}

}  // namespace leat::session
