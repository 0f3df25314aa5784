// AlterClientQuotas (key 49, KIP-546): all changes of an entity or none; answered when they are
// durable.
#include "sdk/wire/api/49_alter_client_quotas.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/commits.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::AlterClientQuotasRequest;
using Response = wire::AlterClientQuotasResponse;
using quotas::Part;

struct Outcome {
    ErrorCode error = ErrorCode::none;
    const char* message = nullptr;  ///< a literal
};
constexpr Outcome invalid(const char* message) { return {ErrorCode::invalid_request, message}; }

// Names of hosts are nobody's here: there is no resolver.
bool is_ip(std::string_view text) {
    return text.find_first_of(".:") != std::string_view::npos &&
           text.find_first_not_of("0123456789abcdef.:") == std::string_view::npos;
}

/// The entity's names are views of the entry.
Outcome read_entity(std::size_t name_bytes_max, const Request::EntryData& entry,
                    quotas::Entity& entity) {
    for (const auto& one : entry.entity) {
        const std::string_view type = one.entity_type.view();
        if (type != "user" && type != "client-id" && type != "ip")
            return invalid("there is no such entity type");
        Part& part = type == "user" ? entity.user : type == "ip" ? entity.ip : entity.client;
        if (part.is != Part::Is::absent) return invalid("an entity type appears more than once");
        part.is = Part::Is::any;
        if (one.entity_name.is_null()) continue;
        part = {Part::Is::named, one.entity_name.view()};
        if (part.name.size() > name_bytes_max) return invalid("a name is too long");
        if (type == "ip" && !is_ip(part.name)) return invalid("that is no address");
    }
    if (entity.ip.is != Part::Is::absent && entry.entity.size() > 1)
        return invalid("ip does not go together with user or client-id");
    return entry.entity.size() == 0 ? invalid("the entity is empty") : Outcome{};
}

Outcome apply(const Request::EntryData::OpData& change, bool of_ip, quotas::Values& values) {
    const auto kind = quotas::kind_of(change.key.view());
    if (!kind || (kind == quotas::Kind::connect) != of_ip)
        return invalid(
            "there is no such quota here: producer_byte_rate, consumer_byte_rate, "
            "request_percentage and controller_mutation_rate are, and connection_creation_rate of "
            "an ip");
    double& value = values[static_cast<std::size_t>(*kind)];
    if (change.remove) {
        value = 0;
        return {};
    }
    if (!std::isfinite(change.value) || change.value <= 0 || change.value > 9.2e18)
        return invalid("a quota must be greater than 0");
    value = change.value;
    if (*kind == quotas::Kind::request || *kind == quotas::Kind::mutate) return {};
    value = std::round(value);  // a text that became a double on its way is a whole number again
    if (std::abs(value - change.value) > 1e-6 || (of_ip && value > INT32_MAX))
        return invalid("a rate of bytes or connections is a whole number");
    return {};
}

Outcome alter(Context& context, const Request& request, const Request::EntryData& entry,
              log::CommitId& last) {
    quotas::Entity entity;
    const std::size_t name_bytes_max = context.quotas.config().name_bytes_max;
    if (const Outcome bad = read_entity(name_bytes_max, entry, entity); bad.message != nullptr)
        return bad;
    // An entity that comes twice: neither change is the one that was meant.
    std::size_t times = 0;
    for (const auto& other : request.entries) {
        quotas::Entity same;
        times += read_entity(name_bytes_max, other, same).message == nullptr && same == entity;
    }
    if (times > 1) return invalid("the entity appears more than once");
    quotas::Values values = context.quotas.values_of(entity);
    for (const auto& change : entry.ops)
        if (const Outcome bad = apply(change, entity.ip.is != Part::Is::absent, values);
            bad.message != nullptr)
            return bad;
    if (request.validate_only) return {};
    const auto commit = context.quotas.set(context.now, entity, values);
    if (commit) last = std::max(last, *commit);
    if (commit) return {};
    if (commit.error() == Error::full)
        return {ErrorCode::policy_violation, "there is no room for more quotas"};
    return {ErrorCode::kafka_storage_error, log_says(commit.error())};
}

void respond(Context& context, Address& address, const Request& request,
             const std::vector<Outcome>& outcomes) {
    std::vector<Response::EntryData> entries(outcomes.size());
    std::vector<Response::EntryData::EntityData> names;
    std::size_t count = 0, at = 0;
    for (const auto& entry : request.entries) count += entry.entity.size();
    names.reserve(count);  // the entries view it
    for (const auto& entry : request.entries) {
        const std::size_t first = names.size();
        for (const auto& one : entry.entity) names.push_back({one.entity_type, one.entity_name});
        entries[at].error_code = outcomes[at].error;
        if (outcomes[at].message != nullptr) entries[at].error_message = outcomes[at].message;
        entries[at++].entity = std::span(names).subspan(first);
    }
    Response response;
    response.entries = entries;
    answer(context, address, response);
}

/// What waits for the commit: the names of the answer lie in the request's own frame.
struct Waiting {
    Address address;
    session::Buffer frame;
    Request request;
    std::vector<Outcome> outcomes;
};

}  // namespace

void alter_client_quotas(Context& context, Call call) {
    // Each entry is compared with each other: more than this at once is nobody's need.
    constexpr std::size_t entries_max = 1'000;
    const std::size_t head =
        static_cast<std::size_t>(call.body.data() - call.request.frame().data());
    const std::size_t size = call.body.size();
    // Shared, because the waiting function is copyable: in the end it is the only owner.
    auto waiting = std::make_shared<Waiting>();
    waiting->frame = call.request.keep();
    const auto request =
        wire::decode_front<Request>(waiting->frame.bytes().subspan(head, size), call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    waiting->request = *request;
    waiting->address = address_of(call);
    log::CommitId last = 0;
    for (const auto& entry : request->entries)
        waiting->outcomes.push_back(request->entries.size() > entries_max
                                        ? invalid("too many entities in one request")
                                        : alter(context, *request, entry, last));
    if (last <= context.log.flushed_commit())
        return respond(context, waiting->address, waiting->request, waiting->outcomes);
    context.log.flush_soon(context.now);
    context.commits.when(last, [&context, waiting](Instant now, WallTime wall, Commits::End end) {
        context.now = now;
        context.wall = wall;
        for (Outcome& outcome : waiting->outcomes)
            if (end == Commits::End::given_up && outcome.error == ErrorCode::none)
                outcome = {ErrorCode::kafka_storage_error, "the log could not write"};
        respond(context, waiting->address, waiting->request, waiting->outcomes);
    });
}

}  // namespace leat::api
