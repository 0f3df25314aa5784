// Recovery and every reader of flash bytes: whatever stands on the device, opening, reading,
// writing and closing the log crash nothing and ask for no memory beyond the device's size.
//
// The input is a list of changes to a device that a real log wrote. Most random changes die at the
// first checksum, so a change may be sealed: every checksum on the device is made right again
// afterwards, and the nonsense goes deeper.
//
//   u8 base device (0 blank, 1 begun, 2 turned twice), then 6-byte changes:
//   u8 what (0 set, 1 fill a sector, 2 copy a page, 3 clear a page, 4 seal everything, 5 cut the
//   device), u24 where, u16 value
#include <cstdlib>

#include "broker/log/superblock.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

void write_something(Rig& rig, std::uint32_t batches) {
    for (StreamId id = 1; id <= 3; ++id) {
        (void)rig.log->declare_stream(id,
                                      {.retention = milliseconds(-1), .retention_bytes = 20'000});
        rig.log->set_release(id, INT64_MAX);
    }
    for (std::uint32_t i = 0; i < batches; ++i) {
        (void)rig.append(1 + i % 3, {.count = 2,
                                     .size = 50 + i * 131 % 4'000,
                                     .salt = i,
                                     .producer_id = i % 3 == 0 ? 5 : -1,
                                     .epoch = 0,
                                     .sequence = static_cast<std::int32_t>(i / 3 * 2)});
        if (i % 5 == 0) {
            const std::string key = "k" + std::to_string(i % 7);
            (void)rig.log->put_fact(rig.at(), FactKind::group, bytes_of(key), bytes_of("value"));
        }
        if (i % 3 == 0) rig.settle();
        if (i % 40 == 0) rig.pass(1'000);
    }
    rig.settle();
}

SimImage make_base(std::uint32_t batches) {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    if (rig.open() && batches > 0) write_something(rig, batches);
    return device.image();
}

const SimImage& base(std::uint8_t which) {
    static const SimImage images[] = {SimImage(small_device), make_base(60), make_base(1'500)};
    return images[which % 3];
}

void seal_commit(SimImage& image, std::uint64_t at, std::uint32_t room, std::uint32_t salt) {
    std::vector<std::uint8_t> bytes(room);
    image.read(at, bytes);
    if (load_little<std::uint32_t>(bytes.data()) != commit_magic) return;
    const std::uint32_t used = std::min(load_little<std::uint32_t>(bytes.data() + 28), room);
    std::uint32_t tie = 0;
    for (std::size_t frame = commit_header_bytes; frame + frame_header_bytes <= used;) {
        const FrameHeader header = decode_frame_header(bytes.data() + frame);
        if (header.header_bytes < frame_header_bytes || header.padded_bytes() > used - frame) break;
        if (header.type == FrameType::append && header.body_bytes >= batch_header_bytes &&
            !header.continues())
            store_big<std::uint32_t>(
                bytes.data() + frame + header.header_bytes + 17,
                crc32c(0, ByteView(bytes).subspan(frame + header.header_bytes + outside_kafka_crc,
                                                  header.body_bytes - outside_kafka_crc)));
        tie = tied(tie, seal_frame(salt, MutableBytes(bytes).subspan(frame)));
        frame += header.padded_bytes();
    }
    store_little<std::uint32_t>(bytes.data() + 72, tie);
    store_little<std::uint32_t>(bytes.data() + 4,
                                crc32c(salt, ByteView(bytes).subspan(8, commit_header_bytes - 8)));
    image.write(at, bytes);
}

void seal_everything(SimImage& image) {
    std::uint8_t sector[512];
    const auto seal_sector = [&](std::uint64_t at) {
        image.read(at, sector);
        if (std::memcmp(sector, "LEAT", 4) != 0) return false;
        store_little<std::uint32_t>(sector + 508, crc32c(0, ByteView(sector).first(508)));
        image.write(at, sector);
        return true;
    };
    seal_sector(0);
    seal_sector(16 * KiB);
    for (std::uint64_t segment = 32 * KiB; segment + small_segment <= image.size();
         segment += small_segment) {
        if (!seal_sector(segment)) continue;
        const std::uint32_t salt = load_little<std::uint32_t>(sector + 64);
        for (std::uint32_t page = 4096; page < small_segment; page += 4096)
            seal_commit(image, segment + page, small_segment - page, salt);
        std::uint8_t trailer[footer_trailer_bytes];
        image.read(segment + small_segment - footer_trailer_bytes, trailer);
        store_little<std::uint32_t>(trailer + 4, crc32c(salt, ByteView(trailer).subspan(8)));
        image.write(segment + small_segment - footer_trailer_bytes, trailer);
    }
}

void change(SimImage& image, ByteView program) {
    for (int steps = 0; program.size() >= 6 && steps < 200; program = program.subspan(6), ++steps) {
        const std::uint64_t where =
            (program[1] | program[2] << 8 | program[3] << 16) % image.size();
        const std::uint16_t value = load_little<std::uint16_t>(program.data() + 4);
        std::uint8_t page[4096] = {};
        switch (program[0] % 6) {
            case 0:
                image.write(where, program.subspan(4, where + 1 < image.size() ? 2 : 1));
                break;
            case 1:
                std::fill_n(page, 512, static_cast<std::uint8_t>(value));
                image.write(where / 512 * 512, ByteView(page).first(512));
                break;
            case 2:
                image.read(where / 4096 * 4096, page);
                image.write(std::uint64_t{value} * 4096 % (image.size() / 4096 * 4096), page);
                break;
            case 3:
                image.write(where / 4096 * 4096, page);
                break;
            case 4:
                seal_everything(image);
                break;
            default:
                break;
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    SimImage image = base(data[0]);
    change(image, ByteView(data, size).subspan(1));
    SimStorage device({.seed = 2}, std::move(image));
    for (int run = 0; run < 2; ++run) {
        Rig rig(device);
        if (!rig.open()) {
            if (rig.log->open_error_text().empty()) std::abort();  // a refusal says why
            return 0;
        }
        for (StreamId id = 1; id <= 4; ++id) {
            (void)rig.log->declare_stream(id, {});
            const StreamState* state = rig.log->stream(id);
            if (state == nullptr || state->log_start > state->log_end ||
                state->flushed > state->log_end)
                std::abort();
            Offset from = state->log_start;
            for (int tries = 0; tries < 20; ++tries) {
                const auto all = rig.read_all(id, from);
                if (!all.error || all.next <= from) break;
                from = all.next;
            }
            const auto ticket = rig.log->start_find_time(rig.at(), id, 1'000);
            for (int i = 0; ticket && i < 100 && !rig.log->poll_find_time(); ++i)
                rig.log->on_storage(rig.at());
        }
        for (int i = 0; i < 20; ++i)
            (void)rig.append_durably(1 + i % 3, {.size = 3'000, .salt = 1});
        rig.pass(2'000);
        rig.close();
        device.power_cycle();
    }
    return 0;
}
