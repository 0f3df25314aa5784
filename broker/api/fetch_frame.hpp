// The bytes of a Fetch answer around records that already lie in its memory. Sizes are upper bounds
// over all served versions; fetch_frame.cpp checks them against the real encoding.
#pragma once

#include "broker/api/parked_fetches.hpp"

namespace leat::api {

/// Chooses who may stand in the answer (all; in a session those with records or news) and fills in
/// their `piece` and `later`, and `frame_bound`: upper bounds of what the message takes before
/// their records (for the first one with the frame's length and header), and after them.
void plan_fetch_frame(const Context& context, Fetching& fetching);
/// `chosen` may have shrunk since. Writes the pieces around the records and completes the reply.
/// Moves no record by more than the slack of the pieces before it.
void send_fetch_frame(Context& context, Fetching& fetching);

}  // namespace leat::api
