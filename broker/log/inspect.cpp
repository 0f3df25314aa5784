#include "broker/log/inspect.hpp"

#include <algorithm>
#include <deque>
#include <map>
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

/// Which offsets ought to have been seen and were not, and which damaged place took them.
void judge(const Core& core, Inspected& seen, Inspection& out) {
    for (const auto& [id, stream] : core.streams.all()) {
        Inspection::Stream& total = out.streams[id];
        total.log_start = stream.state.log_start;
        total.log_end = stream.state.log_end;
        auto& pieces = seen.pieces[id];
        const auto by_from = [](const Inspected::Piece& a, const Inspected::Piece& b) {
            return a.from < b.from;
        };
        std::sort(pieces.begin(), pieces.end(), by_from);
        // Of a batch that does not hold only its begin is known. What is freed already is no damage.
        const std::size_t good = pieces.size();
        std::erase_if(seen.damages, [&, id = id](auto& one) {
            Damage& damage = one.second;
            if (damage.kind != Damage::Kind::batch || damage.stream != id || damage.from < 0)
                return false;
            const auto end = pieces.begin() + static_cast<std::ptrdiff_t>(good);
            const auto next = std::upper_bound(pieces.begin(), end,
                                               Inspected::Piece{damage.from, 0, {}, {}}, by_from);
            damage.to = std::min({damage.to, next == end ? total.log_end : next->from, total.log_end});
            if (damage.to <= std::max(damage.from, total.log_start)) return true;
            pieces.push_back({damage.from, damage.to, one.first, one.first});
            return false;
        });
        const auto book = book_of(core, id);
        const bool has_gaps = book && book->has_superseded();  // compaction made them
        if (book)
            for (const Loss& loss : book->view(total.log_end, 0).losses)
                if (loss.reason == LossReason::raised)
                    pieces.push_back({loss.from, loss.to, {0, 0}, {0, 0}});
        std::sort(pieces.begin(), pieces.end(), by_from);
        pieces.push_back({total.log_end, total.log_end, {UINT64_MAX, 0}, {UINT64_MAX, 0}});
        Offset at = total.log_start;
        Where before{0, 0};
        for (const Inspected::Piece& piece : pieces) {
            if (piece.from > at) {
                const std::size_t count = seen.damages.size();
                bool blamed = false;
                for (std::size_t i = 0; i < count && !blamed; ++i) {
                    auto& [where, damage] = seen.damages[i];
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
                        std::tie(another.second.stream, another.second.from, another.second.to) =
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
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [where, damage] : seen.damages) out.damages.push_back(damage);
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
    UnchangedDevice unchanged(device);
    NoEntropy entropy;
    Core core(unchanged, entropy, LogConfig{});
    core.pool_as_it_is = true;
    core.geometry = unchanged.geometry();
    const Result<Recovered> recovered = recover(core, Instant{}, WallTime{}, why);
    if (!recovered) return fail(recovered.error());
    if (recovered->fresh) {
        why = "nothing was ever written here";
        return fail(Error::not_found);
    }
    Inspection out;
    out.sealed = recovered->sealed;
    out.start_text = core.cut_text;
    // Past the view: what a start would write is not what stands there.
    Core plain(device, entropy, LogConfig{});
    plain.geometry = core.geometry;
    plain.super = core.super;
    plain.page = core.page;
    plain.segment_bytes = core.segment_bytes;
    plain.segments = core.segments;
    plain.streams = core.streams;
    // A book may stand alone: a log start that was given up with its commit is told by it only.
    for (const auto& [id, stream] : core.streams.all())
        if (const auto book = book_of(core, id)) {
            StreamState& state = plain.streams.find(id)->state;
            state.log_start = std::max(state.log_start, std::min(book->log_start(), state.log_end));
        }
    plain.facts = core.facts;
    InspectWalk walk(plain, out, visitor);
    walk.superblocks();
    walk.arrivals();
    walk.checkpoint(recovered->checkpoint.extents);
    Inspected seen = walk.take();
    judge(plain, seen, out);
    return out;
}

}  // namespace leat::log
