// What an operator reads when the uplink cannot do its work: what happened and what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "leat/result.hpp"
#include "sdk/cluster/endpoint.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::uplink {

std::string connect_failed_text(const cluster::Endpoint& endpoint, Error why);
std::string disconnected_text(const cluster::Endpoint& endpoint, Error why);
std::string requests_cut_text(const cluster::Endpoint& endpoint, std::uint32_t bytes);
std::string other_cluster_text(std::string_view before, std::string_view now);
/// Metadata or CreateTopics said no. detail: the upstream's own words, may be empty
std::string topic_text(std::string_view topic, wire::ErrorCode error, std::string_view detail);
/// Produce said no.
std::string refused_text(std::string_view topic, std::int32_t partition, wire::ErrorCode error);
/// ... for a reason that should pass, again and again.
std::string retried_text(std::string_view topic, std::int32_t partition, wire::ErrorCode error);
/// Produce's no means that its records may go one by one.
bool is_too_large(wire::ErrorCode error);
std::string cut_text(std::string_view topic, std::int32_t partition, std::size_t bytes);
/// Upstream refuses the batch for what it is, and would again.
bool is_poison(wire::ErrorCode error);
/// `place` says which records.
std::string skipped_text(std::string_view place, wire::ErrorCode error);
/// After a restart or a lost answer it could not be found out what had arrived before.
std::string doubt_lost_text(std::string_view topic, std::int32_t partition, wire::ErrorCode error);
/// The log does not keep a new name, or not in time.
std::string name_unkept_text();
/// The upstream is this broker.
std::string circle_text(std::string_view cluster_id);
/// The upstream is a gateway that brings `topic` here, or means us with an address of its own.
std::string round_text(std::string_view topic, bool is_us);
/// Records that this route sent are in `topic` again.
std::string returned_text(std::string_view topic);
/// `places` says which offsets of which partitions.
std::string deleted_text(std::string_view topic, std::uint64_t records, std::string_view places);
std::string producer_refused_text(wire::ErrorCode error);
/// Kafka's name of the code, or its number.
std::string code_text(wire::ErrorCode error);

}  // namespace leat::uplink
