#include "master/lease_table.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cairn::master {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const int64_t kTermMs =
    absl::ToInt64Milliseconds(base::kLeaseTerm + base::kLeaseSlack);

class LeaseTableTest : public testing::Test {
 protected:
  // A client, and what it was told.
  struct Client {
    int64_t id = 0;
    std::vector<v1::Revocation> told;
  };

  void SetUp() override { Restart(0); }

  void Restart(int64_t held_ms) {
    table_ = std::make_unique<LeaseTable>([this] { return now_ms_; }, held_ms);
  }

  std::unique_ptr<Client> Connect() {
    auto client = std::make_unique<Client>();
    client->id = table_->AddHolder(
        [told = &client->told](const v1::Revocation& revocation) {
          told->push_back(revocation);
        });
    table_->Renew(client->id);
    return client;
  }

  // Says in written_ when it may go on.
  void Write(const std::string& key) {
    if (table_->BeginWrite(key, [this, key] { written_.push_back(key); })) {
      written_.push_back(key);
    }
  }

  void Pass(int64_t ms) {
    now_ms_ += ms;
    table_->Tick();
  }

  int64_t now_ms_ = 1000;
  std::unique_ptr<LeaseTable> table_;
  std::vector<std::string> written_;
};

TEST_F(LeaseTableTest, AWriteOfAKeyThatNobodyHoldsDoesNotWait) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "other"));
  Write("key");
  EXPECT_THAT(written_, ElementsAre("key"));
  EXPECT_THAT(client->told, IsEmpty());
}

TEST_F(LeaseTableTest, AWriteWaitsUntilEveryHolderHasConfirmed) {
  const auto one = Connect();
  const auto two = Connect();
  EXPECT_TRUE(table_->Grant(one->id, "key"));
  EXPECT_TRUE(table_->Grant(two->id, "key"));
  Write("key");
  ASSERT_EQ(one->told.size(), 1);
  ASSERT_EQ(two->told.size(), 1);
  EXPECT_EQ(one->told[0].key(), "key");
  table_->Acknowledge(one->told[0].id());
  EXPECT_THAT(written_, IsEmpty());
  table_->Acknowledge(two->told[0].id());
  EXPECT_THAT(written_, ElementsAre("key"));
}

TEST_F(LeaseTableTest, ASecondWriteWaitsForTheRevocationOfTheFirst) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "key"));
  Write("key");
  Write("key");
  EXPECT_THAT(written_, IsEmpty());
  ASSERT_EQ(client->told.size(), 1);
  table_->Acknowledge(client->told[0].id());
  EXPECT_THAT(written_, ElementsAre("key", "key"));
}

TEST_F(LeaseTableTest, NothingIsGrantedUntilEveryWriteHasEnded) {
  const auto client = Connect();
  Write("key");
  Write("key");
  EXPECT_FALSE(table_->Grant(client->id, "key"));
  table_->EndWrite("key");
  EXPECT_FALSE(table_->Grant(client->id, "key"));
  table_->EndWrite("key");
  EXPECT_TRUE(table_->Grant(client->id, "key"));
}

TEST_F(LeaseTableTest, ASilentHolderIsWaitedForUntilItsLeasesHaveRunOut) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "key"));
  Write("key");
  Pass(kTermMs - 1);
  EXPECT_THAT(written_, IsEmpty());
  Pass(1);
  EXPECT_THAT(written_, ElementsAre("key"));
  // The late answer is for nobody.
  table_->Acknowledge(client->told[0].id());
  EXPECT_EQ(written_.size(), 1);
}

TEST_F(LeaseTableTest, ARenewalKeepsAWriteWaiting) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "key"));
  Write("key");
  Pass(kTermMs - 1);
  table_->Renew(client->id);
  Pass(kTermMs - 1);
  EXPECT_THAT(written_, IsEmpty());
  Pass(1);
  EXPECT_THAT(written_, ElementsAre("key"));
}

TEST_F(LeaseTableTest, AHolderThatRanOutIsToldButNotWaitedFor) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "key"));
  Pass(kTermMs);
  Write("key");
  EXPECT_THAT(written_, ElementsAre("key"));
  EXPECT_EQ(client->told.size(), 1);
}

TEST_F(LeaseTableTest, TheLeasesOfAnEndedStreamCountUntilTheyRunOut) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "key"));
  table_->RemoveHolder(client->id);
  Write("key");
  EXPECT_THAT(client->told, IsEmpty());
  EXPECT_THAT(written_, IsEmpty());
  Pass(kTermMs);
  EXPECT_THAT(written_, ElementsAre("key"));
}

TEST_F(LeaseTableTest, AnEndedStreamIsForgottenWhenItHasRunOut) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "key"));
  table_->RemoveHolder(client->id);
  EXPECT_EQ(table_->leases_count(), 1);
  Pass(kTermMs);
  EXPECT_EQ(table_->leases_count(), 0);
  EXPECT_FALSE(table_->Grant(client->id, "key"));
}

TEST_F(LeaseTableTest, AfterARestartEveryWriteWaitsForTheLeasesOfBefore) {
  Restart(kTermMs);
  Write("key");
  EXPECT_THAT(written_, IsEmpty());
  Pass(kTermMs);
  EXPECT_THAT(written_, ElementsAre("key"));
  Write("next");
  EXPECT_THAT(written_, ElementsAre("key", "next"));
}

TEST_F(LeaseTableTest, AClientWithTooManyLeasesBeginsAnew) {
  const auto client = Connect();
  for (int i = 0; i < base::kLeasesPerClientMax; ++i) {
    ASSERT_TRUE(table_->Grant(client->id, absl::StrCat("key", i)));
  }
  EXPECT_FALSE(table_->Grant(client->id, "one more"));
  EXPECT_EQ(table_->leases_count(), 0);
  ASSERT_EQ(client->told.size(), 1);
  EXPECT_TRUE(client->told[0].all());
  // Until it has confirmed, each of its keys may still be answered.
  EXPECT_FALSE(table_->Grant(client->id, "one more"));
  Write("key7");
  EXPECT_THAT(written_, IsEmpty());
  table_->Acknowledge(client->told[0].id());
  EXPECT_THAT(written_, ElementsAre("key7"));
  EXPECT_TRUE(table_->Grant(client->id, "one more"));
}

TEST_F(LeaseTableTest, AbandonLetsEveryoneGoOn) {
  const auto client = Connect();
  EXPECT_TRUE(table_->Grant(client->id, "key"));
  Write("key");
  table_->Abandon();
  EXPECT_THAT(written_, ElementsAre("key"));
}

}  // namespace
}  // namespace cairn::master
