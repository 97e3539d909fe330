#include "admin/completion.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "admin/session.h"
#include "proto/convert.h"

namespace cairn::admin {
namespace {

// The words are those of the line, split at blanks: bash's own also end at
// each ':' and '='.
constexpr char kBashScript[] = R"(_cairn() {
  local line words
  local word="${COMP_WORDS[COMP_CWORD]}"
  read -ra words <<< "${COMP_LINE:0:COMP_POINT}"
  case "${COMP_LINE:0:COMP_POINT}" in *[[:space:]]) words+=('') ;; esac
  COMPREPLY=()
  while IFS= read -r line; do
    if [ "$line" = ':files' ]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r line; do
        COMPREPLY+=("$line")
      done < <(compgen -f -- "$word")
    else
      COMPREPLY+=("$line")
    fi
  done < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _cairn cairn
)";

constexpr char kZshScript[] = R"(#compdef cairn
_cairn() {
  local -a lines
  lines=("${(@f)$("${words[1]/#\~/$HOME}" __complete \
    "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if (( ${lines[(Ie):files]} )); then
    lines=("${(@)lines:#:files}")
    _files
  fi
  lines=("${(@)lines:#}")
  (( ${#lines} )) && compadd -- "${(@)lines}"
}
if [ "${funcstack[1]}" = _cairn ]; then
  _cairn "$@"
else
  compdef _cairn cairn
fi
)";

bool AnyApp(const CLI::App*) { return true; }
bool AnyOption(const CLI::Option*) { return true; }

// How the last word stands to the ones before it.
struct Place {
  // The command that was chosen, and those it belongs to.
  std::vector<const CLI::App*> apps;
  const CLI::Option* value_of = nullptr;  // The word is the value of this.
  size_t operands_count = 0;              // That stand before it.
  bool only_operands = false;             // Behind "--".
};

std::vector<const CLI::Option*> OptionsOf(const Place& place) {
  std::vector<const CLI::Option*> options;
  for (const CLI::App* app : place.apps) {
    for (const CLI::Option* option : app->get_options(AnyOption)) {
      options.push_back(option);
    }
  }
  return options;
}

const CLI::App* Subcommand(const CLI::App* app, const std::string& word) {
  for (const CLI::App* command : app->get_subcommands(AnyApp)) {
    if (command->get_name() == word) return command;
  }
  return nullptr;
}

// The option that `word` names and whose value is the next word.
const CLI::Option* OptionWithValue(const Place& place,
                                   const std::string& word) {
  for (const CLI::Option* option : OptionsOf(place)) {
    if (!option->get_positional() && option->check_name(word) &&
        option->get_items_expected_max() > 0) {
      return option;
    }
  }
  return nullptr;
}

void Pass(const std::string& word, Place* place) {
  if (place->value_of != nullptr) {
    place->value_of = nullptr;
  } else if (place->only_operands) {
    ++place->operands_count;
  } else if (word == "--") {
    place->only_operands = true;
  } else if (absl::StartsWith(word, "-") && word.size() > 1) {
    place->value_of = OptionWithValue(*place, word);
  } else if (const CLI::App* command = Subcommand(place->apps.back(), word);
             command != nullptr) {
    place->apps.push_back(command);
  } else {
    ++place->operands_count;
  }
}

// The operand that the word would be; nullptr: there is none.
const CLI::Option* OperandAt(const Place& place) {
  size_t count = 0;
  const CLI::Option* last = nullptr;
  for (const CLI::Option* option : place.apps.back()->get_options(AnyOption)) {
    if (!option->get_positional()) continue;
    last = option;
    if (count++ == place.operands_count) return option;
  }
  return last != nullptr && last->get_items_expected_max() > 1 ? last : nullptr;
}

void AddNames(const Place& place, std::vector<std::string>* candidates) {
  for (const CLI::Option* option : OptionsOf(place)) {
    for (const std::string& name : option->get_lnames()) {
      candidates->push_back("--" + name);
    }
    for (const std::string& name : option->get_snames()) {
      candidates->push_back("-" + name);
    }
  }
}

std::vector<std::string> VolumesOf(const std::string& master) {
  const auto all = AdminClient(master).ListVolumes(absl::Seconds(1));
  std::vector<std::string> ids;
  if (!all.ok()) return ids;  // Nothing to offer; not the time for a sentence.
  for (const v1::Volume& volume : all->volumes()) {
    ids.push_back(VolumeIdText(volume.volume_id()));
  }
  return ids;
}

// As the parser will find it, if it can be found yet.
std::string MasterOf(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--master" && i + 1 < words.size()) return words[i + 1];
    if (absl::StartsWith(words[i], "--master=")) return words[i].substr(9);
  }
  const char* const name = getenv("CAIRN_MASTER");
  return name != nullptr ? name : Arguments().master;
}

}  // namespace

std::vector<std::string> Completions(
    const CommandLine& line, const std::vector<std::string>& words,
    const std::function<std::vector<std::string>()>& volumes) {
  Place place;
  place.apps = {&line.app};
  for (size_t i = 0; i + 1 < words.size(); ++i) Pass(words[i], &place);
  const std::string word = words.empty() ? "" : words.back();

  std::vector<std::string> candidates;
  const CLI::Option* option = place.value_of;
  if (option == nullptr && !place.only_operands &&
      absl::StartsWith(word, "-")) {
    AddNames(place, &candidates);
  } else if (option == nullptr) {
    for (const CLI::App* app : place.apps.back()->get_subcommands(AnyApp)) {
      candidates.push_back(app->get_name());
    }
    option = OperandAt(place);
  }
  const auto kind = line.kinds.find(option);
  bool files = false;
  if (kind != line.kinds.end()) {
    switch (kind->second) {
      case WordKind::kFile:
        files = !absl::StartsWith(word, "cairn:");
        break;
      case WordKind::kVolume:
        candidates = volumes();
        break;
      case WordKind::kShell:
        candidates = {"bash", "zsh"};
        break;
      case WordKind::kOther:
        break;
    }
  }
  std::vector<std::string> fitting;
  for (std::string& candidate : candidates) {
    if (absl::StartsWith(candidate, word)) {
      fitting.push_back(std::move(candidate));
    }
  }
  if (files) fitting.push_back(kFilesWord);
  return fitting;
}

int RunComplete(const std::vector<std::string>& words) {
  const CommandLine line;
  std::string text;
  for (const std::string& candidate :
       Completions(line, words, [&] { return VolumesOf(MasterOf(words)); })) {
    absl::StrAppend(&text, candidate, "\n");
  }
  return Report(Print(text));
}

int RunCompletion(const Arguments& arguments) {
  return Report(Print(arguments.shell == "zsh" ? kZshScript : kBashScript));
}

}  // namespace cairn::admin
