// What a host's socket loop does for a cluster::Router, on the simulated network.
#pragma once

#include "sdk/cluster/router.hpp"
#include "tests/sim/network.hpp"

namespace leat::sim {

class RouterDriver : public Caller {
public:
    RouterDriver(World& world, Network& network, cluster::RouterConfig config,
                 client::BatchDecompressor* decompressor = nullptr)
        : router(std::move(config), decompressor), world_(world), network_(network) {}

    void drain() {
        for (bool again = true; again;) {
            again = false;
            while (const std::optional<cluster::LinkAction> action = router.poll_link_action()) {
                again = true;
                if (action->kind == cluster::LinkAction::Kind::connect)
                    network_.connect(*this, action->link, action->host);
                else
                    network_.close_from_caller(*this, action->link);
            }
            while (const std::optional<cluster::LinkId> link = router.link_ready()) {
                std::vector<std::uint8_t> bytes;
                for (const ByteView piece : router.link_poll_write(*link))
                    bytes.insert(bytes.end(), piece.begin(), piece.end());
                if (bytes.empty()) continue;
                again = true;
                const std::size_t count = bytes.size();
                network_.send_from_caller(*this, *link, std::move(bytes));
                router.link_sent(world_.now(), *link, count);
            }
        }
    }
    void link_opened(std::uint64_t link) override { router.link_opened(world_.now(), link); }
    void link_received(std::uint64_t link, ByteView bytes) override {
        router.link_received(world_.now(), link, bytes);
    }
    void link_closed(std::uint64_t link, Error why) override {
        router.link_closed(world_.now(), link, why);
    }

    cluster::Router router;

private:
    World& world_;
    Network& network_;
};

}  // namespace leat::sim
