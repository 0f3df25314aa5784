// All threads of a pattern's program walk a name together: each step at most once a character.
#include "broker/groups/pattern.hpp"

#include <utility>

namespace leat::groups {
namespace {

bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

// The set of steps that threads stand on, in order; never more than the program has.
struct Pattern::Threads {
    explicit Threads(std::size_t size) : seen(size, false) {}
    std::vector<std::uint16_t> at;
    std::vector<bool> seen;
    bool matched = false;
    void clear() {
        for (const std::uint16_t one : visited) seen[one] = false;
        visited.clear();
        at.clear();
        matched = false;
    }
    std::vector<std::uint16_t> visited, stack;
};

// All steps that are reached from `op` without reading a character.
void Pattern::follow(Threads& threads, std::size_t op, std::string_view name,
                     std::size_t at) const {
    threads.stack.push_back(static_cast<std::uint16_t>(op));
    const auto edge = [&] {
        const bool before = at > 0 && is_word(name[at - 1]);
        return before != (at < name.size() && is_word(name[at]));
    };
    while (!threads.stack.empty()) {
        const std::size_t one = threads.stack.back();
        threads.stack.pop_back();
        if (threads.seen[one]) continue;
        threads.seen[one] = true;
        threads.visited.push_back(static_cast<std::uint16_t>(one));
        const Op& step = ops_[one];
        const auto go = [&](std::ptrdiff_t by) {
            threads.stack.push_back(
                static_cast<std::uint16_t>(static_cast<std::ptrdiff_t>(one) + by));
        };
        switch (step.kind) {
            case Kind::one_of:
                threads.at.push_back(static_cast<std::uint16_t>(one));
                break;
            case Kind::match:
                threads.matched = true;
                break;
            case Kind::jump:
                go(step.to);
                break;
            case Kind::split:
                go(step.to);
                go(step.other);
                break;
            case Kind::begin:
                if (at == 0) go(1);
                break;
            case Kind::end:
                if (at == name.size()) go(1);
                break;
            case Kind::word_edge:
                if (edge()) go(1);
                break;
            case Kind::no_word_edge:
                if (!edge()) go(1);
                break;
        }
    }
}

bool Pattern::matches(std::string_view name, std::uint64_t& steps) const {
    Threads now(ops_.size()), then(ops_.size());
    follow(now, 0, name, 0);
    for (std::size_t i = 0; i < name.size(); ++i) {
        steps += now.visited.size() + 1;
        const auto c = static_cast<unsigned char>(name[i]);
        for (const std::uint16_t at : now.at) {
            const CharSet& set = classes_[static_cast<std::size_t>(ops_[at].to)];
            if (c < 128 && ((set[c / 64] >> (c % 64)) & 1) != 0) follow(then, at + 1u, name, i + 1);
        }
        std::swap(now, then);
        then.clear();
        if (now.visited.empty()) return false;
    }
    steps += now.visited.size() + 1;
    return now.matched;
}

}  // namespace leat::groups
