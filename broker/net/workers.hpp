// A few threads for what costs processor time and touches nothing of the node.
//
// They begin with the first work, so a broker that gets no compressed batches has none. Stacks are
// small: what decompresses keeps its state on the heap.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "broker/node/node.hpp"

namespace leat::net {

class Workers {
public:
    /// `on_done` is called on a worker's thread when collect() has something again, once until it
    /// was called.
    Workers(unsigned threads_max, std::function<void()> on_done);
    ~Workers();  ///< joins: what was begun ends, what was not begun never is
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// Moves from `work` if it will be run here. false: there is no thread, the caller runs it.
    bool take(node::Work& work);
    std::vector<node::WorkId> collect();  ///< ids whose run returned
    std::size_t threads() const { return threads_.size(); }

private:
    static void* enter(void* self);
    void loop();
    bool begin_thread();

    const unsigned threads_max_;
    std::function<void()> on_done_;
    std::vector<pthread_t> threads_;  // the loop's alone
    bool cannot_begin_ = false;

    std::mutex mutex_;  // guards what follows
    std::condition_variable wake_;
    std::deque<node::Work> waiting_;
    std::vector<node::WorkId> done_;
    std::size_t idle_ = 0;
    bool ending_ = false;
};

}  // namespace leat::net
