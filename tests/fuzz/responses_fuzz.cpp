// Input: int16 key, int16 version, and the body of the response frame that a broker sends to that
// request. Key 1000 stands for the assignment of the consumer protocol.
#include <array>
#include <cstdlib>

#include "sdk/wire/header.hpp"
#include "tests/golden/messages.hpp"

using namespace leat;
using namespace leat::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Reader reader({data, size});
    const std::int16_t key = reader.i16(), version = reader.i16();
    const golden::Kind* kind = golden::find_kind(key, golden::Direction::response);
    if (reader.failed() || !kind) return 0;

    ByteView body = reader.rest();
    if (key == golden::consumer_protocol_key) {
        (void)decode_assignment(body);
        (void)decode_subscription(body);
    } else {
        Result<Response> response = decode_response(body, static_cast<ApiKey>(key), version);
        if (!response) return 0;
        body = response->body;
    }
    std::vector<std::uint8_t> once, twice;
    Status status = kind->recode(body, version, once);
    if (!status) {
        // What was read can be written: no other failure than that of reading.
        if (status.error() == Error::full || status.error() == Error::invalid) std::abort();
        return 0;
    }
    if (!kind->recode(once, version, twice) || once != twice) std::abort();
    std::array<char, 256> text;
    if (!kind->print(body, version, text)) std::abort();
    return 0;
}
