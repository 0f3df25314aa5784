#include "broker/log/facts.hpp"

#include "broker/log/little.hpp"

namespace leat::log {

void encode_fact_body(const FactBody& fact, MutableBytes into) {
    LEAT_CHECK(into.size() == fact_body_bytes + fact.key.size() + fact.value.size() &&
               fact.key.size() <= 0xFFFF);
    into[0] = fact.kind;
    into[1] = 0;
    store_little<std::uint16_t>(into.data() + 2, static_cast<std::uint16_t>(fact.key.size()));
    store_little<std::uint32_t>(into.data() + 4, static_cast<std::uint32_t>(fact.value.size()));
    store_little<std::uint64_t>(into.data() + 8, fact.sequence);
    copy_bytes(fact.key, into.subspan(fact_body_bytes));
    copy_bytes(fact.value, into.subspan(fact_body_bytes + fact.key.size()));
}

Result<FactBody> decode_fact_body(ByteView body) {
    LittleReader in(body);
    FactBody fact;
    fact.kind = in.get<std::uint8_t>();
    in.skip(1);
    const auto key = in.get<std::uint16_t>();
    const auto value = in.get<std::uint32_t>();
    fact.sequence = in.get<std::uint64_t>();
    fact.key = in.bytes(key);
    fact.value = in.bytes(value);
    if (!in.ok()) return fail(Error::malformed);
    return fact;
}

std::string Facts::key_of(std::uint8_t kind, ByteView key) {
    std::string joined(1, static_cast<char>(kind));
    joined.append(text_of(key));
    return joined;
}

const Fact* Facts::find(const std::string& key) const {
    const auto found = facts_.find(key);
    return found == facts_.end() ? nullptr : &found->second;
}

void Facts::set(const std::string& key, std::optional<Fact> fact) {
    const auto found = facts_.find(key);
    if (found != facts_.end()) {
        bytes_ -= key.size() + found->second.value.size();
        if (!fact) {
            facts_.erase(found);
            return;
        }
        bytes_ += key.size() + fact->value.size();
        found->second = std::move(*fact);
    } else if (fact) {
        bytes_ += key.size() + fact->value.size();
        facts_.emplace(key, std::move(*fact));
    }
}

void Facts::put(const std::string& key, std::optional<std::string> value, CommitId id) {
    std::optional<Fact> before;
    const auto at = facts_.lower_bound(key);
    const bool there = at != facts_.end() && at->first == key;
    if (there) {
        bytes_ -= key.size() + at->second.value.size();
        before = std::move(at->second);
    }
    if (value) {
        bytes_ += key.size() + value->size();
        Fact fact{std::move(*value), 0, id};
        if (there)
            at->second = std::move(fact);
        else
            facts_.emplace_hint(at, key, std::move(fact));
    } else if (there) {
        facts_.erase(at);
    }
    undo_.push_back({id, key, std::move(before)});
}

void Facts::restore(const std::string& key, std::optional<std::string> value,
                    std::uint64_t sequence) {
    const Fact* before = find(key);
    if (before && before->sequence > sequence) return;
    if (value)
        set(key, Fact{std::move(*value), sequence, 0});
    else
        set(key, std::nullopt);
}

void Facts::durable(CommitId id, std::uint64_t sequence) {
    std::size_t done = 0;
    for (; done < undo_.size() && undo_[done].id <= id; ++done) {
        const auto found = facts_.find(undo_[done].key);
        if (found != facts_.end() && found->second.id == undo_[done].id)
            found->second.sequence = sequence;
    }
    undo_.erase(undo_.begin(), undo_.begin() + static_cast<std::ptrdiff_t>(done));
}

void Facts::roll_back(CommitId flushed) {
    while (!undo_.empty() && undo_.back().id > flushed) {
        set(undo_.back().key, std::move(undo_.back().before));
        undo_.pop_back();
    }
    undo_.clear();
}

}  // namespace leat::log
