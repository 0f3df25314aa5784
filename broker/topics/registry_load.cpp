// The registry's start: topics from facts, and what is done about records without one.
#include <algorithm>

#include "broker/topics/registry.hpp"
#include "broker/topics/topic_fact.hpp"

namespace leat::topics {
namespace {

// The next stream id lies in a fact of its own: a deleted topic's streams are never given again.
constexpr std::string_view next_stream_key = "topics.next_stream";

}  // namespace

Status Registry::load() {
    const auto next = log_.find_fact(log::FactKind::node, bytes_of(next_stream_key));
    const bool counted = next && next->size() == 4;
    if (counted) next_stream_ = load_big<log::StreamId>(next->data());
    // It may be older than they are: damage may have taken the facts back.
    log_.for_each_stream(
        [this](log::StreamId stream) { next_stream_ = std::max(next_stream_, stream + 1); });
    Status status = ok();
    const TopicConfig fresh = new_config();
    log_.for_each_fact(log::FactKind::topic, [&](ByteView key, ByteView value) {
        if (!status) return;
        auto topic = decode_topic(key, value, fresh);
        if (!topic) {
            load_problem_ =
                std::string("the fact of a topic cannot be read: ") + error_text(topic.error());
            status = fail(Error::corrupt);
            return;
        }
        for (const log::StreamId stream : (*topic)->partitions)
            next_stream_ = std::max(next_stream_, stream + 1);
        // A deletion that was given up by the log, and the name taken again: the newer one counts.
        if (const Topic* other = find((*topic)->name); other != nullptr) {
            const bool is_newer = (*topic)->partitions > other->partitions;
            stale_.push_back(is_newer ? other->id : (*topic)->id);
            if (!is_newer) return;
            for (const log::StreamId stream : other->partitions) by_stream_.erase(stream);
            by_id_.erase(other->id);
        }
        const Topic* loaded = insert(*std::move(topic));
        if (const Status declared = declare(*loaded); !declared) {
            load_problem_ =
                "topic " + loaded->name + ": its streams: " + error_text(declared.error());
            status = fail(declared.error());
        }
    });
    if (!status) return status;
    // Without the counter, which was durable before any stream was, facts are lost: no topic was
    // deleted, and its records wait under a name that says so.
    if (!counted) return name_orphans();
    for (const log::StreamId stream : orphans()) log_.drop_stream(stream);
    return ok();
}

/// Streams of no topic. A power cut may keep the end of a topic's fact and take those of its
/// streams, which come in later commits; nobody would ever free their records.
std::vector<log::StreamId> Registry::orphans() const {
    std::vector<log::StreamId> found;
    log_.for_each_stream([&](log::StreamId stream) {
        if (stream != log::no_stream && !by_stream_.contains(stream)) found.push_back(stream);
    });
    return found;
}

Status Registry::name_orphans() {
    for (const log::StreamId stream : orphans()) {
        auto topic = std::make_unique<Topic>();
        topic->name = "recovered-" + std::to_string(stream);
        while (find_collision(topic->name) != nullptr) topic->name += "-again";
        topic->config = new_config();
        // Which time they had to stay is lost too: who finds them decides.
        (void)topic->config.set("retention.ms", "-1");
        topic->partitions.push_back(stream);
        if (const Status made = make_id(topic->id); !made) return made;
        const Topic* named = insert(std::move(topic));
        recovered_.push_back({0, named->id});
        if (const Status declared = declare(*named); !declared) {
            load_problem_ =
                "topic " + named->name + ": its stream: " + error_text(declared.error());
            return declared;
        }
    }
    return ok();
}

/// Their facts before the counter: without it a start names them again, with it they would go.
Status Registry::keep_recovered(Instant now) {
    std::erase_if(recovered_, [this](const Recovered& topic) {
        return (topic.commit != 0 && topic.commit <= log_.flushed_commit()) ||
               !by_id_.contains(topic.id);
    });
    bool put_any = false;
    for (Recovered& topic : recovered_) {
        if (topic.commit != 0) continue;
        const auto commit =
            log_.put_fact(now, log::FactKind::topic, topic.id, encode_topic(*by_id_.at(topic.id)));
        if (!commit) return fail(commit.error());
        topic.commit = *commit;
        put_any = true;
    }
    if (!put_any) return ok();
    const auto counter = put_next_stream(now);
    return counter ? ok() : Status(fail(counter.error()));
}

Result<log::CommitId> Registry::put_next_stream(Instant now) {
    std::array<std::uint8_t, 4> next{};
    store_big(next.data(), next_stream_);
    return log_.put_fact(now, log::FactKind::node, bytes_of(next_stream_key), next);
}

}  // namespace leat::topics
