#include "tests/sim/scenario.hpp"

#include <cstdlib>
#include <map>
#include <memory>
#include <set>

#include "tests/sim/broker_host.hpp"
#include "tests/sim/device.hpp"
#include "tests/sim/reader.hpp"

namespace leat::sim {
namespace {

constexpr std::int64_t faults_end_ms = 40'000;  // virtual; the devices stop here, too
constexpr std::int64_t quiet_end_ms = 60'000;
constexpr std::uint32_t devices_count = 3;

config::Config broker_config(const std::string& name, std::int32_t id) {
    config::Config config;
    config.listen = {name, 9092};
    config.advertised = {name, 9092};
    config.node_id = id;
    config.num_partitions = 2;
    config.segment_bytes = 64 * 1024;
    config.build_date_ms = 1'780'000'000'000;
    return config;
}

struct Setup {
    World world;
    Network network{world};
    std::unique_ptr<BrokerHost> gateway, center;
    std::vector<std::unique_ptr<Device>> devices;
    bool small = false;

    explicit Setup(const Plan& plan) : world(plan.seed) {
        world.trace = plan.trace;
        const std::uint64_t seed = plan.seed;
        config::Config config = broker_config("gateway", 1);
        config::Route route;
        route.bootstrap = {{"center", 9092}};
        route.topics = {"*"};
        route.create_topics = true;
        route.request_timeout = milliseconds{3000};
        route.backoff_max = milliseconds{1000};
        config.routes = {route};
        // Every other gateway has so little flash that its ring turns: it forgets what is upstream
        // and two seconds old, and it is full while the link is away for long.
        small = seed % 2 == 1;
        // The books of a seed say that nothing is lost: so a full gateway refuses.
        config.full_policy = "reject";
        if (small) config.retention = milliseconds{2000};
        gateway = std::make_unique<BrokerHost>(
            world, network,
            HostOptions{"gateway", config, small ? 20 * 64 * KiB : 16 * MiB, seed * 2 + 1});
        center = std::make_unique<BrokerHost>(
            world, network,
            HostOptions{"center", broker_config("center", 2), 32 * MiB, seed * 2 + 2});
        // Half of the gateways boot without a clock and learn the time later.
        if (world.random.chance(50)) {
            gateway->set_wall_offset(-1'789'999'000'000);
            world.after(world.between(5'000, 30'000), [this] { gateway->set_wall_offset(0); });
        }
        gateway->set_lying_flash(plan.lying_flash);
        gateway->power_on();
        center->power_on();
        for (std::uint32_t i = 0; i < devices_count; ++i) {
            devices.push_back(std::make_unique<Device>(world, network, i, "gateway"));
            devices.back()->run_until(instant_ms(faults_end_ms));
        }
        plan_faults();
    }

    void down_and_up(BrokerHost& host, bool power) {
        if (power)
            host.power_cut();
        else
            host.kill();
        world.after(world.between(50, 4000), [&host] { host.power_on(); });
    }

    void plan_faults() {
        for (std::int64_t ms = 2'000 + world.between(0, 3000).count(); ms < faults_end_ms - 2'000;
             ms += world.between(500, 6'000).count()) {
            const std::uint64_t kind = world.random.below(8);
            world.at(instant_ms(ms), [this, kind] {
                switch (kind) {
                    case 0:
                    case 1:
                        return down_and_up(*gateway, true);
                    case 2:
                        return down_and_up(*gateway, false);
                    case 3:
                        return down_and_up(*center, world.random.chance(50));
                    case 4:
                    case 5:
                        return network.reset_one();
                    case 6:
                        return network.stall(world.random.chance(50) ? "center" : "gateway",
                                             world.now() + world.between(500, 8'000));
                    case 7:
                        gateway->set_slow_flash(true);
                        world.after(world.between(500, 5'000),
                                    [this] { gateway->set_slow_flash(false); });
                        return;
                }
            });
        }
        world.at(instant_ms(faults_end_ms), [this] {  // whatever is down comes up now
            gateway->power_on();
            center->power_on();
            gateway->set_slow_flash(false);
        });
    }
};

struct Found {
    std::uint32_t records = 0, twice = 0;
};
/// Holds what a reader found in one broker against what the devices sent: each record once and in
/// order, offsets without a gap. forgets: the oldest records may be gone, none in between.
std::string check_broker(const Setup& setup, const Reader& reader, const char* where, bool forgets,
                         Found& found) {
    std::string twice;
    for (const Reader::Partition& partition : reader.partitions()) {
        const std::string place = std::string(where) + " " + partition.topic + "/" +
                                  std::to_string(partition.fetch.partition);
        std::map<std::pair<std::uint32_t, std::size_t>, std::uint32_t>
            next;  // device and stream -> next number
        std::int64_t offset =
            forgets && !partition.records.empty() ? partition.records[0].offset : 0;
        for (const Reader::Record& record : partition.records) {
            if (record.offset != offset++)
                return place + ": offset " + std::to_string(record.offset) + " came where " +
                       std::to_string(offset - 1) + " was due";
            unsigned device = 0, stream = 0, number = 0;
            if (std::sscanf(record.value.c_str(), "d%u s%u n%u", &device, &stream, &number) != 3 ||
                device >= devices_count || stream >= Device::streams ||
                record.value != Device::value(device, stream, number) ||
                number >= setup.devices[device]->sent()[stream].accepted ||
                setup.devices[device]->sent()[stream].topic != partition.topic)
                return place + ": nobody sent \"" + record.value.substr(0, 40) + "\"";
            const auto seen = next.try_emplace({device, stream}, forgets ? number : 0).first;
            std::uint32_t& due = seen->second;
            if (number > due)
                return place + ": device " + std::to_string(device) + " record " +
                       std::to_string(number) + " came before " + std::to_string(due);
            if (number == due) {
                ++due;
                ++found.records;
            } else if (found.twice++ == 0) {
                twice = place + ": device " + std::to_string(device) + " record " +
                        std::to_string(number) + " came twice";
            }
        }
        for (const auto& device : setup.devices)
            for (std::size_t stream = 0; stream < Device::streams; ++stream) {
                const Sent& sent = device->sent()[stream];
                if (sent.topic != partition.topic || sent.partition != partition.fetch.partition)
                    continue;
                const auto its = next.find({device->number(), stream});
                const std::uint32_t there = its == next.end() ? 0 : its->second;
                if (forgets && its == next.end()) continue;
                if (there != sent.acknowledged)
                    return place + ": device " + std::to_string(device->number()) + " has " +
                           std::to_string(sent.acknowledged) + " acknowledged, " +
                           std::to_string(there) + " are there";
            }
    }
    return twice;
}

std::string check(Setup& setup, Outcome& outcome) {
    for (BrokerHost* host : {setup.gateway.get(), setup.center.get()})
        if (!host->start_error().empty())
            return host->name() + " did not start: " + host->start_error();
    for (const auto& device : setup.devices)
        for (const Sent& sent : device->sent()) {
            outcome.acknowledged += sent.acknowledged;
            if (sent.refused != 0)
                return "device " + std::to_string(device->number()) +
                       ": a record was given up: " + wire::name(sent.error);
            if (sent.acknowledged != sent.accepted)
                return "device " + std::to_string(device->number()) + " " + sent.topic + ": " +
                       std::to_string(sent.accepted) + " accepted, " +
                       std::to_string(sent.acknowledged) +
                       " acknowledged after the quiet time: " + device->state();
        }
    if (outcome.acknowledged < 300)
        return "only " + std::to_string(outcome.acknowledged) + " records went through";
    Reader at_gateway(setup.world, setup.network, "gateway"),
        at_center(setup.world, setup.network, "center");
    for (Reader* reader : {&at_gateway, &at_center}) {
        for (std::uint32_t i = 0; i < devices_count; ++i)
            reader->read("own-" + std::to_string(i), 0);
        reader->read("shared", 1);
    }
    setup.world.run_until(instant_ms(quiet_end_ms + 10'000));
    for (const auto& [reader, where] :
         {std::pair{&at_gateway, "gateway"}, std::pair{&at_center, "center"}})
        for (const Reader::Partition& partition : reader->partitions())
            if (!partition.at_end())
                return std::string("the reader did not reach the end in 10 s: ") + where + " " +
                       partition.topic + ", position " + std::to_string(partition.fetch.position) +
                       " of " + std::to_string(partition.fetch.high_watermark);
    Found gateway, center;
    std::string failure = check_broker(setup, at_gateway, "gateway", setup.small, gateway);
    // Its route keeps its producer's names: once there, too.
    if (failure.empty()) failure = check_broker(setup, at_center, "center", false, center);
    outcome.at_center = center.records;
    outcome.duplicates = center.twice;
    setup.gateway->kill();  // before the readers go: their connections end with the machine
    setup.center->kill();
    return failure;
}

std::uint32_t number_after(const std::string& json, std::string_view name) {
    const std::size_t at = json.find(name);
    return at == std::string::npos ? 0
                                   : static_cast<std::uint32_t>(std::strtoul(
                                         json.c_str() + at + name.size(), nullptr, 10));
}

}  // namespace

Outcome run_scenario(const Plan& plan) {
    Outcome outcome;
    Setup setup(plan);
    setup.world.run_until(instant_ms(quiet_end_ms));
    outcome.recycled = number_after(setup.gateway->status(), "\"segments_recycled_total\":");
    outcome.failure = check(setup, outcome);
    if (!outcome.failure.empty())
        outcome.failure += "\n" + setup.gateway->last_events + setup.center->last_events;
    outcome.trace_hash = setup.world.trace_hash();
    outcome.works = setup.gateway->works();
    outcome.gateway_starts = setup.gateway->starts();
    outcome.center_starts = setup.center->starts();
    return outcome;
}

}  // namespace leat::sim
