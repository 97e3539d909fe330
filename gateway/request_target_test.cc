#include "gateway/request_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cairn::gateway {
namespace {

using ::testing::HasSubstr;

TEST(RequestTargetTest, KeysAreExactToTheByte) {
  const struct {
    std::string target;
    std::string key;
  } kCases[] = {
      {"/foo", "foo"},
      {"/", ""},
      {"//", "/"},
      {"//a//b/", "/a//b/"},
      {"/a%2Fb", "a/b"},
      {"/a%2fb", "a/b"},
      {"/a%252Fb", "a%2Fb"},
      {"/a%00b", std::string("a\0b", 3)},
      {"/..", ".."},
      {"/../../etc/passwd", "../../etc/passwd"},
      {"/%2E%2E/x", "../x"},
      {"/%ff%FE", "\xff\xfe"},
      {"/\xc3\xa4\x80", "\xc3\xa4\x80"},
      {"/a+b", "a+b"},
      {"/a%3Fb", "a?b"},
      {"/a#b", "a#b"},
      {"/a?b", "a"},
      {"/a?b?list", "a"},
      {"/?", ""},
  };
  for (const auto& c : kCases) {
    const auto target = ParseRequestTarget(c.target);
    ASSERT_TRUE(target.ok()) << c.target << ": " << target.status();
    EXPECT_EQ(target->key, c.key) << c.target;
    EXPECT_FALSE(target->list) << c.target;
  }
}

TEST(RequestTargetTest, BadEscapesAreRefusedWithASentence) {
  for (const std::string target :
       {"/%", "/%2", "/a%zz", "/%u0041", "/a%2", "/%%41", "/a?start=%x",
        "/a?delimiter=%", "/a?list&limit=%4"}) {
    const auto parsed = ParseRequestTarget(target);
    ASSERT_FALSE(parsed.ok()) << target;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("%25"))
        << target;
  }
}

TEST(RequestTargetTest, EscapesOfUnknownParametersDoNotMatter) {
  EXPECT_TRUE(ParseRequestTarget("/a?color=%zz").ok());
}

TEST(RequestTargetTest, TargetsThatAreNoPathsAreRefused) {
  EXPECT_FALSE(ParseRequestTarget("").ok());
  EXPECT_FALSE(ParseRequestTarget("*").ok());
  EXPECT_FALSE(ParseRequestTarget("http://host/a").ok());
}

TEST(RequestTargetTest, ParametersAreRead) {
  const auto target = ParseRequestTarget(
      "/a/?list&limit=17&start=/a/%62+c%26&delimiter=%2F&long&x=y");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->key, "a/");
  EXPECT_TRUE(target->list);
  EXPECT_TRUE(target->long_form);
  EXPECT_EQ(target->limit, 17);
  EXPECT_EQ(target->start, "a/b+c&");
  EXPECT_EQ(target->delimiter, "/");
  EXPECT_FALSE(target->retry);
}

TEST(RequestTargetTest, DefaultsAreThoseOfAListing) {
  const auto target = ParseRequestTarget("/?list");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->limit, 1000);
  EXPECT_EQ(target->start, "");
  EXPECT_FALSE(target->long_form);
}

TEST(RequestTargetTest, StartLosesOneSlashAlone) {
  EXPECT_EQ(ParseRequestTarget("/?list&start=//x")->start, "/x");
  EXPECT_EQ(ParseRequestTarget("/?list&start=x")->start, "x");
  EXPECT_EQ(ParseRequestTarget("/?list&start=/a=b")->start, "a=b");
}

TEST(RequestTargetTest, TheRestBehindASecondQuestionMarkIsQuery) {
  const auto target = ParseRequestTarget("/a?list&start=/b?c");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->key, "a");
  EXPECT_EQ(target->start, "b?c");
}

TEST(RequestTargetTest, LimitsThatAreNoNumbersAreRefused) {
  for (const std::string limit :
       {"", "x", "-1", "1.5", "1e3", "99999999999999999999"}) {
    EXPECT_FALSE(ParseRequestTarget("/?list&limit=" + limit).ok()) << limit;
  }
  EXPECT_EQ(ParseRequestTarget("/?list&limit=0")->limit, 0);
}

TEST(RequestTargetTest, AReturnedReaderIsKnown) {
  EXPECT_TRUE(ParseRequestTarget("/a?cairn-retry=1")->retry);
}

}  // namespace
}  // namespace cairn::gateway
