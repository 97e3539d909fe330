// The life of a cluster while clients read, overwrite and delete: a volume is
// added, one is drained, one dies, the index is lost. At the end every value is
// held against what was acknowledged.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/population.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

int KeysWanted() {
  const char* const text = getenv("CAIRN_AUDIT_KEYS");
  return text == nullptr ? 2000 : atoi(text);
}

class AuditTest : public testing::Test {
 protected:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.master_flags = {"--repair_after=5s"};
    return options;
  }
  Outcome Cairn(const std::string& words) {
    return Shell("CAIRN_MASTER=" + cluster_.master_address() + " admin/cairn " +
                 words);
  }
  // Runs a command that must do all it is there for, and says how long it took.
  void Must(const std::string& words) {
    const absl::Time begin = absl::Now();
    const Outcome outcome = Cairn(words);
    ASSERT_EQ(outcome.code, 0) << words << "\n" << outcome.text;
    Say(words, begin);
    last_ = outcome.text;
  }
  void Say(const std::string& what, absl::Time since) {
    printf("%-40s %6.1f s, %lld operations, %lld wrong\n", what.c_str(),
           absl::ToDoubleSeconds(absl::Now() - since),
           static_cast<long long>(population_.operations()),
           static_cast<long long>(population_.wrong()));
    fflush(stdout);
  }
  std::string IdOf(int volume) {
    const std::string text =
        ReadFile(cluster_.volume_path(volume) + "/volume.json");
    const std::string tag = "\"volume_id\": \"";
    return text.substr(text.find(tag) + tag.size(), 8);
  }
  // Until the load has gone on for a while in the state that is reached.
  void GoOn() {
    const int64_t before = population_.operations();
    ASSERT_TRUE(WaitUntil(absl::Seconds(60), [&] {
      return population_.operations() > before + 500;
    }));
  }
  int64_t UnderReplicated() const {
    return cluster_.GetStatus().under_replicated_keys_count();
  }
  void WaitRepaired() {
    const absl::Time begin = absl::Now();
    ASSERT_TRUE(
        WaitUntil(absl::Seconds(60), [&] { return UnderReplicated() > 0; }));
    ASSERT_TRUE(
        WaitUntil(absl::Minutes(10), [&] { return UnderReplicated() == 0; }))
        << UnderReplicated() << Cairn("jobs").text;
    Say("repair, by itself", begin);
  }

  Cluster cluster_{Options()};
  Population population_{cluster_.gateway_port(), KeysWanted(), 6};
  std::string last_;
};

TEST_F(AuditTest, NothingIsLostAndNothingComesBack) {
  population_.Fill();
  ASSERT_EQ(population_.wrong(), 0);
  population_.Start();

  const std::string fourth = cluster_.AddVolume();
  cluster_.WaitReady();
  Must("rebalance");
  GoOn();

  Must("volume drain " + IdOf(1));
  EXPECT_THAT(last_, HasSubstr("0 blobs left, safe to remove"));
  Must("volume remove " + IdOf(1));
  GoOn();

  population_.SetDying(true);
  cluster_.Kill("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  population_.SetDying(false);
  WaitRepaired();
  GoOn();
  cluster_.Start("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_UP);
  GoOn();

  population_.SetLost(true);
  const absl::Time stop = absl::Now();
  ASSERT_EQ(cluster_.Stop("master"), 0);
  Say("stop of the master", stop);
  fs::remove_all(cluster_.path() + "/master");
  fs::create_directory(cluster_.path() + "/master");
  cluster_.Start("master");
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(cluster_.GetStatus().not_ready_reason(), "lost");
  }));
  Must("rebuild");
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return HttpGet(cluster_.gateway_port(), "/population/none").status == 404;
  }));
  GoOn();
  population_.SetLost(false);
  GoOn();

  population_.Stop();
  Must("rebalance");
  EXPECT_TRUE(WaitUntil(absl::Minutes(1), [&] {
    return cluster_.GetStatus().removals_waiting_count() == 0;
  })) << cluster_.GetStatus().removals_waiting_count();
  // A blob whose writer has gone in the middle is its agent's to remove, once
  // it is kUnmarkedAgeMax old and the agent's next check has come. Anything
  // else that is found is wrong at once.
  Outcome verify;
  WaitUntil(base::kUnmarkedAgeMax + 2 * base::kCheckBlobsInterval, [&] {
    verify = Cairn("verify");
    return verify.code != 1 ||
           !absl::StrContains(verify.text, ": 0 corrupt, 0 missing, ") ||
           !absl::StrContains(verify.text, ", 0 keys with too few copies; ") ||
           !absl::StrContains(verify.text, "; 0 copies not checked");
  });
  EXPECT_EQ(verify.code, 0) << verify.text;
  population_.Check();
  EXPECT_EQ(population_.wrong(), 0);
  EXPECT_THAT(population_.findings(), IsEmpty());
}

}  // namespace
}  // namespace cairn::tests
