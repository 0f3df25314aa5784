#include "broker/topics/topic_name.hpp"

#include <algorithm>

namespace leat::topics {

const char* topic_name_problem(std::string_view name) {
    if (name.empty()) return "the empty string is not allowed";
    if (name == "." || name == "..") return "'.' and '..' are not allowed";
    if (name.size() > topic_name_bytes_max) return "the length is above 249 characters";
    const bool legal = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
    return legal ? nullptr : "a character other than ASCII alphanumerics, '.', '_' and '-'";
}

std::string collision_key(std::string_view name) {
    std::string key(name);
    std::replace(key.begin(), key.end(), '.', '_');
    return key;
}

bool is_internal_topic(std::string_view name) {
    return name == "__consumer_offsets" || name == "__transaction_state";
}

}  // namespace leat::topics
