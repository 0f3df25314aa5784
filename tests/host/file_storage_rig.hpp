// A file storage in a folder of its own, and pages to write into it.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "sdk/host/file_storage.hpp"

namespace leat::host::test {

constexpr std::uint32_t page = 4096;

struct Folder {
    Folder() {
        char name[] = "file_storage_test.XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

struct Pages {
    explicit Pages(std::size_t count, std::uint8_t fill = 0)
        : memory(static_cast<std::uint8_t*>(std::aligned_alloc(page, count * page)), &std::free),
          size(count * page) {
        std::memset(memory.get(), fill, size);
    }
    MutableBytes all() { return {memory.get(), size}; }
    std::unique_ptr<std::uint8_t, void (*)(void*)> memory;
    std::size_t size;
};

inline std::unique_ptr<FileStorage> open(const std::string& folder,
                                         std::uint64_t budget = 4 * MiB, bool direct = true,
                                         std::uint32_t operations_max = 1024) {
    FileStorageError why;
    auto storage = FileStorage::open({.folder = folder,
                                      .budget_bytes = budget,
                                      .operations_max = operations_max,
                                      .direct = direct},
                                     why);
    INFO(why.text);
    REQUIRE(storage);
    return storage;
}

inline port::StorageDone wait_for(FileStorage& storage) {
    storage.wait_done();
    auto done = storage.poll_done();
    REQUIRE(done);
    return *done;
}

}  // namespace leat::host::test
