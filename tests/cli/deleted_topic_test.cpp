// A group that has committed offsets of a topic that is not there any more.
#include "doctest/doctest.h"
#include "sdk/cli/commands.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"
#include "tests/host/loopback_broker.hpp"

using namespace leat;
using namespace leat::cli;
using testing::Bytes;

namespace {

/// One classic group "g" without members, which has read "t" and "gone".
std::optional<Bytes> answer_of_group(const wire::Request& request) {
    const auto answer = [&request](const auto& response) {
        return testing::ModelBroker::answer(request.header, response, request.header.api_version);
    };
    switch (request.header.api_key) {
        case wire::ApiKey::find_coordinator: {
            wire::FindCoordinatorResponse::Coordinator found;
            found.key = "g";
            wire::FindCoordinatorResponse response;
            response.coordinators = std::span(&found, 1);
            return answer(response);
        }
        case wire::ApiKey::consumer_group_describe: {
            wire::ConsumerGroupDescribeResponse::DescribedGroup group;
            group.group_id = "g";
            group.error_code = ErrorCode::group_id_not_found;
            wire::ConsumerGroupDescribeResponse response;
            response.groups = std::span(&group, 1);
            return answer(response);
        }
        case wire::ApiKey::describe_groups: {
            wire::DescribeGroupsResponse::DescribedGroup group;
            group.group_id = "g";
            group.group_state = "Empty";
            wire::DescribeGroupsResponse response;
            response.groups = std::span(&group, 1);
            return answer(response);
        }
        case wire::ApiKey::offset_fetch: {
            const wire::OffsetFetchResponse::OffsetFetchResponsePartitions partitions[] = {
                {0, 5, -1, "", ErrorCode::none}, {7, 5, -1, "", ErrorCode::none}};
            wire::OffsetFetchResponse::OffsetFetchResponseTopics topics[2];
            topics[0].name = "t";
            topics[1].name = "gone";
            for (auto& topic : topics) topic.partitions = std::span(partitions);
            wire::OffsetFetchResponse::OffsetFetchResponseGroup group;
            group.group_id = "g";
            group.topics = std::span(topics);
            wire::OffsetFetchResponse response;
            response.groups = std::span(&group, 1);
            return answer(response);
        }
        default:
            return std::nullopt;
    }
}

}  // namespace

TEST_CASE("groups: a topic or partition that is gone holds up neither describe nor reset-offsets") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    broker.cluster.on_any = [](std::int32_t, const wire::Request& request) {
        return answer_of_group(request);
    };
    Options options;
    options.bootstrap = broker.bootstrap();
    options.groups = {"g"};
    options.timeout_seconds = 3;
    CHECK(describe_groups(options) == Exit::ok);
    options.to_latest = true;
    CHECK(reset_offsets(options) == Exit::ok);
}
