#include "sdk/host/loop_impl.hpp"

#include "sdk/host/tcp_link.hpp"

namespace leat {

Loop::Impl::Impl(Mode its_mode) : mode(its_mode) {
    work_.emplace(asio::make_work_guard(io));  // without it, polling an idle loop would not wait
    if (mode == Mode::poll) return;
    thread_ = std::thread([this] { io.run(); });
}

Loop::Impl::~Impl() {
    work_.reset();
    if (thread_.joinable()) {
        // Clients have posted the closing of their sockets; with those gone nothing keeps the
        // thread.
        io.stop();
        thread_.join();
    }
    io.restart();
    io.poll();
    if (host::is_looking_up(io)) (void)own_io.release();
}

void Loop::Impl::poll(milliseconds wait) {
    const std::lock_guard one(polling_);
    io.restart();
    if (io.run_one_for(std::max(wait, milliseconds(0))) > 0) io.poll();
}

Loop::Loop(Mode mode) : impl_(std::make_unique<Impl>(mode)) {}
Loop::~Loop() = default;
void Loop::poll(milliseconds wait) { impl_->poll(wait); }

}  // namespace leat
