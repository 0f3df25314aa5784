// Which topics there are: name <-> topic id <-> partitions <-> streams of the log. Each topic is
// one fact of the log, so the registry is rebuilt from a replay of live facts and has no file of
// its own.
//
// A change is visible at once and durable when the returned commit is; who asked is answered then.
// If that commit is given up (rolled_back), the change is undone.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/log/log.hpp"
#include "broker/topics/leader_epochs.hpp"
#include "broker/topics/topic_config.hpp"
#include "leat/port/entropy.hpp"

namespace leat::topics {

using TopicId =
    std::array<std::uint8_t, 16>;  ///< a version 4 uuid, new at each creation, never zero

struct Topic {
    std::string name;
    TopicId id{};
    std::vector<log::StreamId> partitions;  ///< by partition index
    TopicConfig config;
    bool internal = false;      ///< `__consumer_offsets` and its like
    log::CommitId created = 0;  ///< durable when the log's flushed_commit has reached it

    bool has(std::int32_t partition) const {
        return partition >= 0 && static_cast<std::size_t>(partition) < partitions.size();
    }
};

struct Place {
    const Topic* topic = nullptr;
    std::int32_t partition = 0;
};

class Registry {
public:
    Registry(log::Log& log, port::Entropy& entropy, TopicDefaults defaults)
        : epochs(log), log_(log), entropy_(entropy), fresh_config_(defaults) {}

    LeaderEpochs epochs;  ///< of the partitions

    /// After log.open(): topics from facts, their streams declared.
    /// fails: corrupt (a topic's fact is not readable; its text is in load_problem), what
    /// declare_stream says
    Status load();
    const std::string& load_problem() const { return load_problem_; }
    /// Topics that load named, `recovered-<stream>`, for records whose topics' facts damage took.
    std::size_t recovered() const { return recovered_.size(); }

    const Topic* find(std::string_view name) const;
    const Topic* find(const TopicId& id) const;
    std::optional<Place> find_stream(log::StreamId stream) const;
    const std::map<std::string, std::unique_ptr<Topic>, std::less<>>& all() const {
        return by_name_;
    }
    std::size_t partition_count() const { return by_stream_.size(); }
    std::uint64_t changes() const {
        return changes_;
    }  ///< grows with every topic that comes or goes
    /// Streams that were made since the last call, or found by load; some may be gone again.
    std::vector<log::StreamId> take_made() { return std::exchange(made_, {}); }
    /// The name of an existing topic that differs only in `.` and `_`; null if none.
    const Topic* find_collision(std::string_view name) const;

    /// Reserved + compacted + facts <= 70 % of the log: why `partitions` partitions with `config`
    /// may not be, or an empty string. `instead`: the topic as it is now, if there is one; what
    /// asks for no more than that is always allowed.
    std::string reserve_problem(const TopicConfig& config, std::size_t partitions,
                                const Topic* instead) const;

    TopicConfig new_config() const { return fresh_config_; }
    /// `name` is legal, free and without collision; 1 <= partitions.
    /// fails: full (the log's bound on streams, or on all facts), busy (records fill the log:
    /// later it may have room), too_large (the fact), storage, what the entropy source says
    Result<const Topic*> create(Instant now, std::string_view name, std::int32_t partitions,
                                TopicConfig config);
    /// New settings, in force at once; also for records that are there already (retention).
    /// fails: busy (as create), too_large (the fact), storage
    Result<log::CommitId> alter(Instant now, const Topic& topic, TopicConfig config);
    /// The commit at which the topic as it is now is durable.
    log::CommitId durable_at(const Topic& topic) const;
    /// `count` more partitions behind the last.
    /// fails: as create
    Result<log::CommitId> add_partitions(Instant now, const Topic& topic, std::int32_t count);
    /// Told by remove() while the topic's streams are still there. May be empty.
    std::function<void(Instant now, const Topic& topic)> on_remove;
    /// The topic's records are dead at once; the topic pointer is invalid afterwards.
    Result<log::CommitId> remove(Instant now, const Topic& topic);
    /// Commits in (first, last] never became durable: topics made in them are gone again, and so
    /// are changes of others.
    void rolled_back(log::CommitId first, log::CommitId last);
    /// After anything the log may have finished: deletions that it gave up are made good, and what
    /// load named is written down.
    void settle(Instant now) {
        if (!stale_.empty()) (void)erase_stale(now);
        if (has_mark_ || !recovered_.empty()) (void)keep_recovered(now);
    }

private:
    /// How a topic was before a change that is not durable yet.
    struct Before {
        log::CommitId commit;
        TopicId id;
        TopicConfig config;
        std::size_t partitions;
    };
    struct Removed {
        log::CommitId commit;
        TopicId id;
    };
    /// A topic that load named; its fact is in the log from `commit` on, or (0) has to be put.
    struct Recovered {
        log::CommitId commit;
        TopicId id;
    };
    Status settle_orphans();
    Status keep_recovered(Instant now);
    Result<log::CommitId> put_number(Instant now, std::string_view key, log::StreamId stream);
    Result<log::CommitId> put_next_stream(Instant now);
    Status make_id(TopicId& id);
    Status erase_stale(Instant now);
    Result<log::CommitId> change(Instant now, Topic& topic, Before before);
    void restore(Topic& topic, const Before& before);
    const Topic* insert(std::unique_ptr<Topic> topic);
    void forget(const Topic& topic);
    Status declare(const Topic& topic);
    Result<log::CommitId> persist(Instant now, const Topic& topic);

    log::Log& log_;
    port::Entropy& entropy_;
    const TopicConfig fresh_config_;  // to read all defaults is a third of what a topic costs
    std::map<std::string, std::unique_ptr<Topic>, std::less<>> by_name_;
    std::map<TopicId, Topic*> by_id_;
    std::unordered_map<std::string, Topic*> by_collision_;
    std::unordered_map<log::StreamId, Place> by_stream_;
    std::vector<Before>
        unflushed_;  // in commit order; those that are durable go with the next change
    std::vector<Removed> removed_;  // deletions that are perhaps not durable yet
    std::vector<log::StreamId> made_;  // until take_made
    std::vector<TopicId> stale_;  // of these only the fact is left: it goes as soon as it can
    std::vector<Recovered> recovered_;  // until their facts are durable
    log::StreamId kept_below_ = 0;  // a stream below it that no topic knows was one's
    bool has_mark_ = false;         // that is a fact
    log::StreamId next_stream_ = 1;
    std::uint64_t changes_ = 1;
    std::string load_problem_;
};

}  // namespace leat::topics
