// A quota as a fact of the log, kind config, beside those of broker/groups/group_settings.hpp.
//
// key    'q', u8 user: 0 absent, 1 default, 2 named; u16 length, name; the same for the client, and
//        for an ip if it is one's
// value  u8 format 1, then per value that is set: u8 kind (0 produce, 1 fetch, 2 request,
//        3 connect, 4 mutate), f64
#pragma once

#include <string>

#include "broker/quotas/quotas.hpp"

namespace leat::quotas {

std::string quota_key(const Entity& entity);
/// Views of `key`. fails: truncated
Result<Entity> entity_of(std::string_view key);
std::string quota_value(const Values& values);
/// fails: truncated, unsupported (another format, kind or rate)
Result<Values> values_of(ByteView value);

}  // namespace leat::quotas
