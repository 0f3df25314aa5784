// CreateAcls (key 30): there is no authorizer here, and tools tell that from an API that is
// missing.
#include "sdk/wire/api/30_create_acls.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void create_acls(Context& context, Call call) {
    const auto request = read<wire::CreateAclsRequest>(context, call);
    if (!request) return;
    wire::CreateAclsResponse response;
    std::vector<wire::CreateAclsResponse::AclCreationResult> results(request->creations.size());
    for (auto& one : results) {
        one.error_code = wire::ErrorCode::security_disabled;
        one.error_message = "No Authorizer is configured.";
    }
    response.results = results;
    answer(context, call, response);
}

}  // namespace leat::api
