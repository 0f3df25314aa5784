// The last commit of a segment, in front of the end that the next one's header says.
#include "broker/log/footer.hpp"
#include "tests/log/planted.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint64_t pool = 32 * KiB;
constexpr std::uint64_t many_segments = pool + 512 * small_segment;  // no checkpoint comes soon

std::optional<SegmentHeader> header_of(const SimImage& image, std::uint32_t segment) {
    std::uint8_t bytes[segment_header_bytes];
    image.read(pool + std::uint64_t{segment} * small_segment, bytes);
    const auto header = decode_segment_header(bytes);
    return header ? std::optional<SegmentHeader>(*header) : std::nullopt;
}

}  // namespace

TEST_CASE("damage: in the last commit of a segment without a footer it costs its batch only") {
    SimStorage made({.seed = 3, .size = many_segments});
    std::vector<Planted> planted;
    std::uint64_t i = 0;
    {
        Rig rig(made);
        REQUIRE(rig.open());
        declare_both(rig);
        for (; !header_of(made.image(), 1); ++i) {
            for (std::uint64_t j = 0; j < 3; ++j) {
                const BatchSpec spec{.count = 4, .size = 900 + j, .salt = i * 3 + j};
                const auto appended = rig.append(1, spec);
                REQUIRE(appended);
                planted.push_back({1, appended->base_offset, appended->base_offset + 4,
                                   make_batch(spec)});
            }
            const std::string key = std::to_string(i);
            REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of(key), bytes_of("v")));
            rig.settle();
        }
    }
    const std::uint32_t end = header_of(made.image(), 1)->predecessor_end;
    REQUIRE(end < small_segment);
    const std::vector<std::uint8_t> nothing(small_segment - end);
    made.image().write(pool + end, nothing);
    const std::string last = std::to_string(i - 2);  // of the first segment
    for (std::size_t hit = planted.size() - 6; hit < planted.size() - 3; ++hit) {
        INFO("batch ", hit);
        SimStorage device({.seed = 4}, made.image());
        const std::uint64_t at = find(made.image(), ByteView(planted[hit].batch).subspan(61, 64));
        REQUIRE(at < pool + end);
        std::uint8_t byte = 0;
        device.image().read(at, {&byte, 1});
        byte ^= 16;
        device.image().write(at, {&byte, 1});
        for (int start = 0; start < 2; ++start) {
            Rig rig(device);
            REQUIRE(rig.open());
            declare_both(rig);
            CHECK(rig.log->find_fact(FactKind::config, bytes_of(last)).has_value());
            if (start == 0)
                CHECK(rig.log->status().cut_text.find("damaged") != std::string::npos);
            std::size_t errors = 0;
            CHECK(read_over(rig, 1, errors).size() == planted.size() - 1);
            const Books books = rig.log->books(1);
            REQUIRE(books.losses.size() == 1);
            CHECK(books.losses[0].from == planted[hit].from);
            CHECK(books.losses[0].to == planted[hit].to);
            rig.close();
        }
    }
}

// A commit that a power cut tore, over it a shorter one, and then a footer without its trailer.
TEST_CASE("damage: in front of a footer nothing comes back from behind the end that it tells") {
    constexpr std::uint32_t page = 4096;
    SimStorage first({.seed = 3, .size = many_segments});
    SimRandom random(1);
    SimImage image = first.image();
    std::uint64_t end = pool + small_segment;  // what was never written is zeros
    {
        LogConfig config = small_config();
        config.commit_interval = milliseconds(10);
        Rig rig(first, config);
        REQUIRE(rig.open());
        declare_both(rig);
        REQUIRE(rig.append(1, {.size = 50}));
        rig.pass(20);
        image = first.image();
        for (std::uint8_t byte = 0; byte == 0;) image.read(--end, {&byte, 1});
        end = round_up(end, page);
        first.hold(true);
        for (std::uint64_t i = 0; i < 10; ++i) REQUIRE(rig.append(1, {.size = 1'000, .salt = i}));
        rig.pass(20);
        REQUIRE(first.writes_under_way() == 1);
        std::vector<std::uint8_t> torn(2 * page);
        first.crash_image(Tear::kept, random).read(end + page, torn);
        image.write(end + page, torn);
    }
    SimStorage device({.seed = 4}, image);
    {
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        CHECK(rig.log->stream(1)->log_end == 1);
        REQUIRE(rig.append_durably(1, {.size = 50}));
    }
    const std::uint32_t salt = header_of(device.image(), 0)->salt;
    std::vector<std::uint8_t> bytes(page);
    device.image().read(end, bytes);
    Result<CommitHeader> commit = decode_commit_header(bytes, salt);
    REQUIRE(commit);
    CHECK(commit->bytes == page);
    SegmentIndex index;
    for (Offset offset = 0; offset < 2; ++offset) {
        std::vector<std::uint8_t> batch = make_batch({.size = 50});
        store_big<std::int64_t>(batch.data(), offset);
        index.on_batch(1, *read_batch_fields(batch), page, 0);
    }
    index.data_end = static_cast<std::uint32_t>(end + page - pool);
    index.last_sequence = commit->sequence++;
    bytes = encode_footer(index, *commit, salt, page, small_segment);
    std::fill(bytes.end() - footer_trailer_bytes, bytes.end(), std::uint8_t{0});
    device.image().write(pool + small_segment - bytes.size(), bytes);
    device.image().write(end, std::vector<std::uint8_t>(page, 0xA5));
    Rig rig(device);
    REQUIRE(rig.open());
    declare_both(rig);
    CHECK(rig.log->stream(1)->log_end == 2);
    std::size_t errors = 0;
    CHECK(read_over(rig, 1, errors).size() == 1);
}

}  // namespace leat::log::test
