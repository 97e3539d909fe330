// All that the index says of its keys, as text, to compare before and after.

#ifndef CAIRN_TESTS_INDEX_DUMP_H_
#define CAIRN_TESTS_INDEX_DUMP_H_

#include <map>
#include <string>

#include "proto/cairn/v1/common.pb.h"

namespace cairn::tests {

// The record of each key, as text: version, size, hashes, type, metadata and
// replicas (in the order of their ids: any of them serves a read). Aborts the
// test when the master does not answer.
std::map<std::string, std::string> DumpIndex(const std::string& master_address);

// What differs, a line each; empty: nothing.
std::string DifferenceOf(const std::map<std::string, std::string>& before,
                         const std::map<std::string, std::string>& after);

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_INDEX_DUMP_H_
