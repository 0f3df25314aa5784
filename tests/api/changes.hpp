// Settings of topics (type 2) and groups (32) are changed one by one: IncrementalAlterConfigs.
#pragma once

#include "sdk/wire/api/44_incremental_alter_configs.hpp"
#include "tests/api/bench.hpp"

namespace leat::test {

struct Change {
    const char* name;
    std::int8_t operation;
    wire::StringView value = nullptr;
};
struct Told {
    wire::ErrorCode error;
    std::string message;
};

inline Bytes change_frame(const std::vector<Change>& changes, bool validate_only = false,
                          const char* name = "t", std::int8_t type = 2) {
    using Request = wire::IncrementalAlterConfigsRequest;
    std::vector<Request::AlterableConfig> configs;
    for (const Change& one : changes) configs.push_back({one.name, one.operation, one.value});
    Request::AlterConfigsResource resource;
    resource.resource_type = type;
    resource.resource_name = name;
    resource.configs = configs;
    Request request;
    request.resources = std::span(&resource, 1);
    request.validate_only = validate_only;
    return request_frame(request, 1);
}

/// What is told of the resource.
inline Told change(ApiBench& bench, const std::vector<Change>& changes, bool validate_only = false,
                   const char* name = "t", std::int8_t type = 2) {
    const auto id = bench.open();
    bench.send(id, change_frame(changes, validate_only, name, type));
    bench.flush();
    const auto response = bench.answer<wire::IncrementalAlterConfigsResponse>(id, 1);
    REQUIRE(response.responses.size() == 1);
    const auto one = response.responses.front();
    CHECK(one.resource_type == type);
    CHECK(one.resource_name == wire::StringView(name));
    return {one.error_code, std::string(one.error_message.view())};
}

}  // namespace leat::test
