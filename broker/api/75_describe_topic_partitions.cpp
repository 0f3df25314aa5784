// DescribeTopicPartitions (key 75, KIP-966): topics by name, so many partitions a page, and a
// cursor for the rest. Never creates a topic. In turns: topic by topic.
#include "sdk/wire/api/75_describe_topic_partitions.hpp"

#include <algorithm>
#include <set>

#include "broker/api/each_described.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/operations.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::DescribeTopicPartitionsRequest;
using Response = wire::DescribeTopicPartitionsResponse;
using Topic = Response::DescribeTopicPartitionsResponseTopic;

class Describing final : public SlicedRequest<Request> {
public:
    Describing() { per_turn = 128; }
    void begin() {
        asked_ = request.topics.begin();
        left_ = static_cast<std::size_t>(
            std::clamp(request.response_partition_limit, 1, page_partitions_max));
    }
    Step step(Context& context, log::CommitId&) override;
    void finish(Context& context, bool) override {
        gathered_.release();
        if (address.reply.alive()) answer_.send(context, address);
    }

private:
    bool continues() const { return request.cursor_mark >= 0; }
    bool has_bad_cursor() const {
        return continues() &&
               (request.cursor.partition_index < 0 ||
                (!request.topics.empty() && !names_.contains(request.cursor.topic_name.view())));
    }
    Step refuse_next();
    /// Those that were asked for, or all there are; by name.
    std::optional<std::string> next_name(const topics::Registry& registry) const;
    bool tell(Context& context, const std::string& name);
    void stop_before(const std::string& name, std::size_t partition);

    wire::Array<Request::TopicRequest>::Iterator asked_;
    std::set<std::string_view> names_;
    bool begun_ = false, refused_ = false;
    std::optional<std::string> last_;
    std::size_t left_ = 0;
    std::string cursor_;
    std::vector<Topic::DescribeTopicPartitionsResponsePartition> partitions_;
    LongAnswer<Response, Topic> answer_{&Response::topics};
    Gathered gathered_;
};

Sliced::Step Describing::step(Context& context, log::CommitId&) {
    if (!address.reply.alive()) return Step::end;
    if (!begun_) {  // some at a time: they are a page only when all are known
        if (asked_ != request.topics.end()) {
            names_.insert((*asked_).name.view());
            ++asked_;
            return Step::done;
        }
        begun_ = true;
        refused_ = has_bad_cursor();
        asked_ = request.topics.begin();
    }
    if (refused_) return refuse_next();
    const auto name = next_name(context.topics.registry);
    if (!name) return Step::end;
    // Whether it exists is not looked at: as Kafka, the next page tells.
    if (left_ == 0) return stop_before(*name, 0), Step::end;
    const bool whole = tell(context, *name);
    last_ = name;
    return whole && gathered_.may_grow(context, address.reply, answer_.bytes()) ? Step::done
                                                                                : Step::end;
}

// v0 has no error for all: each topic says it.
Sliced::Step Describing::refuse_next() {
    if (asked_ == request.topics.end()) return Step::end;
    Topic one;
    one.name = (*asked_).name;
    one.error_code = ErrorCode::invalid_request;
    answer_.add(address.version, one);
    ++asked_;
    return Step::done;
}

std::optional<std::string> Describing::next_name(const topics::Registry& registry) const {
    const std::string_view from = last_ ? *last_
                                        : continues() ? request.cursor.topic_name.view()
                                                      : std::string_view();
    const auto behind = [&](const auto& list) {
        return last_ ? list.upper_bound(from) : list.lower_bound(from);
    };
    if (request.topics.empty()) {
        const auto at = behind(registry.all());
        if (at != registry.all().end()) return at->first;
    } else if (const auto at = behind(names_); at != names_.end()) {
        return std::string(*at);
    }
    return std::nullopt;
}

// false: not all of its partitions have their place on this page.
bool Describing::tell(Context& context, const std::string& name) {
    const topics::Registry& registry = context.topics.registry;
    const topics::Topic* topic = registry.find(name);
    Topic one;
    one.name = name;
    one.topic_authorized_operations = all_topic_operations;
    one.is_internal = topics::is_internal_topic(name);
    if (topic == nullptr) {
        one.error_code = topics::topic_name_problem(name) != nullptr
                             ? ErrorCode::invalid_topic_exception
                             : ErrorCode::unknown_topic_or_partition;
        answer_.add(address.version, one);
        return true;
    }
    one.topic_id = {topic->id};
    std::size_t index = 0;
    if (continues() && name == request.cursor.topic_name.view())
        index = static_cast<std::size_t>(request.cursor.partition_index);
    partitions_.clear();
    for (; index < topic->partitions.size() && left_ > 0; ++index, --left_) {
        auto& to = partitions_.emplace_back();
        to.partition_index = static_cast<std::int32_t>(index);
        to.leader_id = context.settings.node_id;
        to.leader_epoch = registry.epochs.current();
        to.replica_nodes = std::span(&context.settings.node_id, 1);
        to.isr_nodes = std::span(&context.settings.node_id, 1);
    }
    one.partitions = partitions_;
    answer_.add(address.version, one);
    if (index >= topic->partitions.size()) return true;
    stop_before(name, index);
    return false;
}

void Describing::stop_before(const std::string& name, std::size_t partition) {
    cursor_ = name;
    answer_.response.next_cursor_mark = 1;
    answer_.response.next_cursor = {cursor_, static_cast<std::int32_t>(partition)};
}

}  // namespace

void describe_topic_partitions(Context& context, Call call) {
    describe_each<Describing>(context, std::move(call));
}

}  // namespace leat::api
