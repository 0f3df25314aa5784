#include "sdk/wire/frame.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

using namespace leat;
using namespace leat::wire;

namespace {

std::vector<std::uint8_t> framed(std::initializer_list<std::string_view> bodies) {
    std::vector<std::uint8_t> stream;
    for (std::string_view body : bodies) {
        stream.resize(stream.size() + frame_prefix_size);
        put_frame_prefix(stream.data() + stream.size() - frame_prefix_size, body.size());
        stream.insert(stream.end(), body.begin(), body.end());
    }
    return stream;
}

}  // namespace

TEST_CASE("frame: a stream cut anywhere gives the same frames") {
    const auto stream = framed({"one", "", "three bytes and more", "x"});
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        std::array<std::uint8_t, 24> memory;
        FrameReader reader{MutableBytes(memory)};
        std::vector<std::string> bodies;
        for (std::size_t at = 0; at < stream.size();) {
            std::size_t offered = std::min(step, stream.size() - at);
            std::size_t taken = reader.feed(ByteView(stream).subspan(at, offered));
            at += taken;
            std::size_t before = bodies.size();
            for (;;) {
                Result<ByteView> body = reader.next();
                if (!body) {
                    REQUIRE(body.error() == Error::would_block);
                    break;
                }
                bodies.emplace_back(text_of(*body));
            }
            bool progress = taken > 0 || bodies.size() > before;
            REQUIRE(progress);
        }
        INFO("step=", step);
        CHECK(bodies == std::vector<std::string>{"one", "", "three bytes and more", "x"});
        CHECK(reader.waiting() == 0);
    }
}

TEST_CASE("frame: a body of exactly the bound passes, one byte more does not") {
    std::array<std::uint8_t, 12> memory;
    for (std::size_t size : {7u, 8u, 9u}) {
        FrameReader reader{MutableBytes(memory)};
        reader.feed(framed({std::string(size, 'b')}));
        Result<ByteView> body = reader.next();
        if (size <= 8) {
            REQUIRE(body);
            CHECK(body->size() == size);
        } else {
            REQUIRE(!body);
            CHECK(body.error() == Error::too_large);
        }
    }
}

TEST_CASE("frame: lengths that no frame has fail before a body is awaited") {
    std::array<std::uint8_t, 16> memory;
    const std::uint8_t negative[] = {0xff, 0xff, 0xff, 0xff},
                       two_gigabytes[] = {0x7f, 0xff, 0xff, 0xff};
    FrameReader reader{MutableBytes(memory)};
    reader.feed(negative);
    CHECK(reader.next().error() == Error::malformed);
    CHECK(reader.next().error() == Error::malformed);
    reader.reset();
    reader.feed(two_gigabytes);
    CHECK(reader.next().error() == Error::too_large);
    CHECK(frame_body_size(two_gigabytes, 0x7fffffff).value_or(0) == 0x7fffffff);
    CHECK(frame_body_size(ByteView(two_gigabytes).first(3), 100).error() == Error::would_block);
    CHECK(first_frame(two_gigabytes, 0x7fffffff).error() == Error::would_block);
}
