#include "tests/log/crash_table.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace leat::log::test {

namespace {

constexpr const char* half_names[] = {"first", "second"};

std::filesystem::path path_of(std::uint64_t half) {
    return std::filesystem::path(crash_folder()) /
           (std::string("crash_images.") + half_names[half]);
}

/// As it lies in the file: all hashes, then all cells.
struct Half {
    CrashRun run;
    std::vector<std::uint64_t> hashes;
    std::vector<std::uint8_t> table;
};

template <class T>
void put(std::ofstream& file, const T* values, std::size_t count) {
    file.write(reinterpret_cast<const char*>(values),
               static_cast<std::streamsize>(count * sizeof(T)));
}
template <class T>
bool get(std::ifstream& file, T* values, std::size_t count) {
    const auto bytes = static_cast<std::streamsize>(count * sizeof(T));
    file.read(reinterpret_cast<char*>(values), bytes);
    return file.gcount() == bytes;
}

std::string read_half(std::uint64_t half, Half& into) {
    const std::string name = path_of(half).string();
    const std::string again =
        ": run the halves first, `ctest -R log_crash` runs them and then the table";
    std::ifstream file(name, std::ios::binary);
    if (!file)
        return std::string("the ") + half_names[half] +
               " half left no images (it failed, or was not run), there is no " + name + again;
    std::uint64_t count = 0;
    if (!get(file, &into.run, 1) || !get(file, &count, 1)) return name + " is cut short" + again;
    if (std::filesystem::file_size(name) != sizeof(into.run) + sizeof(count) + count * 9)
        return name + " is cut short" + again;
    into.hashes.resize(count);
    into.table.resize(count);
    if (!get(file, into.hashes.data(), count) || !get(file, into.table.data(), count))
        return name + " cannot be read" + again;
    return {};
}

}  // namespace

const char* crash_folder() { return std::getenv("LEAT_CRASH_FOLDER"); }

void forget_half(std::uint64_t half) {
    std::error_code none;
    if (crash_folder() != nullptr) std::filesystem::remove(path_of(half), none);
}

bool leave_half(std::uint64_t half, const CrashRun& run, const Seen& seen) {
    std::vector<std::uint64_t> hashes;
    std::vector<std::uint8_t> table;
    hashes.reserve(seen.size());
    table.reserve(seen.size());
    for (const auto& [hash, cell] : seen) {
        hashes.push_back(hash);
        table.push_back(cell);
    }
    std::ofstream file(path_of(half), std::ios::binary | std::ios::trunc);
    const std::uint64_t count = hashes.size();
    put(file, &run, 1);
    put(file, &count, 1);
    put(file, hashes.data(), hashes.size());
    put(file, table.data(), table.size());
    file.close();
    return bool{file};
}

std::string join_halves(CrashRun& run, CrashTable& table) {
    std::vector<std::uint64_t> before;
    for (std::uint64_t half = 0; half < 2; ++half) {
        Half read;
        if (std::string why = read_half(half, read); !why.empty()) return why;
        if (half == 1 && read.run != run)
            return "the halves are not of one sweep: other seeds, counts or workloads";
        run = read.run;
        for (std::size_t i = 0; i < read.hashes.size(); ++i) {
            if (half == 1 && std::binary_search(before.begin(), before.end(), read.hashes[i])) {
                ++table.in_both;
                continue;
            }
            ++table.distinct;
            if (read.table[i] < cells) ++table.counts[read.table[i]];
        }
        before = std::move(read.hashes);
        std::sort(before.begin(), before.end());
    }
    return {};
}

std::uint64_t CrashTable::smallest() const {
    return *std::min_element(std::begin(counts), std::end(counts));
}

void CrashTable::print() const {
    std::printf("%-10s", "");
    for (const char* name : column_names) std::printf("%10s", name);
    for (std::size_t i = 0; i < cells; ++i) {
        if (i % columns == 0)
            std::printf("\n%-10s", name_of(static_cast<Workload>(i / columns)));
        std::printf("%10llu", static_cast<unsigned long long>(counts[i]));
    }
    std::printf("\n%llu distinct images (%llu more were met by both halves)\n",
                static_cast<unsigned long long>(distinct),
                static_cast<unsigned long long>(in_both));
}

}  // namespace leat::log::test
