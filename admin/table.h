// Text in columns.

#ifndef CAIRN_ADMIN_TABLE_H_
#define CAIRN_ADMIN_TABLE_H_

#include <string>
#include <vector>

namespace cairn::admin {

// One line for each row, its cells two spaces apart and as wide as the widest
// of their column; nothing is padded at the end of a line. The first row is the
// headings. All columns but the first stand to the
// right if they hold numbers ("12", "1.5 GiB").
std::string Table(const std::vector<std::vector<std::string>>& rows);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_TABLE_H_
