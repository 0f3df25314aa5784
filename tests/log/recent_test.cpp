#include "broker/log/recent.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace leat;

// Against every commit there ever was: what is found is what was put there, and the newest are
// found.
TEST_CASE("recent: written around, it gives the newest commits and never another's bytes") {
    for (unsigned seed = 0; seed < 200; ++seed) {
        INFO("seed=", seed);
        std::mt19937 random(seed);
        const std::size_t most = 64 + random() % 2000;
        log::RecentCommits recent(most);
        std::vector<std::vector<std::uint8_t>> all;
        for (std::uint32_t number = 0; number < 300; ++number) {
            const std::size_t size = random() % 20 == 0  ? most - random() % 8
                                     : random() % 9 == 0 ? most + 1
                                                         : 1 + random() % (most / 4);
            std::vector<std::uint8_t> commit(size);
            for (std::uint8_t& byte : commit) byte = static_cast<std::uint8_t>(random());
            recent.add(number % 3, number, number * 8, commit);
            all.push_back(std::move(commit));
            std::size_t behind = 0;  // bytes of this commit and of newer ones
            for (std::uint32_t i = number + 1; i-- > 0 && number - i < 40;) {
                const ByteView found = recent.find(i % 3, i, i * 8, SIZE_MAX);
                if (all[i].size() > most) {
                    CHECK(found.empty());
                    continue;
                }
                behind += all[i].size();
                if (!found.empty()) CHECK(equal(found, all[i]));
                if (i == number || behind <= most / 2) CHECK_FALSE(found.empty());
                if (found.size() > 3) {
                    CHECK(
                        equal(recent.find(i % 3, i, i * 8 + 2, 1), ByteView(all[i]).subspan(2, 1)));
                    CHECK(recent.find(i % 3, i + 3, i * 8, 1).empty());
                }
                if (i > 0 && behind > 2 * most) CHECK(found.empty());
            }
        }
    }
}
