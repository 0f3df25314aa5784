// What a program wants of the SDK's core. Whoever builds it chooses once, with LEAT_PROFILE; what a
// profile leaves out is not compiled in. There is one text for each state machine: a profile only
// folds conditions away, and the tests run the same scripts over `full` and `smallest`.
//
//     cmake -DLEAT_PROFILE=smallest ...      every host has `full`
#pragma once

#include <cstddef>
#include <type_traits>

#ifndef LEAT_PROFILE
#define LEAT_PROFILE full
#endif

namespace leat {

/// The base class of what has none in this profile.
struct NoBase {};

struct Profile {
    /// What a producer works in, if it is part of the producer and not handed in: addresses and
    /// sizes are constants then. All zero: the caller brings memory of any size.
    struct Memory {
        std::size_t in_flight = 0;    ///< batches that may wait for an answer
        std::size_t batch_bytes = 0;  ///< of records in a batch
        std::size_t batches = 0;
        std::size_t receive_bytes = 0;  ///< the longest answer
        std::size_t send_bytes = 0;     ///< heads of requests
        constexpr bool is_fixed() const { return in_flight > 0; }
    };
    /// Many partitions and brokers: a Sender serves several queues, a request carries several
    /// batches, queues move when leaders do, buffers come in size classes.
    bool several_queues = true;
    bool negotiates = true;       ///< ApiVersions; else the versions of produce_codec.hpp
    bool any_acks = true;         ///< acks 0 and 1, and acks=all without idempotence
    bool any_source = true;       ///< batch sources beside the Accumulator
    bool compresses = true;       ///< a BatchCompressor may be brought
    bool lingers = true;          ///< linger above zero
    bool expires = true;          ///< a delivery timeout above zero
    bool record_headers = true;   ///< records with headers
    bool numbers_records = true;  ///< delivery reports say which record, which offset and time
    /// 64 bits of milliseconds. Else 31, compared around the wrap: nothing may be due further than
    /// 12 days ahead, and poll() must come more often than that.
    bool wide_time = true;
    /// The SDK's own clocks and transports are Clocks and Transports to whom only the ports are
    /// known. Else a program names their classes (leat::device::ProducerOf): no vtables.
    bool any_port = true;
    Memory memory{};
};

namespace profiles {
constexpr Profile full{};
constexpr Profile pinned{.negotiates = false};
/// One partition of one gateway, idempotent; everything that may be set on leat::device::Producer.
constexpr Profile device{
    .several_queues = false,
    .negotiates = false,
    .any_acks = false,
    .any_source = false,
    .compresses = false,
};
/// For kilobytes of flash: each record is sent as soon as may be and never given up.
constexpr Profile smallest{
    .several_queues = false,
    .negotiates = false,
    .any_acks = false,
    .any_source = false,
    .compresses = false,
    .lingers = false,
    .expires = false,
    .record_headers = false,
    .numbers_records = false,
    .wide_time = false,
    .any_port = false,
    .memory =
        {.in_flight = 2, .batch_bytes = 224, .batches = 3, .receive_bytes = 128, .send_bytes = 176},
};
}  // namespace profiles

constexpr Profile profile = profiles::LEAT_PROFILE;

/// A T where the profile has a use for it, else nothing that can be assigned.
template <class T, int>
struct Unused {
    constexpr Unused() = default;
    constexpr Unused(T) {}
    constexpr operator T() const { return T{}; }
};
template <bool used, class T, int member = 0>  // member: two of one kind in a struct take no room
using If = std::conditional_t<used, T, Unused<T, member>>;

}  // namespace leat
