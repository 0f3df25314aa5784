#include "broker/quotas/quota_fact.hpp"

#include <bit>
#include <cmath>

#include "sdk/base/bytes.hpp"

namespace leat::quotas {
namespace {

constexpr char format = 1;
constexpr std::size_t value_bytes = 9;

void put(std::string& out, const Part& part) {
    out += static_cast<char>(part.is);
    out += static_cast<char>(part.name.size() >> 8);
    out += static_cast<char>(part.name.size());
    out += part.name;
}

bool take(std::string_view& left, Part& part) {
    const ByteView bytes = bytes_of(left);
    if (bytes.size() < 3 || bytes[0] > static_cast<std::uint8_t>(Part::Is::named)) return false;
    const std::size_t size = load_big<std::uint16_t>(bytes.data() + 1);
    if (bytes.size() - 3 < size) return false;
    part = {static_cast<Part::Is>(bytes[0]), left.substr(3, size)};
    left.remove_prefix(3 + size);
    return true;
}

}  // namespace

std::string quota_key(const Entity& entity) {
    std::string out(1, 'q');
    put(out, entity.user);
    put(out, entity.client);
    if (entity.ip.is != Part::Is::absent) put(out, entity.ip);
    return out;
}

Result<Entity> entity_of(std::string_view key) {
    Entity entity;
    if (!key.starts_with('q')) return fail(Error::truncated);
    key.remove_prefix(1);
    if (!take(key, entity.user) || !take(key, entity.client) ||
        (!key.empty() && !take(key, entity.ip)) || !key.empty())
        return fail(Error::truncated);
    return entity;
}

std::string quota_value(const Values& values) {
    std::string out(1, format);
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        if (values[kind] <= 0) continue;
        std::uint8_t bytes[value_bytes] = {static_cast<std::uint8_t>(kind)};
        store_big(bytes + 1, std::bit_cast<std::uint64_t>(values[kind]));
        out += text_of(bytes);
    }
    return out;
}

Result<Values> values_of(ByteView value) {
    Values values{};
    if (value.empty()) return fail(Error::truncated);
    if (value[0] != format) return fail(Error::unsupported);
    for (value = value.subspan(1); !value.empty(); value = value.subspan(value_bytes)) {
        if (value.size() < value_bytes) return fail(Error::truncated);
        const auto rate = std::bit_cast<double>(load_big<std::uint64_t>(value.data() + 1));
        if (value[0] >= kinds || !std::isfinite(rate) || rate <= 0) return fail(Error::unsupported);
        values[value[0]] = rate;
    }
    return values;
}

}  // namespace leat::quotas
