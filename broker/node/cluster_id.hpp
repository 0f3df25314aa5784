#pragma once
#include <string>

#include "broker/log/log.hpp"
#include "leat/port/entropy.hpp"

namespace leat::node {

/// The cluster id that clients see: as configured, else the one made at the first start and kept as
/// a fact. 22 characters of URL-safe base64, a version 4 uuid, as Kafka makes it; never begins with
/// '-'. `anew`: whatever is kept belongs to another gateway. fails: what the log or the entropy source says
Result<std::string> cluster_id_of(const std::string& configured, log::Log& log,
                                  port::Entropy& entropy, Instant now, bool anew = false);

}  // namespace leat::node
