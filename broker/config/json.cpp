#include "broker/config/json.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

namespace leat::config {
namespace {

constexpr std::size_t depth_max = 16;
constexpr std::size_t keys_max = 1000;  // of one object; each is compared with all

// The lexer reads one character at a time through this, so a SAX callback can ask how far it has
// come.
struct Place {
    int line = 1;
    char last = 0;
    // After a number the lexer has read one character too many; a line break there is not the
    // value's.
    int value_line() const { return last == '\n' ? line - 1 : line; }
};

class CountingIterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    CountingIterator(const char* at, Place* place) : at_(at), place_(place) {}
    reference operator*() const { return *at_; }
    CountingIterator& operator++() {
        place_->last = *at_;
        if (*at_ == '\n') ++place_->line;
        ++at_;
        return *this;
    }
    CountingIterator operator++(int) {
        CountingIterator before = *this;
        ++*this;
        return before;
    }
    bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

private:
    const char* at_;
    Place* place_;
};

using Json = nlohmann::json;

class TreeBuilder : public nlohmann::json_sax<Json> {
public:
    TreeBuilder(JsonValue& root, const Place& place, JsonProblem& problem)
        : root_(root), place_(place), problem_(problem) {}

    bool null() override { return add(JsonValue::Kind::null, "null"); }
    bool boolean(bool value) override {
        if (!add(JsonValue::Kind::boolean, value ? "true" : "false")) return false;
        last_->boolean = value;
        return true;
    }
    bool number_integer(number_integer_t value) override {
        if (!add(JsonValue::Kind::integer, std::to_string(value))) return false;
        last_->integer = value;
        return true;
    }
    bool number_unsigned(number_unsigned_t value) override {
        if (value <= static_cast<number_unsigned_t>(INT64_MAX))
            return number_integer(static_cast<number_integer_t>(value));
        return add(JsonValue::Kind::real, std::to_string(value));
    }
    bool number_float(number_float_t, const string_t& literal) override {
        return add(JsonValue::Kind::real, literal);
    }
    bool string(string_t& value) override {
        // The system calls that get it would take the part before for the whole.
        if (value.find('\0') != string_t::npos) return stop("a text with a zero byte (\\u0000)");
        return add(JsonValue::Kind::string, std::move(value));
    }
    bool binary(binary_t&) override { return false; }

    bool start_object(std::size_t) override { return open(JsonValue::Kind::object); }
    bool start_array(std::size_t) override { return open(JsonValue::Kind::array); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        JsonValue& object = *stack_.back();
        for (std::size_t i = 0; i < object.keys.size(); ++i)
            if (object.keys[i] == name)
                return stop("\"" + name + "\" is here a second time (first on line " +
                            std::to_string(object.key_lines[i]) + "); keep one of them");
        if (object.keys.size() == keys_max) return stop("more than 1000 keys in one object");
        object.keys.push_back(std::move(name));
        object.key_lines.push_back(place_.line);
        return true;
    }

    bool parse_error(std::size_t, const std::string&,
                     const nlohmann::detail::exception& why) override {
        // "[json.exception.parse_error.101] parse error at line 3, column 5: syntax error while
        // parsing ..."
        std::string text = why.what();
        if (const std::size_t at = text.find(": "); at != std::string::npos) text.erase(0, at + 2);
        problem_ = {place_.value_line(), "this is not JSON: " + text};
        return false;
    }

private:
    bool add(JsonValue::Kind kind, std::string text) {
        JsonValue* value = &root_;
        if (!stack_.empty()) value = &stack_.back()->items.emplace_back();
        value->kind = kind;
        value->line = place_.value_line();
        value->text = std::move(text);
        last_ = value;
        return true;
    }
    // Pointers into items stay good: a parent gets no new item while a child of it is open.
    bool open(JsonValue::Kind kind) {
        if (stack_.size() == depth_max) return stop("nested too deeply");
        add(kind, kind == JsonValue::Kind::object ? "an object" : "an array");
        stack_.push_back(last_);
        return true;
    }
    bool close() {
        stack_.pop_back();
        return true;
    }
    bool stop(std::string text) {
        problem_ = {place_.line, std::move(text)};
        return false;
    }

    JsonValue& root_;
    const Place& place_;
    JsonProblem& problem_;
    JsonValue* last_ = nullptr;
    std::vector<JsonValue*> stack_;
};

}  // namespace

std::string JsonValue::shown() const {
    constexpr std::size_t shown_max = 60;
    if (kind == Kind::array && !items.empty()) {  // one of them is wrong: "an array" names none
        std::string all;
        for (const JsonValue& item : items)
            if (all.size() <= shown_max) all += (all.empty() ? "[" : ", ") + item.shown();
        return all + (all.size() > shown_max ? " ...]" : "]");
    }
    if (kind != Kind::string) return text;
    return "\"" + (text.size() > shown_max ? text.substr(0, shown_max) + "..." : text) + "\"";
}

bool parse_json(std::string_view text, JsonValue& root, JsonProblem& problem) {
    Place place;
    // The library takes a zero byte for the end and would not look at what follows.
    if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
        problem = {1 + static_cast<int>(std::count(text.begin(), text.begin() + zero, '\n')),
                   "this is not JSON: it holds a zero byte"};
        return false;
    }
    TreeBuilder builder(root, place, problem);
    const CountingIterator first(text.data(), &place), last(text.data() + text.size(), &place);
    return Json::sax_parse(first, last, &builder, Json::input_format_t::json, true, true);
}

}  // namespace leat::config
