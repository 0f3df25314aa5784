#include "broker/uplink/route.hpp"

#include <algorithm>

namespace leat::uplink {

bool matches_pattern(std::string_view pattern, std::string_view topic) {
    // Greedy with one place to go back to: only the last star ever needs another try.
    constexpr std::size_t none = std::string_view::npos;
    std::size_t p = 0, t = 0, star = none, resume = 0;
    while (t < topic.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && pattern[p] == topic[t]) {
            ++p;
            ++t;
        } else if (star != none) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

bool matches(const config::Route& route, std::string_view topic, bool internal) {
    if (internal || topic.starts_with("__")) return false;
    return std::any_of(route.topics.begin(), route.topics.end(),
                       [&](const std::string& pattern) { return matches_pattern(pattern, topic); });
}

std::string upstream_name(const config::Route& route, std::string_view topic) {
    constexpr std::string_view mark = "{topic}";
    std::string name = route.upstream_topic;
    for (std::size_t at = name.find(mark); at != std::string::npos;
         at = name.find(mark, at + topic.size()))
        name.replace(at, mark.size(), topic);
    return name;
}

bool is_legal_topic(std::string_view name) {
    if (name.empty() || name.size() > 249 || name == "." || name == "..") return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

}  // namespace leat::uplink
