// Places that the device was asked for and did not give, and when they are given up.
//
// One read that fails says nothing about what was written: a bus is reset, a card answers late, a
// device is away for minutes and comes back. So a place is lost only when it was refused three
// times and more, over a minute and more, and the device did something else between those tries: it
// took a commit or gave another place. Until then whoever wants it is told to come again. That is
// known in RAM only: a start is patient anew.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "leat/time.hpp"

namespace leat::log {

constexpr milliseconds lost_patience{60'000};
constexpr std::uint32_t lost_tries_min = 3;
/// A place that is given up is asked for as seldom as lost_patience, another one after these.
constexpr milliseconds refused_wait_min{1'000}, refused_wait_max{20'000};

/// One place that was refused.
class Refusal {
public:
    /// Once more; `seen`: how much the device has done so far. true: it is lost.
    bool again(Instant now, std::uint64_t seen);
    bool lost() const { return lost_; }
    Instant last() const { return last_; }
    /// No sooner is it worth another read, of a device to which each may take a second.
    Instant next() const;

private:
    Instant since_{}, last_{}, counted_at_{};
    std::uint64_t seen_ = 0;  ///< at the last try that counts
    std::uint32_t tries_ = 0;
    bool lost_ = false;
};

/// Those that readers and the cleaner met.
class Refusals {
public:
    static constexpr std::size_t places_max = 1024;  ///< of more those go that nobody wants
    static constexpr std::uint32_t whole = UINT32_MAX;
    struct Place {
        std::uint32_t segment = 0;
        std::uint32_t position = whole;  ///< of a page; `whole`: what its index is made from
        std::uint64_t generation = 0;
    };
    void refused(Instant now, std::uint64_t seen, const Place& place);
    void given(const Place& place, std::uint32_t bytes = 1);
    bool lost(const Place& place) const;
    /// Whether to ask the device for it: unknown here, or asked for long ago.
    bool due(Instant now, const Place& place) const;
    /// Whether a page of [from, to) was refused, and not given since.
    bool knows(const Place& segment, std::uint32_t from, std::uint32_t to) const;
    /// Whether something of the segment was refused and is not lost yet: a page, or what its index
    /// is made from and is not due.
    bool in_doubt(Instant now, std::uint32_t segment, std::uint64_t generation) const;
    /// A page in doubt that is due, of those that are `wanted`.
    std::optional<Place> to_ask(Instant now, const std::function<bool(const Place&)>& wanted) const;

private:
    struct Known {
        std::uint64_t generation = 0;
        Refusal refusal{};
    };
    using Key = std::pair<std::uint32_t, std::uint32_t>;
    const Known* find(const Place& place) const;
    std::map<Key, Known> places_;
};

}  // namespace leat::log
