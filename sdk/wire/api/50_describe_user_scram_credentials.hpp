// DescribeUserScramCredentials (key 50): which users have SCRAM passwords (KIP-554).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeUserScramCredentialsRequest {
    struct UserName {
        StringView name;

        static void fields(auto& io, auto& m) { io("name", m.name); }
    };

    Array<UserName> users;

    static constexpr ApiKey api_key = ApiKey::describe_user_scram_credentials;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) { io("users", m.users, always.nullable()); }
};

struct DescribeUserScramCredentialsResponse {
    struct DescribeUserScramCredentialsResult {
        struct CredentialInfo {
            std::int8_t mechanism = 0;
            std::int32_t iterations = 0;

            static void fields(auto& io, auto& m) {
                io("mechanism", m.mechanism);
                io("iterations", m.iterations);
            }
        };

        StringView user;
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        Array<CredentialInfo> credential_infos;

        static void fields(auto& io, auto& m) {
            io("user", m.user);
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
            io("credential_infos", m.credential_infos);
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    Array<DescribeUserScramCredentialsResult> results;

    static constexpr ApiKey api_key = ApiKey::describe_user_scram_credentials;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("results", m.results);
    }
};

}  // namespace leat::wire
