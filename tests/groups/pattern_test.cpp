// Regular expressions over topic names, against what RE2 says of the same words.
#include "broker/groups/pattern.hpp"

#include <list>

#include "tests/groups/rig.hpp"

namespace leat::test {
namespace {

using groups::Pattern;
using namespace std::string_literals;

bool matches(std::string_view text, std::string_view name) {
    Pattern pattern;
    INFO(std::string(text));
    const std::string why = pattern.compile(text);
    CHECK_MESSAGE(why.empty(), text, ": ", why);
    std::uint64_t steps = 0;
    return pattern.matches(name, steps);
}

}  // namespace

TEST_CASE("pattern: whole names match, never a part of one") {
    struct Row {
        const char* text;
        const char* yes;
        const char* no;
    };
    const Row rows[] = {
        {"topic", "topic", "topics"},
        {"topic.*", "topic-1", "my-topic"},
        {".*", "", "\n"},
        {"a.c", "abc", "ac"},
        {"a\\.c", "a.c", "abc"},
        {"a|bc|", "bc", "b"},
        {"(a|b)+c", "ababc", "c"},
        {"(?:ab)*", "abab", "aba"},
        {"(?P<name>x)y", "xy", "x"},
        {"(?<name>x)y", "xy", "y"},
        {"[a-c_]+", "a_c", "d"},
        {"[^a-c]+", "xyz", "xaz"},
        {"[]a]+", "]a", "b"},
        {"[a\\-z]+", "a-z", "b"},
        {"[\\w.-]+", "a.B-9", "a b"},
        {"[[:digit:]]+", "42", "4a"},
        {"[[:^digit:]]+", "ab", "4"},
        {"\\d{2,3}", "123", "1234"},
        {"x{2}", "xx", "xxx"},
        {"x{2,}", "xxxx", "x"},
        {"x{0,1}y", "y", "xxy"},
        {"x{,2}", "x{,2}", "xx"},
        {"a??b", "ab", "aab"},
        {"^topic$", "topic", "topic "},
        {"\\Atopic\\z", "topic", "xtopic"},
        {"\\bfoo\\b.*", "foo-bar", "foobar"},
        {"foo\\Bbar", "foobar", "foo-bar"},
        {"(?i)Topic", "tOPIC", "topi"},
        {"a(?i:b)c", "aBc", "aBC"},
        {"(a(?i)b)c", "aBc", "ABc"},
        {"\\Qa.b\\E+", "a.bb", "aXb"},
        {"\\x41\\x{42}", "AB", "ab"},
        {"(a*)*b", "aaab", "aaa"},
        {"()*x", "x", ""},
        {"prod-(eu|us)-[0-9]+", "prod-eu-17", "prod-asia-1"},
        {"((a|b)|(c|d))e", "de", "e"},
        {"\\S+", "a-b", "a b"},
    };
    for (const Row& row : rows) {
        CHECK_MESSAGE(matches(row.text, row.yes), row.text, " against ", row.yes);
        CHECK_MESSAGE(!matches(row.text, row.no), row.text, " against ", row.no);
    }
}

TEST_CASE("pattern: what is no expression, or not in this language, is refused with a word") {
    for (const char* text :
         {"(",       ")",      "a)",    "[",          "[a",      "*",       "+a",     "a**",
          "a{1001}", "a{3,2}", "(?=a)", "(?!a)",      "(?<=a)b", "(?<!a)b", "(a)\\1", "\\p{L}",
          "\\",      "[z-a]",  "(?x)a", "[[:nope:]]", "\\xZZ",   "(?P<a",   "\\x{1"})
        CHECK_MESSAGE(!Pattern().compile(text).empty(), text);
}

TEST_CASE("pattern: size and nesting are bounded at their bounds") {
    const auto nested = [](int depth) {
        return std::string(static_cast<std::size_t>(depth), '(') + "a" +
               std::string(static_cast<std::size_t>(depth), ')');
    };
    CHECK(Pattern().compile(nested(groups::pattern_nesting_max - 1)).empty());
    CHECK(!Pattern().compile(nested(groups::pattern_nesting_max)).empty());
    // one step a letter and the end
    CHECK(Pattern().compile(std::string(groups::pattern_ops_max - 1, 'a')).empty());
    CHECK(!Pattern().compile(std::string(groups::pattern_ops_max, 'a')).empty());
    CHECK(!Pattern().compile("((a{1000}){1000}){1000}").empty());
    CHECK(!Pattern().compile("(((((a{30}){30}){30}){30}){30})").empty());
    CHECK(Pattern().compile("a{1000}").empty());
}

TEST_CASE("pattern: what makes backtracking run for ever costs a bounded number of steps") {
    Pattern pattern;
    REQUIRE(pattern.compile("(a*)*(a|a)*(a|aa)+(.*)*(a?){100}b").empty());
    const std::string name(249, 'a');
    std::uint64_t steps = 0;
    CHECK(!pattern.matches(name, steps));
    CHECK(steps <= 250 * groups::pattern_ops_max);
    CHECK(pattern.matches(name + "b", steps));
}

TEST_CASE("pattern: a turn of a walk counts no reader anew but of what came or went") {
    GroupsRig rig;
    const auto topic = [](char letter, int number) {
        return letter + std::string(150, 'x') + std::to_string(number);
    };
    const auto create = [&rig](const std::string& name) {
        REQUIRE(rig.topics.create(rig.now, name, 1, rig.topics.new_config()));
    };
    constexpr std::size_t count = 40;
    groups::Group owner;
    groups::ConsumerGroup group;
    std::list<groups::ConsumerMember> members;
    for (const char letter : {'a', 'b', 'c'})
        for (int i = 0; i < static_cast<int>(count); ++i) create(topic(letter, i));
    for (const char letter : {'a', 'b', 'c'})
        group.subscribe(members.emplace_back(&owner), {topic(letter, 7)}, letter + "(.?){400}"s,
                        rig.topics);
    const auto walk = [&](bool changes) {
        int turns = 0;
        do {
            (void)group.match_some(rig.topics);
            if (!changes) CHECK(!group.rehash);
        } while (++turns < 100 && group.walks);
        CHECK(turns > 2);
        return std::exchange(group.rehash, false);
    };
    CHECK(walk(true));
    CHECK(group.readers.size() == 3 * count);
    create("y");
    CHECK(!walk(false));
    create(topic('b', 99));
    REQUIRE(rig.topics.remove(rig.now, *rig.topics.find(topic('c', 7))));
    REQUIRE(rig.topics.remove(rig.now, *rig.topics.find(topic('c', 8))));
    CHECK(walk(true));
    for (const auto& [name, readers] : group.readers) CHECK(readers.count == 1);
    CHECK(group.readers.size() == 3 * count);  // one came, one went, one is named
    CHECK(group.readers.contains(topic('b', 99)));
    CHECK(group.readers.contains(topic('c', 7)));
    CHECK(!group.readers.contains(topic('c', 8)));
    for (auto& member : members) group.unsubscribe(member);
    CHECK(group.readers.empty());
}

// The group reads the same topics as before, and somebody else is to be given some of them.
TEST_CASE("pattern: what a later turn finds asks for an assignment, though others read it already") {
    GroupsRig rig;
    groups::Group owner;
    groups::ConsumerGroup group;
    std::list<groups::ConsumerMember> members;
    std::vector<std::string> names;
    for (int i = 0; i < 120; ++i) {
        names.push_back("a" + std::string(150, 'x') + std::to_string(i));
        REQUIRE(rig.topics.create(rig.now, names.back(), 1, rig.topics.new_config()));
    }
    std::sort(names.begin(), names.end());
    group.subscribe(members.emplace_back(&owner), names, "", rig.topics);
    group.subscribe(members.emplace_back(&owner), {}, "a(.?){400}", rig.topics);
    group.hash = group.topics_hash(rig.topics);
    int turns = 0;
    do {
        (void)group.match_some(rig.topics);
    } while (++turns < 100 && group.walks);
    CHECK(turns > 1);
    CHECK(group.hash == 0);
    group.hash = 1;
    do {
        (void)group.match_some(rig.topics);
    } while (group.walks);
    CHECK(group.hash == 1);  // nothing new
    for (auto& member : members) group.unsubscribe(member);
}

}  // namespace leat::test
