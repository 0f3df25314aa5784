// The one translation unit that compiles doctest's runner: it costs seconds, so no test pays it again.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
