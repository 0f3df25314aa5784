#include "sdk/wire/api/08_offset_commit.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::OffsetCommitRequest>;
template struct leat::wire::Runtime<leat::wire::OffsetCommitResponse>;
