// AlterClientQuotas (key 49, KIP-546): all changes of an entity or none; in slices, answered when
// they are durable.
#include "sdk/wire/api/49_alter_client_quotas.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/slices.hpp"

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
        if (part.name.empty()) return invalid("a name is empty; the default has none");
        if (part.name.size() > name_bytes_max) return invalid("a name is too long");
        if (type == "ip" && !is_ip(part.name)) return invalid("that is no address");
    }
    if (entity.ip.is != Part::Is::absent && entry.entity.size() > 1)
        return invalid("ip does not go together with user or client-id");
    return entry.entity.size() == 0 ? invalid("the entity is empty") : Outcome{};
}

// named: the kinds that came before it, a bit each.
Outcome apply(const Request::EntryData::OpData& change, bool of_ip, quotas::Values& values,
              std::uint32_t& named) {
    const auto kind = quotas::kind_of(change.key.view());
    if (!kind || (kind == quotas::Kind::connect) != of_ip) {
        if (change.remove) return {};  // it is not there; so says Kafka
        return invalid(
            "there is no such quota here: producer_byte_rate, consumer_byte_rate, "
            "request_percentage and controller_mutation_rate are, and connection_creation_rate of "
            "an ip");
    }
    const std::uint32_t bit = 1U << static_cast<unsigned>(*kind);
    if ((named & bit) != 0) return invalid("a quota appears more than once");
    named |= bit;
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

std::string key_of(const quotas::Entity& entity) {
    std::string key;
    for (const Part* part : {&entity.user, &entity.client, &entity.ip}) {
        key += static_cast<char>(part->is);
        key += std::to_string(part->name.size()) + ':';
        key += part->name;
    }
    return key;
}

class Altering final : public SlicedRequest<Request> {
public:
    void begin(Instant now) {
        looked_at_ = at_ = request.entries.begin();
        set_timeout(now, change_timeout_ms);
    }
    Step step(Context& context, log::CommitId& commit) override;
    void finish(Context& context, bool durable) override;

private:
    Result<log::CommitId> alter(Context& context, const Request::EntryData& entry,
                                Outcome& outcome);

    wire::Array<Request::EntryData>::Iterator looked_at_, at_;
    Times times_;
    std::vector<Outcome> outcomes_;
};

// fails: would_block, or busy, if it may wait: nothing was done, it is tried again. What is refused
// is no failure.
Result<log::CommitId> Altering::alter(Context& context, const Request::EntryData& entry,
                                      Outcome& outcome) {
    // More than this at once is nobody's need.
    constexpr std::size_t entries_max = 1'000;
    const auto refuse = [&outcome](Outcome bad) {
        outcome = bad;
        return log::CommitId{0};
    };
    if (request.entries.size() > entries_max)
        return refuse(invalid("too many entities in one request"));
    quotas::Entity entity;
    if (const Outcome bad = read_entity(context.quotas.config().name_bytes_max, entry, entity);
        bad.message != nullptr)
        return refuse(bad);
    // An entity that comes twice: neither change is the one that was meant.
    if (times_.of(key_of(entity)) > 1)
        return refuse(invalid("the entity appears more than once"));
    quotas::Values values = context.quotas.values_of(entity);
    std::uint32_t named = 0;
    for (const auto& change : entry.ops)
        if (const Outcome bad = apply(change, entity.ip.is != Part::Is::absent, values, named);
            bad.message != nullptr)
            return refuse(bad);
    if (request.validate_only) return log::CommitId{0};
    const auto commit = context.quotas.set(context.now, entity, values);
    const bool full_now = !commit && commit.error() == Error::busy;
    if (commit || commit.error() == Error::would_block || (full_now && may_wait(context)))
        return commit;
    if (commit.error() == Error::full)
        return refuse({ErrorCode::policy_violation, "there is no room for more quotas"});
    return refuse({full_now ? ErrorCode::request_timed_out : ErrorCode::kafka_storage_error,
                   log_says(commit.error())});
}

Sliced::Step Altering::step(Context& context, log::CommitId& commit) {
    const auto end = request.entries.end();
    if (looked_at_ != end) {
        const std::size_t name_bytes_max = context.quotas.config().name_bytes_max;
        for (int i = 0; i < Times::some && looked_at_ != end; ++i, ++looked_at_)
            if (quotas::Entity entity;
                read_entity(name_bytes_max, *looked_at_, entity).message == nullptr)
                times_.see(key_of(entity));
        return Step::done;
    }
    if (at_ == end) return Step::end;
    Outcome outcome;
    const auto altered = alter(context, *at_, outcome);
    if (!altered) return again(altered.error());
    commit = std::max(commit, *altered);
    outcomes_.push_back(outcome);
    ++at_;
    return Step::done;
}

void Altering::finish(Context& context, bool durable) {
    std::vector<Response::EntryData> entries(outcomes_.size());
    std::vector<Response::EntryData::EntityData> names;
    std::size_t count = 0, at = 0;
    for (const auto& entry : request.entries) count += entry.entity.size();
    names.reserve(count);  // the entries view it
    for (const auto& entry : request.entries) {
        const std::size_t first = names.size();
        for (const auto& one : entry.entity) names.push_back({one.entity_type, one.entity_name});
        Outcome& outcome = outcomes_[at];
        if (!durable && outcome.error == ErrorCode::none)
            outcome = {ErrorCode::kafka_storage_error, "the log could not write"};
        entries[at].error_code = outcome.error;
        if (outcome.message != nullptr) entries[at].error_message = outcome.message;
        entries[at++].entity = std::span(names).subspan(first);
    }
    Response response;
    response.entries = entries;
    answer(context, address, response);
}

}  // namespace

void alter_client_quotas(Context& context, Call call) {
    auto altered = std::make_shared<Altering>();
    if (!altered->keep(context, call)) return;
    altered->begin(context.now);
    run_slices(context, std::move(altered));
}

}  // namespace leat::api
