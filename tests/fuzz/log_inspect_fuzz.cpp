// `leatd log dump | verify | stats`: whatever stands on the device, looking at it crashes nothing, changes nothing,
// asks for little memory, and says the same twice; also while a broker that took it works on it.
//
//   u8 base device (written_logs.hpp), u8 flags (1: beside a broker), then changes (flash_changes.hpp)
#include <cstdio>
#include <cstdlib>

#include "broker/log/inspect.hpp"
#include "tests/fuzz/written_logs.hpp"
#include "tests/support/looked_at.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::fuzz;

namespace {

void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

/// What `dump` does with what it is shown, but for the printing.
struct Dump final : InspectVisitor {
    std::uint64_t segments = 0, commits = 0, frames = 0, sum = 0;
    void on_segment(std::uint32_t segment, const SegmentEntry& entry) override {
        ++segments;
        sum += segment + entry.place + entry.data_end + entry.footer_position;
    }
    void on_commit(std::uint32_t, const CommitHeader& commit) override {
        ++commits;
        sum += commit.bytes + commit.sequence;
    }
    void on_frame(const InspectedFrame& frame) override {
        ++frames;
        for (const std::uint8_t byte : frame.body) sum += byte;
        if (frame.batch) sum += static_cast<std::uint64_t>(frame.batch->end_offset());
        if (frame.header.type != FrameType::fact) return;
        if (const auto fact = decode_fact_body(frame.body))
            for (const std::uint8_t byte : fact->value) sum += byte;
    }
};

bool same(const Damage& a, const Damage& b) {
    return a.kind == b.kind && a.segment == b.segment && a.position == b.position &&
           a.bytes == b.bytes && a.stream == b.stream && a.from == b.from && a.to == b.to;
}

void look(const SimImage& image, bool sealed, bool hurt) {
    SimStorage device({.seed = 2}, image);
    const std::uint64_t before = device.image().hash();
    std::string why, again_why;
    Dump dump;
    const Result<Inspection> dumped = inspect(device, &dump, why);
    const Result<Inspection> verified = inspect(device, nullptr, again_why);
    must(device.image().hash() == before, "looking changes nothing");
    must(static_cast<bool>(dumped) == static_cast<bool>(verified), "dump and verify agree");
    if (!dumped) return must(!why.empty(), "a refusal says why");
    must(dumped->damages.size() == verified->damages.size(), "as many damages twice");
    for (std::size_t i = 0; i < dumped->damages.size(); ++i)
        must(same(dumped->damages[i], verified->damages[i]), "the same damages twice");
    for (const Damage& damage : dumped->damages) must(*damage_text(damage.kind) != '?', "it has a name");
    must(dumped->frames == dump.frames, "every frame is shown");
    if (!hurt) must(dumped->damages.empty(), "a whole log has no damage");
    if (sealed) return;
    must(dumped->purposes.sum() ==
             std::uint64_t{dumped->super.segments} * dumped->super.segment_bytes,
         "the purposes are the whole pool");
}

/// The device of a broker that works between any two reads of whoever looks.
class Beside final : public leat::test::LookedAt {
public:
    explicit Beside(Rig& rig) : rig_(rig) {}
    port::StorageGeometry geometry() const override { return rig_.device.geometry(); }

private:
    Status look(std::uint64_t at, std::span<std::uint8_t> into) override {
        if (++reads_ % 3 == 0 && reads_ < 600) {
            Sent sent;
            (void)put_keyed(rig_, keyed_first + reads_ % 2, reads_, sent);
            (void)rig_.append(expiring, {.count = 2, .size = 2'000, .salt = reads_});
            rig_.pass(200);
        }
        const SimImage& image = rig_.device.image();
        if (at > image.size() || into.size() > image.size() - at) return fail(Error::storage);
        image.read(at, into);
        return ok();
    }
    Rig& rig_;
    std::uint64_t reads_ = 0;
};

void look_beside(SimImage image, std::uint32_t segment_bytes) {
    SimStorage device({.seed = 2}, std::move(image));
    LogConfig config = busy_config();
    config.segment_bytes = segment_bytes;
    Rig rig(device, config, {}, 42, topics::filter_records);
    if (!rig.open()) return;
    declare(rig);
    Beside beside(rig);
    Dump dump;
    std::string why;
    (void)inspect(beside, &dump, why);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const Written& base = written(data[0]);
    SimImage image = base.image;
    const std::uint64_t whole = image.hash();
    bound_memory(data[0] % written_logs == 3 ? 96 * MiB : 24 * MiB);
    const bool sealed = change(image, base, ByteView(data, size).subspan(2));
    look(image, sealed, image.hash() != whole);
    if (data[1] & 1) look_beside(std::move(image), base.segment_bytes);
    bound_memory(0);
    return 0;
}
