// Input: the body of a request frame, header and message, as a stranger sends it to a broker.
#include <array>
#include <cstdlib>

#include "sdk/wire/header.hpp"
#include "tests/golden/messages.hpp"

using namespace leat;
using namespace leat::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Result<Request> request = decode_request({data, size});
    if (!request) return 0;
    const auto key = static_cast<std::int16_t>(request->header.api_key);
    const golden::Kind* kind = golden::find_kind(key, golden::Direction::request);
    if (!kind) std::abort();  // the header's table and the messages' table are one

    std::vector<std::uint8_t> once, twice;
    Status status = kind->recode(request->body, request->header.api_version, once);
    if (!status) {
        // What was read can be written: no other failure than that of reading.
        if (status.error() == Error::full || status.error() == Error::invalid) std::abort();
        return 0;
    }
    if (!kind->recode(once, request->header.api_version, twice) || once != twice) std::abort();
    std::array<char, 256> text;
    if (!kind->print(request->body, request->header.api_version, text)) std::abort();
    return 0;
}
