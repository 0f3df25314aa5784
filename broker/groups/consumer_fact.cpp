#include "broker/groups/consumer_fact.hpp"

#include <algorithm>

#include "broker/groups/group_fact.hpp"
#include "broker/topics/fact_bytes.hpp"

namespace leat::groups {
namespace {

using topics::FactReader;
using topics::FactWriter;

constexpr std::uint8_t format = 1;
constexpr std::uint32_t partitions_max = 1'000'000;  // of a member: more is damage

void put_optional(FactWriter& out, const std::optional<std::string>& text) {
    out.number(std::uint8_t{text.has_value()});
    if (text) out.name(*text);
}
std::optional<std::string> take_optional(FactReader& in) {
    if (in.number<std::uint8_t>() == 0) return std::nullopt;
    return std::string(in.name());
}

// Runs: partitions one behind the other that were assigned in one epoch.
void put_share(FactWriter& out, const Share& share) {
    out.number(static_cast<std::uint32_t>(share.size()));
    for (const auto& [topic, partitions] : share) {
        out.raw(topic);
        const std::size_t count_at = out.bytes.size();
        std::uint32_t runs = 0;
        out.number(runs);
        for (std::size_t i = 0, end = 0; i < partitions.size(); i = end, ++runs) {
            for (end = i + 1; end < partitions.size() &&
                              partitions[end].epoch == partitions[i].epoch &&
                              partitions[end].partition == partitions[end - 1].partition + 1;)
                ++end;
            out.number(partitions[i].partition);
            out.number(static_cast<std::uint32_t>(end - i));
            out.number(partitions[i].epoch);
        }
        store_big(out.bytes.data() + count_at, runs);
    }
}

void take_share(FactReader& in, Share& share) {
    std::uint32_t left = partitions_max;
    for (auto topics = in.number<std::uint32_t>(); topics > 0 && in.ok; --topics) {
        topics::TopicId topic{};
        const ByteView id = in.take(topic.size());
        std::copy(id.begin(), id.end(), topic.begin());
        for (auto runs = in.number<std::uint32_t>(); runs > 0 && in.ok; --runs) {
            const auto first = in.number<std::int32_t>();
            const auto count = in.number<std::uint32_t>();
            const auto epoch = in.number<std::int32_t>();
            auto& list = share[topic];
            in.ok = in.ok && count > 0 && count <= left && first >= 0 &&
                    first <= static_cast<std::int32_t>(partitions_max) &&
                    (list.empty() || list.back().partition < first);
            if (!in.ok) return;
            left -= count;
            for (std::uint32_t i = 0; i < count; ++i)
                list.push_back({first + static_cast<std::int32_t>(i), epoch});
        }
        in.ok = in.ok && share.contains(topic);
    }
}

std::vector<std::uint8_t> member_body(const ConsumerMember& member) {
    FactWriter out;
    out.number(member.epoch);
    out.number(member.previous_epoch);
    out.number(static_cast<std::uint8_t>(member.step));
    out.number(static_cast<std::int64_t>(member.rebalance_timeout.count()));
    put_optional(out, member.instance);
    put_optional(out, member.rack);
    out.name(member.client_id);
    out.name(member.client_host);
    put_optional(out, member.assignor);
    out.blob(member.subscription->pattern);
    out.number(static_cast<std::uint32_t>(member.subscription->topics.size()));
    for (const std::string& topic : member.subscription->topics) out.name(topic);
    put_share(out, member.assigned);
    put_share(out, member.revoking);
    if (!member.classic) return std::move(out.bytes);
    out.number(static_cast<std::int64_t>(member.classic->session_timeout.count()));
    out.number(static_cast<std::uint32_t>(member.classic->protocols.size()));
    for (const Protocol& one : member.classic->protocols) {
        out.name(one.name);
        out.blob(one.metadata);
    }
    return std::move(out.bytes);
}

}  // namespace

bool is_consumer_key(ByteView key) { return !key.empty() && (key[0] == 'c' || key[0] == 'm'); }

std::vector<std::uint8_t> consumer_group_key(std::string_view group) {
    FactWriter out;
    out.number(static_cast<std::uint8_t>('c'));
    out.name(group);
    return std::move(out.bytes);
}

std::vector<std::uint8_t> consumer_group_value(const ConsumerGroupFact& fact) {
    FactWriter out;
    out.number(format);
    out.number(fact.epoch);
    out.number(fact.hash);
    out.number(fact.empty_since_ms);
    return std::move(out.bytes);
}

Result<ConsumerGroupFact> decode_consumer_group(ByteView value) {
    FactReader in(value);
    ConsumerGroupFact fact;
    if (in.number<std::uint8_t>() != format) return fail(Error::unsupported);
    fact.epoch = in.number<std::int32_t>();
    fact.hash = in.number<std::uint64_t>();
    fact.empty_since_ms = in.number<std::int64_t>();
    if (!in.ok || fact.epoch < 0 || fact.epoch > kept_epoch_max) return fail(Error::malformed);
    return fact;
}

std::vector<std::uint8_t> consumer_member_key(std::string_view group, std::string_view member,
                                              std::uint8_t slot, std::uint16_t part) {
    FactWriter out;
    out.number(static_cast<std::uint8_t>('m'));
    out.name(group);
    out.name(member);
    out.number(slot);
    out.number(part);
    return std::move(out.bytes);
}

std::vector<std::vector<std::uint8_t>> consumer_member_values(const ConsumerMember& member,
                                                              std::uint32_t save) {
    FactWriter head;
    head.number(format);
    head.number(save);
    return in_parts(head.bytes, member_body(member));
}

Result<ConsumerPart> decode_consumer_part(ByteView key, ByteView value) {
    ConsumerPart part;
    FactReader in_key(key);
    const bool of_member = in_key.number<std::uint8_t>() == 'm';
    part.group = in_key.name();
    if (of_member) {
        part.member = in_key.name();
        part.slot = in_key.number<std::uint8_t>();
        part.part = in_key.number<std::uint16_t>();
    }
    if (!in_key.ok || part.slot > 1) return fail(Error::malformed);
    if (!of_member) return part;
    FactReader in(value);
    if (in.number<std::uint8_t>() != format) return fail(Error::unsupported);
    part.save = in.number<std::uint32_t>();
    part.parts = in.number<std::uint16_t>();
    if (!in.ok || part.parts == 0 || part.member.empty()) return fail(Error::malformed);
    part.piece = in.left;
    return part;
}

Status decode_consumer_member(ByteView body, ConsumerMember& member, MemberReads& reads) {
    FactReader in(body);
    member.epoch = in.number<std::int32_t>();
    member.previous_epoch = in.number<std::int32_t>();
    const auto step = in.number<std::uint8_t>();
    member.step = static_cast<Step>(step);
    member.rebalance_timeout = milliseconds(in.number<std::int64_t>());
    member.instance = take_optional(in);
    member.rack = take_optional(in);
    member.client_id = in.name();
    member.client_host = in.name();
    member.assignor = take_optional(in);
    reads.pattern = in.blob();
    for (auto count = in.number<std::uint32_t>(); count > 0 && in.ok; --count)
        reads.topics.emplace_back(in.name());
    take_share(in, member.assigned);
    take_share(in, member.revoking);
    if (in.ok && !in.left.empty()) {
        ClassicSide& side = member.classic.emplace();
        side.session_timeout = milliseconds(in.number<std::int64_t>());
        for (auto count = in.number<std::uint32_t>(); count > 0 && in.ok; --count) {
            Protocol& one = side.protocols.emplace_back();
            one.name = in.name();
            one.metadata = in.blob();
        }
        in.ok = in.ok && !side.protocols.empty() && is_timeout(side.session_timeout);
    }
    if (!is_timeout(member.rebalance_timeout) || member.epoch > kept_epoch_max)
        return fail(Error::malformed);
    if (!in.ok || step > static_cast<std::uint8_t>(Step::unreleased)) return fail(Error::malformed);
    return ok();
}

}  // namespace leat::groups
