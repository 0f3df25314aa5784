// What the walk met means for the streams: which of their offsets are lost, and where they stood.
#include <algorithm>
#include <tuple>

#include "broker/log/inspect_walk.hpp"
#include "broker/log/ledger.hpp"

namespace leat::log {

namespace {

/// Offsets of a stream that were not met, behind what stands at `before`.
struct Gap {
    StreamId stream;
    Offset from, to;
    Where before;
};

/// Compaction leaves gaps: whether this damage may have taken a part of one, and which. What the
/// segment's footer tells of is looked for in it; where there is none, behind the redo segment, all
/// that is in front of a stream's first batch the start knows to be lost, or it is superseded.
bool explains(const Core& core, const Inspected& seen,
              const std::vector<SegmentIndex::Lost>& lost, const Inspected::Hurt& hurt, Gap& gap) {
    const auto held = seen.held.find({hurt.damage.segment, hurt.generation});
    if (held != seen.held.end()) {
        const auto one = held->second.find(gap.stream);
        if (one == held->second.end() || one->second.all_found) return false;
        gap.from = std::max(gap.from, one->second.first);
        gap.to = std::min(gap.to, one->second.end);
    } else if (hurt.where.first >= core.redo_place && gap.before.first != hurt.where.first &&
               !core.super.unlisted_copies) {
        const auto known = std::find_if(lost.begin(), lost.end(), [&](const auto& one) {
            return one.stream == gap.stream && one.from < gap.to && gap.from < one.to;
        });
        if (known == lost.end()) return false;
        gap.from = std::max(gap.from, known->from);
        gap.to = std::min(gap.to, known->to);
    }
    return gap.from < gap.to;
}

}  // namespace

Result<StreamBook> book_of(const Core& core, StreamId id) {
    std::uint8_t key[4];
    store_big<std::uint32_t>(key, id);
    const Fact* fact = core.facts.find(Facts::key_of(ledger_fact_kind, key));
    if (fact == nullptr) return fail(Error::not_found);
    return StreamBook::decode(bytes_of(fact->value));
}

std::vector<Damage> judge(const Core& first, const Core& now,
                          const std::vector<SegmentIndex::Lost>& lost, Inspected seen) {
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
                Offset from = at;
                for (std::size_t i = 0; i < count && from < piece.from; ++i) {
                    auto& [where, damage, generation] = seen.damages[i];
                    if (where < before || where > piece.first || where.first == 0 ||
                        damage.kind == Damage::Kind::batch || damage.kind == Damage::Kind::footer ||
                        damage.kind == Damage::Kind::checkpoint ||
                        (damage.from >= 0 && damage.stream == id))
                        continue;
                    Gap gap{id, from, piece.from, before};
                    if (has_gaps && !explains(first, seen, lost, seen.damages[i], gap)) continue;
                    from = gap.to;
                    if (damage.from < 0) {
                        std::tie(damage.stream, damage.from, damage.to) =
                            std::tuple(id, gap.from, gap.to);
                    } else {
                        auto another = seen.damages[i];
                        std::tie(another.damage.stream, another.damage.from, another.damage.to) =
                            std::tuple(id, gap.from, gap.to);
                        seen.damages.push_back(another);
                    }
                }
                std::vector<std::pair<Offset, Offset>> missing;
                if (!has_gaps && from == at) missing.emplace_back(at, piece.from);
                for (const SegmentIndex::Lost& one : lost)
                    if (has_gaps && one.stream == id)
                        missing.emplace_back(std::max(from, one.from),
                                             std::min(piece.from, one.to));
                for (const auto& [begin, end] : missing)
                    if (begin < end)
                        seen.damages.push_back({before,
                                                {.kind = Damage::Kind::missing,
                                                 .stream = id,
                                                 .from = begin,
                                                 .to = end}});
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

}  // namespace leat::log
