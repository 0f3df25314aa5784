// DescribeCluster (key 60): cluster id, controller and brokers without topics (KIP-700).
#pragma once

#include <limits>

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeClusterRequest {
    bool include_cluster_authorized_operations = false;
    std::int8_t endpoint_type = 1;
    bool include_fenced_brokers = false;

    static constexpr ApiKey api_key = ApiKey::describe_cluster;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("include_cluster_authorized_operations", m.include_cluster_authorized_operations);
        io("endpoint_type", m.endpoint_type, since(1));
        io("include_fenced_brokers", m.include_fenced_brokers, since(2));
    }
};

struct DescribeClusterResponse {
    struct DescribeClusterBroker {
        std::int32_t broker_id = 0;
        StringView host;
        std::int32_t port = 0;
        StringView rack = nullptr;
        bool is_fenced = false;

        static void fields(auto& io, auto& m) {
            io("broker_id", m.broker_id);
            io("host", m.host);
            io("port", m.port);
            io("rack", m.rack, always.nullable());
            io("is_fenced", m.is_fenced, since(2));
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    std::int8_t endpoint_type = 1;
    StringView cluster_id;
    std::int32_t controller_id = -1;
    Array<DescribeClusterBroker> brokers;
    std::int32_t cluster_authorized_operations = std::numeric_limits<std::int32_t>::min();

    static constexpr ApiKey api_key = ApiKey::describe_cluster;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("endpoint_type", m.endpoint_type, since(1));
        io("cluster_id", m.cluster_id);
        io("controller_id", m.controller_id);
        io("brokers", m.brokers);
        io("cluster_authorized_operations", m.cluster_authorized_operations);
    }
};

}  // namespace leat::wire
