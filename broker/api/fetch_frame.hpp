// The bytes of a Fetch answer around records that already lie in its memory. Sizes are upper bounds
// over all served versions; fetch_frame.cpp checks them against the real encoding.
#pragma once

#include "broker/api/parked_fetches.hpp"

namespace leat::api {

/// Chooses who may stand in the answer (all; in a session those with records or news) and fills in
/// their `piece` and `later`, and `frame_bound`: upper bounds of what the message takes before
/// their records (for the first one with the frame's length and header), and after them.
void plan_fetch_frame(const Context& context, Fetching& fetching);
/// Memory for the answer with `bytes` of records, or its wish is queued under the fetch's id. Where
/// others hold what there is, a short answer is had sooner than a long one: of peers that ask for
/// megabytes and do not read them, dozens get theirs at a time and are found out, not two. So the
/// grant may be smaller, but not where bytes_min is to be judged, nor where the first batch alone
/// is known to be longer.
std::optional<session::Grant> ask_fetch_memory(Context& context, const Fetching& fetching,
                                               std::size_t bytes);
/// `chosen` may have shrunk since. Writes the pieces around the records and completes the reply.
/// Moves no record by more than the slack of the pieces before it.
void send_fetch_frame(Context& context, Fetching& fetching);

}  // namespace leat::api
