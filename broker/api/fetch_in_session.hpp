// Between a Fetch request and its session (KIP-227), as Kafka 4.3 does it.
#pragma once

#include "broker/api/fetch_sessions.hpp"
#include "broker/api/parked_fetches.hpp"

namespace leat::api {

constexpr std::int16_t fetch_topic_ids_since = 13;  // topics have names before it

/// A partition that was asked for: its stream, or why there is none.
void find_asked(const topics::Topic* topic, bool by_id, FetchedPartition& one);
/// KIP-320: a client that knows another leader is told so; one whose last record is of an epoch
/// that ended before its position is told where that was (KIP-595), and gets no records.
void check_epochs(const topics::LeaderEpochs& epochs, FetchedPartition& one);

/// A request that goes on with a session: what it changes is changed, and all the session's
/// partitions come into `fetching`. A session that has none left is closed, and `fetching` stays
/// without one and empty.
/// returns  the error that is the whole answer: the session is unknown, was not expected to come
///          with this epoch, or names topics in the other way
wire::ErrorCode continue_session(Context& context, const wire::FetchRequest& request, bool by_id,
                                 Fetching& fetching);

/// What is answered is remembered: in a new session, or in the one that goes on, where those
/// without news leave `chosen`. Before the answer is written. returns  INVALID_FETCH_SESSION_EPOCH:
/// a newer request of the session has come meanwhile
wire::ErrorCode answer_in_session(Context& context, Fetching& fetching);

}  // namespace leat::api
