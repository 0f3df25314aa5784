// Quotas at work (KIP-124, KIP-219): what a request costs is charged when it is known, whoever is
// in debt is left unread, and the answer says for how long. Nothing here waits: answers leave at
// once.
//
// Produce pays for its request when that comes; the connection is mute from then on, so that what
// is in flight behind it waits too. Fetch pays for the records it brings when they go. Topics are
// paid by their partitions when they are made, changed and deleted. Every
// request pays for the time that its handler kept the broker's thread, at most a second at once, so
// that a group member's heartbeats get through.
#pragma once

#include "broker/api/context.hpp"

namespace leat::api {

/// Before the handler of `call`.
void begin_throttle(Context& context, Call& call);
/// After it: the work that no answer has told of yet.
void end_throttle(Context& context);
/// For the answer that is about to be written to `reply`.
std::int32_t throttle_time_ms(Context& context, session::Reply& reply);
/// The log fills up: `time` for a producer (pressure.hpp).
void throttle_producer(Context& context, session::Reply& reply, milliseconds time);
/// A request makes so many partitions, or takes them away (KIP-599). false: it may not, and is to
/// say THROTTLING_QUOTA_EXCEEDED, which a client understands from `strict_since` on; before that
/// it is done and paid afterwards.
bool may_change(Context& context, Address& address, std::int16_t strict_since,
                std::size_t partitions);
constexpr const char* quota_exceeded_text = "The throttling quota has been exceeded.";
/// A Fetch brings so many bytes of records.
void charge_fetch(Context& context, Address& address, std::size_t bytes);

}  // namespace leat::api
