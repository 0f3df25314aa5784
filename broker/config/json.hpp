// A JSON text as a small tree that remembers on which line each value stood, so that a wrong
// setting can be named by its line. Comments (// and /* */) are allowed. The library stays in
// json.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leat::config {

struct JsonValue {
    enum class Kind : std::uint8_t {
        null,
        boolean,
        integer,
        real,
        string,
        array,
        object
    } kind = Kind::null;
    int line = 0;  ///< where the value ends
    bool boolean = false;
    std::int64_t integer = 0;
    std::string text;               ///< a string's characters; else the literal as written
    std::vector<JsonValue> items;   ///< of an array or object
    std::vector<std::string> keys;  ///< of an object, one per item
    std::vector<int> key_lines;

    /// As a person would name it: `"abc"`, `12`, `true`, `an array`.
    std::string shown() const;
};

struct JsonProblem {
    int line = 0;  ///< 0: about the whole text
    std::string text;
};

/// fails: the first syntax error, a key given twice, deeper than 16 levels. Then `problem` says it.
bool parse_json(std::string_view text, JsonValue& root, JsonProblem& problem);

}  // namespace leat::config
