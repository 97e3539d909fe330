#include "base/blob_name.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/limits.h"

namespace cairn::base {
namespace {

Version SampleVersion() {
  return *Version::FromHex("018bcfe568000102deadbeef");
}

std::string AllBytes() {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes.push_back(static_cast<char>(c));
  return bytes;
}

TEST(BlobNameTest, EscapesAllThatAFileNameMustNotHold) {
  EXPECT_EQ(EscapeKey("cat.jpg"), "cat.jpg");
  EXPECT_EQ(EscapeKey("a/b c~d@e%"), "a%2Fb%20c%7Ed%40e%25");
  EXPECT_EQ(EscapeKey(".."), "%2E.");
  EXPECT_EQ(EscapeKey(".hidden"), "%2Ehidden");
  EXPECT_EQ(EscapeKey(std::string("\0\xff", 2)), "%00%FF");
}

TEST(BlobNameTest, UrlsKeepSlashesReadable) {
  EXPECT_EQ(EscapeKeyForUrl("a/b c~d@e%?#"), "a/b%20c~d%40e%25%3F%23");
  EXPECT_EQ(EscapeKeyForUrl("/../."), "/../.");
}

TEST(BlobNameTest, WhatWasEscapedComesBack) {
  const std::string bytes = AllBytes();
  EXPECT_EQ(*Unescape(EscapeKey(bytes)), bytes);
  EXPECT_EQ(*Unescape(EscapeKeyForUrl(bytes)), bytes);
  EXPECT_EQ(*Unescape("%2f%2F+a"), "//+a");
}

TEST(BlobNameTest, ABareOrCutPercentSignIsRefusedWithItsPosition) {
  for (const char* text : {"a%", "a%2", "a%2g", "a%g2", "a% 2", "a%-1"}) {
    const auto key = Unescape(text);
    EXPECT_EQ(key.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(key.status().message().find("position 1 "),
              absl::string_view::npos);
  }
}

// These names are on disks: they never change.
TEST(BlobNameTest, NamesAreThoseOfTheSpecification) {
  EXPECT_EQ(BlobFileName("a/b", SampleVersion(), false),
            "a%2Fb@018bcfe568000102deadbeef");
  EXPECT_EQ(BlobFileName("a/b", SampleVersion(), true),
            "a%2Fb@018bcfe568000102deadbeef.gone");
  EXPECT_EQ(BlobPath("foo", SampleVersion(), false),
            BlobDirectory("foo") + "/foo@018bcfe568000102deadbeef");
  EXPECT_EQ(BlobDirectory("foo"), "8a");
}

TEST(BlobNameTest, NamesComeBackAsKeysAndVersions) {
  for (const bool tombstone : {false, true}) {
    for (const std::string& key :
         {std::string("foo"), std::string("."), std::string("a@b.gone"),
          std::string("x.gone"), std::string(225, 'x'),
          AllBytes().substr(0, 70)}) {
      const auto parsed =
          ParseBlobFileName(BlobFileName(key, SampleVersion(), tombstone));
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(parsed->key, key);
      EXPECT_FALSE(parsed->key_in_xattr);
      EXPECT_EQ(parsed->version, SampleVersion());
      EXPECT_EQ(parsed->tombstone, tombstone);
    }
  }
}

TEST(BlobNameTest, EachKeyHasANameThatFitsAndIsItsOwn) {
  std::set<std::string> names;
  int keys = 0;
  for (const char c : {'x', '/', '\xff'}) {
    for (int bytes = 1; bytes <= kKeyBytesMax; ++bytes) {
      const std::string key(bytes, c);
      const std::string name = BlobFileName(key, SampleVersion(), true);
      EXPECT_LE(name.size(), 255u);
      EXPECT_EQ(name.find('/'), std::string::npos);
      const auto parsed = ParseBlobFileName(name);
      ASSERT_TRUE(parsed.ok()) << name;
      EXPECT_EQ(parsed->key_in_xattr, EscapeKey(key).size() > 225);
      names.insert(name);
      ++keys;
    }
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(keys));
}

TEST(BlobNameTest, ALongNameNeverCutsAnEscapeInTwo) {
  for (int lead = 0; lead < 3; ++lead) {
    const std::string key =
        std::string(lead, 'x') + std::string(kKeyBytesMax - lead, '\xff');
    const std::string part = BlobKeyPart(key);
    EXPECT_TRUE(Unescape(part.substr(0, part.find('~'))).ok()) << part;
  }
}

TEST(BlobNameTest, WhatIsNotTheNameOfABlobIsRefused) {
  for (const char* name :
       {"", "foo", "@018bcfe568000102deadbeef", "foo@", "foo@018bcfe56800",
        "a%2fb@018bcfe568000102deadbeef", "a b@018bcfe568000102deadbeef",
        ".a@018bcfe568000102deadbeef", "a%2@018bcfe568000102deadbeef",
        "foo@018bcfe568000102deadbeef.tmp"}) {
    EXPECT_FALSE(ParseBlobFileName(name).ok()) << name;
  }
  // A key of so many bytes has a name with '~'.
  const std::string version = "@018bcfe568000102deadbeef";
  const std::string longest(kEscapedKeyBytesMax, 'x');
  EXPECT_TRUE(ParseBlobFileName(longest + version).ok());
  EXPECT_FALSE(ParseBlobFileName(longest + "x" + version).ok());
}

TEST(BlobNameTest, RandomBytesNeverBreakTheParser) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const std::string valid = BlobFileName("a/b c", SampleVersion(), true);
  for (int i = 0; i < 20'000; ++i) {
    std::string name = valid;
    for (int flips = random() % 4; flips >= 0; --flips) {
      name[random() % name.size()] = static_cast<char>(random());
    }
    name.resize(random() % (name.size() + 1));
    const auto parsed = ParseBlobFileName(name);
    if (!parsed.ok() || parsed->key_in_xattr) continue;
    EXPECT_EQ(BlobFileName(parsed->key, parsed->version, parsed->tombstone),
              name);
  }
}

TEST(BlobNameTest, KeysOfOneTo1024BytesAreGood) {
  EXPECT_EQ(CheckKey("").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckKey("x").ok());
  EXPECT_TRUE(CheckKey(std::string(kKeyBytesMax, '\0')).ok());
  EXPECT_EQ(CheckKey(std::string(kKeyBytesMax + 1, 'x')).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cairn::base
