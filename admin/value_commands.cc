#include "admin/value_commands.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "admin/files.h"
#include "admin/session.h"
#include "admin/value_text.h"
#include "base/blob_name.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

absl::StatusOr<std::string> KeyOf(const std::string& argument, bool escaped) {
  if (!escaped) return argument;
  return base::Unescape(argument);
}

// The key as people read it in messages.
absl::Status AboutKey(const absl::Status& status, const std::string& key) {
  return base::Annotate(status, base::EscapeKeyForUrl(key));
}

absl::StatusOr<client::PutOptions> PutOptionsOf(const Arguments& arguments) {
  client::PutOptions options;
  options.metadata.set_content_type(arguments.content_type);
  options.precondition.set_absent(arguments.if_new);
  for (const std::string& pair : arguments.meta) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--meta ", pair, ": give it as NAME=VALUE"));
    }
    const std::string name = absl::AsciiStrToLower(pair.substr(0, equals));
    (*options.metadata.mutable_user())[name] = pair.substr(equals + 1);
  }
  return options;
}

absl::Status Put(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string key,
                   KeyOf(arguments.key, arguments.escaped));
  RETURN_IF_ERROR(base::CheckKey(key));
  ASSIGN_OR_RETURN(client::PutOptions options, PutOptionsOf(arguments));
  auto file = InputFile::Open(arguments.file);
  RETURN_IF_ERROR(OfFile(file.status()));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  const auto outcome = session.store->Put(
      key, [&](char* buffer, size_t size) { return file->Read(buffer, size); },
      file->size_bytes(), std::move(options));
  return AboutKey(outcome.status(), key);
}

absl::Status Get(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string key,
                   KeyOf(arguments.key, arguments.escaped));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  // Before anything is created: no file for a key that is missing.
  RETURN_IF_ERROR(AboutKey(session.store->Stat(key).status(), key));
  auto file = OutputFile::Open(arguments.file);
  RETURN_IF_ERROR(OfFile(file.status()));
  const auto sink = [&](absl::string_view bytes) {
    return OfFile(file->Write(bytes));
  };
  RETURN_IF_ERROR(AboutKey(session.store->Get(key, sink), key));
  return OfFile(file->Commit());
}

// One line for each key of the page.
std::string LinesOf(const v1::ListKeysResponse& page,
                    const Arguments& arguments) {
  std::string lines;
  for (int i = 0; i < page.keys_size(); ++i) {
    const std::string& key = page.keys(i);
    if (arguments.json) {
      lines += KeyJsonLine(key, page.records(i));
    } else if (arguments.long_list) {
      lines += KeyLine(key, page.records(i));
    } else {
      absl::StrAppend(&lines, base::EscapeKeyForUrl(key), "\n");
    }
  }
  return lines;
}

absl::Status List(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string prefix,
                   KeyOf(arguments.key, arguments.escaped));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  std::string start;
  do {
    ASSIGN_OR_RETURN(const v1::ListKeysResponse page,
                     session.store->List(
                         prefix, start, arguments.json || arguments.long_list));
    RETURN_IF_ERROR(Print(LinesOf(page, arguments)));
    start = page.next();
  } while (!start.empty());
  return absl::OkStatus();
}

absl::Status Stat(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string key,
                   KeyOf(arguments.key, arguments.escaped));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  const auto record = session.store->Stat(key);
  RETURN_IF_ERROR(AboutKey(record.status(), key));
  const auto view = session.metadata->view();
  return Print(arguments.json ? StatJson(key, *record, view->map)
                              : StatText(key, *record, view->map));
}

}  // namespace

int RunPut(const Arguments& arguments) { return Report(Put(arguments)); }

int RunGet(const Arguments& arguments) { return Report(Get(arguments)); }

int RunList(const Arguments& arguments) { return Report(List(arguments)); }

int RunStat(const Arguments& arguments) { return Report(Stat(arguments)); }

int RunRemove(const Arguments& arguments) {
  const auto session = Connect(arguments.master);
  if (!session.ok()) return Report(session.status());
  int worst = kDone;
  for (const std::string& argument : arguments.keys) {
    const auto key = KeyOf(argument, arguments.escaped);
    const absl::Status status =
        key.ok() ? AboutKey(session->store->Delete(*key), *key)
                 : base::Annotate(key.status(), argument);
    worst = std::max(worst, Report(status));
  }
  return worst;
}

}  // namespace cairn::admin
