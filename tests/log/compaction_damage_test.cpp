// A batch that is lost beside gaps that compaction left: it is told, and they are not.
#include <doctest/doctest.h>

#include "broker/log/inspect.hpp"
#include "tests/log/keyed_rig.hpp"
#include "tests/log/planted.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr StreamId plain = 1, keyed = 2;

/// A compacted stream, most of which is superseded, among the records of one that keeps all.
SimImage compacted_log() {
    SimStorage device({.seed = 1, .size = medium});
    KeyedRig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(plain, {}));
    REQUIRE(rig.log->declare_stream(keyed, compacted));
    rig.log->set_release(plain, INT64_MAX);
    rig.log->set_release(keyed, INT64_MAX);
    SimRandom random(3);
    for (std::uint64_t i = 0; i < 900; ++i) {
        KeyedSpec spec{.records = {}};
        for (std::uint64_t j = 0; j < 3; ++j)
            spec.records.push_back(
                update(i % 25 == 9 ? 100 + i * 3 + j : random.below(20), i, 400));
        REQUIRE(rig.put(keyed, spec) >= 0);
        if (i % 3 == 0) REQUIRE(rig.append_durably(plain, {.count = 2, .size = 300, .salt = i}));
        rig.pass(20);
    }
    rig.rest(30);
    CHECK(rig.counters().superseded_records > 1'000);
    rig.close();
    return device.image();
}

/// The batches of the sealed segments, and the ranges that may be told of each: from where the one
/// before it in its segment ends, to where the one behind it there begins.
struct Whole final : InspectVisitor {
    struct Batch {
        StreamId stream;
        Offset from, to, told_from, told_to;
        std::uint32_t segment, position, bytes;
        bool first = false;  ///< of its stream in its segment
    };
    std::vector<Batch> batches;
    std::map<StreamId, std::size_t> last;
    void on_segment(std::uint32_t, const SegmentEntry&) override { last.clear(); }
    void on_commit(std::uint32_t, const CommitHeader&) override {}
    void on_frame(const InspectedFrame& frame) override {
        if (!frame.wanted || !frame.batch || frame.header.continues()) return;
        Batch batch{.stream = frame.header.stream,
                    .from = frame.batch->base_offset,
                    .to = frame.batch->end_offset(),
                    .told_from = frame.batch->base_offset,
                    .told_to = frame.batch->end_offset(),
                    .segment = frame.segment,
                    .position = frame.position,
                    .bytes = static_cast<std::uint32_t>(frame.header.padded_bytes())};
        const auto before = last.find(batch.stream);
        batch.first = before == last.end();
        if (before != last.end()) {
            batch.told_from = batches[before->second].to;
            batches[before->second].told_to = batch.from;
        }
        last[batch.stream] = batches.size();
        batches.push_back(batch);
    }
};

Inspection look(const SimImage& image, InspectVisitor* visitor = nullptr) {
    SimStorage device({.seed = 2}, image);
    std::string why;
    Result<Inspection> log = inspect(device, visitor, why);
    INFO(why);
    REQUIRE(log);
    return *std::move(log);
}

std::uint64_t address(std::uint32_t segment, std::uint32_t position) {
    return 32 * KiB + std::uint64_t{segment} * small_segment + position;
}

/// What stands there is 0xFF: nothing tells which stream it was of.
SimImage without(const SimImage& image, std::uint64_t at, std::uint64_t bytes) {
    SimImage copy = image;
    for (std::uint64_t end = at + bytes; at < end;) {
        std::uint8_t sector[512];
        const std::uint64_t from = at % 512, some = std::min(512 - from, end - at);
        copy.read(at - from, sector);
        std::fill_n(sector + from, some, std::uint8_t{0xFF});
        copy.write(at - from, sector);
        at += some;
    }
    return copy;
}

/// Ranges of one stream: each of them within what may be told, together all that is lost.
struct Told {
    std::map<StreamId, std::vector<std::pair<Offset, Offset>>> ranges;
    void check(const Whole::Batch& lost) const {
        for (const auto& [id, told] : ranges)
            for (const auto& [from, to] : told) {
                INFO("stream ", id, " told ", from, " to ", to);
                CHECK(id == lost.stream);
                CHECK(from >= lost.told_from);
                CHECK(to <= lost.told_to);
            }
        REQUIRE(ranges.contains(lost.stream));
        for (Offset at = lost.from; at < lost.to; ++at) {
            const auto& told = ranges.at(lost.stream);
            CHECK(std::any_of(told.begin(), told.end(),
                              [at](const auto& r) { return r.first <= at && at < r.second; }));
        }
    }
};

Told in_ledger(Rig& rig) {
    Told told;
    for (const StreamId id : {plain, keyed}) {
        const Books books = rig.log->books(id);
        CHECK(books.balanced());
        for (const Loss& loss : books.losses) {
            CHECK(loss.reason == LossReason::damaged);
            told.ranges[id].emplace_back(loss.from, loss.to);
        }
    }
    return told;
}

void declare(Rig& rig) {
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(plain, {}));
    REQUIRE(rig.log->declare_stream(keyed, compacted));
}

}  // namespace

TEST_CASE("compaction: one lost frame costs its batch, not the gaps beside it, whoever tells") {
    const SimImage image = compacted_log();
    Whole whole;
    REQUIRE(look(image, &whole).damages.empty());
    std::map<StreamId, Offset> end;
    for (const Whole::Batch& batch : whole.batches) end[batch.stream] = batch.to;
    const std::uint32_t tail = whole.batches.back().segment;
    std::size_t beside_gaps = 0, first_ones = 0, of_plain = 0, in_tail = 0, scrubbed = 0;
    for (std::size_t i = 0; i < whole.batches.size(); ++i) {
        const Whole::Batch& lost = whole.batches[i];
        const bool gap = lost.told_from < lost.from || lost.told_to > lost.to;
        if (lost.to == end.at(lost.stream)) continue;  // then the start knows another end
        if (lost.segment == tail)
            ++in_tail;
        else if (lost.stream == plain ? i % 5 != 0 : !gap && !lost.first && i % 7 != 0)
            continue;
        beside_gaps += gap ? 1 : 0;
        of_plain += lost.stream == plain ? 1 : 0;
        first_ones += lost.first && lost.stream == keyed ? 1 : 0;
        INFO("batch ", i, " of stream ", lost.stream, " from ", lost.from, " to ", lost.to,
             " segment ", lost.segment, " position ", lost.position);
        const SimImage hurt = without(image, address(lost.segment, lost.position), 40);

        Told verified;
        for (const Damage& damage : look(hurt).damages)
            if (damage.from >= 0)
                verified.ranges[damage.stream].emplace_back(damage.from, damage.to);
        verified.check(lost);

        {  // Readers meet it.
            SimStorage device({.seed = 3}, hurt);
            Rig rig(device, compact_config(), {}, 42, topics::filter_records);
            declare(rig);
            std::size_t errors = 0;
            (void)read_over(rig, plain, errors);
            (void)read_over(rig, keyed, errors);
            in_ledger(rig).check(lost);
        }
        if (lost.segment != tail && (lost.first || i % 11 == 0)) {  // The scrubber does.
            SimStorage device({.seed = 4}, hurt);
            LogConfig config = compact_config();
            config.scrub_every = milliseconds(1);
            Rig rig(device, config, {}, 42, topics::filter_records);
            declare(rig);
            rig.pass(61'000);
            for (int k = 0; k < 1'000 && rig.log->counters().scrub_damaged == 0; ++k) rig.pass(100);
            for (int k = 0; k < 50; ++k) rig.pass(100);
            in_ledger(rig).check(lost);
            ++scrubbed;
        }
    }
    CHECK(beside_gaps > 30);
    CHECK(first_ones > 2);
    CHECK(of_plain > 30);
    CHECK(in_tail > 1);
    CHECK(scrubbed > 10);
}

TEST_CASE("compaction: a lost page costs the batches on it, all of them, and no gap elsewhere") {
    const SimImage image = compacted_log();
    Whole whole;
    REQUIRE(look(image, &whole).damages.empty());
    std::map<StreamId, Offset> end;
    for (const Whole::Batch& batch : whole.batches) end[batch.stream] = batch.to;
    std::size_t pages = 0, several = 0;
    std::uint64_t done = 0;
    for (const Whole::Batch& batch : whole.batches) {
        const std::uint64_t page = address(batch.segment, batch.position) / 4096 * 4096;
        if (std::exchange(done, page) == page || ++pages % 3 != 0) continue;
        const SimImage hurt = without(image, page, 4096);
        // Of each stream from the first one that is hurt to the last one: there are others between.
        std::map<StreamId, Whole::Batch> lost;
        std::vector<const Whole::Batch*> all;
        bool at_the_end = false;
        for (const Whole::Batch& one : whole.batches) {
            const std::uint64_t at = address(one.segment, one.position);
            if (at >= page + 4096 || at + one.bytes <= page) continue;
            at_the_end = at_the_end || one.to == end.at(one.stream);
            all.push_back(&one);
            const auto [known, fresh] = lost.emplace(one.stream, one);
            if (!fresh) known->second.told_to = one.told_to;
        }
        if (at_the_end) continue;
        several += all.size() > 3 ? 1 : 0;
        INFO("page at ", page, " with ", all.size(), " batches");
        SimStorage device({.seed = 3}, hurt);
        Rig rig(device, compact_config(), {}, 42, topics::filter_records);
        declare(rig);
        std::size_t errors = 0;
        (void)read_over(rig, plain, errors);
        (void)read_over(rig, keyed, errors);
        Told verified, told = in_ledger(rig);
        for (const Damage& damage : look(hurt).damages)
            if (damage.from >= 0)
                verified.ranges[damage.stream].emplace_back(damage.from, damage.to);
        for (Told* one : {&verified, &told}) {
            for (const auto& [id, ranges] : one->ranges)
                for (const auto& [from, to] : ranges) {
                    INFO("stream ", id, " told ", from, " to ", to);
                    REQUIRE(lost.contains(id));
                    CHECK(from >= lost.at(id).told_from);
                    CHECK(to <= lost.at(id).told_to);
                }
            for (const Whole::Batch* batch_lost : all)
                for (Offset at = batch_lost->from; at < batch_lost->to; ++at)
                    CHECK(std::any_of(one->ranges[batch_lost->stream].begin(),
                                      one->ranges[batch_lost->stream].end(), [at](const auto& r) {
                                          return r.first <= at && at < r.second;
                                      }));
        }
    }
    CHECK(pages > 60);
    CHECK(several > 5);
}
