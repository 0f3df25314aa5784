// Random schedules of groups of the consumer protocol (KIP-848), each from one seed, against
// clients that know only what they were told. A client owns what it was assigned and has not given
// up, as long as the broker cannot have counted it out; two such owners of one partition are a
// failure.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "tests/groups/commit_model.hpp"
#include "tests/groups/rig.hpp"
#include "tests/support/sim_storage.hpp"

namespace leat::test {
namespace {

using groups::ConsumerAnswer;
using groups::ConsumerHeartbeat;
using groups::ErrorCode;
using Partition = std::pair<topics::TopicId, std::int32_t>;

constexpr milliseconds session{10'000}, revocation{6'000};

struct Subscribed {
    std::vector<std::string> topics;
    std::string pattern;
    bool reads(const std::string& name) const {
        if (!pattern.empty() && name.starts_with("u")) return true;  // the only pattern is u.*
        return std::find(topics.begin(), topics.end(), name) != topics.end();
    }
};
const std::array<Subscribed, 4> subscriptions = {
    {{{"t"}, ""}, {{"t", "u1"}, ""}, {{}, "u.*"}, {{"t"}, "u[0-9a-z]+"}}};

struct Client {
    bool up = false, stalled = false;
    std::optional<std::string> instance;
    std::string id;
    std::size_t reads = 0;
    std::optional<std::string> assignor;
    bool changed_subscription = false;

    std::int32_t epoch = 0;
    std::map<Partition, std::int32_t> owned;                // and the epoch it was told in
    std::optional<std::map<Partition, std::int32_t>> next;  // told, not yet taken over
    bool lost_an_answer = false;  // or was fenced: the group may know it under another epoch
    bool must_tell_all = true, must_tell_owned = false;

    groups::Ticket ticket = 0;
    Instant sent{};
    bool told_owned = false;  // in the request under way
    Instant lease{};          // the broker may count it out from then on
    std::optional<Instant> revoke_until;
    std::optional<Instant> unheard;  // the first request whose answer it has not heard: the broker
                                     // may have begun to wait for it to give something up

    std::string name() const { return instance ? *instance : id; }
    bool may_own(Instant now) const {
        return up && now < lease && (!revoke_until || now < *revoke_until) &&
               (!unheard || now < *unheard + revocation);
    }
    void lose() {
        epoch = 0;
        owned.clear();
        next.reset();
        revoke_until.reset();
        unheard.reset();
        must_tell_all = true;
        ticket = 0;
    }
};

struct ConsumerRun {
    explicit ConsumerRun(std::uint64_t seed) : random(seed), seed_(seed) {
        config.consumer_session_timeout = session;
        config.consumer_heartbeat_interval = milliseconds(1'000);
        if (random.chance(40)) {  // as if the group were large
            config.assignment_steps_max = 1 + static_cast<std::uint32_t>(random.below(150));
            turns = 1 + static_cast<int>(random.below(3));
        }
        rig = std::make_unique<GroupsRig>(config, instant_ms(1'000),
                                          std::map<CrashLog::Key, std::string>{}, seed + 7);
        rig->turns = turns;
        const bool alike = random.chance(40);
        const std::size_t same = random.below(subscriptions.size());
        for (std::size_t i = 0; i < clients.size(); ++i) {
            if (i % 3 == 2) clients[i].instance = "i" + std::to_string(i);
            clients[i].reads = alike ? same : random.below(subscriptions.size());
            if (random.chance(30)) clients[i].assignor = random.chance(50) ? "range" : "uniform";
        }
    }

    void go() {
        const std::uint64_t steps = 40 + random.below(60);
        for (std::uint64_t i = 0; i < steps; ++i) step();
        quiet();
    }

    // -- what clients do --------------------------------------------------------------------------
    void start(Client& client) {
        client.up = true;
        client.stalled = false;
        client.lose();
        client.lost_an_answer = false;
        client.id = "m" + std::to_string(++last_id);
    }

    ConsumerHeartbeat message(const Client& client, std::int32_t epoch) {
        ConsumerHeartbeat beat;
        beat.group = "g";
        beat.member = client.id;
        beat.instance = client.instance;
        beat.epoch = epoch;
        beat.names_itself = true;
        beat.client_id = "c";
        return beat;
    }

    void beat(Client& client) {
        if (!client.up || client.stalled || client.ticket != 0) return;
        ConsumerHeartbeat beat = message(client, client.epoch);
        if (client.must_tell_all || client.changed_subscription) {
            beat.topics = subscriptions[client.reads].topics;
            beat.pattern = subscriptions[client.reads].pattern;
            client.changed_subscription = false;
        }
        if (client.must_tell_all) {
            beat.rebalance_timeout = revocation;
            beat.assignor = client.assignor;
        }
        client.told_owned = client.must_tell_all || client.must_tell_owned;
        if (client.told_owned) {
            beat.owned.emplace();
            std::map<topics::TopicId, std::vector<std::int32_t>> by_topic;
            if (client.epoch > 0)
                for (const auto& [partition, told] : client.owned)
                    by_topic[partition.first].push_back(partition.second);
            for (auto& [topic, partitions] : by_topic)
                beat.owned->push_back({topic, std::move(partitions)});
        }
        client.must_tell_all = client.must_tell_owned = false;
        client.ticket = ++rig->last;
        client.sent = rig->now;
        if (!client.unheard) client.unheard = rig->now;
        rig->groups.consumer_heartbeat(rig->now, client.ticket, std::move(beat));
    }

    void hear(Client& client) {
        if (client.ticket == 0) return;
        const auto at = rig->beaten.find(client.ticket);
        if (at == rig->beaten.end()) return;
        const ConsumerAnswer told = at->second;
        client.ticket = 0;
        switch (told.error) {
            case ErrorCode::none:
                break;
            case ErrorCode::coordinator_not_available:
                client.must_tell_all = client.lost_an_answer = true;
                if (client.told_owned) client.next.reset();
                return;
            case ErrorCode::unreleased_instance_id:
            case ErrorCode::unknown_member_id:
            case ErrorCode::fenced_member_epoch:
            case ErrorCode::group_id_not_found:
                client.lost_an_answer = true;
                return client.lose();
            case ErrorCode::fenced_instance_id:
                client.up = false;
                return client.lose();
            default:
                FAIL_CHECK("seed ", seed_, ": ", told.message);
                return client.lose();
        }
        CHECK_MESSAGE(told.epoch >= client.epoch, "seed ", seed_, ": an epoch that falls");
        client.epoch = told.epoch;
        client.lease = client.sent + session;
        const Instant since = *std::exchange(client.unheard, std::nullopt);
        if (client.told_owned && client.revoke_until && !client.next) client.revoke_until.reset();
        if (!told.assignment) return;
        std::map<Partition, std::int32_t> next;
        for (const auto& topic : *told.assignment)
            for (const std::int32_t partition : topic.partitions) {
                const Partition one{topic.topic, partition};
                const bool again = client.next && client.next->contains(one);
                next[one] = again ? client.next->at(one) : told.epoch;
            }
        // Also of what it was told and has not taken yet: the broker waits for its word all the
        // same.
        const auto takes_away = [&](const std::map<Partition, std::int32_t>& before) {
            return std::any_of(before.begin(), before.end(),
                               [&](const auto& one) { return !next.contains(one.first); });
        };
        if (!client.revoke_until &&
            (takes_away(client.owned) || (client.next && takes_away(*client.next))))
            client.revoke_until = since + revocation;
        client.next = std::move(next);
    }

    // It gives up what it shall not have, takes what is new, and will tell so.
    void take_over(Client& client) {
        if (!client.up || client.stalled || !client.next) return;
        // Kafka's protocol has this one gap: whoever says what it owns while it still has an older
        // assignment in its hands must hear the answer before it takes that over.
        if (client.ticket != 0 && client.told_owned) return;
        if (!client.may_own(rig->now)) {  // too late: it abandons all and joins again
            client.lost_an_answer = true;
            return client.lose();
        }
        std::erase_if(client.owned,
                      [&](const auto& one) { return !client.next->contains(one.first); });
        for (const auto& [partition, epoch] : *client.next) {
            if (client.owned.contains(partition)) continue;
            client.owned[partition] = epoch;
            for (const Client& other : clients)
                CHECK_MESSAGE((&other == &client || !other.may_own(rig->now) ||
                               !other.owned.contains(partition)),
                              "seed ", seed_, ": partition ", partition.second, " has two owners");
            auto& owner = owners[{epoch, partition}];
            CHECK_MESSAGE((owner.empty() || owner == client.name()), "seed ", seed_, ": epoch ",
                          epoch, " partition ", partition.second, " has two owners");
            owner = client.name();
        }
        client.next.reset();
        client.must_tell_owned = true;
    }

    void leave(Client& client) {
        if (!client.up) return;
        const std::int32_t epoch = client.instance && random.chance(70) ? -2 : -1;
        rig->groups.consumer_heartbeat(rig->now, ++rig->last, message(client, epoch));
        client.up = false;
        client.lose();
    }

    void commit(Client& client, std::int32_t delta) {
        if (!client.up || client.owned.empty() || client.epoch <= 0) return;
        auto at = client.owned.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random.below(client.owned.size())));
        const topics::Topic* topic = rig->topics.find(at->first.first);
        if (topic == nullptr) return;
        const std::int64_t offset = ++next_offset;
        groups::Identity who{.group = "g",
                             .member = client.id,
                             .instance = std::nullopt,
                             .generation = client.epoch + delta};
        const groups::Group* group = rig->groups.find_group("g");
        const bool member = group != nullptr && group->consumer != nullptr &&
                            group->consumer->find(client.id) != nullptr;
        const auto written = rig->groups.commit(rig->now, who,
                                                {{.topic = topic->name,
                                                  .partition = at->first.second,
                                                  .offset = offset,
                                                  .metadata = {}}});
        if (written.again) return;
        const bool good = written.error == ErrorCode::none && written.each[0] == ErrorCode::none;
        if (!good) return;
        ++commits_taken;
        // With an answer on its way the group may be one epoch further than the client knows.
        if (client.ticket == 0 && !client.lost_an_answer)
            CHECK_MESSAGE(delta <= 0, "seed ", seed_, ": a commit out of the future");
        CHECK_MESSAGE(member, "seed ", seed_, ": a commit of no member was taken");
        if (!client.instance && !client.lost_an_answer)
            CHECK_MESSAGE(at->second <= who.generation, "seed ", seed_,
                          ": a commit from before the assignment");
        for (const Client& other : clients)
            CHECK_MESSAGE(
                (&other == &client || !other.may_own(rig->now) || !other.owned.contains(at->first)),
                "seed ", seed_, ": a commit of a member that lost the partition");
        commits.took(written.commit, at->first, offset);
    }

    // -- the world --------------------------------------------------------------------------------
    auto stored() const {
        return [this](const Partition& partition) -> std::optional<std::int64_t> {
            const topics::Topic* topic = rig->topics.find(partition.first);
            if (topic == nullptr) return std::nullopt;
            return rig->groups.fetch("g", topic->name, partition.second).offset;
        };
    }

    void restart() {
        auto left = rig->log.crash(random.below(rig->log.open_ops.size() + 1));
        const Instant now = rig->now;
        const std::uint64_t seed = random.next();
        const groups::Ticket last = rig->last;
        rig = std::make_unique<GroupsRig>(config, now, std::move(left), seed);
        rig->last = last;
        rig->turns = turns;
        CHECK(rig->groups.unreadable() == 0);
        for (Client& client : clients) {
            client.lost_an_answer |= client.ticket != 0;  // connections are lost
            if (client.ticket != 0 && client.told_owned) client.next.reset();
            client.ticket = 0;
            client.must_tell_all = true;
        }
        commits.after_power_cut(seed_, stored());
    }

    // The device failed: what waits for it is refused, and the group is as it was.
    void lose_writes() {
        if (!rig->log.lose_open()) return;
        while (const auto lost = rig->log.poll_rolled_back())
            rig->groups.rolled_back(rig->now, lost->first, lost->last);
        everybody_hears();
        commits.after_rollback(seed_, stored());
    }

    void flush() {
        rig->flush();
        commits.flushed(rig->log.flushed_commit());
    }

    void change_topics() {
        const std::string name = "u" + std::to_string(1 + random.below(3));
        const topics::Topic* topic = rig->topics.find(name);
        if (topic == nullptr)
            (void)rig->topics.create(rig->now, name, 1 + static_cast<std::int32_t>(random.below(5)),
                                     rig->topics.new_config());
        else if (random.chance(50))
            (void)rig->topics.add_partitions(rig->now, *topic, 2);
        else if (random.chance(50))
            (void)rig->topics.remove(rig->now, *topic);
    }

    void pass(std::int64_t ms) { rig->tick(ms); }

    void everybody_hears() {
        rig->settle();
        for (Client& client : clients)
            if (client.up && !client.stalled) hear(client);
    }

    void step() {
        Client& client = clients[random.below(clients.size())];
        rig->log.ops_max = random.chance(15) ? 2 : 1'000'000;
        rig->log.is_full = random.chance(3);
        switch (random.below(21)) {
            case 0:
            case 1:
                if (!client.up) start(client);
                break;
            case 2:  // the process dies
                if (random.chance(50)) client.up = false;
                break;
            case 3:
                if (random.chance(40)) leave(client);
                break;
            case 4:
                if (random.chance(40)) restart();
                break;
            case 5:
            case 16:
            case 17:
            case 18:
                for (Client& one : clients)
                    commit(one, static_cast<std::int32_t>(random.below(3)) - 1);
                break;
            case 6:
                if (random.chance(30)) {
                    client.reads = random.below(subscriptions.size());
                    client.changed_subscription = true;
                }
                break;
            case 7:
                if (random.chance(40)) change_topics();
                break;
            case 19:
                if (random.chance(40)) lose_writes();
                break;
            case 8:  // stands still, wakes up
                client.stalled = !client.stalled && random.chance(30);
                break;
            case 9:
            case 10:
                flush();
                break;
            case 11:
                pass(100 +
                     static_cast<std::int64_t>(random.below(random.chance(20) ? 15'000 : 1'500)));
                break;
            default:
                for (Client& one : clients)
                    if (random.chance(60)) beat(one);
        }
        everybody_hears();
        for (Client& one : clients)
            if (random.chance(60)) take_over(one);
    }

    // The faults stop: soon every partition that anybody reads has one owner, and all is stable.
    void quiet() {
        rig->log.ops_max = 1'000'000;
        rig->log.is_full = false;
        rig->turns = -1;
        for (Client& client : clients) client.stalled = false;
        if (!clients[0].up) start(clients[0]);
        bool calm = false;
        for (int round = 0; round < 80 && !calm; ++round) {
            pass(1'000);
            for (Client& client : clients) beat(client);
            flush();
            everybody_hears();
            for (Client& client : clients) take_over(client);
            calm = is_calm();
        }
        const groups::Group* group = rig->groups.find_group("g");
        CHECK_MESSAGE(
            calm, "seed ", seed_, ": not stable, state ",
            group == nullptr || group->consumer == nullptr ? "none" : group->consumer->state());
    }

    bool is_calm() const {
        const groups::Group* group = rig->groups.find_group("g");
        if (group == nullptr || group->consumer == nullptr) return false;
        std::map<Partition, int> owned;
        std::size_t up = 0, least = SIZE_MAX, most = 0;
        bool alike = true;
        for (const Client& client : clients) {
            if (!client.up) continue;
            ++up;
            if (client.epoch <= 0 || client.next || client.must_tell_owned) return false;
            for (const auto& [partition, epoch] : client.owned) {
                const topics::Topic* topic = rig->topics.find(partition.first);
                if (topic == nullptr || !subscriptions[client.reads].reads(topic->name))
                    return false;
                ++owned[partition];
            }
            least = std::min(least, client.owned.size());
            most = std::max(most, client.owned.size());
            alike = alike && client.reads == clients[0].reads;
        }
        for (const auto& [name, topic] : rig->topics.all()) {
            const bool read = std::any_of(clients.begin(), clients.end(), [&](const Client& one) {
                return one.up && subscriptions[one.reads].reads(name);
            });
            for (std::int32_t p = 0;
                 read && p < static_cast<std::int32_t>(topic->partitions.size()); ++p)
                if (!owned.contains({topic->id, p}) || owned.at({topic->id, p}) != 1) return false;
        }
        if (alike && group->consumer->assignor() == "uniform" && most > least + 1) return false;
        return group->consumer->members.size() == up &&
               std::string_view(group->consumer->state()) == "Stable";
    }

    SimRandom random;
    std::uint64_t seed_;
    groups::GroupsConfig config;
    std::unique_ptr<GroupsRig> rig;
    std::array<Client, 6> clients;
    CommitModel<Partition> commits;
    std::map<std::pair<std::int32_t, Partition>, std::string> owners;
    std::int64_t next_offset = 0, last_id = 0, commits_taken = 0;
    int turns = -1;
};

}  // namespace

TEST_CASE("consumers: 10,000 random schedules keep to the model and become stable") {
    const char* one = std::getenv("LEAT_SEED");
    const char* many = std::getenv("LEAT_SEEDS");
    const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
    const std::uint64_t count = one != nullptr    ? 1
                                : many != nullptr ? std::strtoull(many, nullptr, 10)
                                                  : 10'000;
    std::int64_t commits = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        INFO("LEAT_SEED=", seed);
        ConsumerRun run(seed);
        run.go();
        commits += run.commits_taken;
    }
    CHECK(commits > static_cast<std::int64_t>(count));
}

}  // namespace leat::test
