// Simulated TCP: connections with latency, resets, silence and a stalled link. Bytes of one
// direction keep their order; a reset loses what is on its way.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/world.hpp"

namespace leat::sim {

/// Who opens connections. A link id is the caller's own.
class Caller {
public:
    virtual ~Caller() = default;
    virtual void link_opened(std::uint64_t link) = 0;
    virtual void link_received(std::uint64_t link, ByteView bytes) = 0;
    virtual void link_closed(std::uint64_t link, Error why) = 0;
};

/// Who is listening under a host name.
class Listener {
public:
    virtual ~Listener() = default;
    virtual bool is_up() const = 0;
    virtual bool accept(std::uint64_t pipe) = 0;
    virtual void pipe_received(std::uint64_t pipe, ByteView bytes) = 0;
    virtual void pipe_closed(std::uint64_t pipe) = 0;
};

class Network {
public:
    explicit Network(World& world) : world_(world) {}

    void listen(std::string host, Listener& listener) { listeners_[std::move(host)] = &listener; }
    void connect(Caller& caller, std::uint64_t link, const std::string& host);
    void send_from_caller(Caller& caller, std::uint64_t link, std::vector<std::uint8_t> bytes);
    void close_from_caller(Caller& caller, std::uint64_t link);
    void send_from_listener(std::uint64_t pipe, std::vector<std::uint8_t> bytes);
    void close_from_listener(std::uint64_t pipe);

    // -- faults
    // -------------------------------------------------------------------------------------
    /// The machine is gone: its pipes end. silent: the other side is never told (no RST gets out).
    void machine_died(Listener* as_listener, Caller* as_caller, bool silent);
    void reset_one();  ///< a random connection is reset, both sides learn it
    void stall(const std::string& host, Instant until);  ///< nothing gets to or from `host` before

private:
    struct Pipe {
        Caller* caller;
        std::uint64_t link;
        std::string host;
        Listener* listener;
        bool accepted = false;
        Instant to_listener{}, to_caller{};  // when the last bytes of that direction arrive
    };
    Instant arrival(const Pipe& pipe, Instant after);
    Pipe* find(std::uint64_t id);
    std::uint64_t find(const Caller& caller, std::uint64_t link) const;
    void end(std::uint64_t id, bool tell_caller, bool tell_listener);

    World& world_;
    std::map<std::string, Listener*> listeners_;
    std::map<std::string, Instant> stalled_;
    std::map<std::uint64_t, Pipe> pipes_;
    std::uint64_t next_pipe_ = 1;
};

}  // namespace leat::sim
