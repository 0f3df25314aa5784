#include "broker/node/json.hpp"

#include <doctest/doctest.h>

using leat::node::Json;

TEST_CASE("json: nesting, commas and escapes") {
    Json json;
    json.object()
        .number("a", -1)
        .text("b\"", "x\\\n\x01")
        .array("c")
        .object()
        .end_object()
        .object()
        .truth("d", true)
        .end_object()
        .end_array();
    json.null("e").count("f", 18446744073709551615u).array("g").end_array().end_object();
    CHECK(
        json.take() ==
        R"({"a":-1,"b\"":"x\\\u000a\u0001","c":[{},{"d":true}],"e":null,"f":18446744073709551615,"g":[]})");
}

// An upstream's error message or cluster id in another encoding made the whole status unreadable:
// no metrics, and /healthz said that the broker was ill.
TEST_CASE("json: what is not ASCII is escaped, whatever it is") {
    Json json;
    json.object().text("a", "d\xe9j\xc3\xa0\x7f\xff").end_object();
    CHECK(json.take() == R"({"a":"d\u00e9j\u00c3\u00a0\u007f\u00ff"})");
}
