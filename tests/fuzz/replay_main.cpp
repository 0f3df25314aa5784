// A plain main for fuzz entries: no libFuzzer, any compiler.
//
//   NAME_replay [--runs N] [--seconds N] [--seed S] [--whole] FILE_OR_FOLDER...
//
// First every file as it is, then random changes of them: so many, or for so long, whichever ends first. Neither named:
// none. The same seed and number make the same inputs everywhere. Prints the seed first. Whatever
// ends the program (a signal, an abort) leaves the input that did it in ./crash-SEED.bin and exit code 1; the same
// command with that file repeats it. --whole: the files are the whole corpus, and the entry says what they lack.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
/// An entry may have it: what the inputs so far did not get to, or null.
extern "C" const char* corpus_lacks() __attribute__((weak));

namespace {

using Input = std::vector<std::uint8_t>;
constexpr std::size_t input_bytes_max = 64 * 1024;

// The running input, where a signal handler can reach it.
const Input* running = nullptr;
char crash_path[64] = "crash.bin";

void on_crash(int) {
    const int file = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file >= 0 && running) {
        [[maybe_unused]] const auto written = write(file, running->data(), running->size());
    }
    static const char text[] = "\nthe input that failed is in ./crash-SEED.bin\n";
    [[maybe_unused]] const auto told = write(2, text, sizeof text - 1);
    _exit(1);
}

void run(const Input& input) {
    // A copy of exactly the input's size: a read past its end is out of the heap block, not inside some buffer.
    const Input exact(input.begin(), input.end());
    running = &exact;
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
    running = nullptr;
}

std::vector<Input> load(const std::vector<std::string>& places) {
    std::vector<std::string> files;
    for (const std::string& place : places) {
        if (!std::filesystem::is_directory(place)) {
            files.push_back(place);
            continue;
        }
        for (const auto& entry : std::filesystem::recursive_directory_iterator(place))
            if (entry.is_regular_file()) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());  // the same order everywhere, so a seed means the same run
    std::vector<Input> inputs;
    for (const std::string& file : files) {
        std::ifstream in(file, std::ios::binary);
        if (!in) {
            std::fprintf(stderr, "cannot read %s\n", file.c_str());
            std::exit(2);
        }
        inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    return inputs;
}

/// Changes a few places of `input`: bits, bytes, the big-endian numbers that length fields are, whole
/// stretches, and pieces of another input.
void mutate(Input& input, const Input& other, std::mt19937_64& random) {
    static constexpr std::uint32_t edges[] = {0,          1,          0x7F,       0x80,       0xFF,      0x7FFF,
                                              0x8000,     0xFFFF,     0x10000,    0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
                                              0xFFFFFFFE, 0x40000000, 0x00FFFFFF, 2};
    const auto below = [&](std::size_t bound) { return bound ? std::size_t(random() % bound) : 0; };
    for (std::size_t round = 1 + below(4); round > 0; --round) {
        if (input.empty()) input.push_back(std::uint8_t(random()));
        const std::size_t at = below(input.size());
        switch (below(8)) {
        case 0: input[at] ^= std::uint8_t(1u << below(8)); break;
        case 1: input[at] = std::uint8_t(random()); break;
        case 2:
            for (std::size_t i = 0, value = edges[below(std::size(edges))]; i < 4 && at + i < input.size(); ++i)
                input[at + i] = std::uint8_t(value >> (24 - 8 * i));
            break;
        case 3: input.resize(at); break;
        case 4: input.insert(input.begin() + std::ptrdiff_t(at), 1 + below(16), std::uint8_t(random())); break;
        case 5: {
            const std::size_t count = std::min(input.size() - at, 1 + below(16));
            input.erase(input.begin() + std::ptrdiff_t(at), input.begin() + std::ptrdiff_t(at + count));
            break;
        }
        case 6: input[at] = std::uint8_t(input[at] + (random() & 1 ? 1 : 255)); break;
        case 7: {
            const std::size_t from = below(other.size());
            const std::size_t count = std::min(other.size() - from, 1 + below(64));
            input.insert(input.begin() + std::ptrdiff_t(at), other.begin() + std::ptrdiff_t(from),
                         other.begin() + std::ptrdiff_t(from + count));
            break;
        }
        }
    }
    if (input.size() > input_bytes_max) input.resize(input_bytes_max);
}

}  // namespace

int main(int argc, char** argv) {
    double seconds = 0;
    unsigned long long runs_max = 0;
    bool whole = false;
    std::uint64_t seed = std::random_device{}();
    std::vector<std::string> places;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--seconds" && i + 1 < argc)
            seconds = std::atof(argv[++i]);
        else if (word == "--runs" && i + 1 < argc)
            runs_max = std::strtoull(argv[++i], nullptr, 0);
        else if (word == "--seed" && i + 1 < argc)
            seed = std::strtoull(argv[++i], nullptr, 0);
        else if (word == "--whole")
            whole = true;
        else
            places.push_back(word);
    }
    std::printf("SEED=%llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout);
    std::snprintf(crash_path, sizeof crash_path, "crash-%llu.bin", static_cast<unsigned long long>(seed));
    for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGALRM}) std::signal(signal, on_crash);

    const std::vector<Input> corpus = load(places);
    if (corpus.empty()) {
        std::fprintf(stderr, "no corpus: a fuzz test without one proves nothing\n");
        return 2;
    }
    for (const Input& input : corpus) {
        alarm(20);  // an input that takes longer than this hangs
        run(input);
    }
    if (whole && corpus_lacks)
        if (const char* lacks = corpus_lacks()) {
            std::fprintf(stderr, "the corpus does not get to:%s\n", lacks);
            return 1;
        }
    std::mt19937_64 random(seed);
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    unsigned long long runs = 0;
    const auto over = [&] {
        if (runs_max > 0 && runs >= runs_max) return true;
        return seconds > 0 ? std::chrono::steady_clock::now() >= end : runs_max == 0;
    };
    while (!over()) {
        alarm(20);
        for (int i = 0; i < 64 && (runs_max == 0 || runs < runs_max); ++i, ++runs) {
            Input input = corpus[random() % corpus.size()];
            mutate(input, corpus[random() % corpus.size()], random);
            run(input);
        }
    }
    std::printf("%zu files replayed, %llu changed inputs\n", corpus.size(), runs);
    return 0;
}
