#include "master/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "index/memory_index_store.h"
#include "master/cluster_state.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// A master's membership over an index that outlives it, with a clock that
// stands still until told.
class MembershipTest : public testing::Test {
 protected:
  MembershipTest() { Restart(); }

  void Restart() {
    members_ = nullptr;
    mark_ = *IndexMark::Open(index_.get());
    Membership::Options options;
    options.index = index_.get();
    options.mark = mark_.get();
    volume_marks_ = *VolumeMarks::Open(index_.get());
    options.volume_marks = volume_marks_.get();
    options.map = *OpenCluster(index_.get(), settings_);
    options.fencing_number = 77;
    options.now = [this] { return now_; };
    options.now_ms = [this] { return absl::ToUnixMillis(now_) + lead_ms_; };
    members_ = std::make_unique<Membership>(std::move(options));
  }

  v1::JoinRequest Volume(uint32_t id, uint64_t session) {
    v1::JoinRequest request;
    request.set_volume_id(id);
    request.set_session_id(session);
    request.set_grpc_address(absl::StrCat("127.0.0.1:", 3200 + id));
    request.set_http_address(absl::StrCat("127.0.0.1:", 3300 + id));
    request.set_signing_secret("secret");
    for (int i = 0; i < 4; ++i) request.add_subvolumes();
    return request;
  }
  // As a volume that has stored what the master told it.
  v1::JoinRequest Member(uint32_t id, uint64_t session, int64_t mark = 0) {
    v1::JoinRequest request = Volume(id, session);
    request.set_cluster_id(cluster_id());
    request.set_mark(mark);
    return request;
  }
  absl::Status Join(const v1::JoinRequest& request) {
    return members_->Join(request).status();
  }
  absl::Status Beat(uint32_t id, uint64_t session, int64_t mark = 0) {
    v1::HeartbeatRequest request;
    request.set_mark(mark);
    request.set_volume_id(id);
    request.set_session_id(session);
    for (int i = 0; i < 4; ++i) request.add_subvolumes();
    return members_->Heartbeat(request).status();
  }
  // Two blank volumes: as many as the cluster needs.
  void Form() {
    ASSERT_TRUE(Join(Volume(1, 10)).ok());
    ASSERT_TRUE(Join(Volume(2, 20)).ok());
    ASSERT_TRUE(members_->CheckServing().ok());
  }
  std::string Reason() {
    return std::string(members_->CheckServing().message());
  }
  std::string cluster_id() { return members_->view()->map.cluster_id(); }
  int64_t epoch() { return members_->view()->map.epoch(); }
  v1::VolumeState StateOf(uint32_t id) {
    for (const v1::Volume& volume : members_->view()->map.volumes()) {
      if (volume.volume_id() == id) return volume.state();
    }
    return v1::VOLUME_STATE_UNSPECIFIED;
  }

  std::unique_ptr<index::IndexStore> index_ = index::NewMemoryIndexStore();
  ClusterSettings settings_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  int64_t lead_ms_ = 0;
  std::unique_ptr<IndexMark> mark_;
  std::unique_ptr<VolumeMarks> volume_marks_;
  std::unique_ptr<Membership> members_;
};

TEST_F(MembershipTest, ANewClusterWaitsForAsManyVolumesAsReplicas) {
  EXPECT_THAT(Reason(), HasSubstr("0 of 2 have joined"));
  ASSERT_TRUE(Join(Volume(1, 10)).ok());
  EXPECT_THAT(Reason(), HasSubstr("1 of 2 have joined"));
  ASSERT_TRUE(Join(Volume(2, 20)).ok());
  EXPECT_EQ(Reason(), "");
}

TEST_F(MembershipTest, AJoinTellsMapMarkAndFencingNumberButNoSecrets) {
  const auto joined = members_->Join(Volume(1, 10));
  ASSERT_TRUE(joined.ok());
  EXPECT_EQ(joined->map().volumes_size(), 1);
  EXPECT_EQ(joined->map().volumes(0).signing_secret(), "");
  EXPECT_EQ(joined->fencing_number(), 77);
  EXPECT_EQ(members_->view()->map.volumes(0).signing_secret(), "secret");
}

TEST_F(MembershipTest, ThreeMissedHeartbeatsAreDownAndTheNextIsUp) {
  Form();
  now_ += absl::Milliseconds(2900);
  ASSERT_TRUE(Beat(2, 20).ok());
  members_->Tick();
  EXPECT_EQ(StateOf(1), v1::VOLUME_STATE_UP);
  now_ += absl::Milliseconds(200);
  members_->Tick();
  EXPECT_EQ(StateOf(1), v1::VOLUME_STATE_DOWN);
  EXPECT_EQ(StateOf(2), v1::VOLUME_STATE_UP);
  ASSERT_TRUE(Beat(1, 10).ok());
  EXPECT_EQ(StateOf(1), v1::VOLUME_STATE_UP);
}

TEST_F(MembershipTest, ASecondAgentWithALiveVolumesIdIsRefused) {
  Form();
  v1::JoinRequest copy = Member(1, 11);
  copy.set_grpc_address("127.0.0.1:9");
  EXPECT_TRUE(absl::IsAlreadyExists(Join(copy)));
  ASSERT_TRUE(Beat(1, 10).ok());
  now_ += absl::Seconds(3);
  EXPECT_TRUE(Join(copy).ok());
  EXPECT_TRUE(absl::IsNotFound(Beat(1, 10)));
}

TEST_F(MembershipTest, ARestartedAgentIsTakenAtOnce) {
  Form();
  ASSERT_TRUE(Join(Member(1, 11)).ok());
  EXPECT_TRUE(Beat(1, 11).ok());
  EXPECT_TRUE(absl::IsNotFound(Beat(1, 10)));
}

TEST_F(MembershipTest, AHeartbeatWithoutAJoinIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(Beat(1, 10)));
}

TEST_F(MembershipTest, AnotherNumberOfSubvolumesIsRefused) {
  v1::JoinRequest request = Volume(1, 10);
  request.add_subvolumes();
  const absl::Status refused = Join(request);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("--subvolumes=4"));
}

TEST_F(MembershipTest, FillBytesAloneMakeNoEpochButFullnessDoes) {
  Form();
  const int64_t before = epoch();
  v1::HeartbeatRequest beat;
  beat.set_volume_id(1);
  beat.set_session_id(10);
  for (int i = 0; i < 4; ++i) beat.add_subvolumes()->set_free_bytes(123);
  ASSERT_TRUE(members_->Heartbeat(beat).ok());
  members_->Tick();
  EXPECT_EQ(epoch(), before);
  EXPECT_EQ(members_->Volumes()[0].subvolumes(0).free_bytes(), 123);
  beat.mutable_subvolumes(3)->set_full(true);
  ASSERT_TRUE(members_->Heartbeat(beat).ok());
  EXPECT_EQ(epoch(), before + 1);
}

TEST_F(MembershipTest, AHeartbeatBringsTheMapToAnAgentThatHasAnOlderOne) {
  Form();
  v1::HeartbeatRequest beat;
  beat.set_volume_id(1);
  beat.set_session_id(10);
  beat.set_map_epoch(epoch());
  EXPECT_FALSE(members_->Heartbeat(beat)->has_map());
  beat.set_map_epoch(epoch() - 1);
  EXPECT_EQ(members_->Heartbeat(beat)->map().epoch(), epoch());
}

TEST_F(MembershipTest, WatchersSeeAChange) {
  Form();
  const auto before = members_->view();
  EXPECT_EQ(members_->WaitForChange(before, absl::ZeroDuration()), before);
  ASSERT_TRUE(Join(Volume(3, 30)).ok());
  EXPECT_NE(members_->WaitForChange(before, absl::Hours(1)), before);
}

TEST_F(MembershipTest, AfterARestartAllIsServedOnceTheVolumesAreBack) {
  Form();
  Restart();
  EXPECT_EQ(StateOf(1), v1::VOLUME_STATE_UP);
  EXPECT_TRUE(members_->settling());
  EXPECT_FALSE(members_->CheckServing().ok());
  ASSERT_TRUE(Join(Member(1, 11)).ok());
  EXPECT_TRUE(members_->settling());
  ASSERT_TRUE(Join(Member(2, 21)).ok());
  EXPECT_FALSE(members_->settling());
  EXPECT_TRUE(members_->CheckServing().ok());
}

TEST_F(MembershipTest, AfterARestartADeadVolumeHoldsNothingUpForLong) {
  Form();
  Restart();
  ASSERT_TRUE(Join(Member(1, 11)).ok());
  now_ += base::kStartGrace / 2;
  ASSERT_TRUE(Beat(1, 11).ok());
  members_->Tick();
  EXPECT_TRUE(members_->CheckServing().ok());
  EXPECT_EQ(StateOf(2), v1::VOLUME_STATE_UP);
  now_ += base::kStartGrace / 2;
  members_->Tick();
  EXPECT_EQ(StateOf(2), v1::VOLUME_STATE_DOWN);
}

TEST_F(MembershipTest, ABlankIndexThatMeetsAMemberOfAClusterIsLost) {
  v1::JoinRequest old = Volume(1, 10);
  old.set_cluster_id("another");
  const auto joined = members_->Join(old);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_FALSE(joined->has_map());
  EXPECT_EQ(Reason(), kLostReason);
  EXPECT_TRUE(Beat(1, 10).ok());
  // No number of blank volumes makes a new cluster of it.
  ASSERT_TRUE(Join(Volume(2, 20)).ok());
  ASSERT_TRUE(Join(Volume(3, 30)).ok());
  EXPECT_EQ(Reason(), kLostReason);
  EXPECT_EQ(OpenCluster(index_.get(), settings_)->volumes_size(), 0);
}

TEST_F(MembershipTest, AnIndexWithAnOlderMarkThanAVolumeIsLost) {
  Form();
  v1::JoinRequest ahead = Member(2, 21);
  ahead.set_mark(1);
  const auto joined = members_->Join(ahead);
  ASSERT_TRUE(joined.ok());
  EXPECT_FALSE(joined->has_map());
  EXPECT_EQ(Reason(), kLostReason);
  EXPECT_TRUE(Beat(1, 10).ok());
}

TEST_F(MembershipTest, TheMarkGrowsOnlyAfterCommitsAndReachesTheAgents) {
  Form();
  ASSERT_TRUE(mark_->Advance().ok());
  EXPECT_EQ(mark_->value(), 0);
  mark_->NoteCommit();
  ASSERT_TRUE(mark_->Advance().ok());
  ASSERT_TRUE(mark_->Advance().ok());
  EXPECT_EQ(mark_->value(), 1);
  v1::JoinRequest back = Member(1, 11);
  back.set_mark(1);
  EXPECT_EQ(members_->Join(back)->mark(), 1);
  Restart();
  EXPECT_EQ(mark_->value(), 1);
}

TEST_F(MembershipTest, AStrangerIsRefusedOnceTheClustersOwnVolumesAreHere) {
  Form();
  v1::JoinRequest stranger = Volume(3, 30);
  stranger.set_cluster_id("another");
  EXPECT_TRUE(absl::IsFailedPrecondition(Join(stranger)));
  EXPECT_TRUE(members_->CheckServing().ok());
}

TEST_F(MembershipTest, AStrangerThatComesFirstMakesReadersWaitForTheOwn) {
  Form();
  Restart();
  v1::JoinRequest stranger = Volume(3, 30);
  stranger.set_cluster_id("another");
  ASSERT_TRUE(Join(stranger).ok());
  EXPECT_EQ(Reason(), kLostReason);
  ASSERT_TRUE(Join(Member(1, 11)).ok());
  ASSERT_TRUE(Join(Member(2, 21)).ok());
  EXPECT_EQ(Reason(), "");
  EXPECT_TRUE(absl::IsNotFound(Beat(3, 30)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Join(stranger)));
}

TEST_F(MembershipTest, ADrainingVolumeStaysSoOverJoinsAndRestarts) {
  Form();
  ASSERT_TRUE(Join(Member(3, 30)).ok());
  const int64_t before = epoch();
  ASSERT_TRUE(members_->SetDraining(3, true).ok());
  EXPECT_GT(epoch(), before);
  const auto draining = [this] {
    return members_->view()->map.volumes(2).draining();
  };
  EXPECT_TRUE(draining());
  ASSERT_TRUE(Join(Member(3, 31)).ok());
  EXPECT_TRUE(Beat(3, 31).ok());
  EXPECT_TRUE(draining());
  Restart();
  for (uint32_t id = 1; id <= 3; ++id) {
    ASSERT_TRUE(Join(Member(id, 100 + id)).ok());
  }
  EXPECT_TRUE(draining());
  ASSERT_TRUE(members_->SetDraining(3, false).ok());
  EXPECT_FALSE(draining());
  EXPECT_EQ(members_->SetDraining(9, true).code(), absl::StatusCode::kNotFound);
}

TEST_F(MembershipTest, NoMoreVolumesLeaveThanReplicasAllow) {
  Form();
  EXPECT_EQ(members_->SetDraining(1, true).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(members_->Remove(1).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Join(Member(3, 30)).ok());
  ASSERT_TRUE(members_->SetDraining(1, true).ok());
  EXPECT_TRUE(members_->SetDraining(1, true).ok()) << "once more";
  const absl::Status refused = members_->SetDraining(2, true);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("replicas=2 but only 1 volume would be left without "
                        "00000002: add a volume first"));
  EXPECT_TRUE(members_->SetDraining(1, false).ok());
}

TEST_F(MembershipTest, ARemovedVolumeIsNeverTakenAgain) {
  Form();
  ASSERT_TRUE(Join(Member(3, 30)).ok());
  ASSERT_TRUE(members_->Remove(1).ok());
  EXPECT_EQ(members_->Volumes().size(), 2u);
  EXPECT_EQ(Beat(1, 10).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(Join(Member(1, 11)).message()),
              HasSubstr("was removed from this cluster for good"));
  Restart();
  EXPECT_FALSE(Join(Member(1, 12)).ok());
  ASSERT_TRUE(Join(Member(2, 21)).ok());
  EXPECT_EQ(members_->Remove(1).code(), absl::StatusCode::kUnavailable)
      << "it does not serve yet";
}

TEST_F(MembershipTest, ItIsKnownForHowLongAVolumeHasBeenDown) {
  Form();
  EXPECT_EQ(members_->DownFor(1), absl::ZeroDuration());
  for (int i = 0; i < 10; ++i) {
    now_ += absl::Seconds(1);
    ASSERT_TRUE(Beat(2, 20).ok());
    members_->Tick();
  }
  EXPECT_EQ(members_->DownFor(1), absl::Seconds(10));
  EXPECT_EQ(members_->DownFor(2), absl::ZeroDuration());
  ASSERT_TRUE(Beat(1, 10).ok());
  EXPECT_EQ(members_->DownFor(1), absl::ZeroDuration());
}

TEST_F(MembershipTest, AVolumeThatWasSetBackIsUnconfirmedUntilItWasCompared) {
  Form();
  ASSERT_TRUE(mark_->Restore(9).ok());
  ASSERT_TRUE(Beat(1, 10, /*mark=*/7).ok());
  ASSERT_TRUE(volume_marks_->Store().ok());
  // One that was away for long has the mark that it had.
  ASSERT_TRUE(Join(Member(1, 11, /*mark=*/7)).ok());
  EXPECT_THAT(members_->Unconfirmed(), IsEmpty());

  Restart();
  ASSERT_TRUE(Join(Member(2, 21, /*mark=*/0)).ok());
  ASSERT_TRUE(Join(Member(1, 12, /*mark=*/6)).ok());
  EXPECT_THAT(members_->Unconfirmed(), ElementsAre(Pair(1, 12)));
  EXPECT_TRUE(members_->CheckServing().ok());
  EXPECT_TRUE(members_->view()->map.volumes(0).unconfirmed());

  // It stays so, though its mark is no longer behind.
  Restart();
  ASSERT_TRUE(Join(Member(1, 13, /*mark=*/9)).ok());
  EXPECT_THAT(members_->Unconfirmed(), ElementsAre(Pair(1, 13)));
  EXPECT_EQ(members_->Confirm(1, 12).code(), absl::StatusCode::kAborted)
      << "that was compared before it joined again";
  ASSERT_TRUE(members_->Confirm(1, 13).ok());
  EXPECT_THAT(members_->Unconfirmed(), IsEmpty());
  Restart();
  EXPECT_FALSE(members_->view()->map.volumes(0).unconfirmed());
}

TEST_F(MembershipTest, HowLongAVolumeHasBeenDownOutlivesTheMaster) {
  Form();
  const auto wait = [&](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      now_ += absl::Seconds(1);
      ASSERT_TRUE(Beat(2, 20).ok());
      members_->Tick();
    }
  };
  wait(10);
  // The monotonic clock begins anew, the index's goes on.
  now_ += absl::Minutes(5);
  lead_ms_ = absl::ToInt64Milliseconds(absl::Minutes(30));
  now_ -= absl::Minutes(30);
  Restart();
  ASSERT_TRUE(Join(Member(2, 20)).ok());
  EXPECT_EQ(members_->DownFor(1), absl::Seconds(10) + absl::Minutes(5));
  wait(7);
  EXPECT_EQ(members_->DownFor(1), absl::Seconds(17) + absl::Minutes(5));
  ASSERT_TRUE(Join(Member(1, 11)).ok());
  EXPECT_EQ(members_->DownFor(1), absl::ZeroDuration());
  EXPECT_EQ(members_->view()->map.volumes(0).last_seen_time_ms(), 0);
  wait(10);
  EXPECT_EQ(members_->DownFor(1), absl::Seconds(10)) << "counted anew";
}

}  // namespace
}  // namespace cairn::master
