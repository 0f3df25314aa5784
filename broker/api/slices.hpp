// A request of many parts: some of them, then others have their turn, then the next. Parts that
// write facts come in slices, too: so many parts, then those are made durable. Ten thousand topics
// at one go keep everybody else waiting for a quarter of a second, and are more than the log takes
// before its next commit.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "broker/api/context.hpp"
#include "sdk/wire/codec.hpp"

namespace leat::api {

constexpr int parts_per_slice = 256;  ///< that write
constexpr int parts_per_turn = 16;    ///< of some 20 us; a topic that is made is such a part

/// Of requests that name no time: how long Kafka's clients wait for any answer.
constexpr std::int32_t change_timeout_ms = 30'000;

class Sliced {
public:
    enum class Step : std::uint8_t {
        done,     ///< one part; `commit` is raised to what it waits for
        blocked,  ///< the log takes no more before its next commit: the same part once more
        full,     ///< records fill the log: the same part once more when there is room (may_wait)
        end       ///< there are no more parts
    };
    virtual ~Sliced() = default;
    virtual Step step(Context& context, log::CommitId& commit) = 0;
    /// Called once. durable: false if the log gave up some commit on the way.
    virtual void finish(Context& context, bool durable) = 0;

    Address address;
    int per_turn = parts_per_turn;

protected:
    /// From now on it may wait for room, so long as its client waits for the answer.
    void set_timeout(Instant now, std::int32_t timeout_ms);
    bool may_wait(const Context& context) const;
    /// What a part is that fails with would_block, or with busy where it may wait.
    static Step again(Error error) { return error == Error::busy ? Step::full : Step::blocked; }
    void keep_frame(Call& call);
    bool take_over(Context& context, Call& call, const Result<std::uint32_t>& elements);

private:
    friend void run_slices(Context& context, std::shared_ptr<Sliced> sliced);
    /// What was given up never becomes durable: nothing to wait for.
    void lose() {
        durable_ = false;
        commit_ = 0;
    }
    session::Buffer frame_;
    std::size_t held_bytes_ = 0;  ///< of it
    Instant give_up_{};           ///< where records fill the log
    bool durable_ = true;
    int parts_ = 0;  ///< of this slice
    log::CommitId commit_ = 0;
};

/// The connection's next request waits until this one is finished. Shared: by the call and by the
/// copyable function that waits for the log.
void run_slices(Context& context, std::shared_ptr<Sliced> sliced);
/// The same when `commit` is durable or given up.
void run_slices_after(Context& context, log::CommitId commit, std::shared_ptr<Sliced> sliced);

/// A request that stays, in its frame, until it is answered.
template <class Request>
class SlicedRequest : public Sliced {
public:
    /// false: it is malformed or too much, and its connection is closed.
    bool keep(Context& context, Call& call) {
        keep_frame(call);
        return take_over(
            context, call,
            wire::Runtime<Request>::decode_front(call.body, call.version, request));
    }

    Request request;
};

/// How often something comes in a request. All are looked at, some at a time, before the first is
/// done.
class Times {
public:
    static constexpr int some = 32;
    void see(std::string key) { ++times_[std::move(key)]; }
    /// Of one that was seen; 0: it was told.
    int of(const std::string& key) const { return times_.at(key); }
    void told(const std::string& key) { times_.at(key) = 0; }

private:
    std::map<std::string, int> times_;
};

}  // namespace leat::api
