// ApiVersions (key 18): what a broker speaks. The first request of every connection.
//
// A request with a version above the broker's is answered, not dropped: see
// unsupported_api_versions_body. Its own body must not be parsed.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ApiVersionsRequest {
    StringView client_software_name;
    StringView client_software_version;

    static constexpr ApiKey api_key = ApiKey::api_versions;
    static constexpr Versions versions{.first = 0, .last = 4, .flexible = 3};

    static void fields(auto& io, auto& m) {
        io("client_software_name", m.client_software_name, since(3));
        io("client_software_version", m.client_software_version, since(3));
    }
};

struct ApiVersionsResponse {
    struct ApiVersion {
        std::int16_t api_key = 0;
        std::int16_t min_version = 0;
        std::int16_t max_version = 0;

        static void fields(auto& io, auto& m) {
            io("api_key", m.api_key);
            io("min_version", m.min_version);
            io("max_version", m.max_version);
        }
    };

    struct SupportedFeatureKey {
        StringView name;
        std::int16_t min_version = 0;
        std::int16_t max_version = 0;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("min_version", m.min_version);
            io("max_version", m.max_version);
        }
    };

    struct FinalizedFeatureKey {
        StringView name;
        std::int16_t max_version_level = 0;
        std::int16_t min_version_level = 0;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("max_version_level", m.max_version_level);
            io("min_version_level", m.min_version_level);
        }
    };

    ErrorCode error_code = ErrorCode::none;
    Array<ApiVersion> api_keys;
    std::int32_t throttle_time_ms = 0;
    Array<SupportedFeatureKey> supported_features;
    std::int64_t finalized_features_epoch = -1;
    Array<FinalizedFeatureKey> finalized_features;
    bool zk_migration_ready = false;

    static constexpr ApiKey api_key = ApiKey::api_versions;
    static constexpr Versions versions{.first = 0, .last = 4, .flexible = 3};

    static void fields(auto& io, auto& m) {
        io("error_code", m.error_code);
        io("api_keys", m.api_keys);
        io("throttle_time_ms", m.throttle_time_ms, since(1));
    }
    static constexpr void tags(auto& io, auto& m) {
        io(0, "supported_features", m.supported_features, since(3));
        io(1, "finalized_features_epoch", m.finalized_features_epoch, since(3), -1);
        io(2, "finalized_features", m.finalized_features, since(3));
        io(3, "zk_migration_ready", m.zk_migration_ready, since(3));
    }
};

/// Writes the answer to an ApiVersions request whose version is not spoken here: always this v0
/// body (behind response header v0), whatever was asked. Every client falls back to reading v0;
/// with compact lengths a Java client would take the rest for a throttle time and fall silent for
/// minutes.
///
/// body: error 35, count 1 (int32), key 18, lowest and highest version accepted; 12 bytes.
/// fails  full
Result<std::size_t> unsupported_api_versions_body(MutableBytes out);

}  // namespace leat::wire
