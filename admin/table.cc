#include "admin/table.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"

namespace cairn::admin {
namespace {

// With a unit, maybe. Addresses are none.
bool IsNumber(const std::string& cell) {
  return !cell.empty() && absl::ascii_isdigit(cell[0]) &&
         cell.find(':') == std::string::npos;
}

struct Column {
  size_t width = 0;
  bool right = true;  // All cells but the heading are numbers.
};

std::vector<Column> ColumnsOf(
    const std::vector<std::vector<std::string>>& rows) {
  std::vector<Column> columns;
  for (size_t row = 0; row < rows.size(); ++row) {
    columns.resize(std::max(columns.size(), rows[row].size()));
    for (size_t i = 0; i < rows[row].size(); ++i) {
      const std::string& cell = rows[row][i];
      columns[i].width = std::max(columns[i].width, cell.size());
      if (row > 0 && !IsNumber(cell)) columns[i].right = false;
    }
  }
  return columns;
}

}  // namespace

std::string Table(const std::vector<std::vector<std::string>>& rows) {
  const std::vector<Column> columns = ColumnsOf(rows);
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string pad(columns[i].width - row[i].size(), ' ');
      if (i > 0) line += "  ";
      line += i > 0 && columns[i].right ? pad + row[i] : row[i] + pad;
    }
    absl::StripTrailingAsciiWhitespace(&line);
    text += line + "\n";
  }
  return text;
}

}  // namespace cairn::admin
