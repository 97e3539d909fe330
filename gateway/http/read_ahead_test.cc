#include "gateway/http/read_ahead.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cairn::http {
namespace {

using ::testing::ElementsAre;

// Answers when the test says so.
class SlowSource final : public BodySource {
 public:
  void Next(std::function<void(absl::StatusOr<std::string>)> done) override {
    EXPECT_EQ(done_, nullptr) << "asked again before the answer";
    ++asked;
    done_ = std::move(done);
  }
  void Answer(absl::StatusOr<std::string> piece) {
    std::exchange(done_, nullptr)(std::move(piece));
  }
  int asked = 0;

 private:
  std::function<void(absl::StatusOr<std::string>)> done_;
};

class ReadAheadTest : public ::testing::Test {
 protected:
  void Ask() {
    ahead_->Next([this](absl::StatusOr<std::string> piece) {
      given_.push_back(piece.ok() ? *piece : piece.status().ToString());
    });
  }

  const std::shared_ptr<SlowSource> source_ = std::make_shared<SlowSource>();
  const std::shared_ptr<ReadAhead> ahead_ =
      std::make_shared<ReadAhead>(source_);
  std::vector<std::string> given_;
};

TEST_F(ReadAheadTest, AsksForOnePieceMoreThanWasTaken) {
  EXPECT_EQ(source_->asked, 0);
  Ask();
  EXPECT_EQ(source_->asked, 1);
  source_->Answer("a");
  EXPECT_THAT(given_, ElementsAre("a"));
  EXPECT_EQ(source_->asked, 2);
  source_->Answer("b");
  EXPECT_THAT(given_, ElementsAre("a")) << "nobody asked";
  EXPECT_EQ(source_->asked, 2) << "one piece waits: that is enough";
  Ask();
  EXPECT_THAT(given_, ElementsAre("a", "b"));
  EXPECT_EQ(source_->asked, 3);
}

TEST_F(ReadAheadTest, WhoAsksBeforeThePieceIsThereGetsItOnce) {
  Ask();
  source_->Answer("a");
  Ask();
  EXPECT_THAT(given_, ElementsAre("a"));
  source_->Answer("b");
  EXPECT_THAT(given_, ElementsAre("a", "b"));
  EXPECT_EQ(source_->asked, 3);
}

TEST_F(ReadAheadTest, NothingIsAskedForBehindTheEnd) {
  Ask();
  source_->Answer("a");
  source_->Answer("");
  Ask();
  EXPECT_THAT(given_, ElementsAre("a", ""));
  EXPECT_EQ(source_->asked, 2);
}

TEST_F(ReadAheadTest, AnErrorIsGivenInItsTurnAndEndsTheReading) {
  Ask();
  source_->Answer("a");
  source_->Answer(absl::DataLossError("torn"));
  EXPECT_THAT(given_, ElementsAre("a"));
  Ask();
  EXPECT_THAT(given_, ElementsAre("a", "DATA_LOSS: torn"));
  EXPECT_EQ(source_->asked, 2);
}

TEST_F(ReadAheadTest, AnErrorAtOnceIsGivenAtOnce) {
  Ask();
  source_->Answer(absl::UnavailableError("away"));
  EXPECT_THAT(given_, ElementsAre("UNAVAILABLE: away"));
  EXPECT_EQ(source_->asked, 1);
}

// A source that answers from within Next(), as from memory.
class FastSource final : public BodySource {
 public:
  void Next(std::function<void(absl::StatusOr<std::string>)> done) override {
    done(left_ > 0 ? std::to_string(left_--) : std::string());
  }

 private:
  int left_ = 3;
};

TEST(ReadAheadFastTest, ASourceThatAnswersAtOnceIsReadInOrder) {
  const auto ahead =
      std::make_shared<ReadAhead>(std::make_shared<FastSource>());
  std::vector<std::string> given;
  for (int i = 0; i < 4; ++i) {
    ahead->Next([&](absl::StatusOr<std::string> piece) {
      given.push_back(*std::move(piece));
    });
  }
  EXPECT_THAT(given, ElementsAre("3", "2", "1", ""));
}

}  // namespace
}  // namespace cairn::http
