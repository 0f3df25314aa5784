// The cleaner, compaction, retention, scrubber and shrinking on hurt flash: a log with compacted streams is opened,
// kept going for simulated minutes, read, closed and opened again. Nothing crashes, hangs or asks for much memory, and
// no record is read that nobody wrote. What was read before the upkeep began is what a consumer believes after it, and
// what was acknowledged since stays.
//
//   u8 base device (written_logs.hpp; not the large one), u8 flags (1: appends go on, 2: a smaller budget,
//   4 and 8: how long, 16: reads are refused for a while, 32: a write fails), then changes (flash_changes.hpp)
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/written_logs.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::fuzz;

namespace {

void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

/// Records of one batch; false: it makes no sense (Kafka's checksum holds, so it was written so).
bool take_batch(ByteView whole, ByOffset& into) {
    const auto batch = wire::BatchView::parse(whole);
    if (!batch || !batch->crc_ok()) return false;
    std::vector<std::uint8_t> plain;
    if (!compression::decompress(batch->codec(), batch->records(), plain, 4 * MiB)) return false;
    wire::RecordReader reader(plain, batch->header().record_count);
    while (const auto record = reader.next()) {
        if (record->offset_delta < 0 || record->offset_delta > batch->header().last_offset_delta)
            return false;
        KeyedValue value{.key = std::string(text_of(record->key.view())), .value = {}};
        if (!record->value.is_null()) value.value = std::string(text_of(record->value.view()));
        value.timestamp = static_cast<std::int64_t>(
            static_cast<std::uint64_t>(batch->header().base_timestamp) +
            static_cast<std::uint64_t>(record->timestamp_delta));
        into[batch->header().base_offset + record->offset_delta] = value;
    }
    return static_cast<bool>(reader.finish());
}

/// All of a compacted stream that can be read, over the damage in it.
ByOffset read_keyed(Rig& rig, StreamId id, const Sent* sent) {
    ByOffset found;
    const StreamState* state = rig.log->stream(id);
    must(state != nullptr && state->log_start <= state->log_end && state->flushed <= state->log_end,
         "a stream is in order");
    Offset from = state->log_start;
    for (int gaps = 0; gaps < 500; ++gaps) {
        const auto all = rig.read_all(id, from);
        must(all.error != Error::timed_out, "a read ends");
        ByteView left = all.bytes;
        while (!left.empty()) {
            const ByteView batch = next_batch(left);
            const bool good = !batch.empty() && take_batch(batch, found);
            if (sent != nullptr) must(good, "a batch that is read is whole");
            if (batch.empty()) break;
        }
        if (all.error == Error::storage) {
            rig.pass(1'000);
            continue;
        }
        if (!all.error || all.next <= from) break;
        from = all.next;
    }
    if (sent != nullptr)
        for (const auto& [offset, value] : found)
            must(sent->has(id, offset, value), "a record that is read was written");
    found.erase(found.begin(), found.lower_bound(rig.log->stream(id)->log_start));
    return found;
}

using Keyed = std::map<StreamId, ByOffset>;

/// Who reads everything believes the same as before, but for what has come since.
void same_belief(const ByOffset& before, const ByOffset& after) {
    std::map<std::string, Offset> newest_before, newest_after;
    for (const auto& [offset, record] : before) newest_before[record.key] = offset;
    for (const auto& [offset, record] : after) newest_after[record.key] = offset;
    for (const auto& [key, offset] : newest_before) {
        const auto is = newest_after.find(key);
        if (is == newest_after.end())
            must(!before.at(offset).value, "the newest record of a key stays");
        else
            must(is->second >= offset, "no older record takes the place of a newer one");
    }
}

void keep_going(Rig& rig, std::uint8_t flags, Sent& sent, std::uint64_t& serial,
                std::map<StreamId, Offset>& acked) {
    const int seconds = 20 + 25 * (flags >> 2 & 3);
    for (int i = 0; i < seconds; ++i) {
        if (i == 3 && (flags & 16)) rig.device.fail_next_reads(flags >> 6, 12);
        if (i == 6 && (flags & 32)) rig.device.fail_next(flags >> 6, 1);
        if (flags & 1) {
            const StreamId id = keyed_first + serial % 2;
            const auto put = put_keyed(rig, id, serial++, sent);
            (void)rig.append(expiring, {.count = 2, .size = 3'000, .salt = serial});
            rig.settle();
            if (put && rig.log->flushed_commit() >= put->commit) acked[id] = put->end;
        }
        rig.pass(1'000);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t which = data[0] % 3;
    const Written& base = written(which);
    bound_memory(32 * MiB);
    SimImage image = base.image;
    const bool sealed = change(image, base, ByteView(data, size).subspan(2));
    Sent sent = sent_into(which);
    SimStorage device({.seed = 2}, std::move(image));
    std::uint64_t serial = 1'000'000;
    std::map<StreamId, Offset> acked;
    Keyed before;
    for (int run = 0; run < 2; ++run) {
        LogConfig config = busy_config();
        if (data[1] & 2) config.budget_bytes = 32 * KiB + 16 * 64 * KiB - 96 * KiB;
        Rig rig(device, config, {}, 42 + run, topics::filter_records);
        device.fail_next_reads(0, 0);  // what the run before left: a device that is away is no finding
        device.fail_next(0, 0);
        if (!rig.open()) {
            must(!rig.log->open_error_text().empty(), "a refusal says why");
            must(run == 0 || sealed, "what was open before opens again");
            break;
        }
        declare(rig);
        for (StreamId id = keyed_first; id <= keyed_last; ++id) {
            ByOffset found = read_keyed(rig, id, sealed ? nullptr : &sent);
            if (run > 0 && !sealed) {
                same_belief(before[id], found);
                must(rig.log->stream(id)->log_end >= acked[id], "what was acknowledged is there");
            }
            before[id] = std::move(found);
        }
        keep_going(rig, data[1], sent, serial, acked);
        for (StreamId id = keyed_first; id <= keyed_last; ++id) {
            ByOffset found = read_keyed(rig, id, sealed ? nullptr : &sent);
            if (!sealed) same_belief(before[id], found);
            before[id] = std::move(found);
        }
        (void)rig.read_all(expiring, rig.log->stream(expiring)->log_start);
        (void)rig.log->books(keyed_first);
        rig.close();
        device.power_cycle();
    }
    bound_memory(0);
    return 0;
}
