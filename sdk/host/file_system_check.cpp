#include "sdk/host/file_system_check.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

namespace leat::host {
namespace {

std::string read_whole(const char* path) {
    std::string text;
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return text;
    std::array<char, 4096> piece;
    for (ssize_t count; (count = ::read(fd, piece.data(), piece.size())) > 0;)
        text.append(piece.data(), static_cast<std::size_t>(count));
    ::close(fd);
    return text;
}

std::string_view next_word(std::string_view& line, char separator = ' ') {
    const std::size_t end = line.find(separator);
    const std::string_view word = line.substr(0, end);
    line = end == std::string_view::npos ? std::string_view{} : line.substr(end + 1);
    return word;
}

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && text.size() - i > 3) {
            plain.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                              (text[i + 3] - '0')));
            i += 3;
        } else {
            plain.push_back(text[i]);
        }
    }
    return plain;
}

bool holds(std::string_view mount_point, std::string_view folder) {
    if (mount_point == "/") return true;
    return folder.starts_with(mount_point) &&
           (folder.size() == mount_point.size() || folder[mount_point.size()] == '/');
}

bool has_option(std::string_view options, std::string_view wanted) {
    while (!options.empty())
        if (next_word(options, ',') == wanted) return true;
    return false;
}

void warn(FileSystemVerdict& verdict, std::string text) {
    verdict.notices.push_back({Notice::Level::warn, std::move(text)});
}

void judge_ext4(const FileSystemFacts& facts, FileSystemVerdict& verdict) {
    const std::string where = "ext4 at " + facts.mount_point;
    if (has_option(facts.options, "barrier=0") || has_option(facts.options, "nobarrier"))
        warn(verdict, where +
                          " is mounted with barrier=0: a flush never reaches the device, so a "
                          "power cut takes "
                          "acknowledged records; mount it with barrier=1");
    if (has_option(facts.options, "journal_async_commit"))
        warn(verdict,
             where +
                 " is mounted with journal_async_commit: a torn journal can make it unmountable; "
                 "mount it without that option");
    if (has_option(facts.options, "data=journal"))
        warn(verdict, where +
                          " is mounted with data=journal: every byte is written twice; mount it "
                          "with data=ordered");
    if (!facts.ext4_features_known) return;
    if (facts.ext4_fast_commit)
        warn(verdict, where +
                          " has the feature fast_commit: after a power cut it may be unmountable, "
                          "and repairing it "
                          "discards the journal; turn it off: tune2fs -O ^fast_commit " +
                          facts.source);
    if (!facts.ext4_journal)
        warn(verdict, where +
                          " has no journal: after a power cut it needs a repair, and each commit "
                          "may write the inode "
                          "as well; add one: tune2fs -j " +
                          facts.source);
}

}  // namespace

FileSystemFacts facts_from_mountinfo(std::string_view mountinfo, std::string_view folder) {
    FileSystemFacts facts;
    while (!mountinfo.empty()) {
        // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        std::string_view line = next_word(mountinfo, '\n');
        for (int i = 0; i < 4; ++i) next_word(line);
        const std::string mount_point = unescape(next_word(line));
        const std::string_view mount_options = next_word(line);
        while (!line.empty() && next_word(line) != "-") {
        }
        const std::string_view type = next_word(line);
        const std::string_view source = next_word(line);
        // A later line with the same mount point is mounted over the earlier one: it is the one
        // that counts.
        if (type.empty() || !holds(mount_point, folder) ||
            mount_point.size() < facts.mount_point.size())
            continue;
        facts.type = type;
        facts.mount_point = mount_point;
        facts.source = unescape(source);
        facts.options = std::string(mount_options) + "," + std::string(line);
    }
    return facts;
}

void read_ext4_superblock(ByteView superblock, FileSystemFacts& facts) {
    constexpr std::size_t magic_at = 0x38, compat_at = 0x5C;
    constexpr std::uint32_t has_journal = 0x4, fast_commit = 0x400;
    if (superblock.size() < 1024 ||
        load_little<std::uint16_t>(superblock.data() + magic_at) != 0xEF53)
        return;
    const std::uint32_t compat = load_little<std::uint32_t>(superblock.data() + compat_at);
    facts.ext4_features_known = true;
    facts.ext4_journal = (compat & has_journal) != 0;
    facts.ext4_fast_commit = (compat & fast_commit) != 0;
}

FileSystemFacts look_at(const std::string& folder) {
    char* resolved = ::realpath(folder.c_str(), nullptr);
    const std::string path = resolved ? resolved : folder;
    ::free(resolved);
    FileSystemFacts facts = facts_from_mountinfo(read_whole("/proc/self/mountinfo"), path);
    if (facts.type == "ext4") {
        const int fd = ::open(facts.source.c_str(), O_RDONLY | O_CLOEXEC);
        std::array<std::uint8_t, 1024> superblock{};
        if (fd >= 0 && ::pread(fd, superblock.data(), superblock.size(), 1024) == 1024)
            read_ext4_superblock(superblock, facts);
        if (fd >= 0) ::close(fd);
    } else if (facts.type == "btrfs") {
        const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int flags = 0;
        if (fd >= 0 && ::ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
            facts.no_copy_on_write = (flags & FS_NOCOW_FL) != 0;
        if (fd >= 0) ::close(fd);
    }
    return facts;
}

FileSystemVerdict judge(const FileSystemFacts& facts) {
    FileSystemVerdict verdict;
    const std::string where = facts.type + " at " + facts.mount_point;
    if (facts.type == "ext4") {
        judge_ext4(facts, verdict);
    } else if (facts.type == "xfs") {
    } else if (facts.type == "btrfs") {
        if (!facts.no_copy_on_write)
            warn(verdict,
                 where +
                     " copies on write: each commit writes some forty times its bytes, and a full "
                     "disk stops "
                     "the log; use ext4 or xfs, or set chattr +C on the empty data folder");
    } else if (facts.type == "f2fs" || facts.type == "ubifs" || facts.type == "tmpfs" ||
               facts.type == "overlay" || facts.type == "ramfs") {
        verdict.direct = false;
        if (facts.type == "tmpfs" || facts.type == "ramfs")
            warn(verdict,
                 where +
                     " is memory: nothing here survives a power cut; put the data folder on flash");
    } else if (!facts.type.empty()) {
        verdict.notices.push_back(
            {Notice::Level::info,
             where + " is not a file system this was measured on; ext4 and xfs are"});
    }
    return verdict;
}

}  // namespace leat::host
