// Reads every record of some partitions over the wire, as any consumer would.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "sdk/host/codecs.hpp"
#include "tests/sim/router_driver.hpp"

namespace leat::sim {

class Reader final : public Actor {
public:
    struct Record {
        std::int64_t offset;
        std::string value;
    };
    struct Partition {
        std::string topic;
        client::FetchPartition fetch;
        std::vector<Record> records;
        bool at_end() const {
            return fetch.high_watermark >= 0 && fetch.position == fetch.high_watermark;
        }
        Partition(std::string name, std::int32_t number) : topic(std::move(name)) {
            fetch.topic = topic;
            fetch.partition = number;
            fetch.lookup = client::timestamp_earliest;
        }
    };
    Reader(World& world, Network& network, std::string server);
    void read(std::string topic, std::int32_t partition);
    const std::deque<Partition>& partitions() const { return partitions_; }
    bool is_done() const;

    Instant deadline() const override { return net_.router.deadline(); }
    void on_deadline() override;
    void drain() override;

private:
    World& world_;
    host::Decompressor decompressor_;
    RouterDriver net_;
    std::deque<Partition> partitions_;
};

}  // namespace leat::sim
