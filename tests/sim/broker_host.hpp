// A machine with a broker on it: a real Node, a simulated flash device, a wall clock that may be
// wrong.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "broker/node/node.hpp"
#include "tests/sim/network.hpp"

namespace leat::sim {

struct HostOptions {
    std::string name;
    config::Config config;
    std::uint64_t flash_bytes = 16 * MiB;
    std::uint64_t seed = 1;
};

class BrokerHost final : public Actor, public Listener, public Caller {
public:
    BrokerHost(World& world, Network& network, HostOptions options);
    ~BrokerHost() override;

    void power_on();
    /// Power is cut: what is under way on flash is old, new or torn; nobody is told.
    void power_cut();
    /// The process is killed: the kernel finishes what is under way; peers get resets.
    void kill();
    void set_wall_offset(std::int64_t ms) { wall_offset_ = ms; }
    void set_slow_flash(bool slow) { slow_ = slow; }
    void set_lying_flash(bool lying) { lying_ = lying; }  ///< from the next start on
    const std::string& name() const { return options_.name; }
    /// Why the last start failed; empty: it did not.
    const std::string& start_error() const { return start_error_; }
    std::string status() const { return node_ ? node_->status_json(world_.now()) : "{}"; }
    std::uint32_t starts() const { return starts_; }
    std::uint64_t works() const { return works_; }  ///< compressed requests that were validated
    std::string last_events;  ///< warnings and errors of the node, for the text of a failure

    // Actor
    Instant deadline() const override { return node_ ? node_->deadline() : never; }
    void on_deadline() override;
    void drain() override;
    // Listener
    bool is_up() const override { return node_ != nullptr; }
    bool accept(std::uint64_t pipe) override;
    void pipe_received(std::uint64_t pipe, ByteView bytes) override;
    void pipe_closed(std::uint64_t pipe) override;
    // Caller (uplink)
    void link_opened(std::uint64_t link) override;
    void link_received(std::uint64_t link, ByteView bytes) override;
    void link_closed(std::uint64_t link, Error why) override;

private:
    struct Session {
        node::SessionId id;
        std::vector<std::uint8_t> waiting;  // arrived, and the node did not take it yet
    };
    WallTime wall() const {
        return wall_ms(1'790'000'000'000 + wall_offset_ + world_.now().time_since_epoch().count());
    }
    void feed(std::uint64_t pipe, Session& session);
    void on_write();
    void begin_work(node::Work work);
    void take_down(test::SimImage image, bool silent);

    World& world_;
    Network& network_;
    HostOptions options_;
    test::SimEntropy entropy_;
    test::SimRandom random_;
    test::SimImage image_;
    std::unique_ptr<test::SimStorage> storage_;
    std::unique_ptr<node::Node> node_;
    std::map<std::uint64_t, Session> sessions_;  // by pipe
    std::map<node::SessionId, std::uint64_t> pipes_;
    std::uint64_t life_ = 0;  // an event of an earlier life is nobody's
    std::int64_t wall_offset_ = 0;
    std::string start_error_;
    std::uint32_t starts_ = 0;
    std::uint64_t works_ = 0;
    bool slow_ = false;
    bool lying_ = false;
    bool busy_ = false;
};

}  // namespace leat::sim
