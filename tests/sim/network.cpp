#include "tests/sim/network.hpp"

namespace leat::sim {

Network::Pipe* Network::find(std::uint64_t id) {
    const auto found = pipes_.find(id);
    return found == pipes_.end() ? nullptr : &found->second;
}

std::uint64_t Network::find(const Caller& caller, std::uint64_t link) const {
    for (const auto& [id, pipe] : pipes_)
        if (pipe.caller == &caller && pipe.link == link) return id;
    return 0;
}

/// Latency, and not before what was sent before it, and not while the link is stalled.
Instant Network::arrival(const Pipe& pipe, Instant after) {
    Instant when = std::max(world_.now() + world_.between(0, 20), after);
    if (const auto stalled = stalled_.find(pipe.host); stalled != stalled_.end())
        when = std::max(when, stalled->second);
    return when;
}

void Network::connect(Caller& caller, std::uint64_t link, const std::string& host) {
    const std::uint64_t id = next_pipe_++;
    world_.note("connect", id, bytes_of(host));
    const auto listener = listeners_.find(host);
    pipes_[id] = {&caller, link, host, listener == listeners_.end() ? nullptr : listener->second};
    const Instant when = arrival(pipes_[id], world_.now());
    world_.at(when, [this, id] {
        Pipe* pipe = find(id);
        if (!pipe || !pipe->caller) return;
        pipe->accepted = pipe->listener && pipe->listener->is_up() && pipe->listener->accept(id);
        world_.note(pipe->accepted ? "connected" : "refused", id);
        if (pipe->accepted)
            pipe->caller->link_opened(pipe->link);
        else
            end(id, true, false);
    });
}

void Network::send_from_caller(Caller& caller, std::uint64_t link,
                               std::vector<std::uint8_t> bytes) {
    const std::uint64_t id = find(caller, link);
    if (id == 0) return;
    Pipe& pipe = pipes_[id];
    pipe.to_listener = arrival(pipe, pipe.to_listener);
    world_.at(pipe.to_listener, [this, id, bytes = std::move(bytes)] {
        Pipe* to = find(id);
        if (!to || !to->listener) return;
        world_.note("request bytes", id, bytes);
        to->listener->pipe_received(id, bytes);
    });
}

void Network::send_from_listener(std::uint64_t id, std::vector<std::uint8_t> bytes) {
    Pipe* pipe = find(id);
    if (!pipe) return;
    pipe->to_caller = arrival(*pipe, pipe->to_caller);
    world_.at(pipe->to_caller, [this, id, bytes = std::move(bytes)] {
        Pipe* to = find(id);
        if (!to || !to->caller) return;
        world_.note("answer bytes", id, bytes);
        to->caller->link_received(to->link, bytes);
    });
}

void Network::end(std::uint64_t id, bool tell_caller, bool tell_listener) {
    const auto found = pipes_.find(id);
    if (found == pipes_.end()) return;
    const Pipe pipe = found->second;
    pipes_.erase(found);
    world_.note("closed", id);
    if (tell_listener && pipe.listener && pipe.accepted) pipe.listener->pipe_closed(id);
    if (tell_caller && pipe.caller) pipe.caller->link_closed(pipe.link, Error::disconnected);
}

void Network::close_from_caller(Caller& caller, std::uint64_t link) {
    if (const std::uint64_t id = find(caller, link)) end(id, false, true);
}

void Network::close_from_listener(std::uint64_t id) { end(id, true, false); }

void Network::machine_died(Listener* as_listener, Caller* as_caller, bool silent) {
    std::vector<std::uint64_t> dead;
    for (auto& [id, pipe] : pipes_) {
        if (pipe.listener == as_listener && as_listener) {
            if (!silent)
                dead.push_back(id);
            else
                pipe.listener = nullptr;  // half open: the caller finds out by its own time-outs
        } else if (pipe.caller == as_caller && as_caller) {
            if (!silent)
                dead.push_back(id);
            else
                pipe.caller = nullptr;
        }
    }
    for (const std::uint64_t id : dead) {
        Pipe& pipe = pipes_[id];
        const bool listener_died = pipe.listener == as_listener;
        end(id, listener_died, !listener_died);
    }
}

void Network::reset_one() {
    if (pipes_.empty()) return;
    auto pick = pipes_.begin();
    std::advance(pick, static_cast<std::ptrdiff_t>(world_.random.below(pipes_.size())));
    end(pick->first, true, true);
}

void Network::stall(const std::string& host, Instant until) { stalled_[host] = until; }

}  // namespace leat::sim
