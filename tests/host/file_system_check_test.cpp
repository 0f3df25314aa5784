#include "sdk/host/file_system_check.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace leat;
using namespace leat::host;

namespace {

constexpr const char* mounts =
    "21 1 254:0 / / rw,noatime - ext4 /dev/root rw,errors=remount-ro\n"
    "30 21 0:25 / /mnt/data rw - btrfs /dev/sdb1 rw,space_cache\n"
    "31 30 8:1 / /mnt/data/deep\\040er rw shared:1 - ext4 /dev/sda1 rw,barrier=0,data=journal\n"
    "32 21 0:30 / /mnt/dat rw master:1 - tmpfs tmpfs rw\n";

int warnings(const FileSystemVerdict& verdict) {
    int count = 0;
    for (const Notice& notice : verdict.notices) count += notice.level == Notice::Level::warn;
    return count;
}

}  // namespace

TEST_CASE("mountinfo: the longest mount point that holds the folder wins, whole names only") {
    CHECK(facts_from_mountinfo(mounts, "/home/x").source == "/dev/root");
    CHECK(facts_from_mountinfo(mounts, "/mnt/data").type == "btrfs");
    CHECK(facts_from_mountinfo(mounts, "/mnt/data/x").type == "btrfs");
    CHECK(facts_from_mountinfo(mounts, "/mnt/database").type == "ext4");
    CHECK(facts_from_mountinfo(mounts, "/mnt/dat/x").type == "tmpfs");
    const FileSystemFacts escaped = facts_from_mountinfo(mounts, "/mnt/data/deep er/leat");
    CHECK(escaped.source == "/dev/sda1");
    CHECK(escaped.options == "rw,rw,barrier=0,data=journal");
    CHECK(facts_from_mountinfo("garbage\n- - -\n\n", "/x").type.empty());
}

TEST_CASE(
    "ext4: barrier=0, data=journal, fast_commit and a missing journal each get a warning; a plain "
    "one none") {
    FileSystemFacts facts = facts_from_mountinfo(mounts, "/home");
    CHECK(warnings(judge(facts)) == 0);
    CHECK(judge(facts).direct);
    CHECK(warnings(judge(facts_from_mountinfo(mounts, "/mnt/data/deep er"))) == 2);

    std::array<std::uint8_t, 1024> superblock{};
    read_ext4_superblock(superblock, facts);
    CHECK_FALSE(facts.ext4_features_known);
    store_little<std::uint16_t>(superblock.data() + 0x38, 0xEF53);
    store_little<std::uint32_t>(superblock.data() + 0x5C, 0x4);
    read_ext4_superblock(superblock, facts);
    CHECK(facts.ext4_features_known);
    CHECK(warnings(judge(facts)) == 0);
    store_little<std::uint32_t>(superblock.data() + 0x5C, 0x404);
    read_ext4_superblock(superblock, facts);
    CHECK(warnings(judge(facts)) == 1);
    store_little<std::uint32_t>(superblock.data() + 0x5C, 0);
    read_ext4_superblock(superblock, facts);
    CHECK(judge(facts).notices.at(0).text.find("tune2fs -j /dev/root") != std::string::npos);
}

TEST_CASE(
    "btrfs warns unless copy-on-write is off; tmpfs, overlay and f2fs write without O_DIRECT") {
    FileSystemFacts facts{.type = "btrfs", .mount_point = "/d", .source = "", .options = ""};
    CHECK(warnings(judge(facts)) == 1);
    facts.no_copy_on_write = true;
    CHECK(warnings(judge(facts)) == 0);
    for (const char* type : {"tmpfs", "overlay", "f2fs", "ubifs"}) {
        facts.type = type;
        CHECK_FALSE(judge(facts).direct);
    }
    facts.type = "xfs";
    CHECK(judge(facts).direct);
    CHECK(judge(facts).notices.empty());
}
