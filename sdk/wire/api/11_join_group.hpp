// JoinGroup (key 11): a member enters a rebalance; the leader learns of all members.
//
// v4: an unknown member is told its id with MEMBER_ID_REQUIRED and comes again (KIP-394).
// v5: static members (KIP-345).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct JoinGroupRequest {
    struct JoinGroupRequestProtocol {
        StringView name;
        BytesView metadata;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("metadata", m.metadata);
        }
    };

    StringView group_id;
    std::int32_t session_timeout_ms = 0;     ///< silent for longer: out
    std::int32_t rebalance_timeout_ms = -1;  ///< -1 in v0, where the session timeout stands for it
    StringView member_id;
    StringView group_instance_id = nullptr;  ///< null: a dynamic member (KIP-345)
    StringView protocol_type;
    Array<JoinGroupRequestProtocol> protocols;
    StringView reason = nullptr;

    static constexpr ApiKey api_key = ApiKey::join_group;
    static constexpr Versions versions{.first = 0, .last = 9, .flexible = 6};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id);
        io("session_timeout_ms", m.session_timeout_ms);
        io("rebalance_timeout_ms", m.rebalance_timeout_ms, since(1));
        io("member_id", m.member_id);
        io("group_instance_id", m.group_instance_id, since(5).nullable());
        io("protocol_type", m.protocol_type);
        io("protocols", m.protocols);
        io("reason", m.reason, since(8).nullable());
    }
};

struct JoinGroupResponse {
    struct JoinGroupResponseMember {
        StringView member_id;
        StringView group_instance_id = nullptr;
        BytesView metadata;

        static void fields(auto& io, auto& m) {
            io("member_id", m.member_id);
            io("group_instance_id", m.group_instance_id, since(5).nullable());
            io("metadata", m.metadata);
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::int32_t generation_id = -1;
    StringView protocol_type = nullptr;
    StringView protocol_name;
    StringView leader;
    bool skip_assignment = false;
    StringView member_id;
    Array<JoinGroupResponseMember> members;  ///< empty for all but the leader

    static constexpr ApiKey api_key = ApiKey::join_group;
    static constexpr Versions versions{.first = 0, .last = 9, .flexible = 6};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(2));
        io("error_code", m.error_code);
        io("generation_id", m.generation_id);
        io("protocol_type", m.protocol_type, since(7).nullable());
        io("protocol_name", m.protocol_name, always.nullable(7));
        io("leader", m.leader);
        io("skip_assignment", m.skip_assignment, since(9));
        io("member_id", m.member_id);
        io("members", m.members);
    }
};

}  // namespace leat::wire
