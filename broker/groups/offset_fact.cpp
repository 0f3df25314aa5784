#include "broker/groups/offset_fact.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "broker/topics/fact_bytes.hpp"

namespace leat::groups {
namespace {

using topics::FactReader;
using topics::FactWriter;

constexpr std::uint8_t format = 1;
constexpr std::size_t offset_bytes = 6, epoch_bytes = 2, stamp_bytes = 5;
constexpr std::size_t position_bytes = offset_bytes + epoch_bytes + stamp_bytes + 1;

constexpr std::int64_t numbers_of(std::size_t bytes) { return std::int64_t{1} << (8 * bytes); }

/// The lowest `bytes` bytes, big-endian; returns what comes behind them.
std::uint8_t* store_low(std::uint8_t* at, std::int64_t value, std::size_t bytes) {
    for (std::size_t i = bytes; i-- > 0; value >>= 8) at[i] = static_cast<std::uint8_t>(value);
    return at + bytes;
}
std::int64_t low(ByteView bytes) {
    std::int64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

Status decode_block(FactReader& in, OffsetFact& fact) {
    fact.places = in.number<Places>();
    for (Places left = fact.places; left != 0; left &= left - 1) {
        Change& one = fact.positions.emplace_back();
        one.place = static_cast<std::uint8_t>(std::countr_zero(left));
        one.value.offset = low(in.take(offset_bytes));
        one.value.leader_epoch = static_cast<std::int32_t>(low(in.take(epoch_bytes))) - 1;
        one.value.stamp_ms = low(in.take(stamp_bytes));
        one.value.metadata = text_of(in.take(in.number<std::uint8_t>()));
    }
    return in.ok && in.left.empty() ? ok() : fail(Error::malformed);
}

Status decode_single(FactReader& in, int place, OffsetFact& fact) {
    fact.places = place_bit(place);
    Change& one = fact.positions.emplace_back();
    one.place = static_cast<std::uint8_t>(place);
    one.value.offset = in.number<std::int64_t>();
    one.value.leader_epoch = in.number<std::int32_t>();
    one.value.stamp_ms = in.number<std::int64_t>();
    one.value.expire_ms = in.number<std::int64_t>();
    one.value.metadata = in.blob();
    return in.ok && !one.value.none() ? ok() : fail(Error::malformed);
}

}  // namespace

bool fits(const Committed& committed) {
    return committed.metadata.size() <= block_metadata_bytes_max && committed.expire_ms < 0 &&
           committed.offset >= no_offset && committed.offset < numbers_of(offset_bytes) &&
           committed.leader_epoch >= -1 && committed.leader_epoch < numbers_of(epoch_bytes) - 1 &&
           committed.stamp_ms >= 0 && committed.stamp_ms < numbers_of(stamp_bytes);
}

std::vector<std::uint8_t> offset_key(OffsetLayout layout, std::string_view group,
                                     std::string_view topic, std::int32_t number) {
    FactWriter out;
    out.bytes.reserve(9 + group.size() + topic.size());
    out.number(static_cast<std::uint8_t>(layout));
    out.name(group);
    out.name(topic);
    out.number(number);
    return std::move(out.bytes);
}

std::vector<std::uint8_t> single_value(const topics::TopicId& topic, const Committed& committed) {
    FactWriter out;
    out.number(format);
    out.raw(topic);
    out.number(committed.offset);
    out.number(committed.leader_epoch);
    out.number(committed.stamp_ms);
    out.number(committed.expire_ms);
    out.blob(committed.metadata);
    return std::move(out.bytes);
}

std::vector<std::uint8_t> block_value(const topics::TopicId& topic, const OffsetBlock& block,
                                      Places places) {
    std::size_t size = 1 + topic.size() + sizeof places;
    for (const OffsetEntry& entry : block.entries)
        if (places & place_bit(entry.place))
            size += position_bytes + entry.newest().metadata.size();
    std::vector<std::uint8_t> bytes(size);
    std::uint8_t* at = bytes.data();
    *at++ = format;
    at = std::copy(topic.begin(), topic.end(), at);
    at = store_low(at, places, sizeof places);
    for (const OffsetEntry& entry : block.entries) {
        if (!(places & place_bit(entry.place))) continue;
        const Committed& one = entry.newest();
        at = store_low(at, one.offset, offset_bytes);
        at = store_low(at, std::int64_t{one.leader_epoch} + 1, epoch_bytes);
        at = store_low(at, one.stamp_ms, stamp_bytes);
        *at++ = static_cast<std::uint8_t>(one.metadata.size());
        at = std::copy(one.metadata.begin(), one.metadata.end(), at);
    }
    return bytes;
}

bool is_offset_key(ByteView key) {
    return !key.empty() && (key[0] == static_cast<std::uint8_t>(OffsetLayout::block) ||
                            key[0] == static_cast<std::uint8_t>(OffsetLayout::alone) ||
                            key[0] == static_cast<std::uint8_t>(OffsetLayout::first));
}

Result<OffsetFact> decode_offset_fact(ByteView key, ByteView value) {
    OffsetFact fact;
    FactReader in_key(key);
    fact.layout = static_cast<OffsetLayout>(in_key.number<std::uint8_t>());
    fact.group = in_key.name();
    fact.topic = in_key.name();
    const auto number = in_key.number<std::int32_t>();
    const bool whole = fact.layout == OffsetLayout::block;
    if (!in_key.ok || number < 0 ||
        (whole && number > std::numeric_limits<std::int32_t>::max() / block_partitions))
        return fail(Error::malformed);
    fact.block = whole ? number : number / block_partitions;
    FactReader in(value);
    if (in.number<std::uint8_t>() != format) return fail(Error::unsupported);
    const ByteView id = in.take(fact.topic_id.size());
    std::copy(id.begin(), id.end(), fact.topic_id.begin());
    const Status read =
        whole ? decode_block(in, fact) : decode_single(in, number % block_partitions, fact);
    if (!read) return fail(read.error());
    return fact;
}

}  // namespace leat::groups
