#include "client/lease_cache.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "gtest/gtest.h"

namespace cairn::client {
namespace {

int64_t now_ms = 0;
int64_t NowMs() { return now_ms; }

class LeaseCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    now_ms = 5000;
    Renew();
  }
  void Renew() { cache_.Renewed(cache_.NoteRenewalSent()); }
  void Keep(absl::string_view key, absl::string_view value,
            bool with_value = true) {
    v1::OpResult result;
    if (with_value) result.set_inline_value(std::string(value));
    cache_.Insert(cache_.Ticket(key), key, with_value, result);
  }
  // What is answered, or "-".
  std::string Ask(absl::string_view key, bool with_value = true) {
    v1::OpResult result;
    return cache_.Find(key, with_value, &result) ? result.inline_value() : "-";
  }
  void Revoke(absl::string_view key) {
    v1::Revocation revocation;
    revocation.set_key(std::string(key));
    cache_.Revoke(revocation);
  }

  LeaseCache cache_{&NowMs};
};

TEST_F(LeaseCacheTest, AnswersWhatItKeeps) {
  EXPECT_EQ(Ask("key"), "-");
  Keep("key", "value");
  EXPECT_EQ(Ask("key"), "value");
  EXPECT_EQ(Ask("kez"), "-");
}

TEST_F(LeaseCacheTest, AnswersNothingOnceTheTermSinceTheRenewalWasSentIsOver) {
  Keep("key", "value");
  now_ms += absl::ToInt64Milliseconds(base::kLeaseTerm) - 1;
  EXPECT_EQ(Ask("key"), "value");
  now_ms += 1;
  EXPECT_EQ(Ask("key"), "-");
}

TEST_F(LeaseCacheTest, CountsFromWhenTheRenewalWasSentNotFromItsAnswer) {
  Keep("key", "value");
  const int64_t sent_ms = cache_.NoteRenewalSent();
  now_ms += absl::ToInt64Milliseconds(base::kLeaseTerm);
  cache_.Renewed(sent_ms);
  EXPECT_EQ(Ask("key"), "-");
}

TEST_F(LeaseCacheTest, ARevokedKeyIsAskedForAnew) {
  Keep("key", "value");
  Keep("other", "stays");
  Revoke("key");
  EXPECT_EQ(Ask("key"), "-");
  EXPECT_EQ(Ask("other"), "stays");
}

TEST_F(LeaseCacheTest, AnAnswerThatARevocationOvertookIsNotKept) {
  const int64_t ticket = cache_.Ticket("key");
  Revoke("key");
  v1::OpResult stale;
  cache_.Insert(ticket, "key", true, stale);
  EXPECT_EQ(Ask("key"), "-");
}

TEST_F(LeaseCacheTest, AnAnswerOfAStreamThatHasEndedIsNotKept) {
  const int64_t ticket = cache_.Ticket("key");
  cache_.Clear();
  Renew();
  v1::OpResult stale;
  cache_.Insert(ticket, "key", true, stale);
  EXPECT_EQ(Ask("key"), "-");
}

TEST_F(LeaseCacheTest, TheEndOfTheStreamEndsAllLeases) {
  Keep("key", "value");
  cache_.Clear();
  EXPECT_EQ(Ask("key"), "-");
  Renew();
  EXPECT_EQ(Ask("key"), "-");
}

TEST_F(LeaseCacheTest, ARevocationOfAllEmptiesIt) {
  Keep("key", "value");
  v1::Revocation revocation;
  revocation.set_all(true);
  cache_.Revoke(revocation);
  EXPECT_EQ(Ask("key"), "-");
  Keep("key", "anew");
  EXPECT_EQ(Ask("key"), "anew");
}

TEST_F(LeaseCacheTest, ARecordWithoutItsValueAnswersHeadAlone) {
  Keep("key", "", /*with_value=*/false);
  EXPECT_EQ(Ask("key", /*with_value=*/true), "-");
  EXPECT_EQ(Ask("key", /*with_value=*/false), "");
  Keep("key", "value");
  Keep("key", "", /*with_value=*/false);
  EXPECT_EQ(Ask("key"), "value");
}

TEST_F(LeaseCacheTest, WhileNothingIsServedNothingIsAnsweredOrKept) {
  Keep("key", "value");
  cache_.SetServing(false);
  EXPECT_EQ(Ask("key"), "-");
  Renew();
  Keep("key", "value");
  EXPECT_EQ(Ask("key"), "-");
  cache_.SetServing(true);
  Keep("key", "value");
  EXPECT_EQ(Ask("key"), "value");
}

TEST_F(LeaseCacheTest, ItsSizeIsBounded) {
  const std::string value(64 << 10, 'x');
  int kept = 0;
  for (int i = 0; i < 4000; ++i) Keep(absl::StrCat("key", i), value);
  for (int i = 0; i < 4000; ++i) kept += Ask(absl::StrCat("key", i)) != "-";
  EXPECT_GT(kept, 100);
  EXPECT_LE(kept * static_cast<int64_t>(value.size()),
            base::kLeaseCacheBytesMax);
}

TEST_F(LeaseCacheTest, TheCountOfItsKeysIsBounded) {
  for (int i = 0; i < 40000; ++i) Keep(absl::StrCat("key", i), "x");
  int kept = 0;
  for (int i = 0; i < 40000; ++i) kept += Ask(absl::StrCat("key", i)) != "-";
  EXPECT_GT(kept, base::kLeaseCacheKeysMax / 2);
  EXPECT_LE(kept, base::kLeaseCacheKeysMax);
}

TEST_F(LeaseCacheTest, RenewsOnlyWhatItHas) {
  now_ms += 10000;
  EXPECT_FALSE(cache_.WantsRenewal());
  Renew();
  Keep("key", "value");
  EXPECT_FALSE(cache_.WantsRenewal());
  now_ms += absl::ToInt64Milliseconds(base::kLeaseRenewal);
  EXPECT_TRUE(cache_.WantsRenewal());
}

}  // namespace
}  // namespace cairn::client
