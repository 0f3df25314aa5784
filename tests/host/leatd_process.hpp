// A leatd process with a data folder of its own, on a port that a restart keeps. Gone with this
// object, and with the test however that ends.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "leat/check.hpp"

namespace leat::testing {

class LeatdProcess {
public:
    explicit LeatdProcess(const char* program) : program_(program) {
        char folder[] = "/tmp/leat-host-test-XXXXXX";
        LEAT_CHECK(::mkdtemp(folder) != nullptr);
        folder_ = folder;
        // A group's first rebalance waits for nobody: the tests ask when members come.
        std::ofstream(folder_ + "/leatd.json") << R"({"group.initial.rebalance.delay.ms": "0ms",
            "group.consumer.heartbeat.interval.ms": "100ms",
            "group.consumer.session.timeout.ms": "10s"})";
        for (int attempt = 0; attempt < 5 && child_ <= 0; ++attempt) {
            port_ = free_port();  // may be taken between the look and the bind
            start();
        }
        LEAT_CHECK(child_ > 0);
    }
    ~LeatdProcess() {
        kill();
        std::filesystem::remove_all(folder_);
    }
    LeatdProcess(const LeatdProcess&) = delete;
    LeatdProcess& operator=(const LeatdProcess&) = delete;

    std::string bootstrap() const { return "127.0.0.1:" + std::to_string(port_); }

    void kill() {
        if (child_ <= 0) return;
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
        child_ = -1;
    }

    /// False: it left again.
    bool start() {
        const pid_t parent = ::getpid();
        const std::string data = folder_ + "/data", listen = bootstrap(),
                          config = folder_ + "/leatd.json", log = folder_ + "/leatd.log";
        child_ = ::fork();
        if (child_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(1);
            const int to = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
            ::dup2(to, 1);
            ::dup2(to, 2);
            ::execl(program_, program_, "--data", data.c_str(), "--listen", listen.c_str(),
                    "--config", config.c_str(), "--budget", "64MiB", "--http", "off", nullptr);
            ::_exit(127);
        }
        for (int i = 0; i < 6000; ++i) {
            if (::waitpid(child_, nullptr, WNOHANG) != 0) break;
            if (answers()) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        child_ = -1;
        return false;
    }

private:
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        address.sin_port = ::htons(port);
        return address;
    }
    static std::uint16_t free_port() {
        const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        LEAT_CHECK(::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        socklen_t size = sizeof address;
        ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
        ::close(probe);
        return ::ntohs(address.sin_port);
    }
    bool answers() const {
        const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(port_);
        const bool is_there =
            ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::close(probe);
        return is_there;
    }

    const char* program_;
    std::string folder_;
    std::uint16_t port_ = 0;
    pid_t child_ = -1;
};

}  // namespace leat::testing
