#include "broker/log/inspect.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <tuple>

#include "broker/log/inspect_walk.hpp"
#include "broker/log/ledger.hpp"
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

Result<StreamBook> book_of(const Core& core, StreamId id) {
    std::uint8_t key[4];
    store_big<std::uint32_t>(key, id);
    const Fact* fact = core.facts.find(Facts::key_of(ledger_fact_kind, key));
    if (fact == nullptr) return fail(Error::not_found);
    return StreamBook::decode(bytes_of(fact->value));
}

/// The log as a start would find it.
struct Found {
    std::unique_ptr<Core> core;  ///< without what that would write
    std::vector<CheckpointExtent> checkpoint;
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
                     moved ? std::string() : core.cut_text, recovered->sealed};
    }
}

/// What was `read` begins and ends somewhere; which offsets ought to have been seen and were not,
/// and which damaged place took them. `now`: the log as it was found last, `first` the one that was
/// read, whose log ends count.
std::vector<Damage> judge(const Core& first, const Core& now, Inspected seen) {
    for (const auto& [id, then] : first.streams.all()) {
        const Stream* stream = now.streams.find(id);
        const Offset log_start = stream ? stream->state.log_start : INT64_MAX;
        const Offset log_end =
            stream ? std::min(stream->state.log_end, then.state.log_end) : INT64_MIN;
        auto& pieces = seen.pieces[id];
        std::erase_if(pieces, [&](const auto& piece) { return piece.from >= log_end; });
        const auto by_from = [](const Inspected::Piece& a, const Inspected::Piece& b) {
            return a.from < b.from;
        };
        std::sort(pieces.begin(), pieces.end(), by_from);
        // Of a batch that does not hold only its begin is known. What is freed already is no damage.
        const std::size_t good = pieces.size();
        std::erase_if(seen.damages, [&, id = id](auto& one) {
            Damage& damage = one.damage;
            if (damage.kind != Damage::Kind::batch || damage.stream != id || damage.from < 0)
                return false;
            const auto end = pieces.begin() + static_cast<std::ptrdiff_t>(good);
            const auto next = std::upper_bound(pieces.begin(), end,
                                               Inspected::Piece{damage.from, 0, {}, {}}, by_from);
            damage.to = std::min({damage.to, next == end ? log_end : next->from, log_end});
            if (damage.to <= std::max(damage.from, log_start)) return true;
            pieces.push_back({damage.from, damage.to, one.where, one.where});
            return false;
        });
        if (!stream) continue;  // deleted meanwhile
        const auto book = book_of(now, id);
        const bool has_gaps = book && book->has_superseded();  // compaction made them
        if (book)
            for (const Loss& loss : book->view(log_end, 0).losses)
                if (loss.reason == LossReason::raised)
                    pieces.push_back({loss.from, loss.to, {0, 0}, {0, 0}});
        std::sort(pieces.begin(), pieces.end(), by_from);
        pieces.push_back({log_end, log_end, {UINT64_MAX, 0}, {UINT64_MAX, 0}});
        Offset at = log_start;
        Where before{0, 0};
        for (const Inspected::Piece& piece : pieces) {
            if (piece.from > at) {
                const std::size_t count = seen.damages.size();
                bool blamed = false;
                for (std::size_t i = 0; i < count && !blamed; ++i) {
                    auto& [where, damage, generation] = seen.damages[i];
                    if (where < before || where > piece.first || where.first == 0 ||
                        damage.kind == Damage::Kind::batch || damage.kind == Damage::Kind::footer ||
                        damage.kind == Damage::Kind::checkpoint ||
                        (damage.from >= 0 && damage.stream == id))
                        continue;
                    blamed = true;
                    if (damage.from < 0) {
                        std::tie(damage.stream, damage.from, damage.to) =
                            std::tuple(id, at, piece.from);
                    } else {
                        auto another = seen.damages[i];
                        std::tie(another.damage.stream, another.damage.from, another.damage.to) =
                            std::tuple(id, at, piece.from);
                        seen.damages.push_back(another);
                    }
                }
                if (!blamed && !has_gaps)
                    seen.damages.push_back({before,
                                            {.kind = Damage::Kind::missing,
                                             .stream = id,
                                             .from = at,
                                             .to = piece.from}});
            }
            if (piece.to > at) {
                at = piece.to;
                before = piece.last;
            }
        }
    }
    std::stable_sort(seen.damages.begin(), seen.damages.end(),
                     [](const auto& a, const auto& b) { return a.where < b.where; });
    std::vector<Damage> damages;
    for (const Inspected::Hurt& hurt : seen.damages) damages.push_back(hurt.damage);
    return damages;
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
    out.damages = judge(*first, *first, walk.seen());
    std::unique_ptr<Core> now;
    bool all_walked = false;
    for (int looks = 0; !out.damages.empty() && !all_walked && looks < looks_max; ++looks) {
        std::string unheard;
        Result<Found> again = find(device, entropy, unheard);
        if (!again) break;
        now = std::move(again->core);
        all_walked = walk.look_again(*now);
        out.damages = judge(*first, *now, walk.seen());
    }
    return out;
}

}  // namespace leat::log
