// DescribeAcls (key 29): there is no authorizer here, and tools tell that from an API that is
// missing.
#include "sdk/wire/api/29_describe_acls.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void describe_acls(Context& context, Call call) {
    const auto request = read<wire::DescribeAclsRequest>(context, call);
    if (!request) return;
    wire::DescribeAclsResponse response;
    response.error_code = wire::ErrorCode::security_disabled;
    response.error_message = "No Authorizer is configured.";
    answer(context, call, response);
}

}  // namespace leat::api
