// Metadata (key 3): this one node, and the topics asked for. A topic that may be created by asking
// is created now, and the answer waits until that is durable: what it names can be used at once.
#include "sdk/wire/api/03_metadata.hpp"

#include <algorithm>
#include <set>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/operations.hpp"
#include "broker/api/slices.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Response = wire::MetadataResponse;

struct Asked {
    bool by_id = false;
    topics::TopicId id{};
    std::string_view name;
};

struct Question {
    bool all = false;
    bool topic_operations = false, cluster_operations = false;
    std::vector<Asked> topics;
    session::Buffer frame;  // what the names view
};

/// Looks at what was asked for, topic by topic, and answers.
class Telling final : public Sliced {
public:
    Telling() { per_turn = 256; }
    void begin(const Context& context) {
        Response& response = answer_.response;
        if (question.cluster_operations)
            response.cluster_authorized_operations = all_cluster_operations;
        broker_.node_id = context.settings.node_id;
        broker_.host = context.settings.host;
        broker_.port = context.settings.port;
        response.brokers = std::span(&broker_, 1);
        response.cluster_id = context.settings.cluster_id;
        response.controller_id = context.settings.node_id;
    }
    Step step(Context& context, log::CommitId&) override {
        const topics::Registry& registry = context.topics.registry;
        if (question.all) {
            const auto at = next_ == 0 ? registry.all().begin() : registry.all().upper_bound(last_);
            if (at == registry.all().end()) return Step::end;
            last_ = at->first;  // it may be gone at the next turn
            add(context, *at->second);
        } else {
            if (next_ == question.topics.size()) return Step::end;
            const Asked& asked = question.topics[next_];
            if (once_.emplace(asked.name, asked.id).second) add(context, asked);
        }
        ++next_;
        return Step::done;
    }
    void finish(Context& context, bool) override { answer_.send(context, address); }

    Question question;

private:
    void add(Context& context, const Asked& asked) {
        const topics::Registry& registry = context.topics.registry;
        const topics::Topic* topic =
            asked.by_id ? registry.find(asked.id) : registry.find(asked.name);
        if (topic != nullptr) return add(context, *topic);
        Topic one;
        one.name = asked.name;
        one.is_internal = topics::is_internal_topic(asked.name);
        if (asked.by_id) {
            one.error_code = ErrorCode::unknown_topic_id;
            one.topic_id = {asked.id};
            if (address.version >= 12) one.name = nullptr;
        } else {
            one.error_code = topics::topic_name_problem(asked.name) != nullptr
                                 ? ErrorCode::invalid_topic_exception
                                 : ErrorCode::unknown_topic_or_partition;
            if (question.topic_operations) one.topic_authorized_operations = all_topic_operations;
        }
        answer_.add(address.version, one);
    }
    void add(Context& context, const topics::Topic& topic) {
        partitions_.clear();
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            Response::MetadataResponsePartition& one = partitions_.emplace_back();
            one.partition_index = static_cast<std::int32_t>(i);
            one.leader_id = context.settings.node_id;
            one.leader_epoch = context.topics.registry.epochs.current();
            one.replica_nodes = std::span(&context.settings.node_id, 1);
            one.isr_nodes = std::span(&context.settings.node_id, 1);
        }
        Topic one;
        one.name = topic.name;
        one.topic_id = {topic.id};
        one.is_internal = topic.internal;
        one.partitions = partitions_;
        if (question.topic_operations) one.topic_authorized_operations = all_topic_operations;
        answer_.add(address.version, one);
    }

    using Topic = Response::MetadataResponseTopic;
    std::size_t next_ = 0;
    std::set<std::pair<std::string_view, topics::TopicId>> once_;  // as Kafka: twice is once
    std::string last_;
    Response::MetadataResponseBroker broker_;
    std::vector<Response::MetadataResponsePartition> partitions_;  // of one topic
    LongAnswer<Response, Topic> answer_{&Response::topics};
};

void answer_metadata(Context& context, Address& address, Question& question) {
    auto telling = std::make_shared<Telling>();
    telling->question = std::move(question);
    telling->address = std::move(address);
    telling->begin(context);
    run_slices(context, std::move(telling));
}

/// Names may be null and ids given from v12 on; v10 and v11 only have the fields.
constexpr std::int16_t names_or_ids_since = 12;

void refuse_all(Context& context, Call& call, const wire::MetadataRequest& request) {
    std::vector<Response::MetadataResponseTopic> refused;
    for (const auto& topic : request.topics) {
        Response::MetadataResponseTopic& one = refused.emplace_back();
        one.name = topic.name.view();
        one.topic_id = topic.topic_id;
        one.error_code = ErrorCode::invalid_request;
    }
    Response response;
    response.topics = refused;
    answer(context, call, response);
}

/// Creates what is missing and may be created, then answers.
class Auto final : public Sliced {
public:
    Step step(Context& context, log::CommitId& commit) override {
        if (next_ == question.topics.size()) return Step::end;
        const Asked& asked = question.topics[next_];
        topics::Registry& registry = context.topics.registry;
        const topics::Topic* topic = asked.by_id ? nullptr : registry.find(asked.name);
        if (topic == nullptr && !asked.by_id && topics::topic_name_problem(asked.name) == nullptr &&
            registry.find_collision(asked.name) == nullptr &&
            (paid_ || tried_.insert(asked.name).second) && may_create(context)) {
            topics::TopicConfig config = registry.new_config();
            const bool internal = topics::is_internal_topic(asked.name);
            if (internal) (void)config.set("cleanup.policy", "compact");
            const auto created = registry.create(context.now, asked.name,
                                                 internal ? 1 : context.settings.num_partitions,
                                                 std::move(config));
            if (!created && created.error() == Error::would_block) return Step::blocked;
            // What cannot be made is answered as unknown: the client asks again.
            if (created) topic = *created;
        }
        if (topic != nullptr) commit = std::max(commit, topic->created);
        ++next_;
        paid_ = false;
        return Step::done;
    }
    void finish(Context& context, bool) override { answer_metadata(context, address, question); }

    Question question;

private:
    /// Beyond the client's quota (KIP-599) nothing is made, and it asks again; it is not kept from
    /// asking, as its producing goes over the same connection.
    bool may_create(Context& context) {
        paid_ = paid_ || context.quotas.mutate(
                             context.now, address.payer,
                             static_cast<std::size_t>(context.settings.num_partitions),
                             quotas::Quotas::Debt::refused) == milliseconds(0);
        return paid_;
    }

    std::size_t next_ = 0;
    bool paid_ = false;  // for the one at `next_`
    std::set<std::string_view> tried_;  // what cannot be made is paid for once, and named often
};

}  // namespace

void metadata(Context& context, Call call) {
    // Kept, and so counted, as long as the names: a megabyte of these on each of 100 connections was
    // 250 MB beside the byte pool.
    Question question;
    const auto head = static_cast<std::size_t>(call.body.data() - call.request.frame().data());
    const std::size_t size = call.body.size();
    question.frame = call.request.keep();
    call.body = question.frame.bytes().subspan(head, size);
    const auto request = read<wire::MetadataRequest>(context, call);
    if (!request) return;
    if (call.version < names_or_ids_since)
        for (const auto& topic : request->topics)
            if (topic.name.is_null() || !topic.topic_id.is_zero())
                return refuse_all(context, call, *request);
    question.all = request->topics.is_null() || (call.version == 0 && request->topics.empty());
    question.topic_operations = request->include_topic_authorized_operations;
    question.cluster_operations = request->include_cluster_authorized_operations;
    for (const auto& topic : request->topics) {
        Asked& asked = question.topics.emplace_back();
        // As Kafka: a name beside an id is not looked at.
        asked.by_id = topic.name.is_null() || !topic.topic_id.is_zero();
        asked.id = topic.topic_id.bytes;
        if (!topic.name.is_null()) asked.name = topic.name.view();
    }
    Address address = address_of(call);
    if (!context.settings.auto_create_topics || !request->allow_auto_topic_creation)
        return answer_metadata(context, address, question);
    auto asked = std::make_shared<Auto>();
    asked->question = std::move(question);
    asked->address = std::move(address);
    run_slices(context, std::move(asked));
}

}  // namespace leat::api
