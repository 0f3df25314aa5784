// DescribeLogDirs (key 35): one directory with all partitions, and the bytes of their batches. In
// turns: topic by topic.
#include "sdk/wire/api/35_describe_log_dirs.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

using Request = wire::DescribeLogDirsRequest;
using Response = wire::DescribeLogDirsResponse;
using Result = Response::DescribeLogDirsResult;

class Describing final : public SlicedRequest<Request> {
public:
    void begin(Context& context) {
        const log::LogStatus status = context.log.status();
        result_.log_dir = context.settings.log_dir;
        result_.total_bytes = static_cast<std::int64_t>(status.budget_bytes);
        result_.usable_bytes = static_cast<std::int64_t>(
            status.budget_bytes - std::min(status.budget_bytes, status.used_bytes));
        none_.results = std::span(&result_, 1);
        asked_ = request.topics.begin();
    }
    Step step(Context& context, log::CommitId&) override {
        if (!address.reply.alive()) return Step::end;
        if (read(context.topics.registry)) return Step::done;
        const topics::Topic* topic = next(context.topics.registry);
        if (topic != nullptr) add(context, *topic);
        return topic != nullptr ? Step::done : Step::end;
    }
    void finish(Context& context, bool) override {
        if (body_.count() == 0) return answer(context, address, none_);
        none_.throttle_time_ms = throttle_time_ms(context, address.reply);
        body_.send(context, any_response(none_, address.version), Response::versions,
                   address.correlation_id, address.reply);
    }

private:
    bool read(const topics::Registry& registry);
    const topics::Topic* next(const topics::Registry& registry);
    void add(Context& context, const topics::Topic& topic);
    bool wanted(std::size_t partition) const {
        return request.topics.is_null() ||
               (partition < at_->second.size() && at_->second[partition] != 0);
    }

    using Asked = wire::Array<Request::DescribableLogDirTopic>;
    Asked::Iterator asked_;
    wire::Array<std::int32_t>::Iterator partition_;  // of the topic at `asked_`
    bool begun_ = false;                             // that topic
    std::map<std::string, std::vector<std::uint8_t>, std::less<>> wanted_;
    decltype(wanted_)::const_iterator at_;
    std::string last_;
    Result result_;
    Response none_;
    LongBody body_;
};

/// Some of what is asked for; false: all is read. The same topic twice is one, and what is in no
/// directory is left out, as Kafka does.
bool Describing::read(const topics::Registry& registry) {
    constexpr int some = 64;
    if (asked_ == request.topics.end()) return false;
    const topics::Topic* topic = registry.find(asked_->topic.view());
    if (!std::exchange(begun_, true)) partition_ = asked_->partitions.begin();
    std::vector<std::uint8_t>* mine = nullptr;
    if (topic != nullptr) {
        mine = &wanted_[topic->name];
        mine->resize(topic->partitions.size());
    }
    for (int i = 0; i < some && partition_ != asked_->partitions.end(); ++i, ++partition_)
        if (topic != nullptr && topic->has(*partition_))
            (*mine)[static_cast<std::size_t>(*partition_)] = 1;
    if (partition_ == asked_->partitions.end()) {
        ++asked_;
        begun_ = false;
    }
    return true;
}

/// By name, as it is at this turn; null: that were all.
const topics::Topic* Describing::next(const topics::Registry& registry) {
    if (request.topics.is_null()) {
        const auto at = last_.empty() ? registry.all().begin() : registry.all().upper_bound(last_);
        if (at == registry.all().end()) return nullptr;
        last_ = at->first;
        return at->second.get();
    }
    for (;;) {
        at_ = last_.empty() ? wanted_.begin() : wanted_.upper_bound(last_);
        if (at_ == wanted_.end()) return nullptr;
        last_ = at_->first;
        if (const topics::Topic* topic = registry.find(last_)) return topic;
    }
}

void Describing::add(Context& context, const topics::Topic& topic) {
    std::vector<Result::DescribeLogDirsTopic::DescribeLogDirsPartition> list;
    for (std::size_t index = 0; index < topic.partitions.size(); ++index) {
        if (!wanted(index)) continue;
        const auto* state = context.log.stream(topic.partitions[index]);
        auto& one = list.emplace_back();
        one.partition_index = static_cast<std::int32_t>(index);
        one.partition_size = state == nullptr ? 0 : state->bytes;
    }
    if (list.empty()) return;
    Result::DescribeLogDirsTopic told;
    told.name = topic.name;
    told.partitions = list;
    Result result = result_;
    result.topics = std::span(&told, 1);
    Response one;
    one.results = std::span(&result, 1);
    body_.add(any_response(none_, address.version), any_response(one, address.version));
}

}  // namespace

void describe_log_dirs(Context& context, Call call) {
    auto described = std::make_shared<Describing>();
    if (!described->keep(context, call)) return;
    described->begin(context);
    run_slices(context, std::move(described));
}

}  // namespace leat::api
