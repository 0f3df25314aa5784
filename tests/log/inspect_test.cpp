// Looking at a log: what is whole is called whole, and one flipped bit is named with its place and
// the records it costs, wherever it fell.
#include <doctest/doctest.h>

#include "broker/log/inspect.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

SimImage small_log(bool clean, std::uint64_t appends = 120) {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {}));
    REQUIRE(rig.log->put_fact(rig.at(), FactKind::topic, bytes_of("t"), bytes_of("one")));
    for (std::uint64_t i = 0; i < appends; ++i) {
        const StreamId stream = 1 + i % 3 / 2;
        (void)rig.append(stream, {.count = 3, .size = 700 + 40 * (i % 7), .salt = i});
        REQUIRE(rig.append_durably(stream, {.count = 2, .size = 300, .salt = 1000 + i}));
    }
    REQUIRE(rig.log->set_log_start(rig.at(), 1, 11));
    rig.settle();
    if (clean) rig.close();
    return device.image();
}

struct Frames final : InspectVisitor {
    struct Batch {
        std::uint32_t segment, position;
        StreamId stream;
        Offset from, to;
        std::uint32_t bytes, header_bytes;
    };
    std::vector<Batch> batches;
    std::vector<std::pair<std::uint32_t, CommitHeader>> commits;
    void on_segment(std::uint32_t, const SegmentEntry&) override {}
    void on_commit(std::uint32_t segment, const CommitHeader& commit) override {
        commits.emplace_back(segment, commit);
    }
    void on_frame(const InspectedFrame& frame) override {
        if (frame.wanted && frame.batch && !frame.header.continues())
            batches.push_back({frame.segment, frame.position, frame.header.stream,
                               frame.batch->base_offset, frame.batch->end_offset(),
                               frame.header.body_bytes, frame.header.header_bytes});
    }
};

Inspection look(const SimImage& image, InspectVisitor* visitor = nullptr) {
    SimStorage device({.seed = 2}, image);
    std::string why;
    Result<Inspection> log = inspect(device, visitor, why);
    INFO(why);
    REQUIRE(log);
    CHECK(device.counts().writes == 0);
    CHECK(device.counts().erases == 0);
    return *std::move(log);
}

std::uint64_t address(const Inspection& log, std::uint32_t segment, std::uint32_t position) {
    return log.super.pool_start + std::uint64_t{segment} * log.super.segment_bytes + position;
}

SimImage flipped(const SimImage& image, std::uint64_t at, std::uint8_t bits = 0x10) {
    SimImage copy = image;
    std::uint8_t sector[512];
    copy.read(at / 512 * 512, sector);
    sector[at % 512] ^= bits;
    copy.write(at / 512 * 512, sector);
    return copy;
}

}  // namespace

TEST_CASE("inspect: a whole log is whole, counted to the last byte, and left as it is") {
    for (const bool clean : {true, false}) {
        const SimImage image = small_log(clean);
        Frames frames;
        const Inspection log = look(image, &frames);
        CHECK(log.damages.empty());
        CHECK(log.sealed == clean);
        CHECK(log.streams.at(1).log_start == 11);
        CHECK(log.streams.at(1).log_end == 400);
        CHECK(log.streams.at(2).log_end == 200);
        CHECK(log.streams.at(2).records == 200);
        CHECK(log.purposes.sum() == std::uint64_t{log.super.segments} * log.super.segment_bytes);
        CHECK(frames.batches.size() == log.streams.at(1).batches + log.streams.at(2).batches);
    }
}

TEST_CASE("inspect: each batch that loses a bit is named, and nothing else") {
    const SimImage image = small_log(true);
    Frames frames;
    const Inspection whole = look(image, &frames);
    REQUIRE(frames.batches.size() > 200);
    SimRandom random(7);
    for (std::size_t i = 0; i < frames.batches.size(); i += 5) {
        const auto& batch = frames.batches[i];
        auto byte = static_cast<std::uint32_t>(random.below(batch.header_bytes + batch.bytes));
        const std::uint32_t delta = batch.header_bytes + 23;  // says where the batch ends
        if (i % 3 == 0) byte = delta + static_cast<std::uint32_t>(random.below(4));
        const Inspection log =
            look(flipped(image, address(whole, batch.segment, batch.position + byte)));
        INFO("batch ", i, " byte ", byte);
        REQUIRE(log.damages.size() == 1);
        const Damage& damage = log.damages[0];
        CHECK(damage.kind ==
              (byte < batch.header_bytes + 21 ? Damage::Kind::frame : Damage::Kind::batch));
        CHECK(damage.segment == batch.segment);
        CHECK(damage.position == batch.position);
        CHECK(damage.stream == batch.stream);
        CHECK(damage.from == batch.from);
        CHECK(damage.to == batch.to);
    }
}

TEST_CASE("inspect: damage beside the records costs none, and is named all the same") {
    const SimImage image = small_log(true);
    Frames frames;
    const Inspection whole = look(image, &frames);
    std::size_t commits = 0, footers = 0, checkpoints = 0;
    for (std::size_t i = 0; i + 4 < frames.commits.size(); i += 3) {
        const auto& [segment, commit] = frames.commits[i];
        const Inspection log = look(flipped(image, address(whole, segment, commit.position + 17)));
        INFO("commit ", i, " of kind ", static_cast<int>(commit.kind));
        REQUIRE(!log.damages.empty());
        const Damage& damage = log.damages[0];
        CHECK(damage.segment == segment);
        CHECK(damage.from == -1);
        if (commit.kind == CommitKind::footer) {
            CHECK(damage.kind == Damage::Kind::footer);
            ++footers;
        } else if (commit.kind == CommitKind::data) {
            CHECK(damage.kind == Damage::Kind::commit);
            CHECK(damage.position == commit.position);
            ++commits;
        } else {
            ++checkpoints;
        }
    }
    CHECK(commits >= 15);
    CHECK(footers > 0);
    const Inspection header = look(flipped(image, address(whole, frames.commits[0].first, 41)));
    REQUIRE(!header.damages.empty());
    const Inspection slot =
        look(flipped(image, whole.super.sequence % 2 == 0 ? 16 * KiB + 40 : 40));
    REQUIRE(slot.damages.size() == 1);
    CHECK(slot.damages[0].kind == Damage::Kind::superblock);
}

TEST_CASE("inspect: an empty device, a foreign one and a later format are refused with a reason") {
    std::string why;
    SimStorage empty({.seed = 1, .size = small_device});
    const auto nothing = inspect(empty, nullptr, why);
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error() == Error::not_found);
    SimStorage foreign({.seed = 1, .size = small_device});
    std::vector<std::uint8_t> noise(64 * KiB, 0x6B);
    foreign.image().write(0, noise);
    CHECK(inspect(foreign, nullptr, why).error() == Error::corrupt);
    CHECK(why.find("no leat log") != std::string::npos);
}
