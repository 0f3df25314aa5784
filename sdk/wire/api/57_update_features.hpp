// UpdateFeatures (key 57): raises or lowers finalized features (KIP-584).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct UpdateFeaturesRequest {
    struct FeatureUpdateKey {
        StringView feature;
        std::int16_t max_version_level = 0;
        bool allow_downgrade = false;
        std::int8_t upgrade_type = 1;

        static void fields(auto& io, auto& m) {
            io("feature", m.feature);
            io("max_version_level", m.max_version_level);
            io("allow_downgrade", m.allow_downgrade, until(0));
            io("upgrade_type", m.upgrade_type, since(1));
        }
    };

    std::int32_t timeout_ms = 60000;
    Array<FeatureUpdateKey> feature_updates;
    bool validate_only = false;

    static constexpr ApiKey api_key = ApiKey::update_features;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("timeout_ms", m.timeout_ms);
        io("feature_updates", m.feature_updates);
        io("validate_only", m.validate_only, since(1));
    }
};

struct UpdateFeaturesResponse {
    struct UpdatableFeatureResult {
        StringView feature;
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;

        static void fields(auto& io, auto& m) {
            io("feature", m.feature);
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    Array<UpdatableFeatureResult> results;

    static constexpr ApiKey api_key = ApiKey::update_features;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("results", m.results, until(1));
    }
};

}  // namespace leat::wire
