#pragma once
#include "leat/time.hpp"

namespace leat::port {

class Clock {
public:
    virtual Instant monotonic() = 0;  ///< never steps back; the only clock that may measure time
    virtual WallTime wall() = 0;      ///< may jump, may be 1970; stamped into records and commits, never used to measure age

protected:
    ~Clock() = default;  // protected, non-virtual: firmware never links operator delete
};

}  // namespace leat::port
