// The room's door: consumer groups of both protocols and their committed offsets. What follows is
// the classic protocol; consumers.hpp is the other one (KIP-848). A group of consumers becomes one
// of the other kind with its first member that speaks it, and serves the classic members, too
// (mixed.cpp; Kafka's migration policy `bidirectional`); an empty one becomes what the next member
// speaks.
//
// Every request that may wait brings a ticket; its answer comes out of poll_joined or poll_synced,
// often at once. The state machine is Kafka's (GroupMetadataManager, ClassicGroup 4.3):
//
//   empty -> preparing_rebalance -> completing_rebalance -> stable
//   preparing: joins wait until all members have joined again or the rebalance timeout is over
//   completing: followers wait for the leader's assignment; that is saved first and told afterwards
//
// What is told is durable: an assignment is handed out, and a commit acknowledged and readable,
// when the log has flushed it. So after a power cut each group is as its members know it.
//
// A member that closes its connection stays until its session times out. Protocol metadata and
// assignments are opaque bytes; only topic names of type "consumer" are looked at (retention,
// OffsetDelete). Ages are measured in log time, never by a wall clock.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "broker/groups/consumers.hpp"
#include "broker/groups/group.hpp"
#include "broker/groups/offset_fact.hpp"
#include "broker/groups/words.hpp"
#include "leat/port/entropy.hpp"

namespace leat::groups {

struct GroupsCounters {
    std::uint64_t joins = 0, rebalances = 0, members_timed_out = 0, commits = 0,
                  commits_unchanged = 0, offsets_expired = 0, pending_evicted = 0;
};

class Groups {
public:
    Groups(log::Log& log, topics::Registry& registry, port::Entropy& entropy, GroupsConfig config)
        : log_(log),
          registry_(registry),
          entropy_(entropy),
          config_(config),
          settings_(log, config_) {}

    /// After log.open() and registry.load(). Members' sessions start anew. Facts that cannot be
    /// read are counted in unreadable() and left alone.
    void load(Instant now);
    std::size_t unreadable() const { return unreadable_; }

    // -- members ----------------------------------------------------------------------------------
    void join(Instant now, Ticket ticket, JoinRequest request);
    void sync(Instant now, Ticket ticket, const SyncRequest& request);
    ErrorCode heartbeat(Instant now, const Identity& who);
    /// One error per leaving member, in order, or none and `group_error` for all. Members of both
    /// kinds of group.
    std::vector<ErrorCode> leave(Instant now, std::string_view group,
                                 const std::vector<Leaving>& members, ErrorCode& group_error);
    /// When it is durable that they left, where somebody might wait for them after a power cut: a
    /// classic group that nobody is in, and one of the other kind.
    struct Written;
    Written left(std::string_view group) const;
    std::optional<JoinAnswer> poll_joined();
    std::optional<SyncAnswer> poll_synced();

    // -- members of groups of the consumer protocol (KIP-848): consumer_door.cpp
    // --------------------
    void consumer_heartbeat(Instant now, Ticket ticket, ConsumerHeartbeat request);
    std::optional<ConsumerAnswer> poll_consumer_answer() { return consumers_.poll_answer(); }
    /// A large group shares out in turns, and whoever waits for that is answered then: as long as
    /// it is so, assign_some() is to be called, once in each turn of the caller.
    bool assigns() const { return consumers_.has_turns(); }
    void assign_some(Instant now);
    /// Whether OffsetFetch v9+ of such a member may be answered; `member` not set: asked from
    /// outside.
    ErrorCode check_fetch(std::string_view group, std::optional<std::string_view> member,
                          std::int32_t epoch) const;
    /// Null: there is no such group, or it is being deleted.
    const Group* find_group(std::string_view group) const;

    // -- offsets ----------------------------------------------------------------------------------
    struct Written {
        ErrorCode error = ErrorCode::none;  ///< of the group: nothing was written
        bool again = false;  ///< the log takes no more before its next commit: ask once more then
        log::CommitId commit = 0;  ///< acknowledged when this is durable
        std::vector<ErrorCode> each;
    };
    Written commit(Instant now, const Identity& who, const std::vector<Commit>& commits);
    /// The durable position. Unknown group, topic or partition: offset -1.
    Fetched fetch(std::string_view group, std::string_view topic, std::int32_t partition) const;
    using OffsetVisitor =
        std::function<void(std::int32_t partition, const Fetched&)>;
    /// The durable positions, if any, of the first topic behind `after`; its name, or empty: none.
    std::string_view fetch_next(std::string_view group, std::string_view after,
                                const OffsetVisitor& visit) const;
    /// The newest commit of positions that is not durable yet; 0: all of them are. groups.cpp
    log::CommitId last_commit(std::string_view group) const;
    struct PartitionName {
        std::string_view topic;
        std::int32_t partition = 0;
    };
    Written delete_offsets(Instant now, std::string_view group,
                           const std::vector<PartitionName>& partitions);

    // -- tools ------------------------------------------------------------------------------------
    Written delete_group(Instant now, std::string_view group);
    /// For whoever was told `again`, and for nobody else: it learns how its deletion ends.
    Written go_on_deleting(Instant now, std::string_view group);
    Description describe(std::string_view group) const;
    /// By name: the first group, or the one behind `after`; null: there is none. Not those that are
    /// being deleted.
    const Group* next_group(std::optional<std::string_view> after) const;
    using GroupVisitor = std::function<void(const Group&)>;
    void for_each(const GroupVisitor& visit) const;

    // -- time and the log -------------------------------------------------------------------------
    /// After anything the log may have finished.
    void settle(Instant now);
    void rolled_back(Instant now, log::CommitId first, log::CommitId last);
    void on_deadline(Instant now);
    Instant deadline() const { return earlier(timers_.next(), retention_due_); }

    /// Of single groups; what it says holds from a member's next heartbeat on.
    GroupSettings& settings() { return settings_; }
    const GroupSettings& settings() const { return settings_; }

    const GroupsCounters& counters() const { return counters_; }
    std::size_t size() const { return groups_.size(); }
    std::size_t members() const { return member_count_; }
    std::size_t member_bytes() const { return member_bytes_; }  ///< about what they occupy

private:
    struct PendingWrite {  // of positions of one block; in commit order
        log::CommitId commit;
        std::string group, topic;
        std::int32_t block;
        topics::TopicId topic_id;
        /// None: only facts that did not count any more went. Entries point into them (latest).
        std::vector<Change> changes;
    };
    struct BlockAt {
        Group& group;
        const std::string& topic;
        TopicOffsets& offsets;
        std::int32_t number;
        OffsetBlock& block;
    };
    struct PendingSave {
        log::CommitId commit;
        std::string group;
        std::uint32_t save;
    };

    // groups.cpp
    Group* find(std::string_view group) const;
    Group& create(std::string_view group);
    void erase_if_nothing(Group& group);
    void answer(JoinAnswer answer);
    void answer(SyncAnswer answer);
    void refuse_join(Ticket ticket, ErrorCode error, std::string_view member = {});
    void refuse_sync(Ticket ticket, ErrorCode error);
    std::int64_t log_now(Instant now) const { return log_.log_time(now).count(); }

    // consumer_door.cpp
    bool may_become_consumer(Instant now, Ticket ticket, Group* group,
                             const ConsumerHeartbeat& request);
    /// A classic group with members becomes one of the consumer protocol.
    void upgrade(Instant now, Group& group);
    void downgrade(Instant now, Group& group);
    /// Members of the classic protocol are gone from memory, and whoever is parked is refused.
    void drop_members(Group& group, ErrorCode error);
    void join_consumers(Instant now, Ticket ticket, Group& group, const JoinRequest& request);
    ErrorCode end_consumer(Instant now, Group& group, const JoinRequest& request);
    /// Groups of which a write failed or was taken back become what the log says they are.
    void mend(Instant now);

    // join.cpp
    ErrorCode check_join(const Group* group, const JoinRequest& request) const;
    bool accepts(const Group& group, std::string_view member) const;
    void join_new(Instant now, Ticket ticket, Group& group, JoinRequest request);
    void join_known(Instant now, Ticket ticket, Group& group, JoinRequest request);
    void replace_static(Instant now, Ticket ticket, Group& group, JoinRequest request);
    void add_member(Instant now, Ticket ticket, Group& group, std::string id, JoinRequest request);
    void update_member(Instant now, Ticket ticket, Group& group, Member& member,
                       JoinRequest request);
    void evict_pending(Instant now);
    void fill(Member& member, JoinRequest& request);
    Result<std::string> make_member_id(std::string_view stem);
    JoinAnswer joined(const Group& group, const Member& member, bool with_members) const;
    void park_join(Group& group, Member& member, Ticket ticket);
    Ticket unpark_join(Group& group, Member& member);
    void end_join(Group& group, Member& member, ErrorCode error);
    void end_sync(Member& member, ErrorCode error);

    // rebalance.cpp
    void touch(Instant now, Member& member);
    void rebalance_or_complete(Instant now, Group& group);
    void prepare_rebalance(Instant now, Group& group);
    void maybe_complete_join(Instant now, Group& group);
    void complete_join(Instant now, Group& group);
    bool elect_leader(Group& group);
    void become_empty(Instant now, Group& group);
    void drop_syncs(Group& group, ErrorCode error);
    void remove_member(Group& group, Member& member, ErrorCode error);
    void remove_and_update(Instant now, Group& group, Member& member);
    void on_timer(Instant now, Timer& timer);
    void on_join_timer(Instant now, Group& group);
    void on_sync_timer(Instant now, Group& group);

    // sync.cpp
    void take_assignment(Instant now, Group& group, const SyncRequest& request);
    SyncAnswer synced(const Group& group, const Member& member) const;
    void became_stable(Instant now, Group& group);

    // save.cpp
    /// Begins to write the group as it is now, as group.save_number. false: the log does not take
    /// it.
    bool save(Instant now, Group& group);
    bool try_save(Instant now, Group& group);
    void saved(Instant now, const PendingSave& done);
    void save_failed(Instant now, Group& group);
    void refuse_held(Group& group);
    struct LoadingGroup;
    using LoadingGroups = std::map<std::string, LoadingGroup, std::less<>>;
    bool read_group_fact(LoadingGroups& loading, ByteView key, ByteView value);
    void load_group(Instant now, const std::string& id, const LoadingGroup& loading);
    void load_classic(Instant now, Group& group, const LoadingGroup& loading);

    // offsets.cpp
    ErrorCode check_commit(Instant now, Group* group, const Identity& who,
                           const std::vector<Commit>& commits);
    /// Of one topic and one block.
    void commit_run(Instant now, Group& group, std::span<const Commit> run,
                    std::span<ErrorCode> errors, Written& written);
    struct Part {  // of a run
        std::vector<Change> changes;
        std::vector<std::size_t> of;  ///< where each of them is in the run
    };
    void write_part(Instant now, const BlockAt& at, Part& part, std::span<ErrorCode> errors,
                    Written& written);
    static bool is_single(const OffsetBlock& block, const Change& change);
    bool stands(OffsetEntry* entry, const Committed& value, Written& written);
    TopicOffsets& offsets_of(Instant now, Group& group, const topics::Topic& topic);
    /// All of them or none; more than one only if none is_single. `commit` rises to that of the
    /// last fact. Written changes are taken.
    Status write_positions(Instant now, const BlockAt& at, std::vector<Change>& changes,
                           log::CommitId& commit);
    Status put_positions(Instant now, const BlockAt& at, const std::vector<Change>& changes,
                         log::CommitId& commit);
    Status put_newest(Instant now, const BlockAt& at, const std::vector<Change>& changes,
                      log::CommitId& commit);
    Status put_block(Instant now, const BlockAt& at, Places back, log::CommitId& commit);
    Status put_single(Instant now, const BlockAt& at, OffsetLayout layout, const OffsetEntry& entry,
                      log::CommitId& commit);
    Status erase_single(Instant now, const BlockAt& at, OffsetLayout layout, int place,
                        log::CommitId& commit);
    Status erase_block(Instant now, const BlockAt& at, log::CommitId& commit);
    void apply(PendingWrite& write);
    static void drop_if_nothing(Group& group, const std::string& topic, std::int32_t block);

    // offset_upkeep.cpp
    static ErrorCode code_of(Error error);
    PendingWrite& under_way(const BlockAt& at, log::CommitId commit);
    /// Erases positions; `commit` rises to that of the last of it.
    Status erase_positions(Instant now, const BlockAt& at, Places places, log::CommitId& commit);
    /// Erases facts that do not count. What fails is left for the next time.
    Status sweep(Instant now, const BlockAt& at, log::CommitId& commit);
    bool load_offsets(ByteView key, ByteView value);
    void take_back(PendingWrite& write);
    void relearn(const BlockAt& at) const;
    bool expired(const Group& group, const std::string& topic, const OffsetEntry& entry,
                 std::int64_t log_now) const;
    Status expire_offsets(Instant now, Group& group, std::size_t& looked_at, bool& left);
    void check_retention(Instant now);

    log::Log& log_;
    topics::Registry& registry_;
    port::Entropy& entropy_;
    GroupsConfig config_;
    GroupSettings settings_;
    Timers timers_;  // before the groups: their timers leave it
    std::map<std::string, std::unique_ptr<Group>, std::less<>> groups_;
    std::deque<JoinAnswer> joined_;
    std::deque<SyncAnswer> synced_;
    std::deque<PendingWrite> writes_;
    std::deque<PendingSave> saves_;
    std::vector<std::string> unsaved_;   // groups whose save waits for the log
    std::vector<std::string> deleting_;  // dead groups
    /// Group and id of every pending member, oldest first, and of some that are none any more.
    std::deque<std::pair<std::string, std::string>> pending_;
    std::size_t member_bytes_ = 0, member_count_ = 0;
    Instant retention_due_ = never;
    std::string retention_at_;      ///< the group that the check goes on with
    bool retention_begun_ = false;  ///< ... and has begun to delete
    std::size_t unreadable_ = 0;
    GroupsCounters counters_;
    Consumers consumers_{{log_, registry_, timers_, config_, settings_, member_count_,
                          member_bytes_, counters_.rebalances, counters_.members_timed_out}};
};

}  // namespace leat::groups
