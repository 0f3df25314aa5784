// The bytes of a Fetch answer around records that already lie in its memory. Sizes are upper bounds
// over all served versions; fetch_frame.cpp checks them against the real encoding.
#pragma once

#include "broker/api/parked_fetches.hpp"

namespace leat::api {

/// Fills in every partition's `piece` and `later`, and `frame_bound`: upper bounds of what the
/// message takes before its records (for the first one with the frame's length and header), and
/// after them.
void plan_fetch_frame(Fetching& fetching);
/// Writes the pieces around the records and completes the reply. Moves no record by more than the
/// slack of the pieces before it.
void send_fetch_frame(Context& context, Fetching& fetching);

}  // namespace leat::api
