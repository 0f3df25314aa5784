// Where a hosted program's sockets live.
#pragma once

#include <memory>

#include "leat/time.hpp"

namespace leat {

/// Owns the sockets and timers of the producers, consumers and admin clients that are opened on it,
/// and, if wanted, the one thread that serves them. Several clients share one Loop well.
///
/// All calls on a Loop and on its clients may come from any thread. Clients are destroyed before
/// their Loop.
class Loop {
public:
    enum class Mode {
        thread,  ///< a thread of its own does the work; delivery callbacks run on it
        poll,  ///< the program calls poll(); blocking calls (flush, send on a full buffer) poll by
               ///< themselves
    };

    explicit Loop(Mode mode = Mode::thread);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Mode::poll: does what there is to do and waits for more, at most `wait`. Not from within a
    /// callback.
    void poll(milliseconds wait);

    class Impl;
    Impl& impl() { return *impl_; }  ///< for the clients

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace leat
