#include "admin/table.h"

#include <gtest/gtest.h>

namespace cairn::admin {
namespace {

TEST(TableTest, TheFirstColumnStandsToTheLeft) {
  EXPECT_EQ(Table({{"ID"}, {"0000001"}}), "ID\n0000001\n");
}

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(Table({}), "");
  EXPECT_EQ(Table({{"A", "SIZE", "WHERE", "LAST"},
                   {"long", "7", "1.2.3.4:5", ""},
                   {"b", "1.5 GiB", "host:5", "x"}}),
            "A        SIZE  WHERE      LAST\n"
            "long        7  1.2.3.4:5\n"
            "b     1.5 GiB  host:5     x\n");
}

}  // namespace
}  // namespace cairn::admin
