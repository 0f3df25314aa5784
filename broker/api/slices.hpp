// A request of many parts: some of them, then others have their turn, then the next. Parts that
// write facts come in slices, too: so many parts, then those are made durable. Ten thousand topics
// at one go keep everybody else waiting for a quarter of a second, and are more than the log takes
// before its next commit.
#pragma once

#include <memory>

#include "broker/api/context.hpp"

namespace leat::api {

constexpr int parts_per_slice = 256;  ///< that write
constexpr int parts_per_turn = 16;    ///< of some 20 us; a topic that is made is such a part

class Sliced {
public:
    enum class Step : std::uint8_t {
        done,     ///< one part; `commit` is raised to what it waits for
        blocked,  ///< the log takes no more before its next commit: the same part once more
        end       ///< there are no more parts
    };
    virtual ~Sliced() = default;
    virtual Step step(Context& context, log::CommitId& commit) = 0;
    /// Called once. durable: false if the log gave up some commit on the way.
    virtual void finish(Context& context, bool durable) = 0;

    Address address;
    int per_turn = parts_per_turn;

private:
    friend void run_slices(Context& context, std::shared_ptr<Sliced> sliced);
    bool durable_ = true;
    int parts_ = 0;  ///< of this slice
    log::CommitId commit_ = 0;
};

/// The connection's next request waits until this one is finished. Shared: by the call and by the
/// copyable function that waits for the log.
void run_slices(Context& context, std::shared_ptr<Sliced> sliced);

}  // namespace leat::api
