// The way out of Sessions: answers take their places, wait for the earlier ones, and are sent.
#include <algorithm>

#include "broker/session/session_state.hpp"

namespace leat::session {
namespace {
constexpr std::size_t merge_bytes_max = 4096;

// A session at rest keeps room for one: who asks one thing at a time would else pay for it anew
// with each request.
template <class T>
void give_back(std::vector<T>& empty) {
    if (empty.capacity() > 1) empty.shrink_to_fit();
}
}  // namespace

// -- for Reply
// ----------------------------------------------------------------------------------------

bool Sessions::slot_open(SessionId id, std::uint64_t slot) const {
    const Session* session = find(id);
    if (session == nullptr || session->closing || slot < session->first_slot) return false;
    const std::uint64_t index = slot - session->first_slot;
    return index < session->slots.size() && session->slots[index].state == Slot::State::open;
}

void Sessions::complete(SessionId id, std::uint64_t slot, Buffer frame,
                        std::vector<Buffer> more) {
    if (!slot_open(id, slot)) return;
    Session& session = *find(id);
    Slot& mine = session.slots[slot - session.first_slot];
    mine.state = Slot::State::done;
    mine.frame = std::move(frame);
    mine.more = std::move(more);
    if (slot == session.first_slot) flush_slots(session);
}

void Sessions::complete_close(SessionId id, std::uint64_t slot, CloseReason reason) {
    if (!slot_open(id, slot)) return;
    Session& session = *find(id);
    Slot& mine = session.slots[slot - session.first_slot];
    mine.state = Slot::State::close;
    mine.reason = reason;
    session.reading = Session::Reading::off;
    if (slot == session.first_slot) flush_slots(session);
}

void Sessions::hold(SessionId id, bool held) {
    Session* session = find(id);
    if (session == nullptr) return;
    if (held) {
        ++session->holds;
        return;
    }
    LEAT_CHECK(session->holds > 0);
    if (--session->holds == 0) mark_pump(*session);
}

void Sessions::mute(SessionId id, Instant until) {
    Session* session = find(id);
    if (session == nullptr || until <= session->muted_until) return;
    session->muted_until = until;
    wake_at(*session, until);
}

Instant Sessions::muted_until(SessionId id) const {
    const Session* session = find(id);
    return session != nullptr ? session->muted_until : Instant{};
}

Asker Sessions::asker(SessionId id) const {
    const Session* session = find(id);
    return session != nullptr && session->took ? Asker::known : Asker::stranger;
}

// -- writing
// ------------------------------------------------------------------------------------------

void Sessions::flush_slots(Session& session) {
    const auto put = [this, &session](Buffer& piece) {
        if (piece.size() > merge_bytes_max) session.took = false;
        session.out_bytes += piece.size();
        unsent_bytes_ += piece.size();
        session.out.push_back(std::move(piece));
    };
    std::size_t done = 0;
    for (Slot& slot : session.slots) {
        if (slot.state == Slot::State::open) break;
        ++done;
        if (slot.state == Slot::State::close) {
            if (session.out.empty())
                close_now(session, slot.reason,
                          slot.key * 0x10000 | static_cast<std::uint16_t>(slot.version));
            else
                session.reading = Session::Reading::off;
            --done;  // stays at the front: sent() looks again
            break;
        }
        if (slot.frame.empty()) continue;
        ++counters_.responses;
        if (session.out.empty()) {
            session.write_due = now_ + patience(slot.frame.size());
            begins(session);
            wake_at(session, session.write_due);
        }
        put(slot.frame);
        for (Buffer& piece : slot.more) put(piece);
    }
    session.slots.erase(session.slots.begin(),
                        session.slots.begin() + static_cast<std::ptrdiff_t>(done));
    session.first_slot += done;
    mark_ready(session);
    mark_pump(session);
}

ByteView Sessions::poll_write(SessionId id) {
    Session* session = find(id);
    if (session == nullptr || session->out.empty()) return {};
    // Small answers that are ready together leave in one write.
    if (!session->write_lent && session->out_sent == 0 && session->out.size() > 1) {
        std::size_t count = 0, bytes = 0;
        while (count < session->out.size() && bytes + session->out[count].size() <= merge_bytes_max)
            bytes += session->out[count++].size();
        if (count > 1) {
            Buffer merged(bytes);
            std::size_t at = 0;
            for (std::size_t i = 0; i < count; at += session->out[i++].size())
                copy_bytes(session->out[i].bytes(), merged.all().subspan(at));
            session->out.erase(session->out.begin(),
                               session->out.begin() + static_cast<std::ptrdiff_t>(count - 1));
            session->out.front() = std::move(merged);
        }
    }
    session->write_lent = true;
    return session->out.front().bytes().subspan(session->out_sent);
}

void Sessions::sent(Instant now, SessionId id, std::size_t count) {
    now_ = now;
    Session* session = find(id);
    if (session == nullptr || session->out.empty()) return;
    LEAT_CHECK(count <= session->out.front().size() - session->out_sent);
    counters_.bytes_out += count;
    session->out_sent += count;
    session->last_active = now;
    session->write_lent = false;
    moves(*session, count);
    if (session->out_sent < session->out.front().size()) return;
    begins(*session);
    if (session->out.front().grant().pool() != nullptr) session->took = true;
    session->out_bytes -= session->out.front().size();
    unsent_bytes_ -= session->out.front().size();
    session->out.erase(session->out.begin());
    session->out_sent = 0;
    if (session->out.empty()) {
        session->write_due = never;
        give_back(session->out);
        if (session->slots.empty()) give_back(session->slots);
    } else {
        session->write_due = now + patience(session->out.front().size());
    }
    flush_slots(*session);
}

bool Sessions::wants_close(SessionId id) const {
    const Session* session = find(id);
    return session != nullptr && session->closing;
}

}  // namespace leat::session
