// An error for each of many partitions, told topic by topic: OffsetCommit and OffsetDelete.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "broker/api/group_words.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {

template <class Response, class Topic, class Partition>
class ErrorsTold final : public Sliced {
public:
    /// More topics are told in turns.
    static constexpr int topics_per_turn = 256;

    ErrorsTold(wire::Array<Topic> Response::*topics, PartitionErrors errors, bool durable)
        : answer_(topics), errors_(std::move(errors)), durable_(durable) {
        per_turn = topics_per_turn;
    }
    Step step(Context&, log::CommitId&) override {
        return errors_.take_topic<Topic, Partition>(
                   durable_, [this](const Topic& topic) { answer_.add(address.version, topic); })
                   ? Step::done
                   : Step::end;
    }
    void finish(Context& context, bool) override {
        if (address.reply.alive()) answer_.send(context, address);
    }

private:
    LongAnswer<Response, Topic> answer_;
    PartitionErrors errors_;
    bool durable_;
};

template <class Response, class Topic, class Partition>
void tell_errors(Context& context, Address& address, wire::Array<Topic> Response::*topics,
                 PartitionErrors errors, bool durable) {
    using Told = ErrorsTold<Response, Topic, Partition>;
    if (errors.topics() > Told::topics_per_turn) {
        auto told = std::make_shared<Told>(topics, std::move(errors), durable);
        told->address = std::move(address);
        return run_slices(context, std::move(told));
    }
    errors.with_topics<Topic, Partition>(durable, [&](const auto& list) {
        Response response;
        response.*topics = list;
        answer(context, address, response);
    });
}

}  // namespace leat::api
