// Facts: (kind, key) -> value, latest wins, opaque here. All of them live in RAM; on flash they are
// frames, footers and checkpoints.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "broker/log/log.hpp"

namespace leat::log {

struct Fact {
    std::string value;
    std::uint64_t sequence = 0;  ///< of the commit that wrote it; 0 while that is not durable
    CommitId id = 0;             ///< of that write in this run
};

/// One fact as a frame body (FORMAT.md section 5).
struct FactBody {
    std::uint8_t kind = 0;
    std::uint64_t sequence = 0;
    ByteView key, value;
};
constexpr std::size_t fact_body_bytes = 16;
void encode_fact_body(const FactBody& fact, MutableBytes into);  ///< into: 16 + key + value bytes
Result<FactBody> decode_fact_body(ByteView body);

class Facts {
public:
    /// Kind and key as one ordered key.
    static std::string key_of(std::uint8_t kind, ByteView key);

    const Fact* find(const std::string& key) const;
    /// A write of this run: remembered for undo until its commit is durable.
    void put(const std::string& key, std::optional<std::string> value, CommitId id);
    /// What recovery reads: the newer sequence wins.
    void restore(const std::string& key, std::optional<std::string> value, std::uint64_t sequence);
    /// The commit `sequence` made writes up to `id` durable.
    void durable(CommitId id, std::uint64_t sequence);
    /// Takes back every write after `flushed`.
    void roll_back(CommitId flushed);

    using Map = std::map<std::string, Fact, std::less<>>;
    const Map& all() const { return facts_; }
    std::uint64_t bytes() const { return bytes_; }  ///< keys and values

private:
    struct Undo {
        CommitId id;
        std::string key;
        std::optional<Fact> before;
    };
    void set(const std::string& key, std::optional<Fact> fact);
    Map facts_;
    std::vector<Undo> undo_;
    std::uint64_t bytes_ = 0;
};

}  // namespace leat::log
