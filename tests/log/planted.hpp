// What damage_test.cpp and start_damage_test.cpp plant, and how it is read over damage.
#pragma once

#include <doctest/doctest.h>

#include "broker/log/superblock.hpp"
#include "tests/log/rig.hpp"

namespace leat::log::test {

// Three batches to a commit, two streams, facts between them; what stands where is found by search.
constexpr std::uint64_t twice_small = 32 * KiB + 32 * 64 * KiB;
struct Planted {
    StreamId stream;
    Offset from, to;
    std::vector<std::uint8_t> batch;  ///< as it was handed in: its records are found by their bytes
};

inline std::vector<Planted> fill(Rig& rig) {
    std::vector<Planted> all;
    for (std::uint64_t i = 0; i < 90; ++i) {
        for (std::uint64_t j = 0; j < 3; ++j) {
            const StreamId stream = j == 1 ? 2 : 1;
            const BatchSpec spec{.count = 4, .size = 900 + 500 * (i % 5) + j, .salt = i * 3 + j};
            const auto appended = rig.append(stream, spec);
            REQUIRE(appended);
            all.push_back(
                {stream, appended->base_offset, appended->base_offset + 4, make_batch(spec)});
        }
        const std::string value = std::to_string(i);
        REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of(value)));
        rig.settle();
    }
    return all;
}

inline void declare_both(Rig& rig) {
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {}));
}
/// A log that is planted and closed, or just left.
inline std::vector<Planted> plant(SimStorage& device, bool sealed = true) {
    Rig rig(device);
    REQUIRE(rig.open());
    declare_both(rig);
    std::vector<Planted> all = fill(rig);
    if (sealed) rig.close();
    return all;
}

/// The one that a start goes by; it names a checkpoint.
inline Superblock newest_superblock(const SimImage& image) {
    std::optional<Superblock> newest;
    for (const std::uint64_t slot : {0u, 1u}) {
        std::uint8_t bytes[superblock_bytes];
        image.read(slot * 16 * KiB, bytes);
        const auto found = decode_superblock(bytes);
        if (found && (!newest || newest->sequence < found->sequence)) newest = *found;
    }
    REQUIRE((newest && newest->checkpoint.is()));
    return *newest;
}

inline std::uint64_t find(const SimImage& image, ByteView wanted) {
    std::vector<std::uint8_t> bytes(image.size());
    image.read(0, bytes);
    const auto at = std::search(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
    REQUIRE(at != bytes.end());
    return static_cast<std::uint64_t>(at - bytes.begin());
}

/// All of a stream; where a read fails as corrupt it goes on where the log says.
inline std::vector<Offset> read_over(Rig& rig, StreamId stream, std::size_t& errors) {
    std::vector<Offset> bases;
    const Offset end = rig.log->stream(stream)->log_end;
    Offset from = rig.log->stream(stream)->log_start;
    while (from < end) {
        const auto all = rig.read_all(stream, from);
        ByteView left = all.bytes;
        while (!left.empty()) {
            const ByteView batch = next_batch(left);
            REQUIRE(!batch.empty());
            REQUIRE(batch_crc_ok(batch));
            bases.push_back(read_batch_fields(batch)->base_offset);
        }
        if (!all.error) break;
        REQUIRE(*all.error == Error::corrupt);
        REQUIRE(all.next > from);
        ++errors;
        from = all.next;
    }
    return bases;
}

}  // namespace leat::log::test
