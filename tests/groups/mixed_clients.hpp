// The clients of one group in which both protocols live together, and what each is checked for as
// it hears and does something.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "tests/groups/commit_model.hpp"
#include "tests/groups/mixed_peer.hpp"
#include "tests/support/sim_storage.hpp"

namespace leat::test {

struct MixedClients {
    explicit MixedClients(std::uint64_t seed) : random(seed), seed_(seed) {
        config.consumer_session_timeout = session;
        config.consumer_heartbeat_interval = milliseconds(1'000);
        config.initial_rebalance_delay = milliseconds(random.below(2) * 500);
        if (random.chance(40)) {  // as if the group were large
            config.assignment_steps_max = 1 + static_cast<std::uint32_t>(random.below(150));
            turns = 1 + static_cast<int>(random.below(3));
        }
        begin({}, instant_ms(1'000), seed + 7);
        cooperative = random.chance(60);
        peers[2].instance = peers[5].instance = "i";  // one comes in the place of the other
        peers[3].instance = "j";
    }
    void begin(std::map<CrashLog::Key, std::string> facts, Instant now, std::uint64_t seed) {
        const groups::Ticket last = rig ? rig->last : 0;
        rig = std::make_unique<GroupsRig>(config, now, std::move(facts), seed);
        rig->last = last;
        rig->turns = turns;
        CHECK(rig->groups.unreadable() == 0);
    }
    bool is_classic() const {
        const groups::Group* group = rig->groups.find_group("g");
        return group == nullptr || group->consumer == nullptr;
    }

    void start(Peer& peer) {
        peer = Peer{.instance = peer.instance};
        peer.up = true;
        peer.kind = random.chance(40) ? Kind::consumer
                    : cooperative && random.chance(70) ? Kind::cooperative
                                                       : Kind::eager;
        peer.offers = offers_of(peer.kind, cooperative, random.chance(50));
        if (peer.kind == Kind::consumer) peer.id = "m" + std::to_string(++last_id);
    }

    void act(Peer& peer) {
        if (!peer.up || peer.stalled || peer.waits()) return;
        // Who comes to a group that all have left may begin with the first epoch, as in Kafka.
        const groups::Group* group = rig->groups.find_group("g");
        if (group == nullptr || group->state == groups::State::empty) owners.clear();
        peer.asks(rig->now);
        trace("act", peer, peer.joins ? "joins" : "");
        for (Peer& other : peers)  // until it hears that it is fenced it acts on its own (KIP-345)
            if (&other != &peer && peer.joins && peer.instance && other.instance == peer.instance)
                other.replaced = other.answer_is_old = true;
        if (peer.kind == Kind::consumer) {
            if (peer.joins) may_upgrade();
            if (peer.joins)  // it may be one again
                std::erase_if(ghosts, [&](const Ghost& one) { return one.peer.id == peer.id; });
            peer.beat = ++rig->last;
            return rig->groups.consumer_heartbeat(
                rig->now, peer.beat, peer.heartbeat(rig->topics.find("t")->id, random.chance(30)));
        }
        if (peer.joins) {
            // Let in without a rebalance, as in Kafka, though one may have been due: who was there
            // before had given something up, and should have come again.
            handed_over |= cooperative && peer.instance && peer.id.empty() && is_classic();
            if (peer.kind == Kind::eager) {
                if (random.chance(50)) commit(peer, 0);  // as clients do before they give it up
                peer.owned.clear();
            }
            if (!peer.joining) peer.joining = rig->now;
            peer.join = ++rig->last;
            return rig->groups.join(rig->now, peer.join, peer.join_request());
        }
        const ErrorCode error = rig->groups.heartbeat(rig->now, peer.who());
        if (error == ErrorCode::none) peer.is_member();
        peer.joins = error != ErrorCode::none;
        if (error != ErrorCode::none) refused(peer, error);
    }

    // A group that is classic again has the group's epoch for a generation, which not all of its
    // members had reached; if it changes once more, that is the epoch in which it knows them.
    void may_upgrade() {
        const groups::Group* group = rig->groups.find_group("g");
        if (!is_classic() || group == nullptr) return;
        for (Peer& peer : peers)
            if (peer.kind != Kind::consumer) peer.vague |= peer.generation != group->generation;
    }

    // A classic member was told that it is not what it thought it was.
    void refused(Peer& peer, ErrorCode error) {
        peer.joins = true;
        trace("refused", peer, std::to_string(int(error)));
        switch (error) {
            case ErrorCode::coordinator_not_available:
                undone = peer.vague = true;
                return;
            case ErrorCode::rebalance_in_progress:
                return;  // what it owns it owns still
            case ErrorCode::illegal_generation:
                return peer.lose();
            case ErrorCode::unknown_member_id:
                hears_that_it_is_gone(peer);
                peer.id.clear();
                return peer.lose();
            case ErrorCode::fenced_instance_id:
                hears_that_it_is_gone(peer);
                peer.up = false;
                return peer.lose();
            default:
                FAIL_CHECK("seed ", seed_, ": error ", static_cast<int>(error));
                return peer.lose();
        }
    }
    // Nobody may ever commit under this name again: once that is on flash.
    void gone(const Peer& peer) {
        trace("gone", peer);
        if (peer.id.empty() || peer.generation < 0) return;  // below 0 it would be from outside
        ghosts.push_back({.peer = peer});
    }
    void hears_that_it_is_gone(const Peer& peer) {
        if (!peer.answer_is_old) gone(peer);
    }

    void hear(Peer& peer) {
        if (const auto at = rig->joined.find(peer.join); at != rig->joined.end()) {
            const groups::JoinAnswer told = at->second;
            peer.join = 0;
            hear_join(peer, told);
        }
        if (const auto at = rig->synced.find(peer.sync); at != rig->synced.end()) {
            const groups::SyncAnswer told = at->second;
            peer.sync = 0;
            trace("synced", peer, std::to_string(int(told.error)));
            if (told.error != ErrorCode::none) return refused(peer, told.error);
            peer.is_member();
            peer.synced = true;
            const Partitions given = read_assignment(told.assignment);
            const Instant since = std::exchange(peer.joining, std::nullopt).value_or(peer.sent);
            if (!includes(given, peer.owned)) peer.lease = since + patience;  // it has to be back
            if (!peer.may_own(rig->now)) return peer.lose();  // it stood still for too long
            peer.joins = peer.kind == Kind::cooperative;  // ... if it has to give something up
            take(peer, given);
        }
        if (const auto at = rig->beaten.find(peer.beat); at != rig->beaten.end()) {
            const groups::ConsumerAnswer told = at->second;
            hear_beat(peer, told);
            peer.beat = 0;
        }
    }
    void hear_join(Peer& peer, const groups::JoinAnswer& told) {
        trace("joined", peer, std::to_string(int(told.error)) + " " + told.member + " gen " +
                                  std::to_string(told.generation));
        if (told.error == ErrorCode::member_id_required) {
            peer.id = told.member;
            return;
        }
        if (told.error != ErrorCode::none) return refused(peer, told.error);
        replaces(peer, told.member);
        peer.id = told.member;
        peer.generation = told.generation;
        peer.vague = false;
        peer.synced = false;
        groups::SyncRequest request;
        request.who = peer.who();
        std::map<std::string, std::string> parts;
        if (told.leader == told.member && !told.skip_assignment)
            for (const auto& [id, share] : shares(told.members, *told.protocol))
                parts[id] = assignment(share);
        for (const auto& [id, part] : parts) request.assignments.emplace_back(id, part);
        peer.asks(rig->now);
        peer.sync = ++rig->last;
        rig->groups.sync(rig->now, peer.sync, request);
    }
    // A static member was let in: who was there under its name is no member any more.
    void replaces(const Peer& peer, const std::string& id) {
        if (peer.answer_is_old) return;  // and it is one no more by now
        for (const Peer& other : peers)
            if (&other != &peer && peer.instance && other.instance == peer.instance &&
                other.id != id)
                gone(other);
    }
    void hear_beat(Peer& peer, const groups::ConsumerAnswer& told) {
        trace("beaten", peer,
              std::to_string(int(told.error)) + " epoch " + std::to_string(told.epoch));
        switch (told.error) {
            case ErrorCode::none:
                break;
            case ErrorCode::coordinator_not_available:
                undone = true;
                return peer.lost_answer();
            case ErrorCode::fenced_instance_id:
                peer.up = false;
                hears_that_it_is_gone(peer);
                return peer.lose();
            case ErrorCode::unknown_member_id:
                hears_that_it_is_gone(peer);
                [[fallthrough]];
            case ErrorCode::fenced_member_epoch:
            case ErrorCode::unreleased_instance_id:
            case ErrorCode::group_id_not_found:
                peer.vague = true;
                return peer.lose();
            default:
                FAIL_CHECK("seed ", seed_, ": ", told.message);
                return peer.lose();
        }
        CHECK_MESSAGE(told.epoch >= peer.generation, "seed ", seed_, ": an epoch that falls");
        if (peer.joins) replaces(peer, peer.id);
        peer.joins = peer.vague = false;
        peer.generation = told.epoch;
        peer.is_member();
        if (peer.told_owned && !peer.next) peer.revoke_until.reset();
        const Instant since = std::exchange(peer.lost, std::nullopt).value_or(peer.sent);
        if (!told.assignment) return;
        Partitions next;
        for (const auto& topic : *told.assignment)
            next.insert(topic.partitions.begin(), topic.partitions.end());
        if (next == peer.owned && !peer.next) return;
        if (!peer.revoke_until && (!includes(next, peer.owned) ||
                                   (peer.next && !includes(next, *peer.next))))
            peer.revoke_until = since + patience;
        peer.next = std::move(next);
    }
    // It gives up what it shall not have, takes what is new, and will tell so.
    void take_over(Peer& peer) {
        if (!peer.up || peer.stalled || !peer.next || peer.beat != 0) return;
        if (!peer.may_own(rig->now)) return peer.lose();  // too late
        take(peer, *std::exchange(peer.next, std::nullopt));
        peer.must_tell = true;
    }
    void take(Peer& peer, const Partitions& next) {
        if (includes(next, peer.owned) && peer.kind == Kind::cooperative) peer.joins = false;
        for (const std::int32_t one : next) {
            if (peer.owned.contains(one)) continue;
            for (const Peer& other : peers)
                CHECK_MESSAGE((!rivals(peer, other) || !other.owns(rig->now, one)), "seed ", seed_,
                              ": partition ", one, " has two owners");
            auto& owner = owners[{peer.generation, one}];
            CHECK_MESSAGE((owner.empty() || owner == peer.name()), "seed ", seed_, ": epoch ",
                          peer.generation, " partition ", one, " has two owners");
            owner = peer.name();
        }
        peer.owned = next;
        trace("takes", peer);
    }

    void leave(Peer& peer) {
        if (!peer.up || peer.id.empty() || peer.waits()) return;
        if (peer.kind == Kind::consumer) {
            auto last = peer.heartbeat({}, false);
            last.epoch = peer.instance && random.chance(70) ? -2 : -1;
            rig->groups.consumer_heartbeat(rig->now, ++rig->last, std::move(last));
        } else if (!peer.instance || random.chance(30)) {  // a static one is taken out by a tool
            ErrorCode error{};
            (void)rig->groups.leave(rig->now, "g", {{peer.id, peer.who().instance}}, error);
        }
        trace("leaves", peer);
        peer.up = false;
        if (!peer.instance) gone(peer);
    }

    void commit(Peer& peer, std::int32_t delta) {
        if (!peer.up || peer.owned.empty() || peer.id.empty() || !peer.synced) return;
        auto at = peer.owned.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random.below(peer.owned.size())));
        const bool live = peer.may_own(rig->now);
        if (!write(peer, *at, delta)) return;
        trace("commits", peer, std::to_string(delta));
        // A static member that was away from a rebalance is let in all the same.
        const bool exact = !peer.vague && !peer.waits() && !peer.instance && !is_classic();
        const bool by_generation = peer.kind != Kind::consumer;
        if (exact && live && by_generation)
            CHECK_MESSAGE(delta == 0, "seed ", seed_, ": another generation");
        if (exact) CHECK_MESSAGE(delta <= 0, "seed ", seed_, ": a commit out of the future");
        for (const Peer& other : peers)
            CHECK_MESSAGE((delta > 0 || !rivals(peer, other) || !other.owns(rig->now, *at)),
                          "seed ", seed_,
                          ": a commit of a member that lost the partition");
    }
    bool write(const Peer& peer, std::int32_t partition, std::int32_t delta) {
        auto who = peer.who();
        who.generation += delta;
        groups::Commit position;
        position.topic = "t";
        position.partition = partition;
        position.offset = ++next_offset;
        const auto written = rig->groups.commit(rig->now, who, {position});
        if (written.again || written.error != ErrorCode::none ||
            written.each[0] != ErrorCode::none)
            return false;
        commits.took(written.commit, partition, position.offset);
        ++commits_taken;
        return true;
    }
    void trace(const char* what, const Peer& peer, const std::string& more = {}) const {
        if (!traced) return;
        std::string owned;
        for (const std::int32_t one : peer.owned) owned += std::to_string(one);
        std::printf("%6lld %d %s %-8s gen %d has %-8s %s %s\n",
                    static_cast<long long>((rig->now - instant_ms(0)).count()),
                    static_cast<int>(&peer - peers.data()), kind_names[static_cast<int>(peer.kind)],
                    peer.id.substr(0, 8).c_str(), peer.generation, owned.c_str(), what,
                    more.c_str());
    }
    void trace(const char* what) const {
        if (traced) std::printf("%s\n", what);
    }
    const bool traced = std::getenv("LEAT_TRACE") != nullptr;
    void haunt() {
        for (const Ghost& one : ghosts) {
            if (one.sure)
                CHECK_MESSAGE(!write(one.peer, 0, 0), "seed ", seed_, ": a commit of who is gone");
        }
    }

    /// One that is no member any more. A classic group writes only what the next rebalance makes of
    /// it, as Kafka's does: there a power cut brings it back.
    struct Ghost {
        Peer peer;
        bool sure = false, stays = false;
    };
    SimRandom random;
    std::uint64_t seed_;
    groups::GroupsConfig config;
    std::unique_ptr<GroupsRig> rig;
    int turns = -1;
    std::array<Peer, 6> peers;
    bool cooperative = false, handed_over = false;
    std::vector<Ghost> ghosts;
    bool undone = false;  ///< the log did not take what the group became
    CommitModel<std::int32_t> commits;
    std::map<std::pair<std::int32_t, std::int32_t>, std::string> owners;
    std::int64_t next_offset = 0, last_id = 0, commits_taken = 0;
};

}  // namespace leat::test
