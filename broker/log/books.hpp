// The books of one stream: what became of every offset it ever had (DESIGN.md, idea 5).
//
// Below log_start an offset is in exactly one of: freed after delivery, expired after delivery,
// deleted on request, superseded, or a loss. Above it: kept, superseded, or a loss (a gap, damage).
// So
//   freed + expired + deleted + superseded + losses + kept = log end
// holds at all times; the totals are kept, not computed, so that a mistake shows.
//
// Losses are entries: range, how many records of it, bytes, why, when. Neighbours of one reason
// merge; above eight the two oldest merge, whatever their reasons, under the newer one's: then
// `records` is smaller than the range is long. Such an entry is read as if its losses came first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/log/log.hpp"

namespace leat::log {

constexpr std::size_t losses_max = 8;

class StreamBook {
public:
    /// What happened, and when.
    struct Stamp {
        std::uint64_t age_ms = 0;
        std::int64_t wall_ms = -1;  ///< -1: not trusted then
    };

    /// Offsets in [log_start(), to) are freed for a reason that is no loss.
    void freed(Freed how, Offset to, std::uint64_t bytes);
    /// Offsets in [from, to) are lost. Those that are an entry already are not counted again.
    /// `from` below log_start() means log_start().
    void lost(LossReason why, Offset from, Offset to, std::uint64_t bytes, Stamp when);
    /// Offsets [log_start(), to) are dropped for `why`: lost, and the log start moves.
    void dropped(LossReason why, Offset to, std::uint64_t bytes, Stamp when);
    /// Compaction left records above log_start() out, wherever they were. They are counted at once;
    /// when the log start rises they are taken for the oldest. They are gone with the checkpoint of
    /// that number: until it is durable a crash brings them back, and this is untrue (settle).
    void superseded(std::uint64_t records, std::uint64_t bytes, std::uint64_t checkpoint);
    /// `checkpoint` is durable: what was gone with it is gone for good. After a crash no later one
    /// ever was, and what awaits one is taken back. returns  whether there was any of that
    enum class After : std::uint8_t { crash, checkpoint };
    bool settle(std::uint64_t checkpoint, After after);
    bool has_superseded() const {
        return freed_[static_cast<std::size_t>(Freed::superseded)].records > 0;
    }
    /// Of no stream: one entry for each reason. A cut is of unknown extent, without records.
    void count(LossReason why, std::uint64_t records, std::uint64_t bytes, Stamp when);
    /// Offsets at and after `end` do not exist: a crash took the raise, not the entry.
    bool clip(Offset end);

    Offset log_start() const { return log_start_; }
    /// The batch bytes between log_start() and `upto`, the log end when they were counted: what a
    /// start goes on from, since a log start alone does not tell what it left.
    struct Kept {
        std::int64_t bytes = 0;
        Offset upto = 0;
    };
    void set_kept(Kept kept) { kept_ = kept; }
    const std::optional<Kept>& kept() const { return kept_; }
    /// Losses among the offsets below `to`.
    std::uint64_t lost_below(Offset to) const;
    Books view(Offset log_end, Offset release) const;
    bool empty() const { return log_start_ == 0 && losses_.empty(); }

    std::string encode() const;
    static Result<StreamBook> decode(ByteView value);

private:
    void merge();
    /// Superseded records above log_start(): what the counts have more than lies below it.
    std::uint64_t superseded_above() const;
    Offset log_start_ = 0;
    Books::Count freed_[freed_kinds] = {};
    std::vector<Loss> losses_;  ///< by range
    struct Awaited {
        std::uint64_t checkpoint = 0, records = 0, bytes = 0;
    };
    Awaited awaited_;  ///< the part of what is superseded that a crash may bring back; 0: none
    std::optional<Kept> kept_;  ///< empty: not known, or of an older program
};

}  // namespace leat::log
