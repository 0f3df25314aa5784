// Which requests are served, and where they go. Only what stands in this table is advertised: a
// version that is only mostly implemented is worse for clients than one that is missing.
#include <algorithm>

#include "broker/api/api.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/throttle.hpp"

namespace leat::api {
namespace {

constexpr Served table[] = {
    {wire::ApiKey::produce, produce},
    {wire::ApiKey::fetch, fetch},
    {wire::ApiKey::list_offsets, list_offsets},
    {wire::ApiKey::metadata, metadata},
    {wire::ApiKey::offset_commit, offset_commit},
    {wire::ApiKey::offset_fetch, offset_fetch},
    {wire::ApiKey::find_coordinator, find_coordinator},
    {wire::ApiKey::join_group, join_group},
    {wire::ApiKey::heartbeat, heartbeat},
    {wire::ApiKey::leave_group, leave_group},
    {wire::ApiKey::sync_group, sync_group},
    {wire::ApiKey::describe_groups, describe_groups},
    {wire::ApiKey::list_groups, list_groups},
    {wire::ApiKey::sasl_handshake, sasl_handshake},
    {wire::ApiKey::api_versions, api_versions},
    {wire::ApiKey::create_topics, create_topics},
    {wire::ApiKey::delete_topics, delete_topics},
    {wire::ApiKey::delete_records, delete_records},
    {wire::ApiKey::init_producer_id, init_producer_id},
    {wire::ApiKey::offset_for_leader_epoch, offset_for_leader_epoch},
    {wire::ApiKey::describe_acls, describe_acls},
    {wire::ApiKey::create_acls, create_acls},
    {wire::ApiKey::delete_acls, delete_acls},
    {wire::ApiKey::describe_configs, describe_configs},
    {wire::ApiKey::alter_configs, alter_configs},
    {wire::ApiKey::describe_log_dirs, describe_log_dirs},
    {wire::ApiKey::sasl_authenticate, sasl_authenticate},
    {wire::ApiKey::create_partitions, create_partitions},
    {wire::ApiKey::delete_groups, delete_groups},
    {wire::ApiKey::elect_leaders, elect_leaders},
    {wire::ApiKey::incremental_alter_configs, incremental_alter_configs},
    {wire::ApiKey::alter_partition_reassignments, alter_partition_reassignments},
    {wire::ApiKey::list_partition_reassignments, list_partition_reassignments},
    {wire::ApiKey::offset_delete, offset_delete},
    {wire::ApiKey::describe_client_quotas, describe_client_quotas},
    {wire::ApiKey::alter_client_quotas, alter_client_quotas},
    {wire::ApiKey::describe_user_scram_credentials, describe_user_scram_credentials},
    {wire::ApiKey::describe_quorum, describe_quorum},
    {wire::ApiKey::update_features, update_features},
    {wire::ApiKey::describe_cluster, describe_cluster},
    {wire::ApiKey::describe_producers, describe_producers},
    {wire::ApiKey::consumer_group_heartbeat, consumer_group_heartbeat},
    {wire::ApiKey::consumer_group_describe, consumer_group_describe},
    {wire::ApiKey::list_config_resources, list_config_resources},
    {wire::ApiKey::describe_topic_partitions, describe_topic_partitions},
};

const Served* find_served(std::int16_t key) {
    const auto at = std::find_if(std::begin(table), std::end(table), [key](const Served& served) {
        return static_cast<std::int16_t>(served.key) == key;
    });
    return at == std::end(table) ? nullptr : &*at;
}

}  // namespace

std::span<const Served> served() { return table; }

Api::Api(const Settings& settings, topics::Topics& topics, log::Log& log, session::BytePool& pool,
         groups::Groups& groups, quotas::Quotas& quotas, port::Entropy& entropy,
         quotas::Stopwatch* stopwatch)
    : settings_(settings),
      fetch_sessions_(settings.fetch_session_bytes_max, entropy),
      context_{.now = {},
               .wall = {},
               .elements = elements_,
               .settings = settings_,
               .topics = topics,
               .log = log,
               .pool = pool,
               .commits = commits_,
               .turns = turns_,
               .room_waits = room_waits_,
               .judging = judging_,
               .produces = produces_,
               .fetches = fetches_,
               .fetch_sessions = fetch_sessions_,
               .lookups = lookups_,
               .groups = groups,
               .parked_groups = parked_groups_,
               .quotas = quotas,
               .stopwatch = stopwatch} {}

void Api::handle(Instant now, WallTime wall, session::Request request, session::Reply reply) {
    tell(now, wall);
    if (stopping_) return reply.close(session::CloseReason::stopping);
    const Served* served = find_served(request.api_key());
    const std::int16_t version = request.api_version();
    const bool newer_api_versions =
        served != nullptr && served->key == wire::ApiKey::api_versions && version >= 0;
    if (served == nullptr ||
        !(wire::find_api(served->key)->accepted.has(version) || newer_api_versions))
        return reply.close(session::CloseReason::unknown_api);
    if (newer_api_versions && !wire::find_api(served->key)->accepted.has(version)) {
        // Not even its header is ours to read: key, version and correlation id are enough to
        // answer.
        return reply.send(api_versions_fallback(request.correlation_id()));
    }
    const auto cut = wire::decode_request(request.frame());
    if (!cut) return reply.close(session::CloseReason::malformed_request);
    Call call{.version = version,
              .correlation_id = cut->header.correlation_id,
              .client_id = cut->header.client_id,
              .body = cut->body,
              .request = request,
              .reply = std::move(reply)};
    if (context_.quotas.all().empty()) return served->handler(context_, std::move(call));
    begin_throttle(context_, call);
    served->handler(context_, std::move(call));
    end_throttle(context_);
}

// A long element pays for itself: a Produce of real batches names few for its size. Whatever comes
// in a frame too small for the byte pool has few. What fetches name is bounded where they wait, for
// that may be long.
bool admit(Context& context, Call& call, const Result<std::uint32_t>& elements) {
    constexpr std::size_t frame_bytes_min = 256, element_bytes = 256;
    if (!elements) return call.reply.close(session::CloseReason::malformed_request), false;
    const std::size_t size = call.request.frame().size();
    if (size <= frame_bytes_min) return true;
    const auto paid = static_cast<std::uint32_t>(size / element_bytes);
    const std::uint32_t count = *elements - std::min(*elements, paid);
    const bool waits = call.request.api_key() == static_cast<std::int16_t>(wire::ApiKey::fetch);
    const std::uint32_t others = waits ? 0 : context.elements;
    if (count > elements_few && others + count > elements_max)
        return call.reply.close(session::CloseReason::no_memory), false;
    if (!waits) call.elements = Elements(context.elements, count);
    return true;
}

void Api::on_session_closed(session::SessionId session) {
    fetches_.on_session_closed(context_, session);
}

void Api::on_log(Instant now, WallTime wall) {
    tell(now, wall);
    while (const auto lost = context_.log.poll_rolled_back()) {
        context_.topics.rolled_back(lost->first, lost->last);
        produces_.rolled_back(context_, lost->first, lost->last);
        context_.groups.rolled_back(now, lost->first, lost->last);
        context_.quotas.load();  // the log has its old facts again
        context_.acknowledged = std::min(context_.acknowledged, lost->first);
        commits_.rolled_back(now, wall, lost->first, lost->last);
    }
    context_.topics.registry.settle(now);
    produces_.settle(context_);
    context_.groups.settle(now);
    parked_groups_.drain(context_);
    commits_.settle(now, wall, context_.log.flushed_commit());
    room_waits_.settle(context_.log.counters().segments_recycled);
}

void Api::on_advance(Instant now, WallTime wall, const topics::Advance& advance) {
    tell(now, wall);
    fetches_.on_advance(context_, advance);
}

bool Api::on_read(Instant now, WallTime wall, const log::ReadDone& done) {
    tell(now, wall);
    return fetches_.on_read(context_, done);
}

bool Api::on_found(Instant now, WallTime wall, const log::TimeDone& done) {
    tell(now, wall);
    return lookups_.on_found(context_, done);
}

void Api::on_memory(Instant now, WallTime wall) {
    tell(now, wall);
    fetches_.on_memory(context_);
}

void Api::work_done(Instant now, WallTime wall, WorkId id) {
    tell(now, wall);
    judging_.done(context_, id);
}

void Api::on_deadline(Instant now, WallTime wall) {
    tell(now, wall);
    produces_.on_deadline(context_);
    room_waits_.on_deadline(now);
    fetches_.on_deadline(context_);
    if (context_.groups.deadline() <= now) context_.groups.on_deadline(now);
    parked_groups_.drain(context_);
    if (!turns_.empty()) turns_.run_one(now, wall);
}

void Api::stop(Instant now, WallTime wall) {
    tell(now, wall);
    stopping_ = true;
    room_waits_.stop();
    while (!turns_.empty()) turns_.run_one(now, wall);
    fetches_.give_up_all(context_);
    produces_.give_up_room(context_);
    judging_.give_up_all(context_);  // after those who stand before it
}

}  // namespace leat::api
