#include "broker/topics/topic_fact.hpp"

#include "broker/topics/topic_name.hpp"

namespace leat::topics {
namespace {

constexpr std::uint8_t format = 1;
constexpr std::uint8_t flag_internal = 1;

class Writer {
public:
    template <class T>
    void number(T value) {
        bytes.resize(bytes.size() + sizeof(T));
        store_big(bytes.data() + bytes.size() - sizeof(T), value);
    }
    void text(std::string_view value) {
        number(static_cast<std::uint16_t>(value.size()));
        bytes.insert(bytes.end(), value.begin(), value.end());
    }
    std::vector<std::uint8_t> bytes;
};

/// Sticky: after an overrun everything reads as zero and ok is false.
class Reader {
public:
    explicit Reader(ByteView from) : left(from) {}
    template <class T>
    T number() {
        if (left.size() < sizeof(T)) {
            ok = false;
            left = {};
            return 0;
        }
        const T value = load_big<T>(left.data());
        left = left.subspan(sizeof(T));
        return value;
    }
    std::string_view text() {
        const std::size_t size = number<std::uint16_t>();
        if (left.size() < size) {
            ok = false;
            left = {};
            return {};
        }
        const std::string_view value = text_of(left.first(size));
        left = left.subspan(size);
        return value;
    }
    ByteView left;
    bool ok = true;
};

}  // namespace

std::vector<std::uint8_t> encode_topic(const Topic& topic) {
    Writer out;
    out.number(format);
    out.text(topic.name);
    out.number(topic.internal ? flag_internal : std::uint8_t{0});
    out.number(static_cast<std::uint32_t>(topic.partitions.size()));
    for (const log::StreamId stream : topic.partitions) out.number(stream);
    out.number(static_cast<std::uint16_t>(topic.config.overrides().size()));
    for (const auto& [name, value] : topic.config.overrides()) {
        out.text(name);
        out.text(value);
    }
    return std::move(out.bytes);
}

Result<std::unique_ptr<Topic>> decode_topic(ByteView key, ByteView value,
                                            const TopicConfig& fresh) {
    auto topic = std::make_unique<Topic>();
    if (key.size() != topic->id.size()) return fail(Error::malformed);
    std::copy(key.begin(), key.end(), topic->id.begin());
    Reader in(value);
    if (in.number<std::uint8_t>() != format) return fail(Error::unsupported);
    topic->name = in.text();
    topic->internal = (in.number<std::uint8_t>() & flag_internal) != 0;
    const std::uint32_t partitions = in.number<std::uint32_t>();
    if (partitions > in.left.size() / sizeof(log::StreamId)) return fail(Error::truncated);
    for (std::uint32_t i = 0; i < partitions; ++i)
        topic->partitions.push_back(in.number<log::StreamId>());
    topic->config = fresh;
    const std::uint16_t overrides = in.number<std::uint16_t>();
    for (std::uint16_t i = 0; i < overrides && in.ok; ++i) {
        const std::string_view name = in.text();
        const std::string_view text = in.text();
        (void)topic->config.set(name,
                                text);  // a setting of another version: the default is in force
    }
    if (!in.ok) return fail(Error::truncated);
    if (topic_name_problem(topic->name) != nullptr || topic->partitions.empty())
        return fail(Error::malformed);
    return topic;
}

}  // namespace leat::topics
