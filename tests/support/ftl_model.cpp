#include "tests/support/ftl_model.hpp"

#include "leat/check.hpp"

namespace leat::test {

FtlModel::FtlModel(FtlShape shape) : shape_(shape) {
    const std::uint64_t units = shape.bytes / shape.unit_bytes;
    const std::uint64_t wanted = units * (1000 + shape.spare_permille) / 1000;
    const auto count =
        static_cast<std::uint32_t>((wanted + units_per_block() - 1) / units_per_block()) + 2;
    place_.assign(units, nowhere);
    holds_.assign(std::size_t{count} * units_per_block(), nowhere);
    blocks_.resize(count);
    for (std::uint32_t block = count; block > 0; --block) free_.push_back(block - 1);
}

void FtlModel::write(std::uint64_t at, std::uint64_t bytes) {
    LEAT_CHECK(at + bytes <= shape_.bytes);
    const std::uint64_t end = (at + bytes + shape_.unit_bytes - 1) / shape_.unit_bytes;
    for (std::uint64_t unit = at / shape_.unit_bytes; unit < end; ++unit) {
        ++host_units_;
        put(host_, static_cast<std::uint32_t>(unit));
        collect();
    }
}

void FtlModel::flush() {
    if (host_.slot % shape_.units_per_page == 0) return;
    host_.slot += shape_.units_per_page - host_.slot % shape_.units_per_page;
    page_programmed(host_);
}

void FtlModel::put(Frontier& frontier, std::uint32_t unit) {
    if (frontier.block == nowhere) {
        LEAT_CHECK(!free_.empty());
        frontier = {.block = free_.front(), .slot = 0};
        free_.pop_front();
    }
    std::uint32_t& place = place_[unit];
    if (place != nowhere) {
        holds_[place] = nowhere;
        --blocks_[place / units_per_block()].living;
    }
    place = frontier.block * units_per_block() + frontier.slot;
    holds_[place] = unit;
    ++blocks_[frontier.block].living;
    ++frontier.slot;
    if (frontier.slot % shape_.units_per_page == 0) page_programmed(frontier);
}

void FtlModel::page_programmed(Frontier& frontier) {
    ++pages_;
    if (frontier.slot < units_per_block()) return;
    blocks_[frontier.block].closed = true;
    frontier = {};
}

void FtlModel::collect() {
    while (free_.size() < 2) {
        std::uint32_t victim = nowhere;
        for (std::uint32_t block = 0; block < blocks_.size(); ++block)
            if (blocks_[block].closed &&
                (victim == nowhere || blocks_[block].living < blocks_[victim].living))
                victim = block;
        LEAT_CHECK(victim != nowhere && blocks_[victim].living < units_per_block());
        const std::uint32_t from = victim * units_per_block();
        for (std::uint32_t slot = 0; slot < units_per_block(); ++slot) {
            const std::uint32_t unit = holds_[from + slot];
            if (unit == nowhere) continue;
            ++copied_units_;
            put(copies_, unit);
        }
        blocks_[victim] = {};
        free_.push_back(victim);
        ++erases_;
    }
}

}  // namespace leat::test
