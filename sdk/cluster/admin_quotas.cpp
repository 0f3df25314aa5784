// Bounds on clients' rates (KIP-546): whom they bind, and to how much.
#include "sdk/cluster/admin_operation.hpp"
#include "sdk/wire/api/48_describe_client_quotas.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"

namespace leat::cluster {
namespace {

using Verdict = Admin::Operation::Verdict;

struct DescribeQuotas final : Admin::Operation {
    std::vector<QuotaFilter> filters;

    Status send(Instant now, Router& router, Admin& admin) override {
        using Request = wire::DescribeClientQuotasRequest;
        std::vector<Request::ComponentData> components(filters.size());
        for (std::size_t i = 0; i < filters.size(); ++i) {
            components[i].entity_type = filters[i].kind;
            components[i].match_type = static_cast<std::int8_t>(filters[i].match);
            if (filters[i].match == QuotaFilter::Match::name) components[i].match = filters[i].name;
        }
        Request request;
        request.components = components;
        return send_one(*this, now, router, admin, {.kind = Target::Kind::any}, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::DescribeClientQuotasResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.error = response->error_code;
        answer.message = owned(response->error_message);
        answer.quotas.clear();
        for (const auto& entry : response->entries) {
            Quota& quota = answer.quotas.emplace_back();
            for (const auto& part : entry.entity) {
                auto& name = quota.entity[owned(part.entity_type)];
                if (!part.entity_name.is_null()) name = owned(part.entity_name);
            }
            for (const auto& value : entry.values) quota.values[owned(value.key)] = value.value;
        }
        return is_worth_a_retry(answer.error) ? Verdict::again : Verdict::done;
    }
};

struct AlterQuotas final : Admin::Operation {
    QuotaEntity entity;
    std::vector<QuotaChange> changes;
    bool validate_only = false;

    Status send(Instant now, Router& router, Admin& admin) override {
        using Request = wire::AlterClientQuotasRequest;
        std::vector<Request::EntryData::EntityData> parts;
        for (const auto& [kind, name] : entity) {
            auto& part = parts.emplace_back();
            part.entity_type = kind;
            if (name) part.entity_name = *name;
        }
        std::vector<Request::EntryData::OpData> ops(changes.size());
        for (std::size_t i = 0; i < ops.size(); ++i)
            ops[i] = {changes[i].name, changes[i].value.value_or(0), !changes[i].value};
        Request::EntryData entry;
        entry.entity = parts;
        entry.ops = ops;
        Request request;
        request.entries = std::span(&entry, 1);
        request.validate_only = validate_only;
        return send_one(*this, now, router, admin, {.kind = Target::Kind::controller}, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::AlterClientQuotasResponse>(*this, event);
        if (!response) return Verdict::done;
        for (const auto& result : response->entries) {
            answer.error = result.error_code;
            answer.message = owned(result.error_message);
        }
        return is_worth_a_retry(answer.error) ? Verdict::again : Verdict::done;
    }
};

}  // namespace

std::unique_ptr<Admin::Operation> make_describe_quotas(std::vector<QuotaFilter> filters) {
    auto describe = std::make_unique<DescribeQuotas>();
    describe->filters = std::move(filters);
    return describe;
}

std::unique_ptr<Admin::Operation> make_alter_quotas(QuotaEntity entity,
                                                    std::vector<QuotaChange> changes,
                                                    const Admin::Options& options) {
    auto alter = std::make_unique<AlterQuotas>();
    alter->entity = std::move(entity);
    alter->changes = std::move(changes);
    alter->validate_only = options.validate_only;
    return alter;
}

}  // namespace leat::cluster
