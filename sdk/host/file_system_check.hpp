// Looks at what lies under a data folder and says what is wrong with it for a log that must survive
// a power cut. Only warns: a wrong file system is the operator's to change, not ours to refuse.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sdk/base/bytes.hpp"

namespace leat::host {

/// A line for people. `text` says what is so, and for warnings why it matters and what to do.
struct Notice {
    enum class Level : std::uint8_t { info, warn, error } level = Level::info;
    std::string text;
};

/// What is known about the file system; gathered by look_at, judged by judge, so that the judgement
/// is a pure function that tests can feed.
struct FileSystemFacts {
    std::string type;  ///< as in mountinfo: "ext4", "xfs", ...; empty: not found
    std::string mount_point;
    std::string source;             ///< the device
    std::string options;            ///< mount and super options, comma separated
    bool no_copy_on_write = false;  ///< btrfs: chattr +C on the folder
    /// ext4 feature words of the superblock, where it could be read (root only).
    bool ext4_features_known = false;
    bool ext4_journal = true;
    bool ext4_fast_commit = false;
};

struct FileSystemVerdict {
    /// false: O_DIRECT gains nothing or is not honest here (out-of-place or memory file systems).
    bool direct = true;
    std::vector<Notice> notices;
};

FileSystemFacts look_at(const std::string& folder);
FileSystemVerdict judge(const FileSystemFacts& facts);

/// The mount that holds `folder` (an absolute path without links), by longest mount point.
/// `mountinfo` is the text of /proc/self/mountinfo.
FileSystemFacts facts_from_mountinfo(std::string_view mountinfo, std::string_view folder);
/// Reads the feature words from the 1024 bytes of an ext4 superblock; leaves `facts` alone if it is
/// none.
void read_ext4_superblock(ByteView superblock, FileSystemFacts& facts);

}  // namespace leat::host
