// What a pattern means, straight into a program.
#include "broker/groups/pattern.hpp"

#include <iterator>
#include <utility>

namespace leat::groups {
namespace {

bool is_digit(int c) { return c >= '0' && c <= '9'; }
bool is_lower(int c) { return c >= 'a' && c <= 'z'; }
bool is_upper(int c) { return c >= 'A' && c <= 'Z'; }
bool is_word(int c) { return is_digit(c) || is_lower(c) || is_upper(c) || c == '_'; }
bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v'); }

struct NamedClass {
    std::string_view name;
    bool (*has)(int c);
};
constexpr NamedClass named_classes[] = {
    {"alnum", [](int c) { return is_word(c) && c != '_'; }},
    {"alpha", [](int c) { return is_lower(c) || is_upper(c); }},
    {"ascii", [](int) { return true; }},
    {"blank", [](int c) { return c == ' ' || c == '\t'; }},
    {"cntrl", [](int c) { return c < ' ' || c == 127; }},
    {"digit", is_digit},
    {"graph", [](int c) { return c > ' ' && c < 127; }},
    {"lower", is_lower},
    {"print", [](int c) { return c >= ' ' && c < 127; }},
    {"punct", [](int c) { return c > ' ' && c < 127 && (!is_word(c) || c == '_'); }},
    {"space", [](int c) { return is_space(c) || c == '\v'; }},
    {"upper", is_upper},
    {"word", is_word},
    {"xdigit",
     [](int c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }},
};

}  // namespace

// Recursive descent, straight into the program. `why` is sticky: the first reason stays.
class PatternParser {
public:
    PatternParser(Pattern& into, std::string_view text) : to_(into), left_(text) {}

    std::string run() {
        alternatives();
        if (why_.empty() && !left_.empty()) fail("unexpected )");
        emit({Pattern::Kind::match, 0, 0});
        return why_;
    }

private:
    using Kind = Pattern::Kind;
    using Op = Pattern::Op;
    using CharSet = Pattern::CharSet;

    void fail(const char* why) {
        if (why_.empty()) why_ = why;
        left_ = {};
    }
    bool take(std::string_view what) {
        if (!left_.starts_with(what)) return false;
        left_.remove_prefix(what.size());
        return true;
    }
    int next() {
        if (left_.empty()) return fail("it ends too early"), 0;
        const auto c = static_cast<unsigned char>(left_.front());
        left_.remove_prefix(1);
        return c;
    }
    std::size_t here() const { return to_.ops_.size(); }
    void emit(Op op) { insert(here(), op); }
    void insert(std::size_t at, Op op) {
        if (here() >= pattern_ops_max) return fail("it is too large");
        to_.ops_.insert(to_.ops_.begin() + static_cast<std::ptrdiff_t>(at), op);
    }
    static std::int16_t relative(std::size_t from, std::size_t to) {
        return static_cast<std::int16_t>(static_cast<std::ptrdiff_t>(to) -
                                         static_cast<std::ptrdiff_t>(from));
    }

    static void add(CharSet& set, int c) {
        if (c >= 0 && c < 128)
            set[static_cast<std::size_t>(c) / 64] |= std::uint64_t{1} << (c % 64);
    }
    static bool has(const CharSet& set, int c) {
        return ((set[static_cast<std::size_t>(c) / 64] >> (c % 64)) & 1) != 0;
    }
    template <class Has>
    static void add_if(CharSet& set, Has has, bool wanted = true) {
        for (int c = 0; c < 128; ++c)
            if (has(c) == wanted) add(set, c);
    }
    static void fold(CharSet& set) {
        for (int c = 'a'; c <= 'z'; ++c)
            if (has(set, c) || has(set, c - 32)) add(set, c), add(set, c - 32);
    }
    void emit_set(CharSet set) {
        if (any_case_) fold(set);
        std::size_t index = 0;
        while (index < to_.classes_.size() && to_.classes_[index] != set) ++index;
        if (index == to_.classes_.size()) to_.classes_.push_back(set);
        emit({Kind::one_of, static_cast<std::int16_t>(index), 0});
    }

    // a|b|c: split to each, and from the end of each a jump behind all.
    void alternatives() {
        if (++nesting_ > pattern_nesting_max) return fail("it is nested too deeply");
        std::vector<std::size_t> jumps;
        for (;;) {
            const std::size_t start = here();
            sequence();
            if (!take("|")) break;
            insert(start, {Kind::split, 1, relative(start, here() + 2)});
            jumps.push_back(here());
            emit({Kind::jump, 0, 0});
            if (!why_.empty()) return;
        }
        if (!why_.empty()) return;
        for (const std::size_t jump : jumps) to_.ops_[jump].to = relative(jump, here());
        --nesting_;
    }

    void sequence() {
        while (!left_.empty() && left_.front() != '|' && left_.front() != ')') {
            const std::size_t start = here();
            if (atom()) repeat(start);
        }
    }

    /// One thing that may be repeated. false: it has no program, as (?i).
    bool atom() {
        const int c = next();
        if (c == '(') return group();
        if (c == '[') return bracket();
        if (c == '\\') return escape();
        if (c == '*' || c == '+' || c == '?') return fail("there is nothing to repeat"), false;
        if (c == '^') return emit({Kind::begin, 0, 0}), true;
        if (c == '$') return emit({Kind::end, 0, 0}), true;
        CharSet set{};
        if (c == '.')
            add_if(set, [](int one) { return one != '\n'; });
        else
            add(set, c);
        return emit_set(set), true;
    }

    bool group() {
        const bool case_before = any_case_;
        if (take("?")) {
            const bool named =
                take("P<") || (!left_.starts_with("<=") && !left_.starts_with("<!") && take("<"));
            if (named) {
                while (!left_.empty() && left_.front() != '>') left_.remove_prefix(1);
                if (!take(">")) return fail("a group's name has no end"), false;
            } else if (!flags()) {
                return false;
            }
        }
        alternatives();
        if (!take(")")) return fail("a ) is missing"), false;
        any_case_ = case_before;
        return true;
    }

    /// (?i) holds until the end of the group it stands in: false; (?i: opens one itself: true.
    bool flags() {
        for (bool on = true;;) {
            const int c = next();
            if (c == ')') return false;
            if (c == ':') return true;
            if (c == '-')
                on = false;
            else if (c == 'i')
                any_case_ = on;
            else if (c != 's' && c != 'm' && c != 'U')  // these mean nothing for a name
                return fail("(?...) of this kind is not supported"), false;
        }
    }

    void repeat(std::size_t start) {
        for (bool first = true; why_.empty() && !left_.empty(); first = false) {
            int least = 0, most = -1;
            const std::string_view before = left_;
            if (take("?")) {
                most = 1;
            } else if (take("+")) {
                least = 1;
            } else if (!take("*") && !counts(least, most)) {
                left_ = before;
                return;
            }
            if (!first) return fail("a repetition of a repetition");
            (void)take("?");  // the shortest match first: the same language
            if (least > pattern_repeat_max || most > pattern_repeat_max ||
                (most >= 0 && most < least))
                return fail("a repeat count is too large");
            times(start, least, most);
        }
    }

    /// {n} {n,} {n,m}; anything else is plain text to RE2.
    bool counts(int& least, int& most) {
        if (!take("{") || !number(least)) return false;
        most = least;
        if (take(",") && (left_.empty() || !number(most))) most = -1;
        return take("}");
    }
    bool number(int& value) {
        if (left_.empty() || !is_digit(left_.front())) return false;
        for (value = 0; !left_.empty() && is_digit(left_.front()); left_.remove_prefix(1))
            value = value > pattern_repeat_max ? value : value * 10 + (left_.front() - '0');
        return true;
    }

    // The piece from `start` on is one time the thing; it becomes `least` to `most` of them.
    void times(std::size_t start, int least, int most) {
        const std::vector<Op> once(to_.ops_.begin() + static_cast<std::ptrdiff_t>(start),
                                   to_.ops_.end());
        const auto size = static_cast<std::int16_t>(once.size());
        to_.ops_.resize(start);
        const auto copy = [&] {
            if (here() + once.size() > pattern_ops_max) return fail("it is too large");
            to_.ops_.insert(to_.ops_.end(), once.begin(), once.end());
        };
        for (int i = 0; i < least && why_.empty(); ++i) copy();
        if (most < 0) {
            emit({Kind::split, 1, static_cast<std::int16_t>(size + 2)});
            copy();
            emit({Kind::jump, static_cast<std::int16_t>(-size - 1), 0});
        }
        // x{2,4}: xx, and twice more or not; each may be left out alone, which is the same
        // language.
        for (int i = least; i < most && why_.empty(); ++i) {
            emit({Kind::split, 1, static_cast<std::int16_t>(size + 1)});
            copy();
        }
    }

    bool escape() {
        const int c = next();
        CharSet set{};
        switch (c) {
            case 'A':
                return emit({Kind::begin, 0, 0}), true;
            case 'z':
                return emit({Kind::end, 0, 0}), true;
            case 'b':
                return emit({Kind::word_edge, 0, 0}), true;
            case 'B':
                return emit({Kind::no_word_edge, 0, 0}), true;
            case 'Q':
                return quoted();
            default:
                break;
        }
        if (!escaped_set(set, c)) add(set, escaped_char(c));
        return emit_set(set), true;
    }

    // \Q ... \E: plain text. Its last character may be repeated.
    bool quoted() {
        std::size_t last = here();
        bool any = false;
        while (!left_.empty() && !take("\\E")) {
            CharSet set{};
            last = here();
            add(set, next());
            emit_set(set);
            any = true;
        }
        if (any) repeat(last);
        return false;
    }

    static bool escaped_set(CharSet& set, int c) {
        switch (c) {
            case 'd':
            case 'D':
                return add_if(set, is_digit, c == 'd'), true;
            case 'w':
            case 'W':
                return add_if(set, is_word, c == 'w'), true;
            case 's':
            case 'S':
                return add_if(set, is_space, c == 's'), true;
            default:
                return false;
        }
    }
    int escaped_char(int c) {
        switch (c) {
            case 't':
                return '\t';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'a':
                return '\a';
            case 'x':
                return hex();
            default:
                break;
        }
        if (is_digit(c)) fail("back references and octal numbers are not supported");
        if (is_lower(c) || is_upper(c)) fail("an escape that is not supported");
        return c;
    }
    int hex() {  // \x41 or \x{41}
        const bool braces = take("{");
        int value = 0;
        for (int digits = 0; braces ? !take("}") : digits < 2; ++digits) {
            const int c = next();
            if (digits > 8 || !named_classes[std::size(named_classes) - 1].has(c))
                return fail("a bad hexadecimal number"), 0;
            value = value * 16 + (is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
            value = value > 0xffff ? 0xffff : value;
        }
        return value;
    }

    bool bracket() {
        CharSet set{};
        const bool negated = take("^");
        for (bool first = true; why_.empty() && (first || !left_.starts_with("]")); first = false)
            bracket_item(set);
        if (!take("]")) return fail("a ] is missing"), false;
        // Both before the negation: [^a] with (?i) is neither a nor A.
        if (any_case_) fold(set);
        if (negated) set = {~set[0], ~set[1]};
        return emit_set(set), true;
    }
    void bracket_item(CharSet& set) {
        if (take("[:")) {
            const bool negated = take("^");
            for (const NamedClass& one : named_classes)
                if (left_.starts_with(one.name) &&
                    left_.substr(one.name.size()).starts_with(":]")) {
                    left_.remove_prefix(one.name.size() + 2);
                    return add_if(set, one.has, !negated);
                }
            return fail("an unknown class");
        }
        int from = next();
        if (from == '\\') {
            from = next();
            if (escaped_set(set, from)) return;
            from = escaped_char(from);
        }
        int to = from;
        if (left_.size() > 1 && left_.front() == '-' && left_[1] != ']') {
            left_.remove_prefix(1);
            to = next();
            if (to == '\\') to = escaped_char(next());
            if (to < from) return fail("a range that runs backwards");
        }
        for (int c = from; c <= to && c < 128; ++c) add(set, c);
    }

    std::string why_;
    Pattern& to_;
    std::string_view left_;
    int nesting_ = 0;
    bool any_case_ = false;
};

std::string Pattern::compile(std::string_view text) {
    ops_.clear();
    classes_.clear();
    return PatternParser(*this, text).run();
}

}  // namespace leat::groups
