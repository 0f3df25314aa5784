#include "broker/net/workers.hpp"

#include <csignal>

namespace leat::net {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t stack_bytes = 2 * MiB;  // frames are several times as large
#else
constexpr std::size_t stack_bytes = 256 * KiB;  // only what is touched is resident
#endif

}  // namespace

Workers::Workers(unsigned threads_max, std::function<void()> on_done)
    : threads_max_(threads_max), on_done_(std::move(on_done)) {}

Workers::~Workers() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        waiting_.clear();
    }
    wake_.notify_all();
    for (const pthread_t thread : threads_) ::pthread_join(thread, nullptr);
}

bool Workers::take(node::Work& work) {
    bool more;
    {
        const std::lock_guard lock(mutex_);
        more = idle_ <= waiting_.size();
    }
    if (more && threads_.size() < threads_max_ && !cannot_begin_) cannot_begin_ = !begin_thread();
    if (threads_.empty()) return false;
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(work));
    }
    wake_.notify_one();
    return true;
}

std::vector<node::WorkId> Workers::collect() {
    const std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
}

// std::thread cannot be given a stack, and signals are for the thread that waits for them.
bool Workers::begin_thread() {
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes) != 0) return false;
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    const bool begun = ::pthread_attr_setstacksize(&attributes, stack_bytes) == 0 &&
                       ::pthread_create(&thread, &attributes, &Workers::enter, this) == 0;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_attr_destroy(&attributes);
    if (begun) threads_.push_back(thread);
    return begun;
}

void* Workers::enter(void* self) {
    static_cast<Workers*>(self)->loop();
    return nullptr;
}

void Workers::loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        wake_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
        --idle_;
        if (ending_) return;
        node::Work work = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        work.run();
        lock.lock();
        const bool tell = done_.empty();
        done_.push_back(work.id);
        if (!tell) continue;
        lock.unlock();
        on_done_();
        lock.lock();
    }
}

}  // namespace leat::net
