// One bit lost in what the log wrote of its own: the checksum tells which, and it costs nothing, or
// the batch it stands in front of.
#include "broker/log/mend.hpp"
#include "tests/log/planted.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

void flip(SimImage& image, std::uint64_t at, std::uint64_t bit) {
    std::uint8_t byte = 0;
    image.read(at, {&byte, 1});
    byte ^= static_cast<std::uint8_t>(1u << bit);
    image.write(at, {&byte, 1});
}

/// Where the batch with these bytes begins on the device; its frame's header is in front of it.
std::uint64_t batch_at(const SimImage& image, const std::vector<std::uint8_t>& batch) {
    return find(image, ByteView(batch).subspan(batch_header_bytes, 64)) - batch_header_bytes;
}

constexpr std::uint64_t head_bytes = frame_header_bytes + outside_kafka_crc;

}  // namespace

TEST_CASE("a lost bit: the difference of two checksums tells which, and two are not taken for one") {
    SimRandom random(3);
    for (const std::size_t size : {1, 45, 72, 508, 4'000}) {
        std::vector<std::uint8_t> bytes(size);
        for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
        const std::uint32_t crc = crc32c(17, bytes);
        const auto difference = [&](std::initializer_list<std::size_t> bits) {
            auto hurt = bytes;
            for (const std::size_t bit : bits) hurt[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
            return crc32c(17, hurt) ^ crc;
        };
        for (std::size_t bit = 0; bit < size * 8; bit += 1 + size / 100)
            REQUIRE(lost_bit(difference({bit}), size) == bit);
        for (int i = 0; i < 200; ++i) {
            const std::size_t a = random.below(size * 8), b = random.below(size * 8);
            if (a != b) REQUIRE_FALSE(lost_bit(difference({a, b}), size));
        }
        CHECK_FALSE(lost_bit(0, size));
    }
}

// What stood there is not known to be a batch any more, and nothing behind it tells how far its
// stream went.
TEST_CASE("a lost bit in front of a stream's last batch: no offset is given twice, sealed or not") {
    for (const bool sealed : {true, false}) {
        SimStorage made({.seed = 1, .size = twice_small});
        const std::vector<Planted> planted = plant(made, sealed);
        made.power_cycle();
        for (std::size_t i = planted.size() - 2; i < planted.size(); ++i) {
            const Planted& hit = planted[i];
            const std::uint64_t frame = batch_at(made.image(), hit.batch) - frame_header_bytes;
            for (std::uint64_t bit = 0; bit < head_bytes * 8; ++bit) {
                INFO("sealed ", sealed, " stream ", hit.stream, " byte ", bit / 8, " bit ", bit % 8);
                SimStorage device({.seed = 2}, made.image());
                flip(device.image(), frame + bit / 8, bit % 8);
                for (int start = 0; start < 2; ++start) {
                    Rig rig(device);
                    REQUIRE(rig.open());
                    declare_both(rig);
                    const Books books = rig.log->books(hit.stream);
                    REQUIRE(books.balanced());
                    REQUIRE(books.losses.size() == 1);
                    REQUIRE(books.losses[0].reason == LossReason::damaged);
                    REQUIRE(books.losses[0].from == hit.from);
                    REQUIRE(books.losses[0].to == hit.to);
                    REQUIRE(rig.log->books(3 - hit.stream).losses.empty());
                    REQUIRE(rig.log->stream(hit.stream)->log_end == hit.to + 4 * start);
                    if (start == 0) REQUIRE(rig.append_durably(hit.stream, {.count = 4}));
                    const auto again = rig.read_all(hit.stream, hit.to);
                    REQUIRE(base_offsets(again.bytes) == std::vector<Offset>{hit.to});
                    rig.settle();
                    device.power_cycle();
                }
            }
        }
    }
}

TEST_CASE("a lost bit in the header, the padding or a fact of the newest commit costs nothing") {
    for (const bool sealed : {true, false}) {
        SimStorage made({.seed = 1, .size = twice_small});
        const std::vector<Planted> planted = plant(made, sealed);
        made.power_cycle();
        // Three batches and a fact are a commit.
        const std::uint64_t commit =
            batch_at(made.image(), planted[planted.size() - 3].batch) - frame_header_bytes -
            commit_header_bytes;
        REQUIRE(commit % 4096 == 0);
        std::uint8_t head[commit_header_bytes];
        made.image().read(commit, head);
        const std::uint32_t bytes = load_little<std::uint32_t>(head + 24);
        const std::uint32_t used = load_little<std::uint32_t>(head + 28);
        std::vector<std::uint64_t> places;
        for (std::uint64_t at = 0; at < commit_header_bytes; ++at) places.push_back(at);
        REQUIRE(used + 8 < bytes);
        for (std::uint64_t at = used; at < bytes; at += 97) places.push_back(at);
        if (sealed)  // else it is as good as torn by the power cut
            for (std::uint64_t at = used - frame_header_bytes - fact_body_bytes - 8; at + 6 < used; ++at)
                places.push_back(at);
        for (const std::uint64_t at : places)
            for (std::uint64_t bit = 0; bit < 8; bit += at < commit_header_bytes ? 1 : 3) {
                INFO("sealed ", sealed, " byte ", at, " of ", used, " bit ", bit);
                SimStorage device({.seed = 2}, made.image());
                flip(device.image(), commit + at, bit);
                Rig rig(device);
                REQUIRE(rig.open());
                declare_both(rig);
                std::size_t errors = 0;
                REQUIRE(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() ==
                        planted.size());
                REQUIRE(rig.log->books(1).losses.empty());
                REQUIRE(rig.log->books(2).losses.empty());
                const auto fact = rig.log->find_fact(FactKind::config, bytes_of("k"));
                REQUIRE((fact && text_of(*fact) == "89"));
                REQUIRE(rig.log->status().was_sealed == sealed);
            }
    }
}

// The frames around it are damage, it is not: both of its parts are taken for what they are.
TEST_CASE("a lost bit beside a batch that spans two commits takes nothing from its stream's end") {
    constexpr std::uint64_t segment = 256 * KiB;
    SimStorage made({.seed = 1, .size = 32 * KiB + 16 * segment});
    LogConfig config = small_config();
    config.segment_bytes = segment;  // groups of 64 KiB
    constexpr Offset count = 7;
    {
        Rig rig(made, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        REQUIRE(rig.append_durably(2, {.size = 100, .salt = 99}));
        made.hold(true);
        REQUIRE(rig.append(2, {.size = 100, .salt = 100}));
        rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
        for (int i = 0; i < 5 && made.writes_under_way() == 0; ++i)  // zeros were in the way
            rig.log->on_storage(rig.at());
        REQUIRE(made.writes_under_way() > 0);
        for (std::uint64_t i = 0; i < count; ++i)
            REQUIRE(rig.append(1, {.size = 3'000, .salt = i}));
        made.hold(false);
        while (made.writes_under_way() > 0) made.complete(0);
        rig.settle();
        REQUIRE(rig.append_durably(2, {.size = 100, .salt = 101}));
        REQUIRE(rig.log->stream(1)->flushed == count);
    }
    made.power_cycle();
    // Where commits begin, and which of them ends in a part.
    std::vector<std::uint8_t> bytes(made.image().size());
    made.image().read(0, bytes);
    std::uint64_t cut = 0;
    std::vector<std::uint64_t> commits;
    for (std::uint64_t at = 32 * KiB; at + commit_header_bytes <= bytes.size(); at += 4096) {
        if (load_little<std::uint32_t>(bytes.data() + at) != commit_magic) continue;
        if ((bytes[at + 65] & commit_continues) != 0) cut = at;
        commits.push_back(at);
    }
    REQUIRE(cut != 0);
    const std::uint64_t rest = *std::upper_bound(commits.begin(), commits.end(), cut);
    std::vector<std::uint64_t> places;
    for (const std::uint64_t commit : {cut, rest}) {
        for (std::uint64_t at = 0; at < commit_header_bytes; at += 3) places.push_back(commit + at);
        const std::uint32_t used = load_little<std::uint32_t>(bytes.data() + commit + 28);
        const std::uint32_t all = load_little<std::uint32_t>(bytes.data() + commit + 24);
        for (std::uint64_t at = used; at < all; at += 301) places.push_back(commit + at);
    }
    for (std::uint64_t at = 0; at < head_bytes; ++at)  // the first of those in front of it
        places.push_back(cut + commit_header_bytes + at);
    for (const std::uint64_t at : places) {
        INFO("commit ", cut, " and ", rest, ", byte ", at);
        SimStorage device({.seed = 2}, made.image());
        flip(device.image(), at, at % 8);
        Rig rig(device, config);
        REQUIRE(rig.open());
        declare_both(rig);
        REQUIRE(rig.log->stream(1)->log_end == count);
        std::size_t errors = 0;
        const bool costs = at >= cut + commit_header_bytes && at < cut + commit_header_bytes + head_bytes;
        REQUIRE(read_over(rig, 1, errors).size() == static_cast<std::size_t>(costs ? count - 1 : count));
        REQUIRE(rig.log->books(1).balanced());
    }
}

TEST_CASE("a lost bit in any segment header costs nothing, the newest one's as well") {
    SimStorage made({.seed = 1, .size = twice_small});
    constexpr std::size_t count = 75;
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < count; ++i)
            REQUIRE(rig.append_durably(1, {.size = 7'900, .salt = i}));
    }
    made.power_cycle();
    SimRandom random(3);
    std::size_t hit = 0;
    for (std::uint64_t segment = 0; segment < 32; ++segment) {
        const std::uint64_t at = 32 * KiB + segment * small_segment;
        std::uint8_t page[segment_header_bytes];
        made.image().read(at, page);
        if (!decode_segment_header(page)) continue;
        ++hit;
        for (int i = 0; i < 40; ++i) {
            const std::uint64_t bit = random.below(segment_header_bytes * 8);
            INFO("segment ", segment, " byte ", bit / 8, " bit ", bit % 8);
            SimStorage device({.seed = 2}, made.image());
            flip(device.image(), at + bit / 8, bit % 8);
            Rig rig(device);
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {}));
            REQUIRE(rig.log->stream(1)->log_end == static_cast<Offset>(count));
            std::size_t errors = 0;
            REQUIRE(read_over(rig, 1, errors).size() == count);
            REQUIRE(errors == 0);
        }
    }
    CHECK(hit >= 12);
}

TEST_CASE("a lost bit in each of the superblock's slots costs nothing") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    SimRandom random(5);
    for (int i = 0; i < 60; ++i) {
        SimStorage device({.seed = 2}, made.image());
        for (const std::uint64_t slot : {0u, 1u}) {
            const std::uint64_t bit = random.below(superblock_bytes * 8);
            flip(device.image(), slot * 16 * KiB + bit / 8, bit % 8);
        }
        for (int start = 0; start < 2; ++start) {
            Rig rig(device);
            REQUIRE(rig.open());
            declare_both(rig);
            std::size_t errors = 0;
            REQUIRE(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() ==
                    planted.size());
            REQUIRE(rig.log->find_fact(FactKind::config, bytes_of("k")).has_value());
            rig.close();
        }
    }
}
