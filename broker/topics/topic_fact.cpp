#include "broker/topics/topic_fact.hpp"

#include "broker/topics/fact_bytes.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::topics {
namespace {

constexpr std::uint8_t format = 1;
constexpr std::uint8_t flag_internal = 1;

}  // namespace

std::vector<std::uint8_t> encode_topic(const Topic& topic) {
    FactWriter out;
    out.number(format);
    out.name(topic.name);
    out.number(topic.internal ? flag_internal : std::uint8_t{0});
    out.number(static_cast<std::uint32_t>(topic.partitions.size()));
    for (const log::StreamId stream : topic.partitions) out.number(stream);
    out.number(static_cast<std::uint16_t>(topic.config.overrides().size()));
    for (const auto& [name, value] : topic.config.overrides()) {
        out.name(name);
        out.name(value);
    }
    return std::move(out.bytes);
}

Result<std::unique_ptr<Topic>> decode_topic(ByteView key, ByteView value,
                                            const TopicConfig& fresh) {
    auto topic = std::make_unique<Topic>();
    if (key.size() != topic->id.size()) return fail(Error::malformed);
    std::copy(key.begin(), key.end(), topic->id.begin());
    FactReader in(value);
    if (in.number<std::uint8_t>() != format) return fail(Error::unsupported);
    topic->name = in.name();
    topic->internal = (in.number<std::uint8_t>() & flag_internal) != 0;
    const std::uint32_t partitions = in.number<std::uint32_t>();
    if (partitions > in.left.size() / sizeof(log::StreamId)) return fail(Error::truncated);
    for (std::uint32_t i = 0; i < partitions; ++i)
        topic->partitions.push_back(in.number<log::StreamId>());
    topic->config = fresh;
    const std::uint16_t overrides = in.number<std::uint16_t>();
    for (std::uint16_t i = 0; i < overrides && in.ok; ++i) {
        const std::string_view name = in.name();
        const std::string_view text = in.name();
        (void)topic->config.set(name,
                                text);  // a setting of another version: the default is in force
    }
    if (!in.ok) return fail(Error::truncated);
    if (topic_name_problem(topic->name) != nullptr || topic->partitions.empty())
        return fail(Error::malformed);
    return topic;
}

}  // namespace leat::topics
