#pragma once
#include <vector>

#include "broker/topics/registry.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::topics {

/// A topic as the value of its fact, big-endian:
///   u8 format = 1 · u16 name length, name · u8 flags (bit 0 internal) · u32 partitions, u32 stream
///   each · u16 overrides, then for each u16 length, name, u16 length, value
/// The key is the topic id. Overrides that this version does not know any more are left out when
/// read.
std::vector<std::uint8_t> encode_topic(const Topic& topic);
/// fails: truncated, malformed, unsupported (another format)
Result<std::unique_ptr<Topic>> decode_topic(ByteView key, ByteView value, const TopicConfig& fresh);

}  // namespace leat::topics
