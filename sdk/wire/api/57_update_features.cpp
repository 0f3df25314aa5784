#include "sdk/wire/api/57_update_features.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::UpdateFeaturesRequest>;
template struct leat::wire::Runtime<leat::wire::UpdateFeaturesResponse>;
