// Requests that change what is there already: settings, and how many partitions a topic has.
#include <cstdlib>

#include "sdk/cluster/admin_operation.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"
#include "sdk/wire/api/44_incremental_alter_configs.hpp"

namespace leat::cluster {
namespace {

using Verdict = Admin::Operation::Verdict;

struct AlterConfigs final : Admin::Operation {
    ConfigResource kind = ConfigResource::topic;
    std::string name;
    std::vector<ConfigChange> changes;
    bool validate_only = false;

    Status send(Instant now, Router& router, Admin& admin) override {
        using Request = wire::IncrementalAlterConfigsRequest;
        std::vector<Request::AlterableConfig> list(changes.size());
        for (std::size_t i = 0; i < changes.size(); ++i) {
            list[i].name = changes[i].name;
            list[i].config_operation = static_cast<std::int8_t>(changes[i].kind);
            if (changes[i].kind != ConfigChange::Kind::unset) list[i].value = changes[i].value;
        }
        Request::AlterConfigsResource resource;
        resource.resource_type = static_cast<std::int8_t>(kind);
        resource.resource_name = name;
        resource.configs = list;
        Request request;
        request.resources = std::span(&resource, 1);
        request.validate_only = validate_only;
        Target target{.kind = Target::Kind::controller};
        if (kind == ConfigResource::broker) {
            target.kind = Target::Kind::broker;
            target.broker = static_cast<std::int32_t>(std::strtol(name.c_str(), nullptr, 10));
        }
        return send_one(*this, now, router, admin, target, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::IncrementalAlterConfigsResponse>(*this, event);
        if (!response) return Verdict::done;
        for (const auto& result : response->responses) {
            answer.error = result.error_code;
            answer.message = owned(result.error_message);
        }
        return is_worth_a_retry(answer.error) ? Verdict::again : Verdict::done;
    }
};

struct CreatePartitions final : Admin::Operation {
    std::string topic;
    std::int32_t total = 0;
    bool validate_only = false;

    Status send(Instant now, Router& router, Admin& admin) override {
        using Request = wire::CreatePartitionsRequest;
        Request::CreatePartitionsTopic one;
        one.name = topic;
        one.count = total;
        one.assignments = nullptr;
        Request request;
        request.topics = std::span(&one, 1);
        request.timeout_ms = static_cast<std::int32_t>((deadline - now).count());
        request.validate_only = validate_only;
        return send_one(*this, now, router, admin, {.kind = Target::Kind::controller}, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::CreatePartitionsResponse>(*this, event);
        if (!response) return Verdict::done;
        for (const auto& result : response->results) {
            answer.error = result.error_code;
            answer.message = owned(result.error_message);
        }
        return is_worth_a_retry(answer.error) ? Verdict::again : Verdict::done;
    }
};

}  // namespace

std::unique_ptr<Admin::Operation> make_alter_configs(ConfigResource kind, std::string name,
                                                     std::vector<ConfigChange> changes,
                                                     const Admin::Options& options) {
    auto alter = std::make_unique<AlterConfigs>();
    alter->kind = kind;
    alter->name = std::move(name);
    alter->changes = std::move(changes);
    alter->validate_only = options.validate_only;
    return alter;
}

std::unique_ptr<Admin::Operation> make_create_partitions(std::string topic, std::int32_t total,
                                                         const Admin::Options& options) {
    auto create = std::make_unique<CreatePartitions>();
    create->topic = std::move(topic);
    create->total = total;
    create->validate_only = options.validate_only;
    return create;
}

}  // namespace leat::cluster
