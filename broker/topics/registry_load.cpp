// The registry's start: topics from facts, and what is done about records without one.
#include <algorithm>

#include "broker/topics/registry.hpp"
#include "broker/topics/topic_fact.hpp"

namespace leat::topics {
namespace {

// The next stream id lies in a fact of its own: a deleted topic's streams are never given again.
constexpr std::string_view next_stream_key = "topics.next_stream";
// Until what damage left of topics has names: streams below it are no deleted topic's.
constexpr std::string_view kept_below_key = "topics.kept_below";

}  // namespace

Status Registry::load() {
    const auto number = [this](std::string_view key) -> std::optional<log::StreamId> {
        const auto fact = log_.find_fact(log::FactKind::node, bytes_of(key));
        if (!fact || fact->size() != 4) return std::nullopt;
        return load_big<log::StreamId>(fact->data());
    };
    const auto next = number(next_stream_key);
    next_stream_ = next.value_or(next_stream_);
    kept_below_ = number(kept_below_key).value_or(0);
    has_mark_ = kept_below_ != 0;
    // The counter may be older than they are: damage may have taken the facts back.
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
    // Facts that went with damage (and without the counter, which was durable before any stream
    // was, they have) are no deletion.
    if (!next || log_.status().facts_lost) kept_below_ = next_stream_;
    return settle_orphans();
}

/// Streams of no topic. A power cut may keep the end of a topic's fact and take those of its
/// streams, which come in later commits; nobody would ever free their records. What may be all that
/// is left of a topic waits under a name that says so.
Status Registry::settle_orphans() {
    std::vector<log::StreamId> orphans;
    log_.for_each_stream([&](log::StreamId stream) {
        if (stream != log::no_stream && !by_stream_.contains(stream)) orphans.push_back(stream);
    });
    for (const log::StreamId stream : orphans) {
        if (stream >= kept_below_) {
            log_.drop_stream(stream);
            continue;
        }
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

/// Behind the mark and before the counter, so that whatever a power cut leaves of it, the next start
/// names the others again. When all are durable the mark goes.
Status Registry::keep_recovered(Instant now) {
    std::erase_if(recovered_, [this](const Recovered& topic) {
        return (topic.commit != 0 && topic.commit <= log_.flushed_commit()) ||
               !by_id_.contains(topic.id);
    });
    if (recovered_.empty()) {
        if (has_mark_ && log_.erase_fact(now, log::FactKind::node, bytes_of(kept_below_key)))
            has_mark_ = false;
        return ok();
    }
    if (!has_mark_) {
        const auto mark = put_number(now, kept_below_key, kept_below_);
        if (!mark) return fail(mark.error());
        has_mark_ = true;
    }
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

Result<log::CommitId> Registry::put_number(Instant now, std::string_view key,
                                           log::StreamId stream) {
    std::array<std::uint8_t, 4> number{};
    store_big(number.data(), stream);
    return log_.put_fact(now, log::FactKind::node, bytes_of(key), number);
}

Result<log::CommitId> Registry::put_next_stream(Instant now) {
    return put_number(now, next_stream_key, next_stream_);
}

}  // namespace leat::topics
