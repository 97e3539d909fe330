// JSON as the command line prints it.

#ifndef CAIRN_ADMIN_JSON_H_
#define CAIRN_ADMIN_JSON_H_

#include <nlohmann/json.hpp>
#include <string>

namespace cairn::admin {

// Fields in the order in which they are added.
using Json = nlohmann::ordered_json;

// Over several lines, for people too, and on one. With a newline at the end.
// Bytes that are not UTF-8 are replaced: JSON has no others.
inline std::string JsonText(const Json& json) {
  return json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}
inline std::string JsonLine(const Json& json) {
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_JSON_H_
