// For tests only: a log with mistakes that are switched on, to prove that the tests would see them.
#pragma once

#include "broker/log/core.hpp"

namespace leat::log {

std::unique_ptr<Log> make_faulty_log(port::Storage& storage, port::Entropy& entropy,
                                     LogConfig config, SeededFaults faults,
                                     RecordFilter record_filter = {});

}  // namespace leat::log
