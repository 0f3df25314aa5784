// DeleteAcls (key 31): there is no authorizer here, and tools tell that from an API that is
// missing.
#include "sdk/wire/api/31_delete_acls.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void delete_acls(Context& context, Call call) {
    const auto request = read<wire::DeleteAclsRequest>(context, call);
    if (!request) return;
    wire::DeleteAclsResponse response;
    std::vector<wire::DeleteAclsResponse::DeleteAclsFilterResult> results(request->filters.size());
    for (auto& one : results) {
        one.error_code = wire::ErrorCode::security_disabled;
        one.error_message = "No Authorizer is configured.";
    }
    response.filter_results = results;
    answer(context, call, response);
}

}  // namespace leat::api
