#include "broker/groups/group_fact.hpp"

#include <algorithm>

#include "broker/topics/fact_bytes.hpp"

namespace leat::groups {
namespace {

using topics::FactReader;
using topics::FactWriter;

constexpr std::uint8_t format = 1;

std::vector<std::uint8_t> group_body(const Group& group) {
    FactWriter out;
    out.number(group.generation);
    out.number(group.empty_since_ms);
    out.name(group.protocol_type);
    out.name(group.protocol);
    out.name(group.leader);
    out.number(static_cast<std::uint32_t>(group.members.size()));
    for (const auto& [id, member] : group.members) {
        out.name(id);
        out.number(std::uint8_t{member->instance.has_value()});
        if (member->instance) out.name(*member->instance);
        out.name(member->client_id);
        out.name(member->client_host);
        out.number(static_cast<std::int64_t>(member->session_timeout.count()));
        out.number(static_cast<std::int64_t>(member->rebalance_timeout.count()));
        const std::string* metadata = member->metadata(group.protocol);
        out.blob(metadata != nullptr ? std::string_view(*metadata) : std::string_view());
        out.blob(member->assignment);
    }
    return std::move(out.bytes);
}

}  // namespace

bool is_group_key(ByteView key) { return !key.empty() && key[0] == 'g'; }

std::vector<std::uint8_t> group_key(std::string_view group, std::uint16_t part) {
    FactWriter out;
    out.number(static_cast<std::uint8_t>('g'));
    out.name(group);
    out.number(part);
    return std::move(out.bytes);
}

std::vector<std::vector<std::uint8_t>> in_parts(ByteView head, ByteView body) {
    const std::size_t parts = (body.size() + group_part_bytes - 1) / group_part_bytes;
    std::vector<std::vector<std::uint8_t>> values;
    if (parts > UINT16_MAX) return values;
    for (std::size_t from = 0; from < body.size(); from += group_part_bytes) {
        FactWriter out;
        out.raw(head);
        out.number(static_cast<std::uint16_t>(parts));
        out.raw(body.subspan(from, std::min(group_part_bytes, body.size() - from)));
        values.push_back(std::move(out.bytes));
    }
    return values;
}

std::vector<std::vector<std::uint8_t>> group_values(const Group& group, std::uint32_t save) {
    FactWriter head;
    head.number(format);
    head.number(save);
    head.number(group.generation);
    return in_parts(head.bytes, group_body(group));
}

Result<GroupPart> decode_group_part(ByteView key, ByteView value) {
    GroupPart part;
    FactReader in_key(key);
    in_key.number<std::uint8_t>();
    part.group = in_key.name();
    part.part = in_key.number<std::uint16_t>();
    FactReader in(value);
    if (in.number<std::uint8_t>() != format) return fail(Error::unsupported);
    part.save = in.number<std::uint32_t>();
    part.generation = in.number<std::int32_t>();
    part.parts = in.number<std::uint16_t>();
    if (!in_key.ok || !in.ok) return fail(Error::truncated);
    if (part.generation > kept_epoch_max) return fail(Error::malformed);
    part.piece = in.left;
    return part;
}

Status decode_group(ByteView body, Group& group) {
    FactReader in(body);
    const auto generation = in.number<std::int32_t>();
    if (generation > kept_epoch_max) return fail(Error::malformed);
    group.generation = generation;
    group.empty_since_ms = in.number<std::int64_t>();
    group.protocol_type = in.name();
    group.protocol = in.name();
    group.leader = in.name();
    const std::uint32_t count = in.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && in.ok; ++i) {
        auto member = std::make_unique<Member>(&group);
        member->id = in.name();
        if (in.number<std::uint8_t>() != 0) member->instance = in.name();
        member->client_id = in.name();
        member->client_host = in.name();
        member->session_timeout = milliseconds(in.number<std::int64_t>());
        member->rebalance_timeout = milliseconds(in.number<std::int64_t>());
        member->protocols.push_back({group.protocol, std::string(in.blob())});
        member->assignment = in.blob();
        in.ok = in.ok && is_timeout(member->session_timeout) &&
                is_timeout(member->rebalance_timeout);
        if (!in.ok) break;
        if (member->instance) group.static_members[*member->instance] = member->id;
        group.members[member->id] = std::move(member);
    }
    return in.ok ? ok() : fail(Error::truncated);
}

}  // namespace leat::groups
