// DescribeConfigs (key 32): settings of topics (resource_type 2) and brokers (4), and where each
// comes from.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeConfigsRequest {
    struct DescribeConfigsResource {
        std::int8_t resource_type = 0;
        StringView resource_name;
        Array<StringView> configuration_keys;  ///< null: all

        static void fields(auto& io, auto& m) {
            io("resource_type", m.resource_type);
            io("resource_name", m.resource_name);
            io("configuration_keys", m.configuration_keys, always.nullable());
        }
    };

    Array<DescribeConfigsResource> resources;
    bool include_synonyms = false;
    bool include_documentation = false;

    static constexpr ApiKey api_key = ApiKey::describe_configs;
    static constexpr Versions versions{.first = 1, .last = 4, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("resources", m.resources);
        io("include_synonyms", m.include_synonyms);
        io("include_documentation", m.include_documentation, since(3));
    }
};

struct DescribeConfigsResponse {
    struct DescribeConfigsSynonym {
        StringView name;
        StringView value = nullptr;
        std::int8_t source = 0;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("value", m.value, always.nullable());
            io("source", m.source);
        }
    };

    struct DescribeConfigsResourceResult {
        StringView name;
        StringView value = nullptr;
        bool read_only = false;
        std::int8_t config_source = -1;
        bool is_sensitive = false;
        Array<DescribeConfigsSynonym> synonyms;
        std::int8_t config_type = 0;
        StringView documentation = nullptr;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("value", m.value, always.nullable());
            io("read_only", m.read_only);
            io("config_source", m.config_source);
            io("is_sensitive", m.is_sensitive);
            io("synonyms", m.synonyms);
            io("config_type", m.config_type, since(3));
            io("documentation", m.documentation, since(3).nullable());
        }
    };

    struct DescribeConfigsResult {
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        std::int8_t resource_type = 0;
        StringView resource_name;
        Array<DescribeConfigsResourceResult> configs;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
            io("resource_type", m.resource_type);
            io("resource_name", m.resource_name);
            io("configs", m.configs);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DescribeConfigsResult> results;

    static constexpr ApiKey api_key = ApiKey::describe_configs;
    static constexpr Versions versions{.first = 1, .last = 4, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("results", m.results);
    }
};

}  // namespace leat::wire
