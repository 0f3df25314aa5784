// Recovery and every reader of flash bytes: whatever stands on the device, opening, reading,
// writing and closing the log crash nothing and ask for no memory beyond the device's size.
//
//   u8 base device (0 blank, 1 begun, 2 turned twice), then changes (flash_changes.hpp)
#include <cstdlib>

#include "tests/fuzz/flash_changes.hpp"
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

fuzz::Written make_base(std::uint32_t batches) {
    SimStorage device({.seed = 1, .size = small_device});
    fuzz::Written made{device.image(), device.image(), small_segment};
    Rig rig(device);
    if (batches == 0 || !rig.open()) return made;
    write_something(rig, batches * 9 / 10);
    made.older = device.image();
    write_something(rig, batches / 10);
    made.image = device.image();
    return made;
}

const fuzz::Written& base(std::uint8_t which) {
    static const fuzz::Written images[] = {make_base(0), make_base(60), make_base(1'500)};
    return images[which % 3];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    SimImage image = base(data[0]).image;
    (void)fuzz::change(image, base(data[0]), ByteView(data, size).subspan(1));
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
