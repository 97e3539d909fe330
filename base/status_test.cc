#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace cairn::base {
namespace {

using Code = absl::StatusCode;

TEST(StatusTest, TheErrnosThatDecideOnADiskHaveCodesOfTheirOwn) {
  EXPECT_EQ(PosixError("fsync", "/d/x", EIO).code(), Code::kDataLoss);
  EXPECT_EQ(PosixError("write", "/d/x", ENOSPC).code(),
            Code::kResourceExhausted);
  EXPECT_EQ(PosixError("write", "/d/x", EDQUOT).code(),
            Code::kResourceExhausted);
  EXPECT_EQ(PosixError("open", "/d/x", EROFS).code(), Code::kUnavailable);
  EXPECT_EQ(PosixError("open", "/d/x", ENOENT).code(), Code::kNotFound);
}

TEST(StatusTest, AnErrnoSaysWhatWasTriedOnWhat) {
  for (const int error : {EIO, ENOSPC, EROFS, ENOENT}) {
    const std::string message(PosixError("open", "/d/x", error).message());
    EXPECT_EQ(message.rfind("open /d/x: ", 0), 0u) << message;
  }
}

TEST(StatusTest, AnnotateAddsAViewAndKeepsTheCode) {
  const absl::Status status =
      Annotate(absl::NotFoundError("no such blob"), "copying");
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "copying: no such blob");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "copying").ok());
}

absl::StatusOr<std::unique_ptr<int>> Make(bool good) {
  if (!good) return absl::AbortedError("not good");
  return std::make_unique<int>(7);
}

absl::Status Use(bool good, int* out) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> made, Make(good));
  RETURN_IF_ERROR(absl::OkStatus());
  *out = *made;
  return absl::OkStatus();
}

TEST(StatusTest, TheMacrosMoveValuesAndReturnErrors) {
  int out = 0;
  EXPECT_EQ(Use(false, &out).code(), Code::kAborted);
  EXPECT_EQ(out, 0);
  EXPECT_TRUE(Use(true, &out).ok());
  EXPECT_EQ(out, 7);
}

}  // namespace
}  // namespace cairn::base
