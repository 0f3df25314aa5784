// What was read back from the device: blocks of segments, and footers. Both bounded, both filled by
// submit-and-complete reads that all who wait for them share.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "broker/log/core.hpp"

namespace leat::log {

/// refused: the device does not give it now, too early to take it for lost (refusals.hpp).
enum class Fetched : std::uint8_t { ready, pending, failed, refused };

/// Aligned pieces of segments, of the size that points go by: what holds no batch of a stream is
/// not read for it. A block of the open segment ends where it was valid when it was read. Who knows
/// what it will want next has it read ahead, so that the device always has something to do; what
/// was read ahead does not give way before it was asked for, but for twice as many others as there
/// are blocks. What could not be read ahead is nobody's damage: who wants it asks the device.
/// Where a block does not come it is read page by page, so that a bad sector hides no more.
class BlockCache {
public:
    BlockCache(Core& core, std::size_t bytes_max);
    struct Found {
        Fetched state = Fetched::pending;
        ByteView bytes;  ///< from the position asked for to the end of what the block holds there
    };
    /// `valid_end`: bytes of the segment up to here are written.
    Found get(std::uint32_t segment, std::uint64_t generation, std::uint32_t position,
              std::uint32_t valid_end);
    bool holds(std::uint32_t segment, std::uint64_t generation, std::uint32_t position) {
        return find(segment, generation, position) != blocks_.end();
    }
    /// For who is at work, or for one who will come back, and leaves some room to those.
    enum class Ahead : std::uint8_t { at_work, away };
    /// `position` begins a block that is not here: starts to read it. false: not now.
    bool read_ahead(std::uint32_t segment, std::uint64_t generation, std::uint32_t position,
                    std::uint32_t valid_end, Ahead who);
    /// If the block of `position` is here, it is as one that was read ahead: only begun.
    void keep(std::uint32_t segment, std::uint64_t generation, std::uint32_t position);
    /// What lies in [from, to) is read anew when it is asked for next.
    void drop(std::uint32_t segment, std::uint32_t from, std::uint32_t to);
    enum class Came : std::uint8_t { not_ours, ahead, awaited };
    Came on_read_done(std::uint64_t ticket, bool good);
    /// The memory goes back to the system, if nothing was asked for since last time.
    bool rest();
    std::uint32_t block_bytes() const { return block_bytes_; }
    /// So many may be read ahead for those who are away, and a few more for those at work.
    std::size_t ahead_max() const { return blocks_max_ / 4 * 3; }

private:
    struct Block {
        std::uint32_t segment = no_segment;
        std::uint64_t generation = 0;
        std::uint32_t position = 0, size = 0;  ///< of the segment's bytes in it
        std::uint64_t ticket = 0;              ///< not 0: being read
        std::uint64_t kept_until = 0;          ///< of placed_; 0: it was asked for
        bool failed = false;
        bool awaited = false;  ///< asked for while it was being read
        bool by_pages = false;
        bool ahead = false;  ///< when its read began nobody waited for it
        std::uint32_t have = 0;     ///< by pages: so many bytes were asked for
        std::uint32_t refused = 0;  ///< ... and a bit for each page that did not come
        std::uint8_t* memory = nullptr;
    };
    bool waits(const Block& block) const {
        return block.ticket != 0 || block.kept_until > placed_;
    }
    Block* place_for();
    void forget(Block& block);
    Status start(Block& block);  ///< fails: full (too many reads are under way), others
    Status read(Block& block, std::uint32_t bytes);
    void read_pages(Block& block);
    void page_refused(Block& block);
    std::uint32_t page_bytes() const { return std::min(core_.page, block_bytes_); }
    std::list<Block>::iterator find(std::uint32_t segment, std::uint64_t generation,
                                    std::uint32_t position);
    Core& core_;
    std::uint32_t block_bytes_;
    std::size_t blocks_max_;
    std::uint64_t placed_ = 0;  ///< counts blocks that got another place
    std::size_t careful_ = 0;   ///< so many are to be read well before one is read ahead again
    bool used_ = false;         ///< since rest()
    AlignedBytes memory_;       ///< of all blocks: one piece, or the heap would keep parts of it
    std::list<Block> blocks_;   ///< newest use first
};

/// Footers as they are on flash, checked. One that was never written is made by reading its
/// segment. Of thousands of streams a single one is larger than bytes_max: the last few stay beyond
/// that, up to sixteen times as much, as long as somebody reads. Else each would come again for
/// every stream that is read.
class FooterCache {
public:
    FooterCache(Core& core, std::size_t bytes_max) : core_(core), bytes_max_(bytes_max) {}
    struct Found {
        Fetched state = Fetched::pending;
        ByteView bytes;
        bool recycled = false;  ///< failed: the segment's header says a newer generation
        bool refused = false;   ///< failed: it was the device, at some step
        /// ready: pages of the segment could not be read, and what lies in them is not listed. No
        /// reason to take the rest for all there is.
        bool partial = false;
        bool scanned = false;  ///< ready: its own does not hold, or there never was one
    };
    Found get(std::uint32_t segment);
    /// Of a segment that somebody may want soon: takes one read at most. A footer that is not there
    /// or does not hold is left to who needs it, as `failed`.
    Found ahead(std::uint32_t segment);
    void put(std::uint32_t segment, ByteView footer);
    /// A partial one is read anew when it is asked for next, if the device took a commit since.
    void ask_again(std::uint32_t segment);
    /// What the device did not give, or gave in part, is read anew, whatever it did since.
    void forget_refused(std::uint32_t segment);
    bool holds(std::uint32_t segment) { return find(segment) != entries_.end(); }
    bool on_read_done(std::uint64_t ticket, bool good);
    void somebody_reads() { last_ = 4; }
    void rest();

private:
    enum class Step : std::uint8_t { idle, footer, header, whole, pages };
    static bool reads_segment(Step step) { return step == Step::whole || step == Step::pages; }
    struct Entry {
        std::uint32_t segment = no_segment;
        std::uint64_t generation = 0;
        Step step = Step::idle;
        std::uint64_t ticket = 0;
        bool failed = false, recycled = false;
        bool not_given = false;  ///< a read of it was refused
        bool ahead = false;     ///< nobody needs it yet
        bool headless = false;  ///< its header does not hold: the table knows enough
        bool again = false;     ///< the page that is read now was refused once
        bool partial = false;
        std::uint64_t commits = 0;  ///< so many were made when it was found to be partial
        std::vector<std::uint8_t> bytes;
        AlignedBytes memory;
        std::size_t reading = 0;
        std::size_t have = 0;  ///< of `reading`, where that goes page by page
        std::size_t row = 0, refused = 0;  ///< pages, of Patience
    };
    std::list<Entry>::iterator find(std::uint32_t segment);
    Entry& make(std::uint32_t segment);
    void start(Entry& entry, Step step);
    void scan(Entry& entry, ByteView bytes);
    void trim(const Entry* arrived);
    Core& core_;
    std::size_t bytes_max_, bytes_ = 0;
    std::size_t last_ = 1;      ///< so many stay where they are large
    std::list<Entry> entries_;  ///< newest use first
};

}  // namespace leat::log
