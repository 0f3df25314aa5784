// Changes to a device that a real log wrote, as the input of a fuzzer names them, and a bound on the memory that
// whoever reads it then may hold.
//
// Most random changes die at the first checksum, so a change may be sealed: every checksum on the device is made right
// again afterwards, and the nonsense goes deeper. A program is a list of changes of 6 bytes:
//   u8 what (modulo 8), u24 where, u16 value
//   0 set two bytes            4 seal everything
//   1 fill a sector            5 cut the device (the value's lowest bit: really)
//   2 copy a page              6 set two bytes of a structure: where = u8 segment, u8 which, u8 byte;
//   3 clear a page               which: 0 segment header, 1 and 2 superblocks, 3 trailer, from 4 on
//                                the commits and frames of the segment in order
//   7 sectors of a page (the value's low byte: which; 0: all) as they were when the device was older
#pragma once

#include <cstddef>
#include <cstdint>

#include "sdk/base/bytes.hpp"
#include "tests/support/sim_storage.hpp"

namespace leat::log::fuzz {

using leat::test::SimImage;

struct Written {
    SimImage image, older;
    std::uint32_t segment_bytes = 0;
};

/// What of the program is applied: `steps_max` changes.
constexpr int steps_max = 200;

/// returns  whether anything was sealed: then what is read may be what nobody wrote
bool change(SimImage& image, const Written& base, ByteView program);

/// From now on more than `bytes` beyond what is held now, in all or at one go, end the program. 0: no bound.
void bound_memory(std::size_t bytes);

}  // namespace leat::log::fuzz
