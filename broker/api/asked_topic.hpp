// A topic as newer requests ask for it: by id (KIP-516), so that one which was deleted and made
// again is not taken for the old one.
#pragma once

#include "broker/api/context.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::api {

inline const topics::Topic* asked_topic(const topics::Registry& registry, bool by_id,
                                        const wire::StringView& name, const wire::Uuid& id) {
    return by_id ? registry.find(id.bytes) : registry.find(name.view());
}
constexpr wire::ErrorCode unknown_topic(bool by_id) {
    return by_id ? wire::ErrorCode::unknown_topic_id : wire::ErrorCode::unknown_topic_or_partition;
}

}  // namespace leat::api
