// A decoder that trusts a length field: every driver must find this within seconds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4 || data[0] != 'L' || data[1] != 'T') return 0;
    const std::size_t promised = std::size_t{data[2]} << 8 | data[3];
    if (promised > size + 0x4000) std::abort();  // stands for reading past the frame
    return 0;
}
