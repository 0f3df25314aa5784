// Random schedules of joins, leaves, crashes, timeouts, restarts and commits, each from one seed,
// against a model that knows only what clients were told.
#include <algorithm>
#include <array>
#include <memory>
#include <cstdlib>
#include <set>

#include "tests/groups/rig.hpp"
#include "tests/support/sim_storage.hpp"

namespace leat::test {
namespace {

using groups::ErrorCode;

// A consumer as clients are: joins, syncs, heart-beats, commits what it owns, comes again on errors.
struct Client {
    bool up = false;
    std::optional<std::string> instance;
    std::string member;
    std::int32_t generation = -1;
    groups::Ticket join = 0, sync = 0;
    bool leads = false, owns = false;
    std::set<int> owned;
    std::vector<groups::JoinedMember> members;
};

struct Model {
    std::map<int, std::int64_t> acked;  // partition -> offset that was acknowledged
    std::map<int, std::set<std::int64_t>> tried;  // ... or may have been stored: no answer yet
    std::map<std::int32_t, std::map<int, std::string>> owners;  // generation -> partition -> member
};

struct Run {
    explicit Run(std::uint64_t seed) : random(seed), seed_(seed) {
        config.initial_rebalance_delay = milliseconds(random.below(2) * 500);
        rig = std::make_unique<GroupsRig>(config, instant_ms(1'000),
                                          std::map<CrashLog::Key, std::string>{}, seed + 7);
        for (std::size_t i = 0; i < clients.size(); ++i)
            if (i % 3 == 2) clients[i].instance = "i" + std::to_string(i);
    }

    void go() {
        const std::uint64_t steps = 30 + random.below(50);
        for (std::uint64_t i = 0; i < steps; ++i) step();
        quiet();
    }

    void restart() {
        auto left = rig->log.crash(random.below(rig->log.open_ops.size() + 1));
        const Instant now = rig->now;
        const std::uint64_t seed = random.next();
        rig = std::make_unique<GroupsRig>(config, now, std::move(left), seed);
        for (Client& client : clients) client.join = client.sync = 0;  // connections are lost
        for (auto& [partition, offset] : model.acked) {
            const auto found = rig->groups.fetch("g", "t", partition).offset;
            const bool as_acked = found == offset;
            const bool as_tried = model.tried.contains(partition) && model.tried[partition].contains(found);
            CHECK_MESSAGE((as_acked || as_tried), "seed ", seed_, " partition ", partition, " has ",
                          found, ", acknowledged was ", offset);
            offset = found;
        }
        for (auto& [partition, offsets] : model.tried)
            if (!model.acked.contains(partition)) {
                const auto found = rig->groups.fetch("g", "t", partition).offset;
                CHECK((found == -1 || offsets.contains(found)));
                if (found >= 0) model.acked[partition] = found;
            }
        model.tried.clear();
        unacked.clear();
    }

    void join(Client& client) {
        groups::JoinRequest request;
        request.group = "g";
        request.member = client.member;
        request.instance = client.instance;
        request.client_id = "c";
        request.session_timeout = milliseconds(10'000);
        request.rebalance_timeout = milliseconds(5'000);
        request.protocol_type = "opaque";
        request.protocols = {{"p", "meta"}, {"q", "meta"}};
        request.requires_known_member = true;
        request.can_skip_assignment = true;
        client.join = ++rig->last;
        client.sync = 0;
        client.owns = false;
        client.owned.clear();
        rig->groups.join(rig->now, client.join, std::move(request));
    }

    void sync(Client& client) {
        std::map<std::string, std::string> parts;
        if (client.leads)
            for (int p = 0; p < 8; ++p)
                parts[client.members[static_cast<std::size_t>(p) % client.members.size()].id] +=
                    static_cast<char>(p);
        groups::SyncRequest request;
        request.who = identity(client);
        for (const auto& [id, part] : parts) request.assignments.emplace_back(id, part);
        client.sync = ++rig->last;
        rig->groups.sync(rig->now, client.sync, request);
    }

    groups::Identity identity(const Client& client) const {
        groups::Identity who{.group = "g",
                             .member = client.member,
                             .instance = std::nullopt,
                             .generation = client.generation};
        if (client.instance) who.instance = *client.instance;
        return who;
    }

    void lose(Client& client, ErrorCode error) {
        client.owns = false;
        client.owned.clear();
        client.generation = -1;
        if (error == ErrorCode::unknown_member_id || error == ErrorCode::fenced_instance_id)
            client.member.clear();
        client.join = client.sync = 0;
    }

    // What a client does with what it was told.
    void hear(Client& client) {
        if (client.join != 0)
            if (const auto at = rig->joined.find(client.join); at != rig->joined.end()) {
                const groups::JoinAnswer told = at->second;
                client.join = 0;
                if (told.error == ErrorCode::member_id_required) {
                    client.member = told.member;
                    return join(client);
                }
                if (told.error != ErrorCode::none) return lose(client, told.error);
                client.member = told.member;
                client.generation = told.generation;
                client.leads = told.leader == told.member && !told.skip_assignment;
                client.members = told.members;
                if (client.leads) CHECK(!told.members.empty());
                sync(client);
            }
        if (client.sync != 0)
            if (const auto at = rig->synced.find(client.sync); at != rig->synced.end()) {
                const groups::SyncAnswer told = at->second;
                client.sync = 0;
                if (told.error != ErrorCode::none) return lose(client, told.error);
                client.owns = true;
                for (const char p : told.assignment) {
                    client.owned.insert(p);
                    auto& owner = model.owners[client.generation][p];
                    // A static member that was replaced hands its place to its successor.
                    const std::string name = client.instance ? *client.instance : client.member;
                    CHECK_MESSAGE((owner.empty() || owner == name), "seed ", seed_, " generation ",
                                  client.generation, " partition ", int(p), " has two owners");
                    owner = name;
                }
            }
    }

    void commit(Client& client, std::int32_t generation_delta) {
        if (!client.owns || client.owned.empty()) return;
        const int partition = *client.owned.begin();
        const std::int64_t offset = ++next_offset;
        auto who = identity(client);
        who.generation += generation_delta;
        const auto group = rig->groups.describe("g");
        const auto written = rig->groups.commit(
            rig->now, who, {{.topic = "t", .partition = partition, .offset = offset, .metadata = {}}});
        if (written.again) return;
        const bool good = written.error == ErrorCode::none && written.each[0] == ErrorCode::none;
        if (generation_delta != 0) CHECK_MESSAGE(!good, "seed ", seed_, ": a fenced commit");
        const bool member = std::any_of(group.members.begin(), group.members.end(),
                                        [&](const auto& one) { return one.id == client.member; });
        if (!member) CHECK_MESSAGE(!good, "seed ", seed_, ": a commit of no member was taken");
        if (good) {
            model.tried[partition].insert(offset);
            unacked.emplace_back(written.commit, partition, offset);
        } else if (written.error != ErrorCode::rebalance_in_progress && generation_delta == 0) {
            lose(client, written.error);
        }
    }

    void flush() {
        rig->flush();
        std::erase_if(unacked, [&](const auto& one) {
            const auto& [id, partition, offset] = one;
            if (id > rig->log.flushed_commit()) return false;
            model.acked[partition] = offset;
            return true;
        });
        model.tried.clear();
        for (const auto& [partition, offset] : model.acked)
            if (!model.tried.contains(partition))
                CHECK(rig->groups.fetch("g", "t", partition).offset == offset);
    }

    void step() {
        Client& client = clients[random.below(clients.size())];
        rig->log.ops_max = random.chance(10) ? 2 : 1'000'000;
        switch (random.below(12)) {
            case 0:
            case 1:
                client.up = true;
                if (client.join == 0 && client.sync == 0 && !client.owns) join(client);
                break;
            case 2:  // silent: no heartbeat, no answer heard
                client.up = false;
                client.join = client.sync = 0;
                client.owns = false;
                client.member.clear();
                break;
            case 3:
                if (client.owns && random.chance(30)) {
                    ErrorCode error;
                    std::optional<std::string_view> instance;
                    if (client.instance) instance = *client.instance;
                    (void)rig->groups.leave(rig->now, "g", {{client.member, instance}}, error);
                    client.up = false;
                    lose(client, ErrorCode::unknown_member_id);
                }
                break;
            case 4:
                if (random.chance(40)) restart();
                break;
            case 5:
                commit(client, random.chance(20) ? -1 : 0);
                break;
            case 6:
            case 7:
                flush();
                break;
            case 8:
                pass(100 + static_cast<std::int64_t>(random.below(random.chance(20) ? 20'000 : 900)));
                break;
            default:
                beat(client);
        }
        settle_clients();
    }
    void beat(Client& client) {
        if (!client.up || client.join != 0 || client.sync != 0) return;
        if (!client.owns) return join(client);
        const ErrorCode error = rig->groups.heartbeat(rig->now, identity(client));
        if (error == ErrorCode::rebalance_in_progress || error == ErrorCode::none) {
            if (error != ErrorCode::none) join(client);
        } else {
            lose(client, error);
        }
    }
    void pass(std::int64_t ms) {
        rig->now += milliseconds(ms);
        rig->groups.on_deadline(rig->now);
    }
    void settle_clients() {
        rig->settle();
        for (Client& client : clients)
            if (client.up) hear(client);
    }

    // The faults stop: soon everybody who is up has its share and the group is stable.
    void quiet() {
        rig->log.ops_max = 1'000'000;
        clients[0].up = true;
        bool calm = false;
        for (int round = 0; round < 200 && !calm; ++round) {
            pass(1'000);
            flush();
            settle_clients();
            for (Client& client : clients) beat(client);
            flush();
            settle_clients();
            std::set<int> covered;
            std::size_t up = 0, owning = 0;
            for (const Client& client : clients)
                if (client.up) {
                    ++up;
                    owning += client.owns;
                    covered.insert(client.owned.begin(), client.owned.end());
                }
            const auto group = rig->groups.describe("g");
            calm = up == owning && covered.size() == 8 && group.members.size() == up &&
                   std::string_view(group.state) == "Stable";
        }
        CHECK_MESSAGE(calm, "seed ", seed_, ": not stable, state ", rig->groups.describe("g").state);
        ++stable;
    }

    SimRandom random;
    std::uint64_t seed_;
    groups::GroupsConfig config;
    std::unique_ptr<GroupsRig> rig;
    std::array<Client, 5> clients;
    Model model;
    std::vector<std::tuple<log::CommitId, int, std::int64_t>> unacked;
    std::int64_t next_offset = 0;
    int stable = 0;
};

}  // namespace

TEST_CASE("groups: 10,000 random schedules keep to the model and become stable") {
    const char* one = std::getenv("LEAT_SEED");
    const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
    const std::uint64_t count = one != nullptr ? 1 : 10'000;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        INFO("LEAT_SEED=", seed);
        Run run(seed);
        run.go();
    }
}

}  // namespace leat::test
