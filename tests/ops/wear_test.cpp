// Wear, on copies of what real machines have in /sys.
#include "broker/ops/wear.hpp"

#include <doctest/doctest.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace leat;
using namespace leat::ops;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A /sys with one disk of 8 GB, its partition 1, and whatever the test adds.
class Sysfs {
public:
    Sysfs() {
        char name[] = "/tmp/leat-sysfs-XXXXXX";
        root_ = ::mkdtemp(name);
        fs::create_directories(disk() + "/mmcblk0p1");
        fs::create_directories(root_ + "/dev/block");
        fs::create_directory_symlink(disk(), root_ + "/dev/block/179:0");
        fs::create_directory_symlink(disk() + "/mmcblk0p1", root_ + "/dev/block/179:1");
        put("size", "15269888");
        put("mmcblk0p1/partition", "1");
        put("mmcblk0p1/stat", "1 1 1 1 1 1 999999 1");
        written(0);
    }
    ~Sysfs() { fs::remove_all(root_); }
    std::string disk() const { return root_ + "/devices/host/mmc0/block/mmcblk0"; }
    const std::string& root() const { return root_; }
    void put(const std::string& path, const std::string& text) {
        fs::create_directories(fs::path(disk() + "/" + path).parent_path());
        std::ofstream(disk() + "/" + path) << text << "\n";
    }
    void written(std::uint64_t bytes) {
        put("stat", "  4321  12  99887  4  8765  0  " + std::to_string(bytes / 512) + " 77 0 1 2");
    }

private:
    std::string root_;
};

const dev_t partition = makedev(179, 1);
constexpr milliseconds hour{3'600'000};

}  // namespace

TEST_CASE("wear: the disk under a partition, its size and what was written to all of it") {
    Sysfs sysfs;
    sysfs.written(123 * 512);
    const auto health = read_device_health(sysfs.root(), partition);
    REQUIRE(health);
    CHECK(health->device == "mmcblk0");
    CHECK(health->size_bytes == 15269888ull * 512);
    CHECK(health->written_bytes == 123 * 512);
    CHECK_FALSE(health->life_used_percent);
    CHECK(health->reserve.empty());
    CHECK_FALSE(read_device_health(sysfs.root(), makedev(0, 42)));  // tmpfs
    CHECK(Wear(sysfs.root(), makedev(0, 42)).json(instant_ms(0)) == "{}");
}

TEST_CASE("wear: flushes of the whole disk, where the kernel counts them") {
    Sysfs sysfs;
    CHECK_FALSE(read_device_health(sysfs.root(), partition)->flushes);  // 11 fields: before 5.5
    CHECK_FALSE(json::parse(Wear(sysfs.root(), partition).json(instant_ms(0)))
                    .contains("flushes_total"));
    sysfs.put("stat", " 1 2 3 4 5 6 123 8 0 10 11 12 13 14 15 1617 1718");
    const auto health = read_device_health(sysfs.root(), partition);
    REQUIRE(health);
    CHECK(health->written_bytes == 123 * 512);
    CHECK(health->flushes.value_or(0) == 1617);
    CHECK(health->flush_ms.value_or(0) == 1718);
    const json told = json::parse(Wear(sysfs.root(), partition).json(instant_ms(0)));
    CHECK(told["flushes_total"] == 1617);
    CHECK(told["flush_ms_total"] == 1718);
}

TEST_CASE("wear: what an eMMC and a UFS device say of themselves") {
    const struct {
        const char *life, *eol;
        int percent;
        const char* reserve;
    } cases[] = {{"0x01 0x01", "0x01", 10, "normal"},  {"0x02 0x0a", "0x02", 100, "warning"},
                 {"0x0b 0x00", "0x03", 110, "urgent"}, {"0x00 0x00", "0x00", -1, ""},
                 {"0xff junk", "?", -1, ""},           {"", "", -1, ""}};
    for (const auto& one : cases) {
        CAPTURE(one.life);
        Sysfs emmc, ufs;
        emmc.put("device/life_time", one.life);
        emmc.put("device/pre_eol_info", one.eol);
        const std::string life = one.life;
        ufs.put("../../health_descriptor/eol_info", one.eol);
        ufs.put("../../health_descriptor/life_time_estimation_a", life.substr(0, 4));
        ufs.put("../../health_descriptor/life_time_estimation_b",
                life.size() > 5 ? life.substr(5) : "");
        for (const Sysfs* sysfs : {&emmc, &ufs}) {
            const auto health = read_device_health(sysfs->root(), partition);
            REQUIRE(health);
            CHECK(health->life_used_percent.value_or(-1) == one.percent);
            CHECK(health->reserve == one.reserve);
        }
    }
}

TEST_CASE("wear: the rate is that of the last day, and the years follow from it") {
    Sysfs sysfs;
    sysfs.put("device/life_time", "0x02 0x03");
    sysfs.put("device/pre_eol_info", "0x01");
    Wear wear(sysfs.root(), partition, 10'000'000'000'000);  // 10 TB
    Instant now = instant_ms(5000);
    wear.sample(now);
    CHECK_FALSE(json::parse(wear.json(now)).contains("written_bytes_per_day"));
    std::uint64_t written = 0;
    for (int i = 0; i < 72; ++i) {  // one day of 24 GB, then two of 2.4 GB
        now += hour;
        written += i < 24 ? 1'000'000'000 : 100'000'000;
        sysfs.written(written);
        wear.sample(now);
    }
    const json told = json::parse(wear.json(now));
    CHECK(told["written_bytes_per_day"].get<double>() == doctest::Approx(2.4e9).epsilon(0.01));
    CHECK(told["years_of_a_new_device"].get<double>() == doctest::Approx(11.4).epsilon(0.01));
    CHECK(told["years_left"].get<double>() == doctest::Approx(8.0).epsilon(0.01));  // 30 % used
    CHECK(told["endurance_assumed"] == false);
    CHECK(json::parse(Wear(sysfs.root(), partition).json(now))["endurance_bytes"] ==
          15269888ull * 512 * 1000);
    sysfs.written(0);  // a counter that began anew says nothing, and no nonsense
    CHECK_FALSE(json::parse(wear.json(now)).contains("years_left"));
}

TEST_CASE("wear: a person hears of it once") {
    Sysfs sysfs;
    Wear wear(sysfs.root(), partition);
    CHECK(wear.warning().empty());
    sysfs.put("device/life_time", "0x09 0x01");
    sysfs.put("device/pre_eol_info", "0x01");
    CHECK(wear.warning().find("90 %") != std::string::npos);
    CHECK(wear.warning().empty());
    sysfs.put("device/pre_eol_info", "0x03");
    CHECK(wear.warning().find("nearly gone") != std::string::npos);
    CHECK(wear.warning().empty());
}
