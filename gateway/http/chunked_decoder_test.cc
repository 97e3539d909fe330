#include "gateway/http/chunked_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/limits.h"

namespace cairn::http {
namespace {

using State = ChunkedDecoder::State;

struct Decoded {
  std::string body;
  State state = State::kMore;
  size_t consumed = 0;
};

// Decodes `in`, given `cut` bytes at a time, data of at most `data_max`.
Decoded Decode(absl::string_view in, size_t cut = 1 << 20,
               size_t data_max = 1 << 20) {
  ChunkedDecoder decoder;
  Decoded decoded;
  while (decoded.consumed < in.size() && decoded.state == State::kMore) {
    const ChunkedDecoder::Step step =
        decoder.Next(in.substr(decoded.consumed, cut), data_max);
    EXPECT_GT(step.consumed, 0u);
    EXPECT_LE(step.data.size(), data_max);
    decoded.consumed += step.consumed;
    decoded.body.append(step.data.data(), step.data.size());
    decoded.state = step.state;
  }
  return decoded;
}

TEST(ChunkedDecoderTest, GivesTheBodyAndLeavesWhatFollows) {
  const std::string in =
      "5\r\nhello\r\n00A;name=\"v\"\r\n 0123\r\n\r\nx\r\n0\r\n"
      "Trailer: x\r\nOther:\r\n\r\nGET /";
  for (const size_t cut : {1, 2, 3, 7, 1000}) {
    for (const size_t data_max : {1, 3, 1000}) {
      const Decoded decoded = Decode(in, cut, data_max);
      EXPECT_EQ(decoded.state, State::kEnd);
      EXPECT_EQ(decoded.body, "hello 0123\r\n\r\nx");
      EXPECT_EQ(in.substr(decoded.consumed), "GET /");
    }
  }
}

TEST(ChunkedDecoderTest, Table) {
  const std::vector<std::pair<std::string, State>> cases = {
      {"0\r\n\r\n", State::kEnd},
      {"000\r\n\r\n", State::kEnd},
      {"0;a\r\n\r\n", State::kEnd},
      {"1\r\na\r\n0\r\n\r\n", State::kEnd},
      {"fFfF", State::kMore},
      {"1\r\na\r\n0\r\n\r", State::kMore},
      // Sizes that another reader could read otherwise.
      {"-1\r\n", State::kBroken},
      {"+1\r\n", State::kBroken},
      {"0x1\r\n", State::kBroken},
      {" 1\r\n", State::kBroken},
      {"1 \r\na", State::kBroken},
      {"1\t;x\r\na", State::kBroken},
      {"g\r\n", State::kBroken},
      {"\r\n", State::kBroken},
      {";a\r\n", State::kBroken},
      {"1,1\r\n", State::kBroken},
      {"50000000000\r\n", State::kMore},              // 5 TiB.
      {"50000000001\r\n", State::kBroken},            // A byte more.
      {"1\r\na\r\n50000000000\r\n", State::kBroken},  // In sum.
      {"000000000000000\r\n\r\n", State::kEnd},
      {"0000000000000001\r\n", State::kBroken},
      {"fffffffffffffffff\r\n", State::kBroken},
      {"ffffffffffffffff\r\n", State::kBroken},
      // Line ends.
      {"1\na\n0\n\n", State::kBroken},
      {"1\r\na\n", State::kBroken},
      {"1\rx", State::kBroken},
      {"1\r\nab\r\n", State::kBroken},
      {"1\r\na\rb", State::kBroken},
      {"0;a\nb\r\n\r\n", State::kBroken},
      {"0;a\x01\r\n\r\n", State::kBroken},
      // Trailers.
      {"0\r\nA: b\r\n\r\n", State::kEnd},
      {"0\r\nno colon\r\n\r\n", State::kBroken},
      {"0\r\n: b\r\n\r\n", State::kBroken},
      {"0\r\n A: b\r\n\r\n", State::kBroken},
      {"0\r\nA: b\n\r\n", State::kBroken},
      {"0\r\nA: b\rc\r\n\r\n", State::kBroken},
      {"0\r\n\n", State::kBroken},
      {"0\r\n\rx", State::kBroken},
  };
  for (const auto& [in, state] : cases) {
    EXPECT_EQ(Decode(in).state, state) << in;
    EXPECT_EQ(Decode(in, 1).state, state) << in;
  }
}

TEST(ChunkedDecoderTest, ExtensionsAndTrailersAreBounded) {
  const auto max = static_cast<size_t>(base::kChunkDroppedBytesMax);
  const std::string extension(max, 'x');
  EXPECT_EQ(Decode("0;" + extension + "\r\n\r\n").state, State::kEnd);
  EXPECT_EQ(Decode("0;" + extension + "x\r\n\r\n").state, State::kBroken);
  const std::string trailer = "A:" + std::string(max - 2, 'x');
  EXPECT_EQ(Decode("0\r\n" + trailer + "\r\n\r\n").state, State::kEnd);
  EXPECT_EQ(Decode("0\r\n" + trailer + "x\r\n\r\n").state, State::kBroken);
  // Many small ones are no way round.
  std::string many;
  for (size_t i = 0; i <= max / 10; ++i) many += "1;0123456789\r\na\r\n";
  EXPECT_EQ(Decode(many).state, State::kBroken);
}

TEST(ChunkedDecoderTest, RandomCutsGiveBackWhatWentIn) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string body;
    std::string in;
    for (int chunks = random() % 20; chunks > 0; --chunks) {
      std::string chunk(1 + random() % 300, '\0');
      std::generate(chunk.begin(), chunk.end(), random);
      body += chunk;
      absl::StrAppend(&in, absl::Hex(chunk.size()), "\r\n", chunk, "\r\n");
    }
    in += "0\r\n\r\n";
    const Decoded decoded = Decode(in, 1 + random() % 200, 1 + random() % 100);
    ASSERT_EQ(decoded.state, State::kEnd);
    ASSERT_EQ(decoded.body, body);
    ASSERT_EQ(decoded.consumed, in.size());
  }
}

}  // namespace
}  // namespace cairn::http
