// The model cluster behind real sockets on 127.0.0.1: one thread, a listener per broker, any free
// port.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "tests/cluster/model_cluster.hpp"

namespace leat::testing {

class LoopbackBroker {
public:
    explicit LoopbackBroker(std::int32_t brokers = 1) {
        for (std::int32_t node = 0; node < brokers; ++node) {
            cluster.add_broker(node);
            const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
            LEAT_CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) ==
                       0);
            LEAT_CHECK(::listen(listener, 64) == 0);
            socklen_t size = sizeof address;
            ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
            cluster.addresses[node] = {"127.0.0.1", ::ntohs(address.sin_port)};
            listeners_.push_back(listener);
        }
        thread_ = std::thread([this] { run(); });
    }
    ~LoopbackBroker() {
        stop_ = true;
        thread_.join();
        for (int listener : listeners_) ::close(listener);
        for (const Peer& peer : peers_) ::close(peer.socket);
    }
    std::string bootstrap() const {
        return "127.0.0.1:" + std::to_string(cluster.addresses.at(0).second);
    }

    std::mutex mutex;  ///< guards `cluster` against the serving thread
    ModelCluster cluster;
    std::atomic<bool> drop_all{false};  ///< every connection is cut at once; reset when done
    std::atomic<bool> deaf{false};      ///< requests are read and never answered
    std::atomic<int> accepted{0};

private:
    struct Peer {
        int socket;
        std::int32_t node;
        Bytes received;
        std::chrono::steady_clock::time_point due{};
        Bytes late{};
    };

    void run() {
        while (!stop_) {
            std::vector<pollfd> waits;
            for (int listener : listeners_) waits.push_back({listener, POLLIN, 0});
            for (const Peer& peer : peers_) waits.push_back({peer.socket, POLLIN, 0});
            ::poll(waits.data(), waits.size(), 2);
            if (drop_all) {
                for (const Peer& peer : peers_) ::close(peer.socket);
                peers_.clear();
                drop_all = false;
                continue;
            }
            const std::size_t known = peers_.size();
            for (std::size_t i = 0; i < known; ++i)
                if (waits[listeners_.size() + i].revents != 0 && !serve(peers_[i]))
                    peers_[i].node = -1;
            for (Peer& peer : peers_)
                if (!peer.late.empty() && std::chrono::steady_clock::now() >= peer.due)
                    send(peer, std::exchange(peer.late, {}));
            for (std::size_t i = 0; i < listeners_.size(); ++i) {
                if (waits[i].revents == 0) continue;
                peers_.push_back({::accept4(listeners_[i], nullptr, nullptr, SOCK_CLOEXEC),
                                  static_cast<std::int32_t>(i),
                                  {}});
                ++accepted;
            }
            std::erase_if(peers_, [](const Peer& peer) {
                return peer.node < 0 && ::close(peer.socket) == 0;
            });
        }
    }
    bool serve(Peer& peer) {
        std::uint8_t part[64 * 1024];
        const ssize_t got = ::recv(peer.socket, part, sizeof part, 0);
        if (got <= 0) return false;
        peer.received.insert(peer.received.end(), part, part + got);
        while (peer.received.size() >= 4) {
            const auto size =
                static_cast<std::size_t>(load_big<std::int32_t>(peer.received.data()));
            if (peer.received.size() < 4 + size) break;
            if (!deaf) {
                const std::lock_guard lock(mutex);
                if (!cluster.up.contains(peer.node)) return false;
                auto answer = cluster.handle(peer.node, ByteView(peer.received).subspan(4, size));
                if (answer && cluster.wait.count() > 0) {
                    peer.due = std::chrono::steady_clock::now() + cluster.wait;
                    peer.late = *std::move(answer);
                } else if (answer) {
                    send(peer, *answer);
                }
            }
            peer.received.erase(peer.received.begin(),
                                peer.received.begin() + 4 + static_cast<std::ptrdiff_t>(size));
        }
        return true;
    }
    static void send(const Peer& peer, const Bytes& bytes) {
        for (std::size_t sent = 0; sent < bytes.size();) {
            const ssize_t count =
                ::send(peer.socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (count <= 0) return;
            sent += static_cast<std::size_t>(count);
        }
    }

    std::vector<int> listeners_;
    std::vector<Peer> peers_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace leat::testing
