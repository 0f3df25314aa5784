// An answer that is gathered in turns, counted in the byte pool like the frame that it will be.
// Many requests may be at work at once, each with megabytes of an answer that no other sees before
// it is sent.
#pragma once

#include "broker/api/answer.hpp"

namespace leat::api {

class Gathered {
public:
    /// Asked behind each element, of which there are `bytes` now. false: it has an end, because
    /// nobody waits for it any more, it is too large to be sent, or there is no memory for it (then
    /// its connection is closed; also above `bytes_max`).
    bool may_grow(Context& context, session::Reply& reply, std::size_t bytes,
                  std::size_t bytes_max = answer_bytes_max) {
        constexpr std::size_t some = 64 * KiB;  // in between nothing is counted
        if (!reply.alive()) return false;
        if (bytes > answer_bytes_max) return false;
        if (bytes < counted_.bytes() + some) return true;
        if (bytes > bytes_max ||
            context.pool.overdrawn(session::PoolClass::response, counted_.bytes())) {
            reply.close(session::CloseReason::no_memory);
            return false;
        }
        counted_.release();
        counted_ = context.pool.take_now(session::PoolClass::response, bytes);
        return true;
    }
    /// Before it is sent: its frame is counted.
    void release() { counted_.release(); }

private:
    session::Grant counted_;
};

}  // namespace leat::api
