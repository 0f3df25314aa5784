// Every decoder of bytes that the log keeps on flash, each alone: what the fuzzers of whole devices get to only behind
// chains of checksums. Checksums are made right where the decoder would ask for them.
//
//   u8 which decoder, then its bytes
#include <cstdio>
#include <cstdlib>

#include "broker/log/books.hpp"
#include "broker/log/checkpoint.hpp"
#include "broker/log/checkpoint_parity.hpp"
#include "broker/log/footer_torn.hpp"
#include "broker/log/mend.hpp"
#include "broker/log/scan.hpp"
#include "broker/topics/record_filter.hpp"
#include "broker/topics/record_times.hpp"
#include "sdk/base/crc32c.hpp"
#include "tests/fuzz/flash_changes.hpp"

using namespace leat;
using namespace leat::log;

namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::uint32_t salt = 0x5A17, page = 4096, segment_bytes = 64 * KiB;

void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

Bytes sized(ByteView bytes, std::size_t size) {
    Bytes all(bytes.begin(), bytes.end());
    all.resize(size);
    return all;
}

void seal_block(Bytes& block) {
    store_little<std::uint32_t>(block.data() + 508, crc32c(0, ByteView(block).first(508)));
}

void superblock(ByteView in) {
    Bytes block = sized(in, superblock_bytes);
    seal_block(block);
    const auto super = decode_superblock(block);
    (void)mend_block(block);
    if (!super) return;
    Bytes again(superblock_bytes);
    encode_superblock(*super, again);
    const auto twice = decode_superblock(again);
    const auto same = [](const CheckpointPlace& a, const CheckpointPlace& b) {
        return a.is() == b.is() && (!a.is() || a == b);
    };
    must(twice && same(twice->checkpoint, super->checkpoint) &&
             same(twice->previous, super->previous) && twice->sequence == super->sequence && twice->void_from == super->void_from &&
             twice->device_identity == super->device_identity,
         "a superblock says the same again");
}

void segment_header(ByteView in) {
    Bytes block = sized(in, segment_header_bytes);
    seal_block(block);
    const auto header = decode_segment_header(block);
    if (in.size() > 10) block[in[9]] ^= 4;
    (void)decode_mended_segment_header(block);
    if (!header) return;
    must(header->candidates.size() <= candidates_max, "candidates are few");
    Bytes again(segment_header_bytes);
    encode_segment_header(*header, again);
    const auto twice = decode_segment_header(again);
    must(twice && twice->candidates == header->candidates && twice->place == header->place,
         "a segment header says the same again");
}

/// A commit of a few frames: bytes used, then type, flags and body of each.
Bytes commit_of(ByteView in, CommitKind kind) {
    Bytes out(commit_header_bytes);
    CommitHeader header;
    header.kind = kind;
    header.generation = 1;
    header.run = 1;
    header.sequence = 1;
    while (in.size() >= 4 && out.size() < segment_bytes / 2) {
        const auto type = static_cast<FrameType>(in[0] & 0x7F);
        const std::size_t body = std::min<std::size_t>(
            load_little<std::uint16_t>(in.data() + 2) % 2'048, in.size() - 4);
        const std::size_t at = out.size();
        put_frame(out, type, in[1] & 15, in.subspan(4, body));
        out[at + 1] = in[1] >> 4;
        ++header.frames;
        in = in.subspan(4 + body);
    }
    header.used = static_cast<std::uint32_t>(out.size());
    for (std::size_t at = commit_header_bytes; at < header.used;) {
        header.tie = tied(header.tie, seal_frame(salt, MutableBytes(out).subspan(at)));
        at += decode_frame_header(out.data() + at).padded_bytes();
    }
    out.resize(round_up(out.size() + footer_trailer_bytes, page));
    header.bytes = static_cast<std::uint32_t>(out.size());
    header.position = segment_bytes - header.bytes;
    encode_commit_header(header, salt, out.data());
    return out;
}

void footer(ByteView in) {
    const Bytes bytes = commit_of(in, CommitKind::footer);
    const auto index = decode_footer(bytes, 1, salt);
    must(static_cast<bool>(check_footer(bytes, 1, salt)) == static_cast<bool>(index),
         "both ways to check a footer agree");
    (void)summary_candidates(ByteView(bytes).first(512), salt);
    (void)header_by_trailer(ByteView(bytes).last(footer_trailer_bytes), 1, salt, segment_bytes);
    if (!index) return;
    must(index->candidates.size() <= candidates_max, "candidates are few");
    (void)decode_footer_batches(bytes);
    for (const auto& [id, stream] : index->streams) {
        (void)stream.bytes_from(stream.first_offset + 1);
        (void)find_in_footer(bytes, id);
    }
    (void)index->live_bytes();
    CommitHeader header;
    header.generation = 1;
    const Bytes again = encode_footer(*index, header, salt, page, segment_bytes);
    if (!again.empty())
        must(static_cast<bool>(decode_footer(again, 1, salt)), "a footer is read again");
}

void frames(ByteView in) {
    Bytes bytes = commit_of(in, CommitKind::data);
    if (const auto header = decode_commit_header(bytes, salt)) {
        (void)commit_holds(bytes, *header, salt, false);
        SegmentIndex index;
        FrameReplay replay(index);
        replay.begin_commit(header->sequence, header->age_ms());
        for (std::size_t at = commit_header_bytes; at < header->used;) {
            const FrameHeader frame = decode_frame_header(bytes.data() + at);
            (void)replay.on_frame(frame, ByteView(bytes).subspan(at), static_cast<std::uint32_t>(at));
            at += frame.padded_bytes();
        }
        (void)index.footer_bytes_bound();
        (void)encode_footer(index, *header, salt, page, segment_bytes);
    }
    if (in.size() < 8) return;
    bytes[(in[0] | in[1] << 8) % bytes.size()] ^= static_cast<std::uint8_t>(1u << (in[2] % 8));
    Bytes one = bytes;
    (void)mend_commit(one, salt, in[3] & 1 ? Mend::all : Mend::heads);
    one = bytes;
    (void)mend_frame(MutableBytes(one).subspan(commit_header_bytes), salt, Mend::all);
}

void book(ByteView in) {
    auto book = StreamBook::decode(in);
    if (!book) return;
    const std::string bytes = book->encode();
    const auto again = StreamBook::decode(bytes_of(bytes));
    must(again && again->encode() == bytes, "a book says the same again");
    (void)book->view(book->log_start() / 2, 0);
    (void)book->settle(3, StreamBook::After::crash);
    (void)book->clip(1'000);
    book->lost(LossReason::damaged, 10, 20, 100, {});
    book->freed(Freed::expired, 5'000, 10);
    if (book->kept()) book->set_kept({0, book->log_start()});
    book->count(LossReason::cut, 1, 1, {});
    must(static_cast<bool>(StreamBook::decode(bytes_of(book->encode()))), "a changed book is read");
}

void checkpoint(ByteView in) {
    if (in.empty()) return;
    const ByteView body = in.subspan(1);
    if (in[0] % 5 == 0) {
        if (const auto begin = decode_begin(body)) {
            Bytes again;
            encode_begin(again, *begin);
            must(equal(ByteView(again).subspan(16), body.subspan(16, again.size() - 16)),
                 "the beginning says the same again");
        }
    } else if (in[0] % 5 == 1) {
        if (const auto end = decode_end(body)) {
            Bytes again;
            encode_end(again, *end);
            must(equal(again, body.first(again.size())), "the end says the same again");
        }
    } else if (in[0] % 5 == 2) {
        if (const auto stream = decode_stream(body)) {
            Bytes again;
            encode_stream(again, *stream);
            must(static_cast<bool>(decode_stream(again)), "a stream is read again");
        }
    } else if (in[0] % 5 == 3) {
        SegmentTable table;
        table.reset(16);
        if (decode_segments(body, table, 40)) {
            must(table.size() <= 40, "the pool is no longer than the device");
            table.rebuild({1, 2, 0xFFFFFFFF});
        }
    } else {
        Parity parity(page);
        const Bytes some(page, 7);
        parity.add(some);
        (void)parity.join(body);
        (void)parity.of(0);
    }
}

void producer(ByteView in) {
    const auto one = decode_producer(in);
    if (!one) return;
    must(one->producer.state.count <= producer_batches_max, "batches are few");
    Bytes again;
    encode_producer(again, one->producer_id, one->producer);
    must(static_cast<bool>(decode_producer(again)), "a producer is read again");
    Producers all(10);
    all.restore(1, one->producer_id, one->producer);
    all.restore(1, one->producer_id, one->producer);
    all.restored();
    all.expire(one->producer.age_ms);
}

/// What compaction and a lookup by time see of a batch whose checksum holds.
void batch(ByteView in) {
    if (in.empty()) return;
    Bytes bytes = sized(in.subspan(1), std::max<std::size_t>(in.size() - 1, batch_header_bytes));
    store_big<std::int32_t>(bytes.data() + 8, static_cast<std::int32_t>(bytes.size() - 12));
    bytes[16] = 2;
    store_big<std::uint32_t>(bytes.data() + 17,
                             crc32c(0, ByteView(bytes).subspan(outside_kafka_crc)));
    (void)read_batch_fields(bytes);
    (void)topics::find_record_time(bytes, 1'000, 2);
    Bytes kept;
    std::uint32_t seen = 0, bit = in[0];
    const auto some = [&](const KeyedRecord& record) {
        for (const std::uint8_t byte : record.key) bit += byte;
        return ++seen % 2 == (bit & 1);
    };
    const auto looked = topics::filter_records(bytes, some, nullptr);
    const auto count = topics::filter_records(bytes, some, &kept);
    if (looked && count && !kept.empty()) {
        must(batch_crc_ok(kept), "what is kept holds");
        must(static_cast<bool>(topics::filter_records(kept, some, nullptr)), "and is read");
    }
}

void fact(ByteView in) {
    const auto one = decode_fact_body(in);
    if (!one) return;
    Bytes again(fact_body_bytes + one->key.size() + one->value.size());
    encode_fact_body(*one, again);
    const auto twice = decode_fact_body(again);
    must(twice && equal(twice->key, one->key) && equal(twice->value, one->value),
         "a fact says the same again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    fuzz::bound_memory(8 * MiB);
    const ByteView in = ByteView(data, size).subspan(1);
    constexpr void (*decoders[])(ByteView) = {superblock, segment_header, footer, frames, book,
                                              checkpoint, producer,       batch,  fact};
    decoders[data[0] % std::size(decoders)](in);
    fuzz::bound_memory(0);
    return 0;
}
