// One function per API key, each in the file with the key's number. All of them take the call over.
#pragma once

#include "broker/api/context.hpp"

namespace leat::api {

void produce(Context& context, Call call);           // 00_produce.cpp
void fetch(Context& context, Call call);             // 01_fetch.cpp
void list_offsets(Context& context, Call call);      // 02_list_offsets.cpp
void metadata(Context& context, Call call);          // 03_metadata.cpp
void api_versions(Context& context, Call call);      // 18_api_versions.cpp
void create_topics(Context& context, Call call);     // 19_create_topics.cpp
void delete_topics(Context& context, Call call);     // 20_delete_topics.cpp
void init_producer_id(Context& context, Call call);  // 22_init_producer_id.cpp
void describe_configs(Context& context, Call call);  // 32_describe_configs.cpp
void describe_cluster(Context& context, Call call);  // 60_describe_cluster.cpp

/// What this broker serves, and says so in ApiVersions. Which versions: wire::Api::accepted.
struct Served {
    wire::ApiKey key;
    void (*handler)(Context&, Call);
};
std::span<const Served> served();

/// The answer to an ApiVersions request of a version above ours: response header 0, body in version
/// 0.
session::Buffer api_versions_fallback(std::int32_t correlation_id);

}  // namespace leat::api
