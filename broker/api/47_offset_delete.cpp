// OffsetDelete (key 47): single positions of a group; answered when durable. In turns: some
// positions at a time.
#include "sdk/wire/api/47_offset_delete.hpp"

#include "broker/api/errors_told.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetDeleteRequest;
using Response = wire::OffsetDeleteResponse;

constexpr std::size_t positions_per_turn = 128;  // of 2 us, where each is of another topic

struct Asked {
    struct Place {
        wire::Array<Request::OffsetDeleteRequestTopic>::Iterator topic;
        std::size_t partition = 0;  ///< of that topic, so many are done
        bool begun = false;         ///< it has a place in the answer
    };

    std::int16_t version = 0;
    std::optional<Request> request = {};  ///< views the body
    Place at = {};
    ErrorCode error = ErrorCode::none;
    PartitionErrors errors = {};  ///< of what stands before `at`

    std::optional<Ran> run(Context& context, ByteView body);
    void send(Context& context, Address& address, bool durable);
    std::vector<groups::Groups::PartitionName> take(Place& next, PartitionErrors& more) const;
};

/// Those that are next: `next` moves behind them.
std::vector<groups::Groups::PartitionName> Asked::take(Place& next, PartitionErrors& more) const {
    std::vector<groups::Groups::PartitionName> names;
    for (std::size_t taken = 0; next.topic != request->topics.end(); ++next.topic) {
        if (taken++ == positions_per_turn) return names;
        const auto& topic = *next.topic;
        more.topic(topic.name.view(), std::min(topic.partitions.size(), positions_per_turn));
        next.begun = true;
        std::size_t number = 0;
        for (const auto& one : topic.partitions) {
            if (number++ < next.partition) continue;
            if (names.size() == positions_per_turn) return names;
            ++next.partition;
            more.partition(one.partition_index);
            names.push_back({topic.name.view(), one.partition_index});
        }
        next.partition = 0;
        next.begun = false;
    }
    return names;
}

std::optional<Ran> Asked::run(Context& context, ByteView body) {
    if (!request) {
        const auto decoded = wire::decode_front<Request>(body, version);
        if (!decoded) return std::nullopt;
        request = *decoded;
        at.topic = request->topics.begin();
    }
    Place next = at;
    PartitionErrors more;
    const auto names = take(next, more);
    auto written = context.groups.delete_offsets(context.now, request->group_id.view(), names);
    if (written.again) return written;  // the same once more
    // Of the group only as a whole: later it may have gone, or have got members.
    const bool first = at.topic == request->topics.begin() && at.partition == 0;
    if (first && written.error != ErrorCode::none) {
        error = written.error;
        return written;
    }
    if (written.error != ErrorCode::none)
        more.settle(written.error);
    else
        more.settle(written.each);
    errors.append(std::move(more), at.begun);
    at = next;
    return Ran{std::move(written), at.topic != request->topics.end()};
}

void Asked::send(Context& context, Address& address, bool durable) {
    if (error != ErrorCode::none) {
        Response response;
        response.error_code = error;
        return answer(context, address, response);
    }
    tell_errors<Response, Response::OffsetDeleteResponseTopic,
                Response::OffsetDeleteResponsePartition>(context, address, &Response::topics,
                                                         std::move(errors), durable);
}

}  // namespace

void offset_delete(Context& context, Call call) {
    if (!read<Request>(context, call)) return;
    const std::int16_t version = call.version;
    write_groups(context, std::move(call), Asked{.version = version});
}

}  // namespace leat::api
