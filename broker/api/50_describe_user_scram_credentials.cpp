// DescribeUserScramCredentials (key 50): nobody has a password here. kafka-configs asks for it
// whenever it describes users.
#include "sdk/wire/api/50_describe_user_scram_credentials.hpp"

#include <map>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void describe_user_scram_credentials(Context& context, Call call) {
    const auto request = read<wire::DescribeUserScramCredentialsRequest>(context, call);
    if (!request) return;
    using wire::ErrorCode;
    std::vector<wire::DescribeUserScramCredentialsResponse::DescribeUserScramCredentialsResult>
        results;
    std::map<std::string_view, int> times;
    for (const auto& user : request->users) ++times[user.name.view()];
    for (const auto& [name, count] : times) {
        auto& one = results.emplace_back();
        one.user = name;
        one.error_code = count > 1 ? ErrorCode::duplicate_resource : ErrorCode::resource_not_found;
        one.error_message = count > 1 ? "Cannot describe SCRAM credentials for the same user twice "
                                        "in a single request."
                                      : "Attempt to describe a user credential that does not exist";
    }
    wire::DescribeUserScramCredentialsResponse response;
    response.error_message = "";  // as in Kafka, not null
    response.results = results;
    answer(context, call, response);
}

}  // namespace leat::api
