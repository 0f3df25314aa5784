// Requests that every broker answers for itself: its groups, its log directories.
#include <algorithm>
#include <set>

#include "sdk/cluster/admin_operation.hpp"
#include "sdk/wire/api/16_list_groups.hpp"
#include "sdk/wire/api/35_describe_log_dirs.hpp"

namespace leat::cluster {
namespace {

using Verdict = Admin::Operation::Verdict;
using wire::ErrorCode;

/// One broker after the other.
struct OfEveryBroker : Admin::Operation {
    std::set<std::int32_t> told;
    std::int32_t asked = no_broker;

    virtual Status send_to(Instant now, Router& router, Admin& admin, const Target& broker) = 0;

    Status send(Instant now, Router& router, Admin& admin) final {
        Status last = fail(Error::would_block);
        for (const auto& [broker, endpoint] : router.metadata().brokers()) {
            if (told.contains(broker)) continue;
            asked = broker;
            last = send_to(now, router, admin, {.kind = Target::Kind::broker, .broker = broker});
            if (last) return last;
        }
        if (router.metadata().brokers().empty()) router.refresh_metadata(now);
        return last;
    }

    bool is_complete(const Router& router) const final {
        const auto& brokers = router.metadata().brokers();
        return !told.empty() && std::all_of(brokers.begin(), brokers.end(), [this](const auto& at) {
            return told.contains(at.first);
        });
    }
};

struct ListGroups final : OfEveryBroker {
    Status send_to(Instant now, Router& router, Admin& admin, const Target& broker) override {
        return send_one(*this, now, router, admin, broker, wire::ListGroupsRequest{});
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::ListGroupsResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.error = response->error_code;
        if (answer.error == ErrorCode::coordinator_load_in_progress ||
            answer.error == ErrorCode::coordinator_not_available)
            return Verdict::again;
        if (answer.error != ErrorCode::none) return Verdict::done;
        told.insert(asked);
        for (const auto& group : response->groups)
            answer.groups.push_back({owned(group.group_id), owned(group.protocol_type),
                                     owned(group.group_state), owned(group.group_type)});
        return Verdict::waiting;
    }
};

struct DescribeLogDirs final : OfEveryBroker {
    Status send_to(Instant now, Router& router, Admin& admin, const Target& broker) override {
        wire::DescribeLogDirsRequest request;
        request.topics = nullptr;
        return send_one(*this, now, router, admin, broker, request);
    }

    Verdict read(const client::Event& event) override {
        const auto response = decoded<wire::DescribeLogDirsResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.error = response->error_code;
        if (answer.error != ErrorCode::none)
            return wire::retriable(answer.error) ? Verdict::again : Verdict::done;
        told.insert(asked);
        for (const auto& result : response->results) {
            LogDir& dir = answer.log_dirs.emplace_back();
            dir.broker = asked;
            dir.error = result.error_code;
            dir.path = owned(result.log_dir);
            dir.total_bytes = result.total_bytes;
            dir.usable_bytes = result.usable_bytes;
            for (const auto& topic : result.topics)
                for (const auto& partition : topic.partitions)
                    dir.replicas.push_back({{owned(topic.name), partition.partition_index},
                                            partition.partition_size,
                                            partition.offset_lag,
                                            partition.is_future_key});
        }
        return Verdict::waiting;
    }
};

}  // namespace

std::unique_ptr<Admin::Operation> make_list_groups() { return std::make_unique<ListGroups>(); }

std::unique_ptr<Admin::Operation> make_describe_log_dirs() {
    return std::make_unique<DescribeLogDirs>();
}

}  // namespace leat::cluster
