// What producer, consumer and admin client share: a Router, its sockets on a Loop, one timer.
#pragma once

#include <asio/steady_timer.hpp>
#include <map>

#include "sdk/cluster/router.hpp"
#include "sdk/host/loop_impl.hpp"
#include "sdk/host/tcp_link.hpp"

namespace leat::host {

/// A RouterConfig with what every client's settings have in common.
/// fails: invalid (the bootstrap text)
struct CommonConfig {
    std::string bootstrap;
    std::string client_id;
    milliseconds request_timeout{30'000};
    milliseconds retry_backoff{100}, retry_backoff_max{1000};
    milliseconds reconnect_backoff{50}, reconnect_backoff_max{1000};
    milliseconds metadata_age_max{300'000};
    bool allow_auto_topic_creation = true;
};
Result<cluster::RouterConfig> router_config(const CommonConfig& common);

class ClientCore : public TcpLink::Owner, public std::enable_shared_from_this<ClientCore> {
public:
    ClientCore(Loop::Impl& loop, cluster::RouterConfig config,
               client::BatchDecompressor* decompressor = nullptr);
    ClientCore(const ClientCore&) = delete;
    ClientCore& operator=(const ClientCore&) = delete;

    /// The mutex is held: the loop shall look after this client soon. Cheap when it will anyway.
    void wake();
    /// The mutex is held: the sockets are closed by the loop, nothing is told any more.
    void shut();
    bool is_shut() const { return is_shut_; }
    Instant now() { return loop_.now(); }
    /// The mutex is not held: one line about why nobody answers.
    std::string problem() const;

    // TcpLink::Owner
    void on_link_opened(std::uint64_t id) final;
    void on_link_received(std::uint64_t id, ByteView bytes) final;
    void on_link_sent(std::uint64_t id, std::size_t count) final;
    void on_link_closed(std::uint64_t id, Error why) final;

protected:
    ~ClientCore() = default;

    // For the clients; the mutex is held in all but run_callbacks.
    virtual void on_router_event(const cluster::RouterEvent& event) = 0;
    virtual void on_time(Instant) {}
    virtual Instant next_time() const { return never; }
    /// After a step, without the mutex, on the loop's thread.
    virtual void run_callbacks() {}

    Loop::Impl& loop_;
    cluster::Router router_;

private:
    template <class F>
    void step(F&& f);
    void serve(Instant now);
    void arm_timer(Instant now);

    asio::steady_timer timer_;
    std::map<cluster::LinkId, std::shared_ptr<TcpLink>> links_;
    Instant armed_at_ = never;
    std::string last_problem_;
    bool is_posted_ = false;
    bool is_shut_ = false;
};

}  // namespace leat::host
