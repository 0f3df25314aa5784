#include "sdk/cluster/admin.hpp"

#include "sdk/cluster/admin_operation.hpp"

namespace leat::cluster {

Admin::Admin(Router& router, const client::BackoffConfig& retry, std::uint32_t seed)
    : router_(router), retry_(retry), jitter_(seed) {
    router_.add(*this);
}

Admin::~Admin() {
    for (const auto& [id, operation] : operations_) operation->end(router_);
    router_.remove(*this);
}

AdminId Admin::start(Instant now, std::unique_ptr<Operation> operation, const Options& options) {
    const AdminId id = next_id_++;
    operation->answer.id = id;
    operation->deadline = now + options.timeout;
    operation->not_before = now;
    operations_[id] = std::move(operation);
    router_.pump(now);
    return id;
}

AdminId Admin::create_topics(Instant now, std::vector<NewTopic> topics, const Options& options) {
    return start(now, make_create(std::move(topics), options), options);
}
AdminId Admin::delete_topics(Instant now, std::vector<std::string> names, const Options& options) {
    return start(now, make_delete(std::move(names), options), options);
}
AdminId Admin::describe(Instant now, std::optional<std::vector<std::string>> topics,
                        const Options& options) {
    return start(now, make_describe(std::move(topics)), options);
}
AdminId Admin::describe_configs(Instant now, ConfigResource kind, std::string name,
                                const Options& options) {
    return start(now, make_describe_configs(kind, std::move(name)), options);
}
AdminId Admin::list_offsets(Instant now, std::string topic, std::vector<std::int32_t> partitions,
                            std::int64_t timestamp, const Options& options) {
    router_.want(now, topic);
    return start(now, make_list_offsets(std::move(topic), partitions, timestamp), options);
}
AdminId Admin::epoch_ends(Instant now, std::string topic,
                          std::map<std::int32_t, std::int32_t> epochs, const Options& options) {
    router_.want(now, topic);
    return start(now, make_epoch_ends(std::move(topic), std::move(epochs)), options);
}
AdminId Admin::describe_producers(Instant now, std::string topic,
                                  std::vector<std::int32_t> partitions, const Options& options) {
    router_.want(now, topic);
    return start(now, make_describe_producers(std::move(topic), partitions), options);
}
AdminId Admin::list_config_resources(Instant now, std::vector<std::int8_t> kinds,
                                     const Options& options) {
    return start(now, make_list_config_resources(std::move(kinds)), options);
}
AdminId Admin::delete_records(Instant now, std::string topic,
                              std::map<std::int32_t, std::int64_t> before, const Options& options) {
    router_.want(now, topic);
    return start(now, make_delete_records(std::move(topic), std::move(before)), options);
}
AdminId Admin::describe_log_dirs(Instant now, const Options& options) {
    router_.refresh_metadata(now);  // which brokers there are
    return start(now, make_describe_log_dirs(), options);
}
AdminId Admin::describe_quotas(Instant now, std::vector<QuotaFilter> filters,
                               const Options& options) {
    return start(now, make_describe_quotas(std::move(filters)), options);
}
AdminId Admin::alter_quotas(Instant now, QuotaEntity entity, std::vector<QuotaChange> changes,
                            const Options& options) {
    return start(now, make_alter_quotas(std::move(entity), std::move(changes), options), options);
}

AdminId Admin::alter_configs(Instant now, ConfigResource kind, std::string name,
                             std::vector<ConfigChange> changes, const Options& options) {
    return start(now, make_alter_configs(kind, std::move(name), std::move(changes), options),
                 options);
}
AdminId Admin::create_partitions(Instant now, std::string topic, std::int32_t total,
                                 const Options& options) {
    return start(now, make_create_partitions(std::move(topic), total, options), options);
}
AdminId Admin::list_groups(Instant now, const Options& options) {
    router_.refresh_metadata(now);  // which brokers there are
    return start(now, make_list_groups(), options);
}
AdminId Admin::describe_group(Instant now, std::string group, const Options& options) {
    return start(now, make_describe_group(std::move(group)), options);
}
AdminId Admin::delete_group(Instant now, std::string group, const Options& options) {
    return start(now, make_delete_group(std::move(group)), options);
}
AdminId Admin::group_offsets(Instant now, std::string group, const Options& options) {
    return start(now, make_group_offsets(std::move(group)), options);
}
AdminId Admin::alter_group_offsets(Instant now, std::string group, Offsets offsets,
                                   const Options& options) {
    return start(now, make_alter_group_offsets(std::move(group), std::move(offsets)), options);
}
AdminId Admin::delete_group_offsets(Instant now, std::string group, Partitions partitions,
                                    const Options& options) {
    return start(now, make_delete_group_offsets(std::move(group), std::move(partitions)), options);
}

void Admin::pump(Instant now, Router& router) {
    std::vector<AdminId> ended;
    pumped_at_ = now;
    for (const auto& [id, operation] : operations_) {
        if (operation->deadline <= now) {
            operation->answer.status = fail(Error::timed_out);
            ended.push_back(id);
            continue;
        }
        if (operation->in_flight > 0 || operation->not_before > now) continue;
        operation->is_backing_off = false;
        const Status sent = operation->send(now, router, *this);
        if (sent) {
            operation->blocked_since.reset();
            continue;
        }
        if (sent.error() == Error::would_block || sent.error() == Error::disconnected) {
            std::optional<Instant>& since = operation->blocked_since;
            if (since && *since + retry_.max <= now) {
                operation->forget_target();
                router.refresh_metadata(now);
                since = now;
            }
            if (!since) since = now;
            continue;
        }
        operation->answer.status = sent;
        ended.push_back(id);
    }
    for (AdminId id : ended) finish(id);
}

void Admin::on_answer(Instant now, Router& router, const client::Event& event,
                      std::uint64_t context) {
    const auto found = operations_.find(context);
    if (found == operations_.end()) return;  // it ended by its deadline
    Operation& operation = *found->second;
    --operation.in_flight;
    // Lost on the way: asked again. Whether a lost CreateTopics was carried out shows in the next
    // answer.
    const Operation::Verdict verdict = event.kind == client::Event::Kind::response
                                           ? operation.read(event)
                                           : Operation::Verdict::again;
    if (verdict == Operation::Verdict::done ||
        (verdict == Operation::Verdict::waiting && operation.is_complete(router)))
        return finish(context);
    if (event.kind != client::Event::Kind::response) operation.forget_target();
    if (verdict == Operation::Verdict::again) {
        router.refresh_metadata(now);  // the controller or a leader may be another one
        operation.not_before = now + backoff_delay(retry_, ++operation.failures, jitter_);
        operation.is_backing_off = true;
    }
}

Instant Admin::deadline() const {
    Instant first = never;
    for (const auto& [id, operation] : operations_) {
        first = earlier(first, operation->deadline);
        // What was due at the last pump and stands hears of a connection by the next pump.
        if (operation->blocked_since && *operation->blocked_since + retry_.max > pumped_at_)
            first = earlier(first, *operation->blocked_since + retry_.max);
        if (operation->is_backing_off) first = earlier(first, operation->not_before);
    }
    return first;
}

void Admin::finish(AdminId id) {
    const auto found = operations_.find(id);
    found->second->end(router_);
    answers_.push_back(std::move(found->second->answer));
    operations_.erase(found);
}

std::optional<AdminAnswer> Admin::poll_answer() {
    if (answers_.empty()) return std::nullopt;
    AdminAnswer answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
}

}  // namespace leat::cluster
