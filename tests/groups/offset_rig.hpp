// What the tests of committed offsets share: positions by name, and facts as they were written
// before there were blocks.
#pragma once

#include <ostream>
#include <vector>

#include "tests/groups/rig.hpp"

namespace leat::test {

struct Position {
    std::int64_t offset = -1;  ///< -1: none
    std::string metadata;
    friend bool operator==(const Position&, const Position&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Position& one) {
        return out << one.offset << " with " << one.metadata.size() << " bytes";
    }
};

using Facts = std::map<CrashLog::Key, std::string>;

/// Written byte by byte, because logs in the field have it so.
inline void put_first_layout(Facts& facts, std::string_view group, const topics::Topic& topic,
                             int partition, const Position& position, std::int64_t stamp_ms,
                             std::int64_t expire_ms = -1) {
    const auto number = [](std::uint64_t value, int bytes) {
        std::string text;
        for (int i = bytes; i-- > 0;) text += static_cast<char>(value >> (8 * i));
        return text;
    };
    std::string key = "o" + number(group.size(), 2);
    key += std::string(group) + number(topic.name.size(), 2) + topic.name;
    key += number(static_cast<std::uint64_t>(partition), 4);
    std::string value = number(1, 1);
    value.append(topic.id.begin(), topic.id.end());
    value += number(static_cast<std::uint64_t>(position.offset), 8) + number(3, 4);
    value += number(static_cast<std::uint64_t>(stamp_ms), 8);
    value += number(static_cast<std::uint64_t>(expire_ms), 8);
    value += number(position.metadata.size(), 4) + position.metadata;
    facts[{log::FactKind::group, key}] = value;
}

/// Two topics: "t" of 8 partitions, "w" of `wide`.
struct OffsetRig : GroupsRig {
    explicit OffsetRig(Facts facts = {}, Instant start = instant_ms(1'000), std::uint64_t seed = 1,
                       int wide = 1'000)
        : GroupsRig({}, start, std::move(facts), seed) {
        if (topics.find("w") != nullptr) return;
        REQUIRE(topics.create(now, "w", wide, topics.new_config()));
        log.flush();
    }
    /// As it comes up after a power cut that lets `prefix` of the facts pass that are not flushed.
    OffsetRig after(std::size_t prefix) const { return OffsetRig(log.crash(prefix), now, ++seeds); }

    groups::Groups::Written commit(std::vector<groups::Commit> all) {
        return groups.commit(now, {.group = "g", .member = {}, .instance = {}, .generation = -1},
                             all);
    }
    groups::Groups::Written commit(int partition, const Position& position) {
        return commit({{.topic = "w",
                        .partition = partition,
                        .offset = position.offset,
                        .metadata = position.metadata}});
    }
    Position at(int partition, std::string_view topic = "w") const {
        const auto found = groups.fetch("g", topic, partition);
        return {found.offset, std::string(found.metadata)};
    }
    std::size_t facts(char layout) const {
        std::size_t count = 0;
        for (const auto& [key, value] : log.now_facts)
            count += key.first == log::FactKind::group && key.second[0] == layout;
        return count;
    }
    void lose_open() {
        REQUIRE(log.lose_open());
        while (const auto lost = log.poll_rolled_back())
            groups.rolled_back(now, lost->first, lost->last);
        settle();
    }
    mutable std::uint64_t seeds = 100;
};

}  // namespace leat::test
