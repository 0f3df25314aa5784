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
