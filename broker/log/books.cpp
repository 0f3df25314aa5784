#include "broker/log/books.hpp"

#include <algorithm>

#include "broker/log/little.hpp"

namespace leat::log {

namespace {

constexpr std::uint8_t book_version = 1;

std::uint64_t length(Offset from, Offset to) {
    return to > from ? static_cast<std::uint64_t>(to - from) : 0;
}
std::uint64_t lost_in(const Loss& loss, Offset below) {
    return std::min(length(loss.from, std::min(below, loss.to)), loss.records);
}

}  // namespace

std::uint64_t StreamBook::lost_below(Offset to) const {
    std::uint64_t sum = 0;
    for (const Loss& loss : losses_) sum += lost_in(loss, to);
    return sum;
}

void StreamBook::freed(Freed how, Offset to, std::uint64_t bytes) {
    if (to <= log_start_) return;
    Books::Count& count = freed_[static_cast<std::size_t>(how)];
    const std::uint64_t gone = length(log_start_, to) - (lost_below(to) - lost_below(log_start_));
    count.records += gone - std::min(gone, superseded_above());
    count.bytes += bytes;
    log_start_ = to;
}

void StreamBook::lost(LossReason why, Offset from, Offset to, std::uint64_t bytes, Stamp when) {
    from = std::max(from, log_start_);
    if (to <= from) return;
    // Pieces between the entries that are there; what of a merged entry was still kept is lost now,
    // too, and is counted in it.
    std::vector<Loss> pieces;
    Offset at = from;
    for (Loss& loss : losses_) {
        if (loss.to <= at || loss.from >= to) continue;
        if (loss.from > at) pieces.push_back({.from = at, .to = loss.from});
        const Offset begin = std::max(at, loss.from), end = std::min(to, loss.to);
        loss.records += length(begin, end) - (lost_in(loss, end) - lost_in(loss, begin));
        at = end;
    }
    if (at < to) pieces.push_back({.from = at, .to = to});
    for (Loss& piece : pieces) {
        piece.records = length(piece.from, piece.to);
        piece.bytes = std::exchange(bytes, 0);  // not known by piece: the first has them
        piece.reason = why;
        piece.first_age_ms = piece.last_age_ms = when.age_ms;
        piece.wall_ms = when.wall_ms;
        losses_.push_back(piece);
    }
    merge();
}

void StreamBook::dropped(LossReason why, Offset to, std::uint64_t bytes, Stamp when) {
    const std::uint64_t gone =
        to > log_start_ ? length(log_start_, to) - (lost_below(to) - lost_below(log_start_)) : 0;
    std::uint64_t not_lost = std::min(gone, superseded_above());
    lost(why, log_start_, to, bytes, when);
    for (auto loss = losses_.rbegin(); loss != losses_.rend() && not_lost > 0; ++loss) {
        if (loss->from >= to) continue;
        const std::uint64_t less = std::min(not_lost, loss->records);
        loss->records -= less;
        not_lost -= less;
    }
    log_start_ = std::max(log_start_, to);
}

void StreamBook::superseded(std::uint64_t records, std::uint64_t bytes, std::uint64_t checkpoint) {
    Books::Count& count = freed_[static_cast<std::size_t>(Freed::superseded)];
    count.records += records;
    count.bytes += bytes;
    awaited_ = {checkpoint, awaited_.records + records, awaited_.bytes + bytes};
}

bool StreamBook::settle(std::uint64_t checkpoint, After after) {
    const bool untrue = awaited_.checkpoint > checkpoint;
    if (untrue && after == After::checkpoint) return false;
    if (untrue) {
        // Those that the log start has passed meanwhile are gone, whatever for.
        Books::Count& count = freed_[static_cast<std::size_t>(Freed::superseded)];
        count.records -= std::min(awaited_.records, superseded_above());
        count.bytes -= std::min(awaited_.bytes, count.bytes);
    }
    awaited_ = {};
    return untrue;
}

std::uint64_t StreamBook::superseded_above() const {
    std::uint64_t sum = lost_below(log_start_);
    for (const Books::Count& count : freed_) sum += count.records;
    const auto below = static_cast<std::uint64_t>(log_start_);
    return sum > below
               ? std::min(sum - below, freed_[static_cast<std::size_t>(Freed::superseded)].records)
               : 0;
}

void StreamBook::count(LossReason why, std::uint64_t records, std::uint64_t bytes, Stamp when) {
    auto loss = std::find_if(losses_.begin(), losses_.end(),
                             [why](const Loss& one) { return one.reason == why; });
    if (loss == losses_.end())
        loss = losses_.insert(loss, {.reason = why, .events = 0, .first_age_ms = when.age_ms});
    loss->to += static_cast<Offset>(records);
    loss->records += records;
    loss->bytes += bytes;
    ++loss->events;
    loss->last_age_ms = when.age_ms;
    loss->wall_ms = when.wall_ms;
}

void StreamBook::merge() {
    std::sort(losses_.begin(), losses_.end(), [](const Loss& a, const Loss& b) {
        return a.from != b.from ? a.from < b.from : a.to < b.to;
    });
    const auto join = [this](std::size_t i) {
        Loss& a = losses_[i];
        const Loss& b = losses_[i + 1];
        a.to = std::max(a.to, b.to);
        a.records += b.records;
        a.bytes += b.bytes;
        a.events += b.events;
        a.reason = b.reason;
        a.first_age_ms = std::min(a.first_age_ms, b.first_age_ms);
        if (b.last_age_ms >= a.last_age_ms) a.wall_ms = b.wall_ms;
        a.last_age_ms = std::max(a.last_age_ms, b.last_age_ms);
        losses_.erase(losses_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    };
    for (std::size_t i = 0; i + 1 < losses_.size();) {
        const Loss &a = losses_[i], &b = losses_[i + 1];
        // A sparse entry takes no neighbour: what it leaves kept would move with its end.
        const bool dense = a.records == length(a.from, a.to) && b.records == length(b.from, b.to);
        if (a.to == b.from && a.reason == b.reason && dense)
            join(i);
        else
            ++i;
    }
    // The oldest pair on one side of the log start: a merged entry that lay across it would count
    // kept records as lost ones.
    for (std::size_t i = 0; losses_.size() > losses_max && i + 1 < losses_.size();) {
        if (losses_[i + 1].to <= log_start_ || losses_[i].from >= log_start_)
            join(i);
        else
            ++i;
    }
}

bool StreamBook::clip(Offset end) {
    bool changed = log_start_ > end;
    log_start_ = std::min(log_start_, end);
    if (kept_ && kept_->upto > end) kept_.reset();
    std::erase_if(losses_, [&](Loss& loss) {
        if (loss.to <= end) return false;
        changed = true;
        loss.records = lost_in(loss, end);
        loss.to = end;
        return loss.from >= end;
    });
    return changed;
}

Books StreamBook::view(Offset log_end, Offset release) const {
    Books books;
    books.log_start = log_start_;
    books.log_end = std::max(log_end, log_start_);
    std::copy(std::begin(freed_), std::end(freed_), std::begin(books.freed));
    books.losses = losses_;
    const auto kept = [&](Offset to) {
        return to <= log_start_
                   ? 0
                   : length(log_start_, to) - (lost_below(to) - lost_below(log_start_));
    };
    // A crash may leave a count that says more than can be: one that is written, and the records
    // back where they were.
    const std::uint64_t all = kept(books.log_end), above = superseded_above();
    const std::uint64_t left_out = std::min(all, above);
    books.freed[static_cast<std::size_t>(Freed::superseded)].records -= above - left_out;
    const std::uint64_t delivered = kept(std::min(books.log_end, release));
    books.kept_delivered = delivered - std::min(delivered, left_out);
    books.kept_buffered = all - left_out - books.kept_delivered;
    return books;
}

std::string StreamBook::encode() const {
    std::vector<std::uint8_t> out;
    LittleWriter to(out);
    to.put<std::uint8_t>(book_version);
    to.put<std::uint8_t>(static_cast<std::uint8_t>(losses_.size()));
    to.put<std::int64_t>(log_start_);
    for (const Books::Count& count : freed_) {
        to.put<std::uint64_t>(count.records);
        to.put<std::uint64_t>(count.bytes);
    }
    for (const Loss& loss : losses_) {
        to.put<std::int64_t>(loss.from);
        to.put<std::int64_t>(loss.to);
        to.put<std::uint64_t>(loss.records);
        to.put<std::uint64_t>(loss.bytes);
        to.put<std::uint8_t>(static_cast<std::uint8_t>(loss.reason));
        to.put<std::uint32_t>(loss.events);
        to.put<std::uint64_t>(loss.first_age_ms);
        to.put<std::uint64_t>(loss.last_age_ms);
        to.put<std::int64_t>(loss.wall_ms);
    }
    if (kept_ || awaited_.checkpoint != 0) {
        to.put<std::int64_t>(kept_ ? kept_->bytes : -1);
        to.put<std::int64_t>(kept_ ? kept_->upto : -1);
    }
    if (awaited_.checkpoint != 0) {
        to.put<std::uint64_t>(awaited_.checkpoint);
        to.put<std::uint64_t>(awaited_.records);
        to.put<std::uint64_t>(awaited_.bytes);
    }
    return std::string(text_of(out));
}

Result<StreamBook> StreamBook::decode(ByteView value) {
    LittleReader in(value);
    StreamBook book;
    if (in.get<std::uint8_t>() != book_version) return fail(Error::unsupported);
    const auto count = in.get<std::uint8_t>();
    book.log_start_ = in.get<std::int64_t>();
    for (Books::Count& freed : book.freed_) {
        freed.records = in.get<std::uint64_t>();
        freed.bytes = in.get<std::uint64_t>();
    }
    if (count > losses_max || book.log_start_ < 0) return fail(Error::corrupt);
    for (std::uint8_t i = 0; i < count; ++i) {
        Loss loss;
        loss.from = in.get<std::int64_t>();
        loss.to = in.get<std::int64_t>();
        loss.records = in.get<std::uint64_t>();
        loss.bytes = in.get<std::uint64_t>();
        loss.reason = static_cast<LossReason>(in.get<std::uint8_t>());
        loss.events = in.get<std::uint32_t>();
        loss.first_age_ms = in.get<std::uint64_t>();
        loss.last_age_ms = in.get<std::uint64_t>();
        loss.wall_ms = in.get<std::int64_t>();
        if (loss.from < 0 || loss.to < loss.from || loss.records > length(loss.from, loss.to))
            return fail(Error::corrupt);
        book.losses_.push_back(loss);
    }
    if (!in.ok()) return fail(Error::truncated);
    if (in.left() >= 16) {
        const Kept kept{in.get<std::int64_t>(), in.get<std::int64_t>()};
        const bool told = kept.bytes != -1 || kept.upto != -1;
        if (told && (kept.bytes < 0 || kept.upto < book.log_start_)) return fail(Error::corrupt);
        if (told) book.kept_ = kept;
    }
    if (in.left() >= 24)
        book.awaited_ = {in.get<std::uint64_t>(), in.get<std::uint64_t>(), in.get<std::uint64_t>()};
    return book;
}

}  // namespace leat::log
