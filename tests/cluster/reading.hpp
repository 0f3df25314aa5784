// A consumer on the rig: logs to read, and what was read of each partition.
#pragma once

#include "tests/cluster/rig.hpp"

namespace leat::testing {

inline cluster::RouterConfig reading_config() {
    cluster::RouterConfig config = test_config();
    config.fetcher.reset = client::OffsetReset::earliest;
    config.fetcher.wait_max = milliseconds{10};
    config.fetcher.bytes_max = config.fetcher.partition_bytes_max = 64 * 1024;
    config.prefetch_bytes = 64 * 1024;
    return config;
}

inline client::FetchPartition partition_of(const char* topic, std::int32_t number) {
    client::FetchPartition partition;
    partition.topic = topic;
    partition.partition = number;
    partition.slot = static_cast<std::uint16_t>(number);
    partition.lookup = client::timestamp_earliest;
    return partition;
}

inline void fill(ModelCluster& cluster, std::int32_t partitions, int records) {
    Rig rig(cluster);
    TestProducer producer(rig, "t", partitions);
    for (int i = 0; i < records; ++i)
        for (std::int32_t p = 0; p < partitions; ++p) {
            REQUIRE(producer.send(p, std::to_string(p) + "/" + std::to_string(i)));
            rig.settle();
        }
    REQUIRE(rig.run([&] { return producer.is_done(); }));
}

/// Straight into the log, as another producer would.
inline void fill_more(ModelCluster& cluster, std::int32_t partition, int from, int to) {
    Rig rig(cluster);
    TestProducer producer(rig, "t", partition + 1);
    for (int i = from; i < to; ++i)
        REQUIRE(producer.send(partition, std::to_string(partition) + "/" + std::to_string(i)));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
}

struct Reading {
    explicit Reading(Rig& its_rig) : rig(its_rig) {}
    /// Returns whether there was anything.
    bool read_all() {
        const std::size_t before = count();
        while (const auto record = rig.router.next_record(rig.now))
            values[record->from->partition].emplace_back(text_of(record->record.value.view()));
        rig.router.pump(rig.now);
        return count() > before;
    }
    std::size_t count() const {
        std::size_t all = 0;
        for (const auto& [partition, list] : values) all += list.size();
        return all;
    }
    Rig& rig;
    std::map<std::int32_t, std::vector<std::string>> values;
};

/// A consumer of the one partition of "t", which is led by the first of `nodes`. What a test
/// changes of it before start() holds from the first request on.
struct OneReader {
    explicit OneReader(std::initializer_list<std::int32_t> nodes,
                       cluster::RouterConfig config = reading_config())
        : rig(brokers, std::move(config)) {
        for (std::int32_t node : nodes) brokers.add_broker(node);
        brokers.add_topic("t", {*nodes.begin()});
    }
    void start() {
        rig.router.route(rig.now, partition);
        rig.on_idle = [this] { return reading.read_all(); };
    }
    /// Until so many records were read, in all.
    bool reads(std::size_t count, milliseconds limit = milliseconds{120'000}) {
        return rig.run([&] { return reading.count() == count; }, limit);
    }
    void pass(milliseconds time) {
        rig.run([] { return false; }, time);
    }

    ModelCluster brokers;
    Rig rig;
    client::FetchPartition partition = partition_of("t", 0);
    Reading reading{rig};
};

}  // namespace leat::testing
