// Groups on a log in memory that may lose power: what was not flushed is lost, but for a prefix.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <string>

#include "broker/groups/groups.hpp"
#include "tests/support/fake_log.hpp"
#include "tests/support/test_entropy.hpp"

namespace leat::test {

class CrashLog final : public FakeLog {
public:
    using Key = std::pair<log::FactKind, std::string>;
    struct Op {
        Key key;
        std::optional<std::string> value;
    };
    std::map<Key, std::string> now_facts, durable;
    std::vector<Op> open_ops;
    std::size_t ops_max = 1'000'000;  ///< more in one group: would_block
    bool is_full = false;             ///< takes no new facts, renews the old
    bool is_tight = false;            ///< ... and only with what is no longer, as the log does
    std::function<bool(std::string_view key)> refuses_to_erase;  ///< for good

    void flush() {
        for (const Op& op : open_ops) apply(durable, op);
        open_ops.clear();
        FakeLog::flush();
        FakeLog::on_storage(Instant{});
    }
    /// What a power cut leaves: all that was flushed and `prefix` facts more.
    std::map<Key, std::string> crash(std::size_t prefix) const {
        auto left = durable;
        for (std::size_t i = 0; i < std::min(prefix, open_ops.size()); ++i)
            apply(left, open_ops[i]);
        return left;
    }

    /// The device failed: what was not flushed is gone. false: that is more than facts of groups.
    bool lose_open() {
        for (const Op& op : open_ops)
            if (op.key.first != log::FactKind::group) return false;
        now_facts = durable;
        open_ops.clear();
        FakeLog::give_up();
        return true;
    }

    Result<log::CommitId> put_fact(Instant now, log::FactKind kind, ByteView key,
                                   ByteView value) override {
        const auto old = now_facts.find({kind, std::string(text_of(key))});
        if ((is_full || is_tight) && old == now_facts.end()) return fail(Error::full);
        if (is_tight && value.size() > old->second.size()) return fail(Error::full);
        return write(now, {{kind, std::string(text_of(key))}, std::string(text_of(value))});
    }
    Result<log::CommitId> erase_fact(Instant now, log::FactKind kind, ByteView key) override {
        if (refuses_to_erase && refuses_to_erase(text_of(key))) return fail(Error::storage);
        return write(now, {{kind, std::string(text_of(key))}, std::nullopt});
    }
    std::optional<ByteView> find_fact(log::FactKind kind, ByteView key) const override {
        const auto at = now_facts.find({kind, std::string(text_of(key))});
        if (at == now_facts.end()) return std::nullopt;
        return bytes_of(at->second);
    }
    void for_each_fact(log::FactKind kind,
                       const std::function<void(ByteView, ByteView)>& visit) const override {
        for (const auto& [key, value] : now_facts)
            if (key.first == kind) visit(bytes_of(key.second), bytes_of(value));
    }

private:
    static void apply(std::map<Key, std::string>& facts, const Op& op) {
        if (op.value)
            facts[op.key] = *op.value;
        else
            facts.erase(op.key);
    }
    Result<log::CommitId> write(Instant now, Op op) {
        if (open_ops.size() >= ops_max) return fail(Error::would_block);
        apply(now_facts, op);
        open_ops.push_back(std::move(op));
        return FakeLog::put_fact(now, log::FactKind::node, bytes_of("x"), bytes_of("y"));
    }
};

/// One run of the broker's groups; the next one starts from what a crash left.
struct GroupsRig {
    explicit GroupsRig(groups::GroupsConfig config = {}, Instant start = instant_ms(1'000),
                       std::map<CrashLog::Key, std::string> facts = {}, std::uint64_t seed = 1)
        : entropy(seed),
          topics(log, entropy, {}),
          now(start),
          groups(log, topics, entropy, config) {
        log.now_facts = log.durable = std::move(facts);
        REQUIRE(topics.load());
        if (topics.find("t") == nullptr) {
            REQUIRE(topics.create(now, "t", 8, topics.new_config()));
            log.flush();
        }
        groups.load(now);
    }
    void flush() {
        log.flush();
        settle();
    }
    void settle() {
        groups.settle(now);
        for (int left = turns; left != 0 && groups.assigns(); --left) groups.assign_some(now);
        while (auto one = groups.poll_joined()) joined[one->ticket] = *one;
        while (auto one = groups.poll_synced()) synced[one->ticket] = *one;
        while (auto one = groups.poll_consumer_answer()) beaten[one->ticket] = *one;
    }
    /// Time passes, and nothing becomes durable.
    void tick(std::int64_t ms) {
        const Instant until = now + milliseconds(ms);
        while (groups.deadline() <= until) {
            now = std::max(now, groups.deadline());
            groups.on_deadline(now);
        }
        now = until;
    }
    void advance(std::int64_t ms) {
        const Instant until = now + milliseconds(ms);
        while (groups.deadline() <= until) {
            now = std::max(now, groups.deadline());
            groups.on_deadline(now);
            flush();
        }
        now = until;
    }

    CrashLog log;
    TestEntropy entropy;
    topics::Registry topics;
    Instant now;
    groups::Groups groups;
    std::map<groups::Ticket, groups::JoinAnswer> joined;
    std::map<groups::Ticket, groups::SyncAnswer> synced;
    std::map<groups::Ticket, groups::ConsumerAnswer> beaten;
    groups::Ticket last = 0;
    int turns = -1;  ///< of assignments, each time that it settles; -1: all
};

}  // namespace leat::test
