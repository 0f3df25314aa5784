// ListGroups (key 16): the groups of one broker, filtered by state (v4) and type (v5).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ListGroupsRequest {
    Array<StringView> states_filter;
    Array<StringView> types_filter;

    static constexpr ApiKey api_key = ApiKey::list_groups;
    static constexpr Versions versions{.first = 0, .last = 5, .flexible = 3};

    static void fields(auto& io, auto& m) {
        io("states_filter", m.states_filter, since(4));
        io("types_filter", m.types_filter, since(5));
    }
};

struct ListGroupsResponse {
    struct ListedGroup {
        StringView group_id;
        StringView protocol_type;
        StringView group_state;
        StringView group_type;

        static void fields(auto& io, auto& m) {
            io("group_id", m.group_id);
            io("protocol_type", m.protocol_type);
            io("group_state", m.group_state, since(4));
            io("group_type", m.group_type, since(5));
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    Array<ListedGroup> groups;

    static constexpr ApiKey api_key = ApiKey::list_groups;
    static constexpr Versions versions{.first = 0, .last = 5, .flexible = 3};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(1));
        io("error_code", m.error_code);
        io("groups", m.groups);
    }
};

}  // namespace leat::wire
