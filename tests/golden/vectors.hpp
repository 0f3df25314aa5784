// Reads the files that generator/GenerateVectors.java wrote.
#pragma once

#include <string>
#include <vector>

#include "tests/golden/messages.hpp"

namespace leat::wire::golden {

struct Vector {
    Direction direction;
    std::int16_t version;
    ByteView message;  ///< borrowed from the VectorFile
};

class VectorFile {
public:
    /// Reads the vectors of one key; empty if the file is missing or broken.
    explicit VectorFile(std::int16_t key);
    const std::vector<Vector>& vectors() const { return vectors_; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
    std::vector<std::uint8_t> bytes_;
    std::vector<Vector> vectors_;
};

}  // namespace leat::wire::golden
