// DescribeCluster (key 60): one node, its own controller.
#include "sdk/wire/api/60_describe_cluster.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/operations.hpp"

namespace leat::api {

void describe_cluster(Context& context, Call call) {
    const auto request = read<wire::DescribeClusterRequest>(context, call);
    if (!request) return;
    wire::DescribeClusterResponse response;
    wire::DescribeClusterResponse::DescribeClusterBroker broker;
    if (request->endpoint_type != 1) {
        response.error_code = request->endpoint_type == 2
                                  ? wire::ErrorCode::mismatched_endpoint_type
                                  : wire::ErrorCode::unsupported_endpoint_type;
        response.error_message = "this is a broker endpoint";
    } else {
        broker.broker_id = context.settings.node_id;
        broker.host = context.settings.host;
        broker.port = context.settings.port;
        response.cluster_id = context.settings.cluster_id;
        response.controller_id = context.settings.node_id;
        response.brokers = std::span(&broker, 1);
        if (request->include_cluster_authorized_operations)
            response.cluster_authorized_operations = all_cluster_operations;
    }
    answer(context, call, response);
}

}  // namespace leat::api
