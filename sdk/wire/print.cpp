#include "sdk/wire/print.hpp"

#include <cstdio>

namespace leat::wire {
namespace {

constexpr char digits[] = "0123456789abcdef";

}  // namespace

void PrintText::text(std::string_view text) {
    for (char c : text) put(c);
}

void PrintText::number(std::int64_t value) {
    char reversed[20];
    std::size_t count = 0;
    std::uint64_t rest = value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value)
                                   : static_cast<std::uint64_t>(value);
    do reversed[count++] = digits[rest % 10];
    while ((rest /= 10) != 0);
    if (value < 0) put('-');
    while (count > 0) put(reversed[--count]);
}

void PrintText::number(double value) {
    char shown[24];
    std::snprintf(shown, sizeof shown, "%g", value);
    text(shown);
}

void PrintText::quoted(const StringView& text) {
    if (text.is_null()) return this->text("null");
    put('"');
    for (char c : text.view()) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f) {
            put('\\');
            put('x');
            put(digits[byte >> 4]);
            put(digits[byte & 15]);
        } else {
            if (c == '"' || c == '\\') put('\\');
            put(c);
        }
    }
    put('"');
}

void PrintText::hex(const Uuid& uuid) {
    for (std::uint8_t byte : uuid.bytes) {
        put(digits[byte >> 4]);
        put(digits[byte & 15]);
    }
}

void PrintText::byte_count(const BytesView& bytes) {
    if (bytes.is_null()) return text("null");
    put('<');
    number(static_cast<std::int64_t>(bytes.size()));
    text(" bytes>");
}

void PrintText::name(const char* name) {
    if (!first_) text(", ");
    first_ = false;
    if (!name) return;
    text(name);
    text(": ");
}

void PrintText::open(char bracket) {
    put(bracket);
    first_ = true;
}

void PrintText::close(char bracket) {
    put(bracket);
    first_ = false;
}

}  // namespace leat::wire
