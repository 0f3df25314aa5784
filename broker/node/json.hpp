#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace leat::node {

/// Writes one JSON document from front to back; commas and escapes are its business, nesting the
/// caller's. Names here are ASCII; what an upstream says may be anything, and a document that is
/// not UTF-8 nobody reads: what is beyond ASCII is escaped byte by byte (Latin-1).
class Json {
public:
    Json& object(std::string_view key = {}) { return open(key, '{'); }
    Json& array(std::string_view key = {}) { return open(key, '['); }
    Json& end_object() { return close('}'); }
    Json& end_array() { return close(']'); }
    Json& number(std::string_view key, std::int64_t value) {
        return raw(key, std::to_string(value));
    }
    Json& count(std::string_view key, std::uint64_t value) {
        return raw(key, std::to_string(value));
    }
    Json& truth(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
    Json& null(std::string_view key) { return raw(key, "null"); }
    Json& text(std::string_view key, std::string_view value) {
        name(key);
        quoted(value);
        return *this;
    }
    std::string take() { return std::move(out_); }

private:
    void name(std::string_view key) {
        if (needs_comma_) out_ += ',';
        needs_comma_ = true;
        if (key.empty()) return;
        quoted(key);
        out_ += ':';
    }
    Json& raw(std::string_view key, std::string_view value) {
        name(key);
        out_ += value;
        return *this;
    }
    Json& open(std::string_view key, char bracket) {
        name(key);
        out_ += bracket;
        needs_comma_ = false;
        return *this;
    }
    Json& close(char bracket) {
        out_ += bracket;
        needs_comma_ = true;
        return *this;
    }
    void quoted(std::string_view value) {
        static constexpr char digits[] = "0123456789abcdef";
        out_ += '"';
        for (const char c : value) {
            if (c == '"' || c == '\\') {
                out_ += '\\';
                out_ += c;
            } else if (static_cast<unsigned char>(c) < 0x20 ||
                       static_cast<unsigned char>(c) > 0x7e) {
                out_ += "\\u00";
                out_ += digits[static_cast<unsigned char>(c) >> 4];
                out_ += digits[static_cast<unsigned char>(c) & 15];
            } else {
                out_ += c;
            }
        }
        out_ += '"';
    }

    std::string out_;
    bool needs_comma_ = false;
};

}  // namespace leat::node
