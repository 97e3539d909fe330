// The command line `cairn` on a real cluster: what it writes, reads, lists and
// removes, its exit codes, and that HTTP sees the same.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

namespace fs = std::filesystem;

class CliTest : public testing::Test {
 protected:
  // Disks and power cuts matter to other tests: this is faster.
  static ClusterOptions Options() {
    ClusterOptions options;
    options.subvolumes = 1;
    options.master_flags = {"--durability=os"};
    return options;
  }
  // `cairn` with these words and redirections.
  Outcome Cairn(const std::string& words) {
    return Shell("CAIRN_MASTER=" + cluster_.master_address() + " admin/cairn " +
                 words);
  }
  // `cairn put` of a value from standard input.
  Outcome Put(const std::string& words, const std::string& value) {
    WriteFile(Path("input"), value);
    const Outcome outcome = Cairn("put " + words + " <" + Path("input"));
    fs::remove(Path("input"));
    return outcome;
  }
  std::vector<std::string> Lines(const std::string& words) {
    const Outcome outcome = Cairn(words);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return absl::StrSplit(outcome.out, '\n', absl::SkipEmpty());
  }
  std::string Path(const std::string& name) {
    return absl::StrCat(directory_.path(), "/", name);
  }
  std::string RandomFile(const std::string& name, int size) {
    EXPECT_EQ(
        Shell(absl::StrCat("head -c ", size, " /dev/urandom >", Path(name)))
            .code,
        0);
    return Path(name);
  }
  bool SameFiles(const std::string& a, const std::string& b) {
    return Shell(absl::StrCat("cmp ", a, " ", b)).code == 0;
  }
  int port() const { return cluster_.gateway_port(); }
  // Empty values, pipelined on several connections.
  void PutOverHttp(const std::vector<std::string>& targets);

  Cluster cluster_{Options()};
  TemporaryDirectory directory_;
};

void CliTest::PutOverHttp(const std::vector<std::string>& targets) {
  constexpr size_t kConnections = 16;
  std::vector<std::unique_ptr<Connection>> connections;
  for (size_t i = 0; i < kConnections; ++i) {
    connections.push_back(std::make_unique<Connection>(port()));
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    connections[i % kConnections]->Send(
        absl::StrCat("PUT ", targets[i],
                     " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    ASSERT_EQ(connections[i % kConnections]->Read().status, 201) << targets[i];
  }
}

TEST_F(CliTest, WhatIsPutComesBack) {
  // Around the bounds of inlining, of batches and of pieces.
  for (const int size : {0, 1, 4096, 4097, 65536, 65537, 1048577, 5000000}) {
    SCOPED_TRACE(size);
    const std::string file = RandomFile("file", size);
    EXPECT_EQ(Cairn("put from-file " + file).text, "");
    EXPECT_EQ(Cairn("put from-input <" + file).text, "");
    EXPECT_EQ(Shell(absl::StrCat("cat ", file, " | admin/cairn --master ",
                                 cluster_.master_address(), " put from-pipe -"))
                  .text,
              "");
    EXPECT_EQ(Cairn("get from-file >" + Path("out")).text, "");
    EXPECT_TRUE(SameFiles(Path("out"), file));
    EXPECT_EQ(Cairn("get from-input -o " + Path("back")).text, "");
    EXPECT_TRUE(SameFiles(Path("back"), file));
    EXPECT_EQ(HttpRead(port(), "/from-pipe").body, ReadFile(file));
  }
}

TEST_F(CliTest, AMissingKeyIsANoThatNamesItAndTouchesNothing) {
  WriteFile(Path("before"), "before");
  for (const std::string& words :
       {std::string("get no/such%20key"), "get no/such%20key -o " + Path("new"),
        "get no/such%20key --output=" + Path("before"),
        std::string("stat no/such%20key"), std::string("rm no/such%20key")}) {
    const Outcome outcome = Cairn(words + " --escaped");
    EXPECT_EQ(outcome.code, 1) << words;
    EXPECT_EQ(outcome.text, "cairn: no/such%20key: the key does not exist\n");
  }
  EXPECT_EQ(Shell("ls " + directory_.path()).out, "before\n");
  EXPECT_EQ(ReadFile(Path("before")), "before");
}

TEST_F(CliTest, FilesThatCannotBeHadAreFailuresThatNameThem) {
  ASSERT_EQ(Put("k", "value\n").code, 0);
  for (const std::string& words :
       {std::string("put k /no/such/file"), "put k " + directory_.path(),
        std::string("get k -o /no/such/file"),
        "get k -o " + directory_.path()}) {
    const Outcome outcome = Cairn(words);
    EXPECT_EQ(outcome.code, 2) << words;
    EXPECT_THAT(outcome.text,
                AllOf(StartsWith("cairn: "),
                      HasSubstr(words.substr(words.rfind(' ') + 1))));
  }
  for (const char* words : {"get k", "ls", "stat k", "status"}) {
    const Outcome outcome = Cairn(absl::StrCat(words, " >/dev/full"));
    EXPECT_EQ(outcome.code, 2) << words;
    EXPECT_THAT(outcome.text, StartsWith("cairn: ")) << words;
  }
  EXPECT_EQ(Cairn("get k").out, "value\n") << "the failed puts changed it";
}

TEST_F(CliTest, ADeviceIsWrittenToAndNotReplaced) {
  ASSERT_EQ(Put("k", "value\n").code, 0);
  ASSERT_EQ(Shell("mkfifo " + Path("pipe")).code, 0);
  const Outcome outcome =
      Cairn(absl::StrCat("get k -o ", Path("pipe"), " & cat ", Path("pipe")));
  EXPECT_EQ(outcome.text, "value\n");
  EXPECT_TRUE(fs::is_fifo(Path("pipe")));
  EXPECT_EQ(Cairn("get k -o /dev/stdout | cat").text, "value\n");
}

TEST_F(CliTest, TypeAndMetadataTravelBothWays) {
  ASSERT_EQ(Put("a --content-type 'text/x-a; b=c' --meta Colour=blue "
                "--meta note='a=b %'",
                "a\n")
                .text,
            "");
  const Reply head = Http(port(), "HEAD /a HTTP/1.1\r\n");
  EXPECT_EQ(head.Header("Content-Type"), "text/x-a; b=c");
  EXPECT_EQ(head.Header("x-cairn-meta-colour"), "blue");
  EXPECT_EQ(head.Header("x-cairn-meta-note"), "a=b %");
  ASSERT_EQ(HttpPut(port(), "/b", "b",
                    "Content-Type: image/x-b\r\nX-Cairn-Meta-Size: 7\r\n")
                .status,
            201);
  EXPECT_THAT(Cairn("stat b").out, AllOf(HasSubstr("\ntype      image/x-b\n"),
                                         HasSubstr("\nmeta      size=7\n")));
  // A later put without them leaves none of the old ones.
  ASSERT_EQ(Put("a", "a\n").code, 0);
  EXPECT_EQ(Http(port(), "HEAD /a HTTP/1.1\r\n").CountOf("x-cairn-meta-note"),
            0);
}

TEST_F(CliTest, StatSaysWhatHttpSays) {
  const std::string file = RandomFile("file", 100000);
  ASSERT_EQ(Cairn("put dir/key " + file).code, 0);
  const Reply head = Http(port(), "HEAD /dir/key HTTP/1.1\r\n");
  const std::string stat = Cairn("stat dir/key").out;
  EXPECT_THAT(stat, StartsWith("key       dir/key\nsize      100000\n"));
  EXPECT_THAT(stat, HasSubstr(absl::StrCat("\netag      ",
                                           head.Header("Content-Md5"), "\n")));
  EXPECT_THAT(stat, HasSubstr(absl::StrCat(
                        "\nversion   ", head.Header("Cairn-Version"), "\n")));
  const std::string json = Cairn("stat --json dir/key").out;
  const std::vector<std::string> volumes =
      absl::StrSplit(head.Header("Key-Volumes"), ',');
  EXPECT_EQ(volumes.size(), 2);
  for (const std::string& volume : volumes) {
    const std::string address = volume.substr(0, volume.find('/'));
    EXPECT_THAT(stat, HasSubstr(address)) << volume;
    EXPECT_THAT(json, HasSubstr("\"nginx\": \"" + address + "\"")) << volume;
  }
  EXPECT_THAT(json, HasSubstr("\"size_bytes\": 100000,"));
}

TEST_F(CliTest, IfNewNeverReplaces) {
  const std::string large = RandomFile("large", 300000);
  EXPECT_EQ(Put("k --if-new", "one\n").code, 0);
  for (const std::string& from : {std::string("</dev/null"), large}) {
    const Outcome again = Cairn("put k --if-new " + from);
    EXPECT_EQ(again.code, 1);
    EXPECT_EQ(again.text, "cairn: k: the key exists already\n");
  }
  EXPECT_TRUE(Cairn("get k").out == "one\n");
  ASSERT_EQ(Cairn("rm k").code, 0);
  EXPECT_EQ(Cairn("put k --if-new " + large).code, 0);
}

TEST_F(CliTest, LsPrintsEveryKeyOverItsPagesInOrder) {
  EXPECT_THAT(Lines("ls"), IsEmpty());
  std::vector<std::string> keys;
  for (int i = 0; i < 11000; ++i) keys.push_back(absl::StrCat("k/", i));
  PutOverHttp([&] {
    std::vector<std::string> targets;
    for (const std::string& key : keys) targets.push_back("/" + key);
    return targets;
  }());
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(Lines("ls"), keys) << "10,000 keys are one page";
  EXPECT_EQ(Lines("ls k/"), keys);
  EXPECT_EQ(Lines("ls k/77").size(), 111);  // 77, 770-779, 7700-7799.
  EXPECT_THAT(Lines("ls k/10999"), ElementsAre("k/10999"));
  EXPECT_THAT(Lines("ls k/11000"), IsEmpty());
  EXPECT_THAT(Lines("ls /k"), IsEmpty()) << "keys have no leading slash";
}

TEST_F(CliTest, LsTellsMoreWhenAsked) {
  ASSERT_EQ(Put("'a b' --content-type text/x-a", "12345").code, 0);
  const Reply head = Http(port(), "HEAD /a%20b HTTP/1.1\r\n");
  EXPECT_THAT(Cairn("ls -l").out,
              MatchesRegex(" *5  20..-..-..T..:..:..Z  a%20b\n"));
  EXPECT_THAT(Cairn("ls --json a").out,
              AllOf(StartsWith("{\"key\":\"a%20b\",\"size_bytes\":5,"),
                    HasSubstr("\"etag\":\"" + head.Header("Content-Md5")),
                    HasSubstr("\"content_type\":\"text/x-a\"")));
  EXPECT_EQ(Cairn("ls --json nothing").out, "");
  EXPECT_EQ(Cairn("ls --json --long").code, 2);
}

TEST_F(CliTest, EveryByteOfAKeySurvivesListingReadingAndRemoving) {
  std::vector<std::string> targets;
  for (int byte = 0; byte < 256; ++byte) {
    targets.push_back(absl::StrFormat("/odd%%%02x", byte));
  }
  PutOverHttp(targets);
  const std::vector<std::string> lines = Lines("ls odd");
  ASSERT_EQ(lines.size(), 256);
  EXPECT_EQ(lines[0], "odd%00");
  EXPECT_EQ(lines[' '], "odd%20");
  EXPECT_EQ(lines['%'], "odd%25");
  EXPECT_EQ(lines['/'], "odd/");
  EXPECT_EQ(lines['a'], "odda");
  EXPECT_EQ(lines[255], "odd%FF");
  for (const std::string& line : lines) {
    EXPECT_EQ(HttpGet(port(), "/" + line).status, 200) << line;
  }
  EXPECT_EQ(Cairn("rm --escaped " + absl::StrJoin(lines, " ")).text, "");
  EXPECT_THAT(Lines("ls"), IsEmpty());
}

TEST_F(CliTest, KeysAreTheBytesTypedUnlessEscaped) {
  const std::string keys[] = {"a b", "a%20b", "/slash",   "..",
                              "//",  "-",     "\xc3\xa9", "\xff"};
  for (const std::string& key : keys) {
    ASSERT_EQ(Put("-- " + Quoted(key), key + "\n").text, "");
    EXPECT_EQ(Cairn("get -- " + Quoted(key)).out, key + "\n");
  }
  EXPECT_THAT(Lines("ls"), ElementsAre("-", "..", "//", "/slash", "a%20b",
                                       "a%2520b", "%C3%A9", "%FF"));
  EXPECT_EQ(HttpGet(port(), "/%2fslash").body, "/slash\n");
  EXPECT_EQ(Cairn("get --escaped a%20b").out, "a b\n");
  EXPECT_THAT(Lines("ls --escaped a%25"), ElementsAre("a%2520b"));
  const std::string longest(1024, 'k');
  EXPECT_EQ(Put(longest, "x").code, 0);
  EXPECT_EQ(Put(longest + "k", "x").code, 2);
}

TEST_F(CliTest, RmRemovesAllItCanAndSaysWhatWasMissing) {
  PutOverHttp({"/a", "/b", "/c"});
  const Outcome outcome = Cairn("rm a missing c");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.text, "cairn: missing: the key does not exist\n");
  EXPECT_THAT(Lines("ls"), ElementsAre("b"));
  EXPECT_EQ(HttpGet(port(), "/a").status, 404);
  EXPECT_EQ(Http(port(), "DELETE /b HTTP/1.1\r\n").status, 204);
  EXPECT_EQ(Cairn("get b").code, 1);
}

TEST_F(CliTest, StatusShowsEachVolumeAndWhetherItIsReady) {
  const Outcome status = Cairn("status");
  EXPECT_EQ(status.code, 0);
  EXPECT_THAT(status.text, StartsWith("ready     yes\n"));
  EXPECT_THAT(status.text, HasSubstr("\nvolumes   3: 3 up\n"));
  cluster_.Kill("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  EXPECT_THAT(Cairn("status").out, HasSubstr("  down "));
  EXPECT_THAT(
      Cairn("status --json").out,
      AllOf(HasSubstr("\"ready\": true"), HasSubstr("\"state\": \"down\""),
            HasSubstr("\"state\": \"up\"")));
  // With a volume down all still works.
  EXPECT_EQ(Put("k", "value\n").code, 0);
  EXPECT_EQ(Cairn("get k").out, "value\n");
  EXPECT_EQ(Cairn("rm k").code, 0);
}

TEST_F(CliTest, VolumeListShowsEachVolume) {
  const std::string table = Cairn("volume list").out;
  EXPECT_THAT(table, MatchesRegex("ID +STATE +FILL +USED +CAPACITY +DISKS +"
                                  "WEIGHT +ZONE +ADDRESS +NGINX\n(.* up .*\n)"
                                  "(.* up .*\n)(.* up .*\n)"));
  const std::string json = Cairn("volume list --json").out;
  EXPECT_THAT(json, StartsWith("[\n  {\n    \"id\": \""));
  const v1::GetStatusResponse status = cluster_.GetStatus();
  for (const v1::Volume& volume : status.map().volumes()) {
    EXPECT_THAT(table, HasSubstr(volume.grpc_address()));
    EXPECT_THAT(
        json, AllOf(HasSubstr("\"address\": \"" + volume.grpc_address()),
                    HasSubstr("\"http_address\": \"" + volume.http_address())));
  }
  EXPECT_EQ(Cairn("volume").code, 2);
}

TEST_F(CliTest, ALostIndexIsNeverAMissingKey) {
  ASSERT_EQ(Put("k", "value\n").code, 0);
  cluster_.Stop("master");
  fs::remove_all(cluster_.path() + "/master/index");
  cluster_.Start("master");
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return cluster_.GetStatus().not_ready_reason().find("rebuild") !=
           std::string::npos;
  })) << cluster_.GetStatus().not_ready_reason();
  const Outcome status = Cairn("status");
  EXPECT_EQ(status.code, 1);
  EXPECT_THAT(status.text, MatchesRegex("ready     no: the index is lost.*"));
  for (const char* words :
       {"get k", "stat k", "rm k", "ls", "put k /dev/null"}) {
    const Outcome outcome = Cairn(words);
    EXPECT_EQ(outcome.code, 2) << words;
    EXPECT_THAT(outcome.text, StartsWith("cairn: the index is lost")) << words;
  }
}

}  // namespace
}  // namespace cairn::tests
