// Footers: what is read of a segment to know what it holds, and in which order that is tried.
#include <algorithm>
#include <utility>

#include "broker/log/cache.hpp"
#include "broker/log/footer.hpp"
#include "broker/log/mend.hpp"
#include "broker/log/scan.hpp"

namespace leat::log {

std::list<FooterCache::Entry>::iterator FooterCache::find(std::uint32_t segment) {
    const std::uint64_t generation = core_.segments[segment].generation;
    return std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.segment == segment && entry.generation == generation;
    });
}

FooterCache::Entry& FooterCache::make(std::uint32_t segment) {
    const SegmentEntry& now = core_.segments[segment];
    Entry& entry = entries_.emplace_front();
    entry.segment = segment;
    entry.generation = now.generation;
    entry.memory = AlignedBytes(core_.geometry.align);
    entry.step = now.footer_position != 0 ? Step::footer : Step::header;
    return entry;
}

FooterCache::Found FooterCache::get(std::uint32_t segment) {
    auto found = find(segment);
    if (found == entries_.end()) {
        if (core_.reads_under_way >= reads_max) return {};
        make(segment);
        found = entries_.begin();
    }
    found->ahead = false;
    const bool wanted = found->ticket == 0 && !found->failed && found->bytes.empty();
    if (wanted) start(*found, found->step);
    if (found->ticket != 0 || (wanted && !found->failed)) return {};
    entries_.splice(entries_.begin(), entries_, found);
    if (found->failed) {
        const Found failed{Fetched::failed, {}, found->recycled, found->not_given};
        entries_.pop_front();
        return failed;
    }
    return {Fetched::ready, found->bytes,   false,
            false,          found->partial, reads_segment(found->step)};
}

FooterCache::Found FooterCache::ahead(std::uint32_t segment) {
    const auto found = find(segment);
    if (found != entries_.end()) {
        if (found->ticket != 0) return {};
        if (found->bytes.empty()) return {Fetched::failed, {}};
        return {Fetched::ready, found->bytes,   false,
            false,          found->partial, reads_segment(found->step)};
    }
    if (core_.segments[segment].footer_position == 0) return {Fetched::failed, {}};
    // One at a time: of thousands of streams each takes a megabyte.
    if (std::any_of(entries_.begin(), entries_.end(),
                    [](const Entry& entry) { return entry.ahead && entry.ticket != 0; }))
        return {};
    Entry& entry = make(segment);
    entry.ahead = true;
    start(entry, Step::footer);
    if (entry.ticket != 0) return {};
    entries_.pop_front();  // not now
    return {Fetched::failed, {}};
}

void FooterCache::put(std::uint32_t segment, ByteView footer) {
    Entry& entry = entries_.emplace_front();
    entry.segment = segment;
    entry.generation = core_.segments[segment].generation;
    entry.bytes.assign(footer.begin(), footer.end());
    bytes_ += entry.bytes.size();
    trim(&entry);
}

void FooterCache::ask_again(std::uint32_t segment) {
    const auto found = find(segment);
    if (found != entries_.end() && found->partial && found->commits != core_.counters.commits)
        forget_refused(segment);
}

void FooterCache::forget_refused(std::uint32_t segment) {
    const auto found = find(segment);
    if (found == entries_.end() || found->ticket != 0 || found->recycled ||
        !(found->partial || (found->failed && found->not_given)))
        return;
    bytes_ -= found->bytes.size();
    entries_.erase(found);
}

void FooterCache::rest() {
    last_ = 1;
    trim(nullptr);
}

void FooterCache::trim(const Entry* arrived) {
    // The newest one stays whatever its size, and none that is being read goes, nor the one that
    // came just now: who waits for it has not seen it, and would ask for it again, and again.
    for (auto it = entries_.end();
         bytes_ > bytes_max_ && (entries_.size() > last_ || bytes_ > 16 * bytes_max_) &&
         it != entries_.begin() && --it != entries_.begin();) {
        if (it->ticket != 0 || &*it == arrived) continue;
        bytes_ -= it->bytes.size();
        it = entries_.erase(it);
    }
}

void FooterCache::start(Entry& entry, Step step) {
    entry.step = step;
    if (core_.reads_under_way >= reads_max) return;  // asked for again
    const SegmentEntry& segment = core_.segments[entry.segment];
    std::uint32_t from = 0, to = core_.page;
    if (step == Step::pages) {
        from = (entry.headless ? core_.page : 0) + static_cast<std::uint32_t>(entry.have);
        to = from + core_.page;
    } else if (step == Step::footer) {
        from = segment.footer_position;
        to = core_.segment_bytes;
    } else if (step == Step::whole) {
        if (entry.headless) from = core_.page;
        to = static_cast<std::uint32_t>(
            round_up(std::max(segment.data_end, core_.page), core_.page));
    }
    if (step != Step::pages) {
        entry.have = 0;
        entry.reading = to - from;
        entry.memory.reserve(entry.reading, 0);
    }
    entry.ticket = core_.ticket(Owner::reads);
    if (const Status started =
            core_.storage.start_read(entry.ticket, core_.address(entry.segment, from),
                                     {entry.memory.data() + entry.have, to - from});
        !started) {
        entry.ticket = 0;
        if (started.error() != Error::full) entry.failed = entry.not_given = true;
        return;  // full: it is asked for again
    }
    ++core_.reads_under_way;
    core_.counters.read += to - from;
}

/// Makes the index that the footer would hold.
void FooterCache::scan(Entry& entry, ByteView bytes) {
    const SegmentEntry& segment = core_.segments[entry.segment];
    const std::uint32_t from = entry.headless ? core_.page : 0;
    SegmentHeader header;
    if (!entry.headless) {
        if (const auto found = decode_mended_segment_header(bytes)) header = *found;
    } else if (const auto first = decode_commit_header(bytes, segment.salt)) {
        header.first_sequence = first->sequence;
        header.run = first->run;
    }
    header.segment = entry.segment;
    header.area = segment.area;
    header.generation = entry.generation;
    header.salt = segment.salt;
    SegmentIndex index;
    const SegmentBytes view = [&](std::uint32_t position, std::uint32_t) {
        return position >= from && position - from < bytes.size() ? bytes.subspan(position - from)
                                                                  : ByteView{};
    };
    (void)scan_segment(core_, header, segment.data_end, view, index);
    CommitHeader commit = core_.commit_header(Instant{});
    commit.generation = entry.generation;
    entry.bytes = encode_footer(index, commit, segment.salt, core_.page, core_.segment_bytes);
    // Frames there were: that none can be read is no index.
    entry.failed = entry.bytes.empty() || (index.streams.empty() && segment.batch_bytes > 0);
    if (entry.failed) entry.bytes.clear();
}

bool FooterCache::on_read_done(std::uint64_t ticket, bool good) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& e) { return e.ticket == ticket; });
    if (found == entries_.end()) return false;
    Entry& entry = *found;
    entry.ticket = 0;
    --core_.reads_under_way;
    entry.not_given = entry.not_given || !good;
    const SegmentEntry& segment = core_.segments[entry.segment];
    if (segment.generation != entry.generation) {  // who waits for it asks for another one
        entries_.erase(found);
        return true;
    }
    const ByteView bytes(entry.memory.data(), entry.reading);
    if (entry.step == Step::footer) {
        if (good && check_footer(bytes, entry.generation, segment.salt)) {
            entry.bytes.assign(bytes.begin(), bytes.end());
        } else if (!entry.ahead) {
            start(entry, Step::header);
            return true;
        }
    } else if (entry.step == Step::header) {
        const Result<SegmentHeader> header =
            good ? decode_mended_segment_header(bytes) : fail(Error::storage);
        const bool ours = header && core_.super.owns(header->log_id);
        entry.recycled = ours && header->generation > entry.generation;
        entry.headless = !ours || header->generation != entry.generation;
        entry.failed = entry.recycled || (entry.headless && segment.data_end <= core_.page);
        if (!entry.failed) {
            start(entry, Step::whole);
            return true;
        }
    } else {
        // One bad page hides no more than itself.
        if (entry.step == Step::pages) {
            if (!good && !std::exchange(entry.again, true)) {
                start(entry, Step::pages);
                return true;
            }
            entry.again = false;
            std::size_t next = entry.have + core_.page;
            entry.row = good ? 0 : entry.row + 1;
            if (!good) {
                if (entry.row >= Patience{}.row)
                    next = std::min<std::size_t>(round_up(next, 256 * KiB), entry.reading);
                std::fill_n(entry.memory.data() + entry.have, next - entry.have, std::uint8_t{0});
                entry.partial = true;
                entry.commits = core_.counters.commits;
                entry.failed = ++entry.refused >= Patience{}.all;
            }
            entry.have = next;
        }
        if (!entry.failed && (entry.step == Step::pages ? entry.have < entry.reading : !good)) {
            start(entry, Step::pages);
            return true;
        }
        if (!entry.failed) scan(entry, bytes);
    }
    const Refusals::Place place{entry.segment, Refusals::whole, entry.generation};
    if (!entry.failed && !entry.partial && !entry.bytes.empty())
        core_.refusals.given(place);
    else if (entry.not_given && !entry.recycled && !entry.ahead)
        core_.refused(place);
    entry.memory.free();
    bytes_ += entry.bytes.size();
    trim(&entry);
    return true;
}

}  // namespace leat::log
