#include "tests/sim/reader.hpp"

#include <algorithm>

namespace leat::sim {
namespace {

cluster::RouterConfig router_config(std::string server) {
    cluster::RouterConfig config;
    config.client_id = "reader";
    config.bootstrap = {{std::move(server), 9092}};
    config.fetcher.reset = client::OffsetReset::earliest;
    config.prefetch_bytes = 256 * 1024;
    config.seed = 99;
    return config;
}

}  // namespace

Reader::Reader(World& world, Network& network, std::string server)
    : world_(world), net_(world, network, router_config(std::move(server)), &decompressor_) {
    world_.add(*this);
}

void Reader::read(std::string topic, std::int32_t partition) {
    partitions_.emplace_back(std::move(topic), partition);
    client::FetchPartition& fetch = partitions_.back().fetch;
    fetch.slot = static_cast<std::uint16_t>(partitions_.size() - 1);
    net_.router.route(world_.now(), fetch);
    net_.router.seek_to_time(world_.now(), fetch, client::timestamp_earliest);
    net_.router.pump(world_.now());
}

bool Reader::is_done() const { return std::ranges::all_of(partitions_, &Partition::at_end); }

void Reader::on_deadline() {
    net_.router.on_deadline(world_.now());
    net_.router.pump(world_.now());
}

void Reader::drain() {
    net_.drain();
    while (const std::optional<client::FetchedRecord> record =
               net_.router.next_record(world_.now()))
        partitions_[record->from->slot].records.push_back(
            {record->offset, std::string(text_of(record->record.value.view()))});
    while (net_.router.poll_event()) {
    }
    net_.router.pump(world_.now());  // what was read has made room for more
    net_.drain();
}

}  // namespace leat::sim
