// The inside of leat::Loop: one io_context, one mutex, one condition.
//
// The mutex guards every state machine of the clients on this loop. A call from a program's thread
// locks it, changes state, and posts what must happen on sockets to the loop; the loop's handlers
// lock it, too. Delivery callbacks run without it, on the loop's thread, so that they may send.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "leat/host.hpp"
#include "sdk/host/system.hpp"

namespace leat {

class Loop::Impl {
public:
    explicit Impl(Mode mode);
    ~Impl();

    Instant now() { return clock.monotonic(); }
    void poll(milliseconds wait);
    /// This thread runs one of our callbacks: it must not wait for what only it can bring about.
    bool is_in_callback() const { return callback_thread.load() == std::this_thread::get_id(); }

    /// Waits, `lock` (of `mutex`) given up meanwhile, until `is_true` or the time has come. In a
    /// callback it looks once. Returns whether it is true.
    template <class Condition>
    bool wait(std::unique_lock<std::mutex>& lock, Instant until, Condition is_true) {
        while (!is_true()) {
            const Instant at = now();
            if (at >= until || is_in_callback()) return false;
            if (mode == Mode::poll) {
                lock.unlock();
                poll(std::min(until - at, milliseconds(1000)));
                lock.lock();
            } else {
                changed.wait_for(lock, until - at);
            }
        }
        return true;
    }

    const Mode mode;
    /// Left to itself at the end if a name is being looked up.
    std::unique_ptr<asio::io_context> own_io = std::make_unique<asio::io_context>(1);
    asio::io_context& io = *own_io;
    std::mutex mutex;
    std::condition_variable changed;  ///< after every step of any client
    host::SystemClock clock;
    std::atomic<std::thread::id> callback_thread{};

private:
    std::mutex polling_;  // one thread at a time runs handlers, so callbacks keep their order
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    std::thread thread_;
};

}  // namespace leat
