#include "sdk/compression/compression.hpp"

#include <doctest/doctest.h>
#include <snappy.h>
#include <sys/resource.h>
#include <zstd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "sdk/wire/record_batch.hpp"

using namespace leat;
using namespace leat::compression;

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr Codec all_codecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};
constexpr Codec real_codecs[] = {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

Bytes golden(const std::string& name) {
    std::ifstream file(std::string(LEAT_COMPRESSION_GOLDEN) + "/" + name, std::ios::binary);
    REQUIRE(file);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

Bytes compressed(Codec codec, ByteView plain) {
    Bytes out;
    REQUIRE(compress(codec, plain, out));
    return out;
}

/// Text-like bytes: compressible, but not by an absurd factor.
Bytes sample(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    Bytes bytes;
    bytes.reserve(size + 32);
    while (bytes.size() < size) {
        const std::string line = "{\"seq\":" + std::to_string(random() % 1000) +
                                 ",\"value\":" + std::to_string(random() % 100) + "}";
        bytes.insert(bytes.end(), line.begin(), line.end());
    }
    bytes.resize(size);
    return bytes;
}

std::size_t peak_kib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss);
}

}  // namespace

TEST_CASE("compression: batches of Kafka's own client read as the uncompressed one") {
    for (const std::string maker : {"java", "librdkafka"}) {
        const Bytes plain_bytes = golden(maker + "_none.batch");
        const Result<wire::BatchView> plain = wire::BatchView::parse(plain_bytes);
        REQUIRE(plain);
        CHECK(plain->header().record_count == 300);
        const char* names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
        for (const Codec codec : all_codecs) {
            INFO("maker=" << maker << " codec=" << names[static_cast<int>(codec)]);
            const Bytes bytes = golden(maker + "_" + names[static_cast<int>(codec)] + ".batch");
            const Result<wire::BatchView> batch = wire::BatchView::parse(bytes);
            REQUIRE(batch);
            CHECK(batch->crc_ok());
            CHECK(batch->whole().size() == bytes.size());
            CHECK(batch->codec() == codec);
            Bytes records;
            REQUIRE(decompress(batch->codec(), batch->records(), records, 1 * MiB));
            CHECK(equal(records, plain->records()));

            wire::RecordReader reader(records, batch->header().record_count);
            int seen = 0;
            while (reader.next()) ++seen;
            CHECK(seen == 300);
            CHECK(reader.finish());
        }
    }
}

TEST_CASE("compression: a raw snappy block, of more than 64 KiB, reads") {
    const Bytes block = golden("java_raw_snappy.block");
    Bytes plain;
    REQUIRE(decompress(Codec::snappy, block, plain, 1 * MiB));
    REQUIRE(plain.size() == 100'000);
    bool same = true;
    for (std::uint32_t i = 0; i < plain.size(); ++i)
        same = same && plain[i] == static_cast<std::uint8_t>(static_cast<std::int32_t>(i * i) >> 7);
    CHECK(same);
}

TEST_CASE("compression: what is compressed reads back, in all three ways, at every size") {
    for (const Codec codec : all_codecs)
        for (const std::size_t size :
             {0U, 1U, 2U, 100U, 32'767U, 32'768U, 32'769U, 65'536U, 300'000U}) {
            INFO("codec=" << static_cast<int>(codec) << " size=" << size);
            const Bytes plain = sample(size, 3);
            const Bytes packed = compressed(codec, plain);
            if (codec != Codec::none && size >= 32'767U) CHECK(packed.size() < plain.size() / 2);

            Bytes exact(size);
            const Result<std::size_t> count = decompress(codec, packed, MutableBytes(exact));
            REQUIRE(count);
            CHECK(*count == size);
            CHECK(exact == plain);

            Bytes grown;
            REQUIRE(decompress(codec, packed, grown, size));
            CHECK(grown == plain);

            Bytes joined;
            std::size_t largest = 0;
            REQUIRE(decompress_chunks(codec, packed, size, [&](ByteView chunk) {
                largest = std::max(largest, chunk.size());
                joined.insert(joined.end(), chunk.begin(), chunk.end());
                return ok();
            }));
            CHECK(joined == plain);
            CHECK(largest <= 64 * KiB);
        }
}

TEST_CASE("compression: one byte above the bound is too large, the bound itself is not") {
    for (const Codec codec : all_codecs)
        for (const std::size_t size : {1U, 100U, 40'000U, 200'000U}) {
            INFO("codec=" << static_cast<int>(codec) << " size=" << size);
            const Bytes packed = compressed(codec, sample(size, 4));
            Bytes out(size + 1);
            CHECK(decompress(codec, packed, MutableBytes(out).first(size - 1)).error() ==
                  Error::too_large);
            CHECK(decompress(codec, packed, MutableBytes(out).first(size)));
            CHECK(decompress(codec, packed, MutableBytes(out)));
            CHECK(decompress(codec, packed, out, size - 1).error() == Error::too_large);
            CHECK(out.size() <= size - 1);
            CHECK(decompress(codec, packed, out, size));
        }
}

TEST_CASE("compression: a megabyte that expands to a gigabyte is refused in bounded memory") {
    // Each bomb is built by repeating a piece, so that building it needs no gigabyte either.
    const Bytes zeros(32 * MiB);
    const auto bomb = [&](Codec codec) {
        Bytes packed = compressed(codec, zeros);
        Bytes all;
        if (codec == Codec::snappy) {  // 32 KiB blocks behind one header
            const Bytes block(packed.begin() + 16,
                              packed.begin() + 16 + (packed.size() - 16) / 1024);
            all.assign(packed.begin(), packed.begin() + 16);
            for (int i = 0; i < 32 * 1024; ++i) all.insert(all.end(), block.begin(), block.end());
        } else {
            for (int i = 0; i < 32; ++i) all.insert(all.end(), packed.begin(), packed.end());
        }
        return all;
    };
    for (const Codec codec : real_codecs) {
        INFO("codec=" << static_cast<int>(codec));
        const Bytes all = bomb(codec);
        const std::size_t before = peak_kib();
        Bytes out;
        CHECK(decompress(codec, all, out, 1 * MiB).error() == Error::too_large);
        CHECK(out.size() <= 1 * MiB);
        std::size_t seen = 0;
        const auto count = [&](ByteView chunk) {
            seen += chunk.size();
            return ok();
        };
        CHECK(decompress_chunks(codec, all, 2 * MiB, count).error() == Error::too_large);
        CHECK(seen <= 2 * MiB);
        CHECK(peak_kib() - before < 16 * 1024);
    }
}

TEST_CASE("compression: lengths that lie cost no memory") {
    const std::size_t before = peak_kib();
    Bytes out;
    // Raw snappy that promises 4 GiB - 1, and 200 MiB with a generous bound.
    const Bytes lie = {0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 'x'};
    CHECK_FALSE(decompress(Codec::snappy, lie, out, 1024 * MiB));
    const Bytes large = {0x80, 0x80, 0x80, 0x64, 0x00, 'x'};
    CHECK(decompress(Codec::snappy, large, out, 1024 * MiB).error() == Error::malformed);
    // A xerial block of 2 GiB, and a negative one.
    Bytes xerial = compressed(Codec::snappy, sample(100, 1));
    store_big(xerial.data() + 16, std::int32_t{0x7fff'ffff});
    CHECK(decompress(Codec::snappy, xerial, out, 1 * MiB).error() == Error::truncated);
    store_big(xerial.data() + 16, std::int32_t{-1});
    CHECK(decompress(Codec::snappy, xerial, out, 1 * MiB).error() == Error::malformed);
    CHECK(peak_kib() - before < 8 * 1024);
}

TEST_CASE("compression: a zstd window of 8 MiB passes, 16 MiB is refused") {
    for (const int log : {23, 24}) {
        ZSTD_CCtx* context = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, log);
        const Bytes plain = sample(100'000, 5);
        Bytes packed(ZSTD_compressBound(plain.size()));
        ZSTD_outBuffer output{packed.data(), packed.size(), 0};
        ZSTD_inBuffer input{plain.data(), plain.size(), 0};
        // Streamed, so that the frame does not tell its size and must name its window.
        CHECK(ZSTD_compressStream2(context, &output, &input, ZSTD_e_flush) == 0);
        CHECK(ZSTD_compressStream2(context, &output, &input, ZSTD_e_end) == 0);
        ZSTD_freeCCtx(context);
        packed.resize(output.pos);
        Bytes out;
        const Status status = decompress(Codec::zstd, packed, out, 1 * MiB);
        if (log == 23) {
            CHECK(status);
            CHECK(out == plain);
        } else {
            CHECK(status.error() == Error::too_large);
        }
    }
}

TEST_CASE("compression: cut short it fails, and never with another answer's bytes") {
    const Bytes plain = sample(100'000, 6);
    for (const Codec codec : real_codecs) {
        const Bytes packed = compressed(codec, plain);
        std::mt19937 random(8);
        for (int round = 0; round < 300; ++round) {
            const std::size_t cut =
                round < 64 ? static_cast<std::size_t>(round) : random() % packed.size();
            INFO("codec=" << static_cast<int>(codec) << " cut=" << cut);
            const Bytes exact(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(cut));
            Bytes out;
            const Status status = decompress(codec, exact, out, 1 * MiB);
            if (status) {
                // Xerial framing has no end mark: a cut between blocks is a shorter, whole message.
                // The record count finds that.
                CHECK(codec == Codec::snappy);
                CHECK(out.size() < plain.size());
            }
            CHECK(std::equal(out.begin(), out.end(), plain.begin()));
        }
        Bytes longer = packed;
        longer.push_back(0x55);
        Bytes out;
        CHECK_FALSE(decompress(codec, longer, out, 1 * MiB));
    }
}

TEST_CASE("compression: corrupted bytes end in an answer, within the bound") {
    const Bytes plain = sample(20'000, 9);
    std::mt19937 random(10);
    for (const Codec codec : real_codecs) {
        const Bytes packed = compressed(codec, plain);
        for (int round = 0; round < 3000; ++round) {
            Bytes bad = packed;
            for (int i = 0; i <= round % 4; ++i)
                bad[random() % bad.size()] = static_cast<std::uint8_t>(random());
            const Bytes exact(bad);
            Bytes out(64 * KiB);
            (void)decompress(codec, exact, MutableBytes(out).first(random() % out.size()));
            (void)decompress(codec, exact, out, 64 * KiB);
            CHECK(out.size() <= 64 * KiB);
        }
        for (int round = 0; round < 1000; ++round) {
            Bytes noise(random() % 200);
            for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
            Bytes out;
            (void)decompress(codec, noise, out, 64 * KiB);
        }
    }
}

TEST_CASE(
    "compression: members and frames one after the other read as one, other formats are refused") {
    const Bytes one = sample(1000, 1);
    const Bytes two = sample(500, 2);
    for (const Codec codec : {Codec::gzip, Codec::zstd}) {
        Bytes packed = compressed(codec, one);
        const Bytes second = compressed(codec, two);
        packed.insert(packed.end(), second.begin(), second.end());
        Bytes out;
        REQUIRE(decompress(codec, packed, out, 1 * MiB));
        Bytes both = one;
        both.insert(both.end(), two.begin(), two.end());
        CHECK(out == both);
    }
    Bytes out;
    for (const Codec maker : real_codecs)
        for (const Codec reader : real_codecs)
            if (maker != reader)
                CHECK_FALSE(decompress(reader, compressed(maker, one), out, 1 * MiB));
    for (int number = 5; number < 8; ++number) {
        CHECK(decompress(static_cast<Codec>(number), one, out, 1 * MiB).error() ==
              Error::unsupported);
        CHECK(compress(static_cast<Codec>(number), one, out).error() == Error::unsupported);
    }
}

TEST_CASE("compression: a visitor that refuses ends it with its own error") {
    const Bytes packed = compressed(Codec::lz4, sample(300'000, 1));
    int calls = 0;
    const auto refuse = [&](ByteView) {
        ++calls;
        return calls == 2 ? Status(fail(Error::invalid)) : ok();
    };
    CHECK(decompress_chunks(Codec::lz4, packed, 1 * MiB, refuse).error() == Error::invalid);
    CHECK(calls == 2);
}
