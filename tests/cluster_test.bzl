"""A test that starts the programs: alone, since it measures no other's load."""

load("@rules_cc//cc:defs.bzl", "cc_test")

def cluster_test(
        name,
        size = "medium",
        srcs = None,
        data = [],
        deps = [],
        tags = [],
        **kwargs):
    cc_test(
        name = name,
        size = size,
        srcs = srcs or [name + ".cc"],
        data = data + [
            "//admin:cairn",
            "//gateway:cairn-gateway",
            "//master:cairn-master",
            "//volume:cairn-volume",
        ],
        tags = tags + ["exclusive"],
        deps = deps + [
            ":cluster",
            ":http",
            ":process",
            "//third_party/absl",
            "//third_party/gtest:gtest_main",
        ],
        **kwargs
    )
