// What a start and a lookup cost, and what a reader does with frames that only a later program
// writes.
#include <doctest/doctest.h>

#include <cstdio>
#include <set>

#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("recovery: a start on 1 GiB after a power cut reads at most 32 MiB") {
    // Zeros cost the simulated device nothing, so the records are zeros: everything else is real.
    SimStorage device({.seed = 1, .size = 32 * KiB + 1024 * MiB});
    LogConfig config;
    config.commit_interval = milliseconds(0);
    Offset ends[4] = {};
    std::uint64_t facts = 0;
    {
        Rig rig(device, config);
        REQUIRE(rig.open());
        CHECK(rig.log->status().segments == 256);
        CHECK(rig.log->status().segment_bytes == 4 * MiB);
        for (StreamId id = 0; id < 4; ++id) REQUIRE(rig.log->declare_stream(id, {}));
        std::vector<std::uint8_t> batch = make_batch({.count = 100, .size = 200 * KiB});
        std::fill(batch.begin() + batch_header_bytes, batch.end(), std::uint8_t{0});
        store_big<std::uint32_t>(batch.data() + 17,
                                 crc32c(0, ByteView(batch).subspan(outside_kafka_crc)));
        for (StreamId id = 0;; id = (id + 1) % 4) {
            const auto appended = rig.log->append(
                rig.at(), wall_ms(rig.wall), {.stream = id, .batch = batch, .log_append_time = {}});
            if (!appended && appended.error() == Error::full) break;
            if (!appended) {
                REQUIRE(appended.error() == Error::would_block);
                rig.settle();
                continue;
            }
            ends[id] = appended->base_offset + 100;
            if (ends[id] % 400 == 0) {
                ++facts;
                REQUIRE(rig.log->put_fact(rig.at(), FactKind::cursor, bytes_of("up"),
                                          bytes_of(std::to_string(facts))));
            }
        }
        rig.settle();
        CHECK(rig.log->counters().payload > 950 * MiB);
        // Footers and checkpoints are little beside what they save.
        const LogCounters& counters = rig.log->counters();
        CHECK((counters.written_footer + counters.written_checkpoint) * 50 < counters.written_data);
    }
    device.power_cycle();
    const std::uint64_t before = device.counts().bytes_read;
    Rig rig(device, config);
    REQUIRE(rig.open());
    std::printf("start on 1 GiB after a power cut: %.1f MiB read\n",
                static_cast<double>(device.counts().bytes_read - before) / double(MiB));
    CHECK(device.counts().bytes_read - before <= 32 * MiB);
    CHECK(rig.log->counters().read_at_open == device.counts().bytes_read - before);
    CHECK_FALSE(rig.log->status().was_sealed);
    for (StreamId id = 0; id < 4; ++id) CHECK(rig.log->stream(id)->log_end == ends[id]);
    CHECK(text_of(*rig.log->find_fact(FactKind::cursor, bytes_of("up"))) == std::to_string(facts));
    std::vector<std::uint8_t> into(512 * KiB);
    for (Offset at : {Offset{0}, ends[2] / 2, ends[2] - 1}) {
        REQUIRE(rig.log->start_read(rig.at(), {.stream = 2, .from = at, .until = INT64_MAX}, into));
        std::optional<ReadDone> done;
        for (int i = 0; i < 1'000 && !(done = rig.log->poll_read()); ++i)
            rig.log->on_storage(rig.at());
        REQUIRE(done);
        REQUIRE(done->bytes);
        CHECK(read_batch_fields(into)->base_offset == at / 100 * 100);
    }
}

TEST_CASE("checkpoint: six segments of 64 lie between two, and four where room is low") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 64 * MiB});
    LogConfig config = small_config();
    config.segment_bytes = 1 * MiB;
    Rig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    const LogCounters& counters = rig.log->counters();
    const auto written = [&] { return counters.written_data + counters.written_padding; };
    std::vector<std::uint64_t> gaps;
    std::uint64_t begun = 0, checkpoints = 0;
    while (rig.append_durably(1, {.size = 50'000, .salt = 1})) {
        rig.pass(10);
        if (std::exchange(checkpoints, counters.written_checkpoint) == counters.written_checkpoint ||
            written() - begun < 1 * MiB)  // more of the same one
            continue;
        gaps.push_back(written() - begun);
        begun = written();
    }
    REQUIRE(gaps.size() >= 8);
    // The first one comes by its length, which is not known yet. Footers count, too.
    for (std::size_t i = 1; i < 6; ++i) CHECK(gaps[i] / (512 * KiB) == 11);
    CHECK(gaps.back() / (512 * KiB) <= 8);
}

TEST_CASE("index: with far more segments than anchors any record is found within 16 reads") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 700 * 64 * KiB});
    LogConfig config = small_config();
    config.recent_bytes = 0;
    config.cache_bytes = 0;  // a handful of blocks, and one footer
    std::vector<Offset> bases;
    {
        Rig rig(device, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        while (true) {
            const auto appended =
                rig.append(1, {.count = 3,
                               .size = 9'000,
                               .salt = 1,
                               .timestamp = 10 * static_cast<std::int64_t>(bases.size())});
            if (!appended) {
                if (appended.error() == Error::full) break;
                rig.settle();
                continue;
            }
            bases.push_back(appended->base_offset);
            if (bases.size() % 50 == 0) REQUIRE(rig.append(2, {.size = 100}));
            rig.settle();
        }
        REQUIRE(bases.size() > 2'500);
        rig.close();
    }
    Rig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->status().segments == 700);
    std::uint64_t worst = 0, worst_time = 0;
    std::vector<std::uint8_t> into(10'000);
    SimRandom random(5);
    for (int i = 0; i < 400; ++i) {
        const std::size_t which = i == 0 ? 0 : random.below(bases.size());
        std::uint64_t before = device.counts().reads;
        REQUIRE(rig.log->start_read(
            rig.at(), {.stream = 1, .from = bases[which] + 1, .until = INT64_MAX}, into));
        std::optional<ReadDone> done;
        for (int k = 0; k < 1'000 && !(done = rig.log->poll_read()); ++k)
            rig.log->on_storage(rig.at());
        REQUIRE(done);
        REQUIRE(done->bytes);
        CHECK(read_batch_fields(into)->base_offset == bases[which]);
        worst = std::max(worst, device.counts().reads - before);
        before = device.counts().reads;
        REQUIRE(rig.log->start_find_time(rig.at(), 1, 10 * static_cast<std::int64_t>(which) - 5));
        std::optional<TimeDone> found;
        for (int k = 0; k < 1'000 && !(found = rig.log->poll_find_time()); ++k)
            rig.log->on_storage(rig.at());
        REQUIRE(found);
        REQUIRE(found->found);
        CHECK(found->found->offset == bases[which]);
        worst_time = std::max(worst_time, device.counts().reads - before);
    }
    std::printf("lookup in 700 segments: at most %llu reads by offset, %llu by time\n",
                static_cast<unsigned long long>(worst),
                static_cast<unsigned long long>(worst_time));
    CHECK(worst <= 16);
    CHECK(worst_time <= 16);
}

namespace {

/// Writes one commit by hand behind the last one of the open (first) segment.
void forge_commit(SimStorage& device, std::uint32_t position, std::uint64_t sequence,
                  FrameType type, ByteView body, std::uint8_t flags = 0) {
    std::uint8_t sector[segment_header_bytes];
    device.image().read(32 * KiB, sector);
    const auto header = decode_segment_header(sector);
    REQUIRE(header);
    Group group(4096, 4096);
    const MutableBytes at =
        group.add(type, 1, static_cast<std::uint32_t>(body.size()), 1, Instant{});
    copy_bytes(body, at);
    *(at.data() - frame_header_bytes + 1) = flags;
    CommitHeader commit;
    commit.generation = header->generation;
    commit.sequence = sequence;
    commit.run = header->run;
    commit.position = position;
    device.image().write(32 * KiB + position, group.finish(commit, header->salt));
}

}  // namespace

TEST_CASE(
    "frames: `moved` and unknown ones are stepped over, and move neither log end nor producers") {
    SimStorage device({.seed = 1, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.append_durably(
            1, {.count = 2, .salt = 1, .producer_id = 4, .epoch = 0, .sequence = 0}));
    }
    device.power_cycle();  // zeros that are still on their way would go over what is forged
    auto moved = make_batch({.count = 3, .salt = 2, .producer_id = 4, .epoch = 0, .sequence = 2});
    store_big<std::int64_t>(moved.data(), 2);
    forge_commit(device, 2 * 4096, 2, FrameType::moved, moved);
    const std::uint8_t future[] = {1, 2, 3, 4, 5, 6, 7};
    forge_commit(device, 3 * 4096, 3, static_cast<FrameType>(77), future);
    const SimImage image = device.image();
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        CHECK(rig.log->stream(1)->log_end == 2);
        CHECK(rig.log->producer(1, 4)->count == 1);
        REQUIRE(rig.append_durably(
            1, {.count = 1, .salt = 3, .producer_id = 4, .epoch = 0, .sequence = 2}));
        const auto all = rig.read_all(1, 0);
        CHECK(!all.error);
        ByteView left = all.bytes;
        CHECK(read_batch_fields(next_batch(left))->base_offset == 0);
        CHECK(read_batch_fields(next_batch(left))->base_offset == 2);
        CHECK(left.empty());
        CHECK(rig.log->counters().damaged_batches == 0);
    }
    // The mistake that this test is for: it is seen.
    SimStorage again({.seed = 1}, image);
    Rig rig(again, small_config(), {.moved_moves_end = true});
    REQUIRE(rig.open());
    CHECK(rig.log->stream(1)->log_end != 2);
}

TEST_CASE(
    "frames: an unknown one that forbids older programs to write makes them refuse, and nothing is "
    "written") {
    SimStorage device({.seed = 1, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.append_durably(1, {}));
    }
    const std::uint8_t future[] = {1, 2, 3};
    forge_commit(device, 2 * 4096, 2, static_cast<FrameType>(77), future, frame_must_know);
    const std::uint64_t before = device.image().hash();
    Rig rig(device);
    CHECK(rig.open().error() == Error::unsupported);
    CHECK(rig.log->open_error_text().find("newer program") != std::string::npos);
    CHECK(device.image().hash() == before);
}

namespace {

/// Counts the reads that begin while another is under way.
class Depth final : public leat::test::StorageOver {
public:
    explicit Depth(SimStorage& device) : StorageOver(device) {}
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        beside += under_way_.empty() ? 0 : 1;
        under_way_.insert(ticket);
        deepest = std::max(deepest, under_way_.size());
        return below_.start_read(ticket, at, into);
    }
    std::optional<port::StorageDone> poll_done() override {
        const auto done = below_.poll_done();
        if (done) under_way_.erase(done->ticket);
        return done;
    }
    std::uint64_t beside = 0;
    std::size_t deepest = 0;

private:
    std::set<std::uint64_t> under_way_;
};

}  // namespace

TEST_CASE("read: a backlog is drained once over, with several reads under way at any time") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 24 * MiB});
    LogConfig config = small_config();
    config.segment_bytes = static_cast<std::uint32_t>(MiB);
    config.cache_bytes = static_cast<std::uint32_t>(MiB);
    std::uint64_t payload[3] = {};
    {
        Rig rig(device, config);
        REQUIRE(rig.open());
        for (const StreamId id : {1u, 2u}) REQUIRE(rig.log->declare_stream(id, {}));
        for (std::uint64_t i = 0; payload[1] < 12 * MiB; ++i) {
            // Nine of ten batches are of the stream that is drained.
            const StreamId id = i % 10 == 9 ? 2 : 1;
            const auto appended = rig.append(id, {.count = 20, .size = 15'000, .salt = i});
            if (!appended) {
                rig.settle();
                continue;
            }
            payload[id] += 15'061;
            if (i % 8 == 0) rig.settle();
        }
        rig.close();
    }
    Depth depth(device);
    SimEntropy entropy(7);
    const auto log = make_log(depth, entropy, config);
    const Instant now = instant_ms(2'000'000);
    REQUIRE(log->open(now, wall_ms(1'800'000'100'000)));
    depth.beside = 0;
    const auto before = device.counts();
    std::vector<std::uint8_t> into(512 * KiB);
    std::uint64_t bytes = 0;
    for (Offset at = 0;;) {
        REQUIRE(log->start_read(now, {.stream = 1, .from = at, .until = INT64_MAX}, into));
        std::optional<ReadDone> done;
        while (!(done = log->poll_read())) log->on_storage(now);
        REQUIRE(done->bytes);
        if (*done->bytes == 0) break;
        bytes += *done->bytes;
        at = done->next;
    }
    CHECK(bytes == payload[1]);
    const std::uint64_t reads = device.counts().reads - before.reads;
    const double per_byte = static_cast<double>(device.counts().bytes_read - before.bytes_read) /
                            static_cast<double>(bytes);
    std::printf(
        "drain of %.0f MiB: %.3f bytes read per payload byte, %llu reads, %llu of them "
        "begun beside another, at most %zu at once\n",
        static_cast<double>(bytes) / double(MiB), per_byte, static_cast<unsigned long long>(reads),
        static_cast<unsigned long long>(depth.beside), depth.deepest);
    CHECK(per_byte < 1.2);  // a tenth of what is read is the other stream's
    CHECK(depth.beside * 10 > reads * 7);
}
