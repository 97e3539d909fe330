#include "gateway/conditions.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn::gateway {
namespace {

constexpr char kEtag[] = "\"abc\"";
constexpr int64_t kMtime = 784111777;
constexpr char kDate[] = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr char kEarlier[] = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr char kLater[] = "Sun, 06 Nov 1994 08:49:38 GMT";

using Text = absl::optional<std::string>;
constexpr absl::nullopt_t kNone = absl::nullopt;

TEST(ConditionsTest, FollowRfc9110) {
  const auto kHold = ConditionResult::kHold;
  const auto kNotModified = ConditionResult::kNotModified;
  const auto kFailed = ConditionResult::kPreconditionFailed;
  const struct {
    Text if_match, if_none_match, if_modified_since, if_unmodified_since;
    ConditionResult read, write;
  } kCases[] = {
      {kNone, kNone, kNone, kNone, kHold, kHold},
      // If-Match: strong.
      {"\"abc\"", kNone, kNone, kNone, kHold, kHold},
      {"*", kNone, kNone, kNone, kHold, kHold},
      {"\"x\", \"abc\"", kNone, kNone, kNone, kHold, kHold},
      {"\"x\",,\t\"abc\"", kNone, kNone, kNone, kHold, kHold},
      {"\"x\"", kNone, kNone, kNone, kFailed, kFailed},
      {"W/\"abc\"", kNone, kNone, kNone, kFailed, kFailed},
      {"abc", kNone, kNone, kNone, kFailed, kFailed},
      {"", kNone, kNone, kNone, kFailed, kFailed},
      // If-None-Match: weak.
      {kNone, "\"abc\"", kNone, kNone, kNotModified, kFailed},
      {kNone, "W/\"abc\"", kNone, kNone, kNotModified, kFailed},
      {kNone, "*", kNone, kNone, kNotModified, kFailed},
      {kNone, "\"x\", W/\"abc\"", kNone, kNone, kNotModified, kFailed},
      {kNone, "\"x\"", kNone, kNone, kHold, kHold},
      {kNone, "abc", kNone, kNone, kHold, kHold},
      // Dates.
      {kNone, kNone, kDate, kNone, kNotModified, kHold},
      {kNone, kNone, kLater, kNone, kNotModified, kHold},
      {kNone, kNone, kEarlier, kNone, kHold, kHold},
      {kNone, kNone, "yesterday", kNone, kHold, kHold},
      {kNone, kNone, kNone, kDate, kHold, kHold},
      {kNone, kNone, kNone, kLater, kHold, kHold},
      {kNone, kNone, kNone, kEarlier, kFailed, kFailed},
      {kNone, kNone, kNone, "yesterday", kHold, kHold},
      // Precedence.
      {"\"abc\"", kNone, kNone, kEarlier, kHold, kHold},
      {"\"x\"", "\"abc\"", kNone, kNone, kFailed, kFailed},
      {"\"abc\"", "\"abc\"", kNone, kNone, kNotModified, kFailed},
      {kNone, "\"x\"", kLater, kNone, kHold, kHold},
      {kNone, "\"abc\"", kEarlier, kNone, kNotModified, kFailed},
      {kNone, kNone, kLater, kEarlier, kFailed, kFailed},
  };
  int i = 0;
  for (const auto& c : kCases) {
    Conditions conditions;
    conditions.if_match = c.if_match;
    conditions.if_none_match = c.if_none_match;
    conditions.if_modified_since = c.if_modified_since;
    conditions.if_unmodified_since = c.if_unmodified_since;
    EXPECT_EQ(EvaluateConditions(conditions, kEtag, kMtime, true), c.read)
        << "case " << i;
    EXPECT_EQ(EvaluateConditions(conditions, kEtag, kMtime, false), c.write)
        << "case " << i;
    ++i;
  }
}

TEST(ConditionsTest, IfRangeWantsTheVeryEtagOrDate) {
  EXPECT_TRUE(IfRangeHolds("\"abc\"", kEtag, kMtime));
  EXPECT_FALSE(IfRangeHolds("\"abd\"", kEtag, kMtime));
  EXPECT_FALSE(IfRangeHolds("W/\"abc\"", kEtag, kMtime));
  EXPECT_FALSE(IfRangeHolds("\"", kEtag, kMtime));
  EXPECT_TRUE(IfRangeHolds(kDate, kEtag, kMtime));
  EXPECT_FALSE(IfRangeHolds(kLater, kEtag, kMtime));
  EXPECT_FALSE(IfRangeHolds(kEarlier, kEtag, kMtime));
  EXPECT_FALSE(IfRangeHolds("", kEtag, kMtime));
}

TEST(ConditionsTest, AllThreeFormsOfDatesAreRead) {
  EXPECT_EQ(ParseHttpDate(kDate), kMtime);
  EXPECT_EQ(ParseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT"), kMtime);
  EXPECT_EQ(ParseHttpDate("Sun Nov  6 08:49:37 1994"), kMtime);
  EXPECT_EQ(ParseHttpDate("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  EXPECT_EQ(ParseHttpDate("Thu, 29 Feb 2024 23:59:59 GMT"), 1709251199);
  EXPECT_EQ(ParseHttpDate("Friday, 01-Jan-38 00:00:00 GMT"), 2145916800);
}

TEST(ConditionsTest, WhatIsNoDateIsNone) {
  for (const std::string text :
       {"", "0", "now", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 31 Jun 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET", "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT"}) {
    EXPECT_EQ(ParseHttpDate(text), absl::nullopt) << text;
  }
}

TEST(ConditionsTest, DatesAreWrittenAsTheyAreRead) {
  EXPECT_EQ(FormatHttpDate(kMtime), kDate);
  EXPECT_EQ(FormatHttpDate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  for (int64_t t = 0; t < 4102444800; t += 86399 * 37 + 11) {
    EXPECT_EQ(ParseHttpDate(FormatHttpDate(t)), t);
  }
}

}  // namespace
}  // namespace cairn::gateway
