#include "broker/uplink/recall.hpp"

#include <algorithm>
#include <span>

#include "sdk/wire/api/61_describe_producers.hpp"

namespace leat::uplink {
namespace {

// Who hangs up on the question must not be asked for ever: delivering is what matters.
constexpr unsigned failures_max = 3;

Recall::Knows read(const wire::DescribeProducersResponse& answer, std::int64_t producer_id) {
    for (const auto& topic : answer.topics)
        for (const auto& partition : topic.partitions) {
            if (partition.error_code != wire::ErrorCode::none) return Recall::Knows::untold;
            for (const auto& producer : partition.active_producers)
                if (producer.producer_id == producer_id) return Recall::Knows::yes;
            return Recall::Knows::no;
        }
    return Recall::Knows::untold;
}

}  // namespace

Recall::Knows Recall::knows(const std::string& topic, std::int32_t partition,
                            std::int64_t producer_id) {
    const auto [at, is_new] = questions_.try_emplace({topic, partition});
    Question& question = at->second;
    if (is_new) {
        question.producer_id = producer_id;
        unsent_.push_back(at->first);
        return Knows::begun;
    }
    const Knows answer = question.answer;
    if (answer != Knows::asked) questions_.erase(at);
    return answer;
}

void Recall::pump(Instant now, cluster::Router& router) {
    for (std::size_t turns = unsent_.size(); turns > 0; --turns) {
        Place place = std::move(unsent_.front());
        unsent_.pop_front();
        const std::int32_t partitions[] = {place.second};
        wire::DescribeProducersRequest::TopicRequest topics[1];
        topics[0].name = place.first;
        topics[0].partition_indexes = std::span(partitions);
        wire::DescribeProducersRequest request;
        request.topics = std::span(topics);
        const std::uint64_t context = next_context_++;
        const Status sent = router.send(now, *this, context,
                                        {.kind = cluster::Target::Kind::leader,
                                         .topic = place.first,
                                         .partition = place.second},
                                        request);
        if (sent)
            sent_.emplace(context, std::move(place));
        else if (sent.error() == Error::would_block)
            unsent_.push_back(std::move(place));
        else
            questions_[place].answer = Knows::untold;
    }
}

void Recall::on_answer(Instant, cluster::Router&, const client::Event& event,
                       std::uint64_t context) {
    const auto found = sent_.find(context);
    if (found == sent_.end()) return;
    Place place = std::move(found->second);
    sent_.erase(found);
    Question& question = questions_[place];
    if (event.kind != client::Event::Kind::response && ++question.failures < failures_max) {
        unsent_.push_back(std::move(place));
        return;
    }
    question.answer = Knows::untold;
    if (event.kind != client::Event::Kind::response) return;
    const auto answer =
        wire::decode<wire::DescribeProducersResponse>(event.body, event.api_version);
    if (answer) question.answer = read(*answer, question.producer_id);
}

}  // namespace leat::uplink
