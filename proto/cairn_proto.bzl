"""One rule for protos: protoc and gRPC's plugin in, a cc_library out."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def cairn_proto_library(name, src, deps = [], grpc = True, imports = []):
    """Generates C++ for one .proto.

    Args:
      name: of the cc_library.
      src: the .proto, in this package or below it.
      deps: cairn_proto_library targets whose messages it uses.
      grpc: whether to generate stubs of services too.
      imports: the .proto files that it imports, as labels.
    """
    base = src[:-len(".proto")]
    kinds = [".pb"] + ([".grpc.pb"] if grpc else [])
    outs = [base + kind + end for kind in kinds for end in [".h", ".cc"]]
    command = "protoc -I. --cpp_out=$(GENDIR)"
    if grpc:
        command += " --grpc_out=$(GENDIR)" + \
                   " --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
    native.genrule(
        name = name + "_generate",
        srcs = [src] + imports,
        outs = outs,
        cmd = command + " $(location " + src + ")",
    )
    cc_library(
        name = name,
        srcs = [out for out in outs if out.endswith(".cc")],
        hdrs = [out for out in outs if out.endswith(".h")],
        copts = ["-Wno-all", "-Wno-extra"],
        # Descriptors register themselves: reflection must find all of them.
        alwayslink = True,
        visibility = ["//visibility:public"],
        deps = deps + ["//third_party/absl", "//third_party/protobuf"] +
               (["//third_party/grpc:grpc++"] if grpc else []),
    )
