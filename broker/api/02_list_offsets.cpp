// ListOffsets (key 2): latest (-1), earliest (-2), of the largest timestamp (-3, v7), or by
// timestamp. All of a log is local: earliest local (-4, v8) is earliest, and there is no last
// tiered offset (-5, v9) and none whose upload is pending (-6, v11).
#include "sdk/wire/api/02_list_offsets.hpp"

#include <memory>
#include <vector>

#include "broker/api/handlers.hpp"
#include "broker/api/parked_lookups.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

constexpr std::int64_t lowest_name(std::int16_t version) {
    return version >= 11 ? -6 : version >= 9 ? -5 : version >= 8 ? -4 : version >= 7 ? -3 : -2;
}

using wire::ErrorCode;
using Request = wire::ListOffsetsRequest;

/// Topic by topic: first which partitions are named twice, then what each is asked for.
class Reading final : public SlicedRequest<Request> {
public:
    Reading() { per_turn = 64; }
    void begin() { topic_ = request.topics.begin(); }
    Step step(Context& context, log::CommitId&) override {
        if (topic_ == request.topics.end() || !address.reply.alive()) return Step::end;
        const auto* found = context.topics.registry.find(topic_->name.view());
        const std::size_t there = found != nullptr ? found->partitions.size() : 0;
        if (pass_ == Pass::begin) {
            times_.clear();
            lookup_->topics.emplace_back().name = topic_->name.view();
            next_pass(Pass::look);
        }
        // It may have been made anew since the last turn.
        times_.resize(there);
        for (int i = 0; i < some && partition_ != topic_->partitions.end(); ++i, ++partition_)
            pass_ == Pass::look ? look(found) : ask(context, found);
        if (partition_ != topic_->partitions.end()) return Step::done;
        if (pass_ == Pass::look) return next_pass(Pass::ask), Step::done;
        pass_ = Pass::begin;
        ++topic_;
        return Step::done;
    }
    void finish(Context& context, bool) override {
        if (!address.reply.alive()) return;
        address.reply.release_session();  // what is asked next need not wait for the log's reads
        lookup_->address = std::move(address);
        context.lookups.start(context, std::move(lookup_));
    }

private:
    static constexpr int some = 32;
    enum class Pass : std::uint8_t { begin, look, ask };
    void next_pass(Pass pass) {
        pass_ = pass;
        partition_ = topic_->partitions.begin();
    }
    void look(const topics::Topic* found) {
        if (found == nullptr || !found->has(partition_->partition_index)) return;
        std::uint8_t& times = times_[static_cast<std::size_t>(partition_->partition_index)];
        times |= static_cast<std::uint8_t>(times + 1);  // 1, and then 3
    }
    void ask(Context& context, const topics::Topic* found) {
        LookedUp& one = lookup_->topics.back().partitions.emplace_back();
        one.partition = partition_->partition_index;
        one.target = partition_->timestamp;
        const bool exists = found != nullptr && found->has(one.partition);
        // One that is named twice is answered twice, and refused both times, as Kafka does.
        if (exists && times_[static_cast<std::size_t>(one.partition)] > 1)
            one.error = ErrorCode::invalid_request;
        else if (one.target < lowest_name(address.version))
            one.error = ErrorCode::unsupported_version;  // a name that this version does not have
        else if (!exists)
            one.error = ErrorCode::unknown_topic_or_partition;
        else
            one.error = context.topics.registry.epochs.check(partition_->current_leader_epoch);
        if (one.error == ErrorCode::none)
            one.stream = found->partitions[static_cast<std::size_t>(one.partition)];
    }

    wire::Array<Request::ListOffsetsTopic>::Iterator topic_;
    wire::Array<Request::ListOffsetsPartition>::Iterator partition_;  // of the topic at `topic_`
    Pass pass_ = Pass::begin;
    std::vector<std::uint8_t> times_;  // that each partition is named
    std::unique_ptr<Lookup> lookup_ = std::make_unique<Lookup>();
};

}  // namespace

void list_offsets(Context& context, Call call) {
    auto reading = std::make_shared<Reading>();
    if (!reading->keep(context, call)) return;
    reading->begin();
    run_slices(context, std::move(reading));
}

}  // namespace leat::api
