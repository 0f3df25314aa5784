#include "broker/api/fetch_frame.hpp"

#include <cstring>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {
namespace {

using Response = wire::FetchResponse;
constexpr std::int16_t leaders_since = 16;
constexpr std::size_t front_bound =
    4 + 5 + 32;  // frame length, response header, fields before the first topic
constexpr std::size_t topic_bound =
    32;  // id, lengths and counts beside the name, tag section of the one before
constexpr std::size_t partition_bound =
    72;  // all fields of a partition without records, its tag section

constexpr std::size_t tail_bound =
    64;  // tag sections after the last partition, with the node's endpoint but for its host

}  // namespace

void plan_fetch_frame(const Context& context, Fetching& fetching) {
    fetching.chosen.clear();
    std::size_t total = 0;
    for (std::size_t i = 0; i < fetching.partitions.size(); ++i) {
        FetchedPartition& partition = fetching.partitions[i];
        if (fetching.in_session == Fetching::InSession::continues && !partition.readable() &&
            !partition.news())
            continue;
        partition.piece = partition_bound;
        if (fetching.chosen.empty()) partition.piece += front_bound;
        if (fetching.chosen.empty() ||
            fetching.partitions[fetching.chosen.back()].topic != partition.topic)
            partition.piece += fetching.topics[partition.topic].name.size() + topic_bound;
        total += partition.piece;
        fetching.chosen.push_back(static_cast<std::uint32_t>(i));
    }
    fetching.frame_bound = total + tail_bound + context.settings.host.size();
    std::size_t later = fetching.frame_bound;
    for (const std::uint32_t index : fetching.chosen)
        fetching.partitions[index].later = later -= fetching.partitions[index].piece;
}

std::optional<session::Grant> ask_fetch_memory(Context& context, const Fetching& fetching,
                                               std::size_t bytes) {
    using session::PoolClass;
    const session::Asker asker = fetching.address.reply.asker();
    auto grant =
        context.pool.ask(PoolClass::response, fetching.frame_bound + bytes, fetching.id, asker);
    // It stays among those who want much, and does not stand before those who want less.
    constexpr std::size_t some = session::modest_wish_bytes_max + 1;
    if (grant || bytes <= some || fetching.bytes_min > 1 || fetching.grown > 0) return grant;
    context.pool.forget(PoolClass::response, fetching.id);
    return context.pool.ask(PoolClass::response, fetching.frame_bound + some, fetching.id, asker);
}

namespace {

void tell(const Context& context, const Fetching& fetching, const FetchedPartition& from,
          Response::PartitionData& to, bool& told_leader) {
    to.partition_index = from.partition;
    to.error_code = from.error;
    to.preferred_read_replica = -1;
    to.aborted_transactions = nullptr;
    if (from.error == wire::ErrorCode::none) {
        to.high_watermark = from.high_watermark;
        to.last_stable_offset =
            from.high_watermark;  // no transactions yet: everything durable is stable
        to.log_start_offset = from.log_start;
        to.diverging_epoch = from.diverging;
        if (fetching.read_committed) to.aborted_transactions = {};
    } else {
        to.high_watermark = to.last_stable_offset = to.log_start_offset = -1;
        if (from.error == wire::ErrorCode::fenced_leader_epoch &&
            fetching.address.version >= leaders_since) {
            to.current_leader = {context.settings.node_id,
                                 context.topics.registry.epochs.current()};
            told_leader = true;  // KIP-951: Kafka also says where that leader is
        }
    }
    if (from.size > 0) to.records = wire::BytesView::elsewhere(from.size);
}

Response::NodeEndpoint node_endpoint(const Context& context) {
    return {.node_id = context.settings.node_id,
            .host = context.settings.host,
            .port = context.settings.port,
            .rack = nullptr};
}

/// Where the run of one topic's partitions ends that begins at `first` of those chosen. In a
/// session, which begins anywhere, the same topic may come again at the end.
std::size_t end_of_run(const Fetching& fetching, std::size_t first) {
    const auto topic_of = [&](std::size_t i) {
        return fetching.partitions[fetching.chosen[i]].topic;
    };
    std::size_t end = first + 1;
    while (end < fetching.chosen.size() && topic_of(end) == topic_of(first)) ++end;
    return end;
}

/// An answer of thousands of partitions and no record: in turns, topic by topic.
class Telling final : public Sliced {
public:
    Telling() { per_turn = 256; }
    Step step(Context& context, log::CommitId&) override {
        if (next_ == fetching.chosen.size()) return Step::end;
        const std::size_t end = end_of_run(fetching, next_);
        partitions_.assign(end - next_, {});
        const std::uint32_t topic = fetching.partitions[fetching.chosen[next_]].topic;
        for (Response::PartitionData& to : partitions_)
            tell(context, fetching, fetching.partitions[fetching.chosen[next_++]], to,
                 told_leader_);
        Response::FetchableTopicResponse one;
        one.topic = fetching.topics[topic].name;
        one.topic_id = fetching.topics[topic].id;
        one.partitions = partitions_;
        answer.add(address.version, one);
        return Step::done;
    }
    void finish(Context& context, bool) override {
        const Response::NodeEndpoint self = node_endpoint(context);
        if (told_leader_) answer.response.node_endpoints = std::span(&self, 1);
        answer.send(context, address);
    }

    Fetching fetching;
    LongAnswer<Response, Response::FetchableTopicResponse> answer{&Response::responses};

private:
    std::size_t next_ = 0;
    bool told_leader_ = false;
    std::vector<Response::PartitionData> partitions_;
};

}  // namespace

void send_fetch_frame(Context& context, Fetching& fetching) {
    constexpr std::size_t partitions_at_once = 1024;
    if (fetching.total == 0 && fetching.chosen.size() > partitions_at_once) {
        charge_fetch(context, fetching.address, 0);
        auto telling = std::make_shared<Telling>();
        telling->address = std::move(fetching.address);
        telling->fetching = std::move(fetching);
        telling->fetching.address.version = telling->address.version;
        telling->answer.response.session_id = telling->fetching.session_id;
        return run_slices(context, std::move(telling));
    }
    std::vector<Response::PartitionData> partitions(fetching.chosen.size());
    std::vector<Response::FetchableTopicResponse> topics;
    bool told_leader = false;
    for (std::size_t i = 0; i < partitions.size(); ++i)
        tell(context, fetching, fetching.partitions[fetching.chosen[i]], partitions[i],
             told_leader);
    for (std::size_t first = 0; first < partitions.size();) {
        const std::size_t end = end_of_run(fetching, first);
        const FetchedTopic& from =
            fetching.topics[fetching.partitions[fetching.chosen[first]].topic];
        Response::FetchableTopicResponse& one = topics.emplace_back();
        one.topic = from.name;
        one.topic_id = from.id;
        one.partitions =
            std::span<const Response::PartitionData>(partitions).subspan(first, end - first);
        first = end;
    }
    Response response;
    response.responses = topics;
    response.session_id = fetching.session_id;
    const Response::NodeEndpoint self = node_endpoint(context);
    if (told_leader) response.node_endpoints = std::span(&self, 1);
    charge_fetch(context, fetching.address, fetching.total);
    if (fetching.total == 0) return answer(context, fetching.address, response);
    response.throttle_time_ms = throttle_time_ms(context, fetching.address.reply);

    // The message without records goes to a scratch, then piece by piece to its places.
    const std::int16_t version = fetching.address.version;
    const std::size_t head =
        wire::frame_prefix_size + wire::response_header_size(wire::ApiKey::fetch, version);
    std::vector<std::uint8_t> message(fetching.frame_bound);
    std::vector<wire::Gap> gaps(partitions.size());
    const auto header =
        wire::encode_response_header(wire::ApiKey::fetch, version, fetching.address.correlation_id,
                                     MutableBytes(message).subspan(wire::frame_prefix_size));
    const auto apart =
        wire::encode_apart(response, version, MutableBytes(message).subspan(head), gaps);
    LEAT_CHECK(header && apart && apart->gaps > 0);
    wire::put_frame_prefix(message.data(), head - wire::frame_prefix_size + apart->total);

    const MutableBytes memory = fetching.memory.all();
    std::size_t begin = 0, end = 0, gap = 0, taken = 0;
    for (const std::uint32_t index : fetching.chosen) {
        const FetchedPartition& partition = fetching.partitions[index];
        if (partition.size == 0) continue;
        const std::size_t upto = head + gaps[gap].at;
        const std::size_t piece = upto - taken;
        if (gap == 0) {
            LEAT_CHECK(piece <= partition.at);
            begin = partition.at - piece;
            end = partition.at + partition.size;
            std::memcpy(memory.data() + begin, message.data(), piece);
        } else {
            LEAT_CHECK(end + piece <= partition.at);
            std::memcpy(memory.data() + end, message.data() + taken, piece);
            std::memmove(memory.data() + end + piece, memory.data() + partition.at, partition.size);
            end += piece + partition.size;
        }
        taken = upto;
        ++gap;
    }
    const std::size_t rest = head + apart->written - taken;
    LEAT_CHECK(rest <= memory.size() - end);
    std::memcpy(memory.data() + end, message.data() + taken, rest);
    fetching.memory.narrow(begin, end + rest);
    fetching.memory.grant().shrink(fetching.memory.size());
    // What was asked for once more is room for all that the client allows, and it may be long until
    // the client has read this.
    if (fetching.again && fetching.memory.size() < memory.size() / 2)
        fetching.memory = session::Buffer::copy_of(fetching.memory.bytes(),
                                                   std::move(fetching.memory.grant()));
    fetching.address.reply.send(std::move(fetching.memory));
}

}  // namespace leat::api
