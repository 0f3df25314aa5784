// DeleteGroups (key 42): forgets empty groups.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DeleteGroupsRequest {
    Array<StringView> groups_names;

    static constexpr ApiKey api_key = ApiKey::delete_groups;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) { io("groups_names", m.groups_names); }
};

struct DeleteGroupsResponse {
    struct DeletableGroupResult {
        StringView group_id;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("group_id", m.group_id);
            io("error_code", m.error_code);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DeletableGroupResult> results;

    static constexpr ApiKey api_key = ApiKey::delete_groups;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("results", m.results);
    }
};

}  // namespace leat::wire
