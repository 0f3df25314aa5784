// A log file to look at: port::Storage over a file opened for reading only, without its lock, so
// that it works beside the broker that owns it. Reads wait; writes are refused.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "leat/port/storage.hpp"

namespace leat::host {

class FileImage final : public port::Storage {
public:
    /// `path`: the file, or the folder it is in. Null: `why` says it.
    static std::unique_ptr<FileImage> open(const std::string& path, std::string& why);
    ~FileImage();
    FileImage(const FileImage&) = delete;
    FileImage& operator=(const FileImage&) = delete;

    port::StorageGeometry geometry() const override { return geometry_; }
    Status start_write(std::uint64_t, std::uint64_t, std::span<const std::uint8_t>) override {
        return fail(Error::invalid);
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override;
    Status start_erase(std::uint64_t, std::uint64_t, std::uint64_t) override {
        return fail(Error::invalid);
    }
    Status start_shrink(std::uint64_t, std::uint64_t) override { return fail(Error::invalid); }
    std::optional<port::StorageDone> poll_done() override;
    void wait_done() override {}

private:
    FileImage() = default;
    int fd_ = -1;
    port::StorageGeometry geometry_;
    std::deque<port::StorageDone> done_;
};

}  // namespace leat::host
