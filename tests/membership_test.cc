// Volumes that come, move and differ, as real processes: a volume keeps its
// identity when its address changes, its share follows its capacity, and
// replicas are spread over zones.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

namespace fs = std::filesystem;

// Large enough for a redirect, so that the volumes themselves answer.
const char kPadding[] = "padding ";

ClusterOptions Small(int volumes) {
  ClusterOptions options;
  options.volumes = volumes;
  options.subvolumes = 1;
  options.master_flags = {"--durability=os"};
  return options;
}

std::string ValueOf(int key) {
  std::string value = absl::StrCat("value of ", key, " ");
  while (value.size() < 6000) value += kPadding;
  return value;
}

class MovingTest : public testing::Test {
 protected:
  void PutAll(const Cluster& cluster, int keys) {
    for (int i = 0; i < keys; ++i) {
      ASSERT_EQ(
          HttpPut(cluster.gateway_port(), absl::StrCat("/k", i), ValueOf(i))
              .status,
          201)
          << i;
    }
  }
  void ExpectAll(const Cluster& cluster, int keys) {
    for (int i = 0; i < keys; ++i) {
      ASSERT_TRUE(
          HttpRead(cluster.gateway_port(), absl::StrCat("/k", i)).body ==
          ValueOf(i))
          << i;
    }
  }
};

// The http addresses of a key's replicas.
std::vector<std::string> VolumesOf(const Cluster& cluster, int key) {
  const Reply head = Http(cluster.gateway_port(),
                          absl::StrCat("HEAD /k", key, " HTTP/1.1\r\n"));
  std::vector<std::string> addresses;
  for (absl::string_view volume :
       absl::StrSplit(head.Header("Key-Volumes"), ',')) {
    addresses.emplace_back(volume.substr(0, volume.find('/')));
  }
  return addresses;
}

TEST_F(MovingTest, AVolumeThatChangesItsAddressKeepsItsIdentityAndItsBlobs) {
  Cluster cluster(Small(2));
  PutAll(cluster, 20);
  const v1::GetStatusResponse before = cluster.GetStatus();
  const std::string old_address = cluster.address("volume-1");
  const auto blobs = cluster.BlobFiles();

  cluster.Stop("volume-1");
  cluster.MoveVolume("volume-1");
  ASSERT_NE(cluster.address("volume-1"), old_address);
  cluster.Start("volume-1");
  cluster.WaitReady();
  // The only other copy is away: what is read comes from the new address.
  cluster.Kill("volume-2");
  cluster.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  ExpectAll(cluster, 20);

  const v1::GetStatusResponse after = cluster.GetStatus();
  ASSERT_EQ(after.map().volumes_size(), 2);
  std::set<uint32_t> ids_before, ids_after;
  for (const auto& v : before.map().volumes()) ids_before.insert(v.volume_id());
  for (const auto& v : after.map().volumes()) {
    ids_after.insert(v.volume_id());
    EXPECT_NE(v.grpc_address(), old_address);
  }
  EXPECT_EQ(ids_after, ids_before);
  EXPECT_EQ(cluster.BlobFiles(), blobs);

  // Deletes and writes reach it there too.
  cluster.Start("volume-2");
  cluster.WaitReady();
  EXPECT_EQ(Http(cluster.gateway_port(), "DELETE /k0 HTTP/1.1\r\n").status,
            204);
  EXPECT_EQ(cluster.BlobFiles().size(), blobs.size() - 2);
  // 503 until the gateway has found volume-2 again.
  EXPECT_TRUE(WaitUntil(absl::Seconds(5), [&] {
    return HttpPut(cluster.gateway_port(), "/k0", ValueOf(0)).status == 201;
  }));
  ExpectAll(cluster, 20);
}

TEST_F(MovingTest, VolumesThatSwapTheirAddressesAreNotMistaken) {
  Cluster cluster(Small(3));
  PutAll(cluster, 30);
  cluster.Stop("volume-1");
  cluster.Stop("volume-2");
  cluster.SwapAddresses("volume-1", "volume-2");
  cluster.Start("volume-1");
  cluster.Start("volume-2");
  cluster.WaitReady();
  ExpectAll(cluster, 30);
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(HttpPut(cluster.gateway_port(), absl::StrCat("/k", i), ValueOf(i))
                  .status,
              204);
  }
  ExpectAll(cluster, 30);
}

TEST_F(MovingTest, ReplicasAreSpreadOverZones) {
  ClusterOptions options = Small(4);
  for (const char* name : {"volume-1", "volume-2"}) {
    options.volume_flags[name] = {"--zone=east"};
  }
  for (const char* name : {"volume-3", "volume-4"}) {
    options.volume_flags[name] = {"--zone=west"};
  }
  Cluster cluster(options);
  std::map<std::string, std::string> zones;
  const v1::GetStatusResponse status = cluster.GetStatus();
  for (const v1::Volume& volume : status.map().volumes()) {
    zones[volume.http_address()] = volume.zone();
  }
  PutAll(cluster, 100);
  std::map<std::string, int> counts;
  for (int i = 0; i < 100; ++i) {
    const std::vector<std::string> volumes = VolumesOf(cluster, i);
    ASSERT_EQ(volumes.size(), 2);
    EXPECT_NE(zones.at(volumes[0]), zones.at(volumes[1])) << i;
    for (const std::string& volume : volumes) ++counts[volume];
  }
  // Binomial around 50: beyond these once in a million runs.
  for (const auto& [address, count] : counts) EXPECT_GT(count, 25) << address;

  // A whole zone goes: all is still there, and writes go on in the other.
  cluster.Kill("volume-3");
  cluster.Kill("volume-4");
  cluster.WaitVolume("volume-3", v1::VOLUME_STATE_DOWN);
  cluster.WaitVolume("volume-4", v1::VOLUME_STATE_DOWN);
  ExpectAll(cluster, 100);
  EXPECT_EQ(HttpPut(cluster.gateway_port(), "/k0", ValueOf(0)).status, 204);
  EXPECT_THAT(VolumesOf(cluster, 0),
              testing::Each(testing::ResultOf(
                  [&](const std::string& a) { return zones.at(a); }, "east")));
}

// Two file systems in memory, of which one is three times as large.
class CapacityTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"small", "large"}) {
      fs::create_directory(Path(name));
    }
    if (!Mount("small", 1) || !Mount("large", 3)) {
      GTEST_SKIP() << "file systems cannot be mounted here: not root";
    }
  }
  void TearDown() override {
    for (const char* name : {"small", "large"}) {
      umount2(Path(name).c_str(), MNT_DETACH);
    }
  }
  bool Mount(const std::string& name, int gib) {
    return mount("cairn-test", Path(name).c_str(), "tmpfs", 0,
                 absl::StrCat("size=", gib, "g").c_str()) == 0;
  }
  std::string Path(const std::string& name) {
    return absl::StrCat(directory_.path(), "/", name);
  }

  TemporaryDirectory directory_;
};

TEST_F(CapacityTest, TheShareOfAVolumeFollowsItsCapacity) {
  ClusterOptions options = Small(2);
  options.replicas = 1;
  options.volume_flags["volume-1"] = {"--subvolume_dirs=" + Path("small") +
                                      "/cairn"};
  options.volume_flags["volume-2"] = {"--subvolume_dirs=" + Path("large") +
                                      "/cairn"};
  {
    Cluster cluster(options);
    std::map<std::string, int64_t> weights;
    const v1::GetStatusResponse status = cluster.GetStatus();
    for (const v1::Volume& volume : status.map().volumes()) {
      weights[volume.grpc_address()] = volume.weight();
    }
    EXPECT_EQ(weights.at(cluster.address("volume-1")), 1);
    EXPECT_EQ(weights.at(cluster.address("volume-2")), 3);
    for (int i = 0; i < 400; ++i) {
      ASSERT_EQ(
          HttpPut(cluster.gateway_port(), absl::StrCat("/k", i), "x").status,
          201);
    }
    const auto files = [&](const std::string& name) {
      int count = 0;
      for (const auto& entry : fs::recursive_directory_iterator(Path(name))) {
        const std::string file = entry.path().filename();
        if (file.find('@') != std::string::npos) ++count;
      }
      return count;
    };
    EXPECT_EQ(files("small") + files("large"), 400);
    // 100 +- 5 deviations of 8.7.
    EXPECT_GT(files("small"), 56);
    EXPECT_LT(files("small"), 144);

    // It grows while it runs, and the weight with it.
    ASSERT_EQ(mount("cairn-test", Path("small").c_str(), "tmpfs", MS_REMOUNT,
                    "size=2g"),
              0);
    EXPECT_TRUE(WaitUntil(absl::Seconds(10), [&] {
      const v1::GetStatusResponse now = cluster.GetStatus();
      for (const v1::Volume& volume : now.map().volumes()) {
        if (volume.grpc_address() == cluster.address("volume-1")) {
          return volume.weight() == 2;
        }
      }
      return false;
    }));
  }
}

}  // namespace
}  // namespace cairn::tests
