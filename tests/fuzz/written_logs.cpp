#include "tests/fuzz/written_logs.hpp"

#include <algorithm>

namespace leat::log::fuzz {
namespace {

constexpr std::uint32_t large_segment = 2 * MiB;

struct Made {
    Written written;
    Sent sent;
};

void work(Rig& rig, std::uint64_t i, std::size_t size, Sent& sent) {
    (void)put_keyed(rig, keyed_first + i % 2, i, sent);
    (void)rig.append(expiring, {.count = 2, .size = 40 + i * 131 % size, .salt = i});
    if (i % 4 == 0)
        (void)rig.append(kept, {.count = 3,
                                .size = 90,
                                .salt = i,
                                .producer_id = 5,
                                .epoch = 0,
                                .sequence = static_cast<std::int32_t>(i / 4 * 3)});
    if (i % 5 == 0) {
        const std::string key = "k" + std::to_string(i % 7);
        (void)rig.log->put_fact(rig.at(), FactKind::group, bytes_of(key), bytes_of("value"));
    }
    if (i % 90 == 45) (void)rig.log->erase_fact(rig.at(), FactKind::group, bytes_of("k3"));
    if (i % 3 == 0) rig.settle();
}

Made make(std::size_t which) {
    const bool large = which == 3;
    Made made;
    const std::uint32_t segment = large ? large_segment : small_segment;
    SimStorage device({.seed = 1 + which, .size = 32 * KiB + std::uint64_t{16} * segment});
    made.written.segment_bytes = segment;
    const std::uint64_t batches[] = {20, 260, 2'600, 700};
    const int runs = which == 0 ? 1 : 3;
    std::uint64_t i = 0;
    for (int run = 0; run < runs; ++run) {
        LogConfig config = busy_config();
        config.segment_bytes = segment;
        if (large) config.group_bytes_max = 512 * KiB;
        const bool compacts = which >= 2;
        Rig rig(device, config, {}, 42 + which,
                compacts ? RecordFilter(topics::filter_records) : RecordFilter());
        LEAT_CHECK(static_cast<bool>(rig.open()));
        declare(rig);
        for (const std::uint64_t end = batches[which] * (run + 1) / runs; i < end; ++i) {
            work(rig, i, large ? 20'000 : 1'500, made.sent);
            if (i % 40 == 0) rig.pass(1'500);
            if (i == batches[which] * 9 / 10) made.written.older = device.image();
        }
        rig.settle();
        if (run + 1 < runs || large) rig.close();
    }
    made.written.image = device.image();
    return made;
}

const Made& made(std::size_t which) {
    static std::optional<Made> all[written_logs];
    std::optional<Made>& one = all[which % written_logs];
    if (!one) one = make(which % written_logs);
    return *one;
}

}  // namespace

bool Sent::has(StreamId stream, Offset offset, const KeyedValue& value) const {
    const auto of = records.find(stream);
    if (of == records.end()) return false;
    const auto at = of->second.find(offset);
    return at != of->second.end() &&
           std::find(at->second.begin(), at->second.end(), value) != at->second.end();
}

void declare(Rig& rig) {
    for (StreamId id = keyed_first; id <= keyed_last; ++id) {
        StreamPolicy policy{.compact = true, .dirty_permille_min = 200};
        policy.tombstone_retention = milliseconds(20'000);
        (void)rig.log->declare_stream(id, policy);
    }
    (void)rig.log->declare_stream(expiring, {.retention_bytes = 150'000});
    (void)rig.log->declare_stream(kept, {});
    for (StreamId id = keyed_first; id <= kept; ++id) rig.log->set_release(id, INT64_MAX);
}

std::optional<Put> put_keyed(Rig& rig, StreamId stream, std::uint64_t serial, Sent& sent) {
    constexpr Codec codecs[] = {Codec::none, Codec::none, Codec::lz4, Codec::gzip};
    KeyedSpec spec{.records = {}, .codec = codecs[serial / 2 % std::size(codecs)]};
    for (std::uint64_t n = 0; n < 1 + serial % 3; ++n) {
        KeyedValue record{.key = "key-" + std::to_string((serial * 7 + n * 5) % 23),
                          .value = std::to_string(serial) + ":" + std::to_string(n)};
        record.value->resize(60 + serial * 37 % 300, static_cast<char>('a' + serial % 26));
        if ((serial + n) % 11 == 0) record.value.reset();
        record.timestamp = 1'000'000 + static_cast<std::int64_t>(serial);
        spec.records.push_back(record);
    }
    const auto batch = make_keyed_batch(spec);
    const auto appended = rig.log->append(rig.at(), wall_ms(rig.wall),
                                          {.stream = stream, .batch = batch, .log_append_time = {}});
    if (!appended) return std::nullopt;
    Offset at = appended->base_offset;
    for (const KeyedValue& record : spec.records)
        sent.records[stream][at++].push_back(record);
    return Put{appended->base_offset, at, appended->commit};
}

const Written& written(std::size_t which) { return made(which).written; }
const Sent& sent_into(std::size_t which) { return made(which).sent; }

}  // namespace leat::log::fuzz
