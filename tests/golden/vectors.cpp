#include "tests/golden/vectors.hpp"

#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <iterator>

namespace leat::wire::golden {

VectorFile::VectorFile(std::int16_t key) {
    char name[32];
    std::snprintf(name, sizeof name,
                  key == consumer_protocol_key ? "consumer_protocol.z" : "%02d.z", key);
    path_ = std::string(LEAT_GOLDEN_VECTORS) + "/" + name;
    std::ifstream file(path_, std::ios::binary);
    std::vector<char> packed(std::istreambuf_iterator<char>(file), {});
    if (packed.size() < 4) return;

    bytes_.resize(load_big<std::uint32_t>(reinterpret_cast<const std::uint8_t*>(packed.data())));
    uLongf size = bytes_.size();
    int result = uncompress(bytes_.data(), &size, reinterpret_cast<const Bytef*>(packed.data()) + 4,
                            packed.size() - 4);
    if (result != Z_OK || size != bytes_.size()) return;

    std::vector<Vector> read;
    Reader reader((ByteView(bytes_)));
    while (reader.left() > 0) {
        Vector vector{};
        vector.direction = static_cast<Direction>(reader.i8());
        vector.version = reader.i16();
        auto length = static_cast<std::size_t>(reader.i32());
        if (length > reader.left()) return;
        vector.message = {reader.at(), length};
        reader.skip(length);
        read.push_back(vector);
    }
    vectors_ = std::move(read);
}

}  // namespace leat::wire::golden
