// DescribeClientQuotas (key 48, KIP-546): the quotas that a filter matches.
#include "sdk/wire/api/48_describe_client_quotas.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/quotas/quota_fact.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::DescribeClientQuotasRequest;
using Response = wire::DescribeClientQuotasResponse;
using quotas::Part;

constexpr std::int8_t match_exact = 0, match_default = 1, match_any = 2;

struct Wanted {
    bool asked = false;
    std::int8_t how = match_any;
    std::string_view name;
    bool matches(const Part& part) const {
        if (!asked) return true;
        if (how == match_exact) return part.is == Part::Is::named && part.name == name;
        if (how == match_default) return part.is == Part::Is::any;
        return part.is != Part::Is::absent;
    }
};
struct Filter {
    Wanted user, client, ip;
};

struct Problem {
    ErrorCode error = ErrorCode::none;
    const char* text = nullptr;
};

Problem read_filter(const Request& request, Filter& filter) {
    constexpr auto invalid = ErrorCode::invalid_request;
    for (const auto& component : request.components) {
        const std::string_view type = component.entity_type.view();
        if (type.empty()) return {invalid, "an entity type is empty"};
        Wanted* wanted = type == "user"        ? &filter.user
                         : type == "client-id" ? &filter.client
                         : type == "ip"        ? &filter.ip
                                               : nullptr;
        if (wanted == nullptr)
            return {ErrorCode::unsupported_version, "there is no such entity type"};
        if (component.match_type < match_exact || component.match_type > match_any)
            return {invalid, "there is no such match type"};
        if ((component.match_type == match_exact) == component.match.is_null())
            return {invalid, "an exact match needs a name, and no other has one"};
        if (wanted->asked) return {invalid, "an entity type appears more than once"};
        *wanted = {.asked = true, .how = component.match_type, .name = {}};
        if (!component.match.is_null()) wanted->name = component.match.view();
    }
    if (filter.ip.asked && (filter.user.asked || filter.client.asked))
        return {invalid, "ip does not go together with user or client-id"};
    return {};
}

bool matches(const quotas::Entity& entity, const Filter& filter, bool strict) {
    const std::pair<const Wanted&, const Part&> parts[] = {
        {filter.user, entity.user}, {filter.client, entity.client}, {filter.ip, entity.ip}};
    return std::all_of(std::begin(parts), std::end(parts), [strict](const auto& one) {
        const auto& [wanted, part] = one;
        return wanted.matches(part) && !(strict && (part.is != Part::Is::absent) != wanted.asked);
    });
}

}  // namespace

void describe_client_quotas(Context& context, Call call) {
    const auto request = read<Request>(context, call);
    if (!request) return;
    Filter filter;
    const Problem problem = read_filter(*request, filter);
    std::vector<Response::EntryData> entries;
    // Each list is reserved once, so what the entries view stays where it is.
    std::vector<Response::EntryData::EntityData> names;
    std::vector<Response::EntryData::ValueData> values;
    names.reserve(2 * context.quotas.all().size());
    values.reserve(quotas::kinds * context.quotas.all().size());
    const auto name = [&](const char* type, const Part& part) {
        if (part.is == Part::Is::absent) return;
        auto& one = names.emplace_back();
        one.entity_type = type;
        if (part.is == Part::Is::named) one.entity_name = part.name;
    };
    for (const auto& [key, rates] : context.quotas.all()) {
        const auto entity = quotas::entity_of(key);
        if (problem.text != nullptr || !entity || !matches(*entity, filter, request->strict))
            continue;
        const std::size_t first_name = names.size(), first_value = values.size();
        name("user", entity->user);
        name("client-id", entity->client);
        name("ip", entity->ip);
        for (std::size_t kind = 0; kind < quotas::kinds; ++kind) {
            if (rates[kind] <= 0) continue;
            auto& one = values.emplace_back();
            one.key = quotas::key_of(static_cast<quotas::Kind>(kind));
            one.value = rates[kind];
        }
        auto& entry = entries.emplace_back();
        entry.entity = std::span(names).subspan(first_name);
        entry.values = std::span(values).subspan(first_value);
    }
    Response response;
    if (problem.text != nullptr) {
        response.error_code = problem.error;
        response.error_message = problem.text;
        response.entries = nullptr;
    } else {
        response.error_message = "";  // as in Kafka, not null
        response.entries = entries;
    }
    answer(context, call, response);
}

}  // namespace leat::api
