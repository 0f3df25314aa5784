// What a flash device does with writes: a page-mapped translation layer with greedy garbage
// collection.
//
// The host writes units of 4 KiB; flash is programmed in pages of four of them and erased in
// blocks. A unit that is written again dies where it was; when blocks run short the one with the
// fewest living units is copied elsewhere and erased. Without a power-protected buffer a flush
// programs the page that is only partly full, and its rest is lost: so a small synced write costs a
// whole page. One frontier for the host, one for copies. (Model and closed forms: Hu et al., SYSTOR
// 2009; Desnoyers, SYSTOR 2012.)
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace leat::test {

struct FtlShape {
    std::uint64_t bytes = 0;  ///< as the host sees it
    std::uint32_t unit_bytes = 4096;
    std::uint32_t units_per_page = 4;     ///< 16 KiB
    std::uint32_t pages_per_block = 256;  ///< 4 MiB
    std::uint32_t spare_permille =
        70;  ///< more flash than the host sees; the two frontiers come on top
};

class FtlModel {
public:
    explicit FtlModel(FtlShape shape);
    void write(std::uint64_t at, std::uint64_t bytes);
    void flush();

    std::uint64_t host_bytes() const { return host_units_ * shape_.unit_bytes; }
    /// Programmed: whole pages, for the host and for copies.
    std::uint64_t nand_bytes() const {
        return pages_ * shape_.units_per_page * std::uint64_t{shape_.unit_bytes};
    }
    std::uint64_t copied_bytes() const { return copied_units_ * shape_.unit_bytes; }
    std::uint64_t erases() const { return erases_; }

private:
    static constexpr std::uint32_t nowhere = UINT32_MAX;
    struct Frontier {
        std::uint32_t block = nowhere, slot = 0;
    };
    struct Block {
        std::uint32_t living = 0;
        bool closed = false;
    };
    std::uint32_t units_per_block() const { return shape_.units_per_page * shape_.pages_per_block; }
    void put(Frontier& frontier, std::uint32_t unit);
    void page_programmed(Frontier& frontier);
    void collect();

    FtlShape shape_;
    std::vector<std::uint32_t> place_;  ///< of each unit: block * units_per_block + slot
    std::vector<std::uint32_t> holds_;  ///< the other way round
    std::vector<Block> blocks_;
    std::deque<std::uint32_t> free_;
    Frontier host_, copies_;
    std::uint64_t host_units_ = 0, copied_units_ = 0, pages_ = 0, erases_ = 0;
};

}  // namespace leat::test
