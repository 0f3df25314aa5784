#include "broker/log/inspect.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "broker/log/inspect_walk.hpp"
#include "broker/log/recovery.hpp"

namespace leat::log {

namespace {

/// The device as it is, with what is written kept in RAM.
class UnchangedDevice final : public port::Storage {
public:
    explicit UnchangedDevice(port::Storage& device) : device_(device) {}
    port::StorageGeometry geometry() const override { return device_.geometry(); }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        written_.insert_or_assign(at, std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        const Status started = device_.start_read(ticket, at, into);
        if (started) reads_.insert_or_assign(ticket, std::pair{at, into});
        return started;
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t, std::uint64_t) override {
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_shrink(std::uint64_t ticket, std::uint64_t) override {
        done_.push_back({ticket, ok()});
        return ok();
    }
    std::optional<port::StorageDone> poll_done() override {
        if (!done_.empty()) {
            const port::StorageDone done = done_.front();
            done_.pop_front();
            return done;
        }
        const auto done = device_.poll_done();
        if (!done) return done;
        if (const auto read = reads_.extract(done->ticket)) patch(read.mapped());
        return done;
    }
    void wait_done() override {
        if (done_.empty()) device_.wait_done();
    }

private:
    void patch(const std::pair<std::uint64_t, std::span<std::uint8_t>>& read) const {
        for (const auto& [at, bytes] : written_) {
            const std::uint64_t from = std::max(at, read.first);
            const std::uint64_t to =
                std::min<std::uint64_t>(at + bytes.size(), read.first + read.second.size());
            if (from < to)
                copy_bytes(ByteView(bytes).subspan(from - at, to - from),
                           read.second.subspan(from - read.first, to - from));
        }
    }
    port::Storage& device_;
    std::map<std::uint64_t, std::vector<std::uint8_t>> written_;
    std::map<std::uint64_t, std::pair<std::uint64_t, std::span<std::uint8_t>>> reads_;
    std::deque<port::StorageDone> done_;
};

struct NoEntropy final : port::Entropy {
    Status fill(std::span<std::uint8_t> bytes) override {
        std::fill(bytes.begin(), bytes.end(), std::uint8_t{1});
        return ok();
    }
};

/// The log as a start would find it.
struct Found {
    std::unique_ptr<Core> core;  ///< without what that would write
    std::vector<CheckpointExtent> checkpoint;
    std::vector<SegmentIndex::Lost> lost;
    std::string start_text;
    bool sealed = false;
};

/// The superblocks as they stand there: while they stay so, nothing that they need is written over.
std::vector<std::uint8_t> superblocks_of(Core& core) {
    WaitingStorage io(core);
    std::vector<std::uint8_t> all;
    const std::uint64_t slot_bytes = std::max<std::uint32_t>(16 * KiB, core.geometry.erase_size);
    for (const std::uint64_t at : {std::uint64_t{0}, slot_bytes})
        if (const auto bytes = io.read(at, superblock_bytes))
            all.insert(all.end(), bytes->begin(), bytes->end());
    return all;
}

Result<Found> find(port::Storage& device, port::Entropy& entropy, std::string& why) {
    constexpr int tries_max = 16;
    for (int tries = 1;; ++tries) {
        why.clear();
        UnchangedDevice unchanged(device);
        Core core(unchanged, entropy, LogConfig{});
        core.pool_as_it_is = true;
        core.geometry = unchanged.geometry();
        const std::vector<std::uint8_t> before = superblocks_of(core);
        Result<Recovered> recovered = recover(core, Instant{}, WallTime{}, why);
        auto plain = std::make_unique<Core>(device, entropy, LogConfig{});
        plain->geometry = core.geometry;
        const bool moved = before != superblocks_of(*plain);
        if (moved && tries < tries_max) continue;
        if (!recovered) return fail(recovered.error());
        if (recovered->fresh) {
            why = "nothing was ever written here";
            return fail(Error::not_found);
        }
        plain->super = core.super;
        plain->page = core.page;
        plain->segment_bytes = core.segment_bytes;
        plain->segments = core.segments;
        plain->redo_place = core.redo_place;
        plain->streams = std::move(core.streams);
        plain->facts = std::move(core.facts);
        // A book may stand alone: a log start that was given up with its commit is told by it only.
        for (auto& [id, stream] : plain->streams.all())
            if (const auto book = book_of(*plain, id))
                stream.state.log_start = std::max(
                    stream.state.log_start, std::min(book->log_start(), stream.state.log_end));
        // Where it never stood still, what a start would say is not known.
        return Found{std::move(plain), std::move(recovered->checkpoint.extents),
                     std::move(recovered->lost), moved ? std::string() : core.cut_text,
                     recovered->sealed};
    }
}

}  // namespace

const char* damage_text(Damage::Kind kind) {
    switch (kind) {
        case Damage::Kind::superblock:
            return "superblock";
        case Damage::Kind::checkpoint:
            return "checkpoint";
        case Damage::Kind::segment_header:
            return "segment header";
        case Damage::Kind::commit:
            return "commit header or padding";
        case Damage::Kind::frame:
            return "frame";
        case Damage::Kind::batch:
            return "batch";
        case Damage::Kind::footer:
            return "footer";
        case Damage::Kind::missing:
            return "missing records";
        case Damage::Kind::unreadable:
            return "unreadable bytes";
    }
    return "?";
}

Result<Inspection> inspect(port::Storage& device, InspectVisitor* visitor, std::string& why) {
    constexpr int looks_max = 16;
    NoEntropy entropy;
    Result<Found> found = find(device, entropy, why);
    if (!found) return fail(found.error());
    const std::unique_ptr<Core> first = std::move(found->core);
    std::vector<SegmentIndex::Lost> lost = std::move(found->lost);
    Inspection out;
    out.sealed = found->sealed;
    out.start_text = found->start_text;
    for (const auto& [id, stream] : first->streams.all()) {
        out.streams[id].log_start = stream.state.log_start;
        out.streams[id].log_end = stream.state.log_end;
    }
    InspectWalk walk(*first, out, visitor);
    walk.superblocks();
    walk.arrivals();
    walk.checkpoint(found->checkpoint);
    out.damages = judge(*first, *first, lost, walk.seen());
    std::unique_ptr<Core> now;
    bool all_walked = false;
    for (int looks = 0; !out.damages.empty() && !all_walked && looks < looks_max; ++looks) {
        std::string unheard;
        Result<Found> again = find(device, entropy, unheard);
        if (!again) break;
        now = std::move(again->core);
        // What was written over while the start of before read it seemed to lack something.
        std::erase_if(lost, [&](const SegmentIndex::Lost& one) {
            return std::none_of(again->lost.begin(), again->lost.end(), [&](const auto& other) {
                return other.stream == one.stream && other.from < one.to && one.from < other.to;
            });
        });
        all_walked = walk.look_again(*now);
        out.damages = judge(*first, *now, lost, walk.seen());
    }
    return out;
}

}  // namespace leat::log
