#include "sdk/host/file_image.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace leat::host {

std::unique_ptr<FileImage> FileImage::open(const std::string& path, std::string& why) {
    struct stat file {};
    std::string name = path;
    if (::stat(name.c_str(), &file) == 0 && S_ISDIR(file.st_mode)) name += "/leat.log";
    std::unique_ptr<FileImage> image(new FileImage);
    image->fd_ = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (image->fd_ < 0 || ::fstat(image->fd_, &file) != 0) {
        why = "cannot read " + name + ": " + std::strerror(errno) +
              (errno == ENOENT ? "; name the data folder of a leatd" : "");
        return nullptr;
    }
    constexpr std::uint32_t unit = 4096;
    if (!S_ISREG(file.st_mode) && !S_ISBLK(file.st_mode)) {
        why = name + " is neither a file nor a block device";
        return nullptr;
    }
    const off_t size = S_ISBLK(file.st_mode) ? ::lseek(image->fd_, 0, SEEK_END) : file.st_size;
    image->geometry_ = {.size = static_cast<std::uint64_t>(size) / unit * unit,
                        .write_size = unit,
                        .erase_size = 0,
                        .align = 1};
    if (image->geometry_.size < 64 * 1024) {
        why = name + " is too short to be a log";
        return nullptr;
    }
    return image;
}

FileImage::~FileImage() {
    if (fd_ >= 0) ::close(fd_);
}

Status FileImage::start_read(std::uint64_t ticket, std::uint64_t at,
                             std::span<std::uint8_t> into) {
    if (at > geometry_.size || into.size() > geometry_.size - at) return fail(Error::invalid);
    Status status = ok();
    for (std::size_t have = 0; have < into.size();) {
        const ssize_t count = ::pread(fd_, into.data() + have, into.size() - have,
                                      static_cast<off_t>(at + have));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            status = fail(Error::storage);
            break;
        }
        have += static_cast<std::size_t>(count);
    }
    done_.push_back({ticket, status});
    return ok();
}

std::optional<port::StorageDone> FileImage::poll_done() {
    if (done_.empty()) return std::nullopt;
    const port::StorageDone done = done_.front();
    done_.pop_front();
    return done;
}

}  // namespace leat::host
