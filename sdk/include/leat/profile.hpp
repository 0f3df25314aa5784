// What a program wants of the SDK's core. Whoever builds it chooses once, with LEAT_PROFILE; what a
// profile leaves out is not compiled in. There is one text for each state machine: a profile only
// folds conditions away, and the tests run the same scripts over `full` and `smallest`.
//
//     cmake -DLEAT_PROFILE=smallest ...      every host has `full`
#pragma once

#ifndef LEAT_PROFILE
#define LEAT_PROFILE full
#endif

namespace leat {

struct Profile {
    /// Many partitions and brokers: a Sender serves several queues, a request carries several
    /// batches, queues move when leaders do, buffers come in size classes.
    bool several_queues = true;
    bool negotiates = true;      ///< ApiVersions; else the versions of produce_codec.hpp
    bool any_acks = true;        ///< acks 0 and 1, and acks=all without idempotence
    bool any_source = true;      ///< batch sources beside the Accumulator
    bool compresses = true;      ///< a BatchCompressor may be brought
    bool lingers = true;         ///< linger above zero
    bool expires = true;         ///< a delivery timeout above zero
    bool record_headers = true;  ///< records with headers
    bool numbers_records = true;  ///< delivery reports say which record, which offset and time
    /// 64 bits of milliseconds. Else 31, compared around the wrap: nothing may be due further than
    /// 12 days ahead, and poll() must come more often than that.
    bool wide_time = true;
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
};
}  // namespace profiles

constexpr Profile profile = profiles::LEAT_PROFILE;

}  // namespace leat
