// DescribeAcls (key 29): there is no authorizer here, and tools tell that from an API that is
// missing.
#include "sdk/wire/api/29_describe_acls.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void describe_acls(Context& context, Call call) {
    const auto request = wire::decode_front<wire::DescribeAclsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    wire::DescribeAclsResponse response;
    response.error_code = wire::ErrorCode::security_disabled;
    response.error_message = "No Authorizer is configured.";
    answer(context, call, response);
}

}  // namespace leat::api
