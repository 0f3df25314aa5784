// leat configs quotas, and get, set and unset with --user or --client: bounds on clients' rates.
#include <cstdio>
#include <cstdlib>

#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

std::string text_of(const QuotaEntity& entity) {
    std::string text;
    for (const auto& [kind, name] : entity)
        text += (text.empty() ? "" : ", ") + kind + "=" + name.value_or("(default)");
    return text;
}

std::optional<double> number_of(const std::string& text) {
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0') return std::nullopt;
    return number;
}

std::optional<std::vector<QuotaChange>> changes_of(const Options& options) {
    std::vector<QuotaChange> changes;
    for (const std::string& text : options.configs) {
        const auto pair = parse_pair(text);
        const auto number = pair ? number_of(pair->second) : std::nullopt;
        if (!number) {
            complain(text + " is no name=number");
            return std::nullopt;
        }
        changes.push_back({pair->first, *number});
    }
    for (const std::string& name : options.unset) changes.push_back({name, std::nullopt});
    return changes;
}

}  // namespace

QuotaEntity quota_entity(const Options& options) {
    QuotaEntity entity;
    if (options.user) entity["user"] = options.user;
    if (options.user_default) entity["user"] = std::nullopt;
    if (options.client) entity["client-id"] = options.client;
    if (options.client_default) entity["client-id"] = std::nullopt;
    return entity;
}

Exit show_quotas(const Options& options) {
    std::vector<QuotaFilter> filters;
    const QuotaEntity entity = quota_entity(options);
    for (const auto& [kind, name] : entity) {
        const auto match = name ? QuotaFilter::Match::name : QuotaFilter::Match::the_default;
        filters.push_back({kind, match, name.value_or("")});
    }
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    Result<std::vector<Quota>> quotas = admin->describe_quotas(filters);
    if (!quotas && quotas.error() == Error::refused) {
        complain(std::string("quotas: ") + wire::name(admin->last_refusal()));
        return Exit::failed;
    }
    if (!quotas) return complain("quotas", quotas.error(), admin->last_problem());
    // A filter lets those through that bind more than was named.
    if (!entity.empty())
        std::erase_if(*quotas, [&](const Quota& quota) { return quota.entity != entity; });
    if (options.json)
        std::printf("%s\n", json_of(*quotas).c_str());
    else
        for (const Quota& quota : *quotas)
            for (const auto& [name, value] : quota.values)
                std::printf("%-40s %s=%.15g\n", text_of(quota.entity).c_str(), name.c_str(), value);
    if (entity.empty() || !quotas->empty()) return Exit::ok;
    complain(text_of(entity) + " has no quota of its own");
    return Exit::not_found;
}

Exit change_quotas(const Options& options) {
    auto changes = changes_of(options);
    if (!changes) return Exit::usage;
    const std::vector<QuotaChange> said = *changes;
    const QuotaEntity entity = quota_entity(options);
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const auto outcome = admin->alter_quotas(entity, *std::move(changes));
    if (!outcome) return complain("quotas", outcome.error(), admin->last_problem());
    if (outcome->error != ErrorCode::none)
        complain(text_of(entity) + ": " + wire::name(outcome->error) +
                 (outcome->message.empty() ? "" : ": " + outcome->message));
    if (options.json) {
        const TopicOutcome told{text_of(entity), outcome->error, outcome->message, -1, -1};
        std::printf("%s\n", json_of("quota", {told}).c_str());
    } else if (outcome->error == ErrorCode::none) {
        for (const QuotaChange& one : said)
            if (one.value)
                std::printf("%s: %s=%.15g\n", text_of(entity).c_str(), one.name.c_str(),
                            *one.value);
            else
                std::printf("%s: %s has no bound\n", text_of(entity).c_str(), one.name.c_str());
    }
    return outcome->error == ErrorCode::none ? Exit::ok : Exit::failed;
}

}  // namespace leat::cli
