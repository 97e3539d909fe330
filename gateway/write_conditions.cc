#include "gateway/write_conditions.h"

#include <string>
#include <utility>

#include "base/hash.h"

namespace cairn::gateway {
namespace {

// What the index can check, and whether something is left.
struct Plan {
  v1::Precondition precondition;
  bool lookup = false;
  // Nothing can fulfil it: only weak or foreign ETags.
  bool impossible = false;
};

// "*" or the MD5s of a list of strong ETags. An ETag of another form is no
// value's.
void PlanIfMatch(const std::string& list, Plan* plan) {
  for (const EntityTag& tag : ParseEntityTags(list)) {
    if (tag.any) {
      plan->precondition.clear_md5_any_of();
      plan->precondition.set_exists(true);
      return;
    }
    const size_t size = tag.quoted.size();
    const std::string md5 =
        tag.weak || size != 34 ? "" : base::FromHex(tag.quoted.substr(1, 32));
    if (!md5.empty()) plan->precondition.add_md5_any_of(md5);
  }
  plan->impossible = plan->precondition.md5_any_of().empty();
}

Plan MakePlan(const Call& call, const Conditions& conditions) {
  Plan plan;
  if (conditions.if_match) PlanIfMatch(*conditions.if_match, &plan);
  if (conditions.if_none_match) {
    for (const EntityTag& tag : ParseEntityTags(*conditions.if_none_match)) {
      if (tag.any) plan.precondition.set_absent(true);
    }
    plan.lookup = !plan.precondition.absent();
  }
  if (conditions.if_unmodified_since && !conditions.if_match) {
    plan.lookup = true;
  }
  if (call.head().method == "POST") plan.precondition.set_absent(true);
  return plan;
}

bool IsEmpty(const v1::Precondition& precondition) {
  return !precondition.absent() && !precondition.exists() &&
         precondition.md5_any_of().empty();
}

// Against the record of now. On OK `plan` has been tied to it where needed.
absl::Status CheckAgainst(const Call& call, const Conditions& conditions,
                          const absl::StatusOr<client::GetOutcome>& found,
                          Plan* plan) {
  if (absl::IsNotFound(found.status())) {
    return conditions.if_match ? PreconditionFailed(call) : absl::OkStatus();
  }
  if (!found.ok()) return found.status();
  if (plan->precondition.absent()) return PreconditionFailed(call);
  const v1::Record& record = found->record;
  if (EvaluateConditions(conditions, EtagOf(record), MtimeOf(record),
                         /*read=*/false) != ConditionResult::kHold) {
    return PreconditionFailed(call);
  }
  if (plan->lookup) {
    plan->precondition.clear_md5_any_of();
    plan->precondition.add_md5_any_of(record.digest().md5());
  }
  return absl::OkStatus();
}

}  // namespace

void ResolveWriteConditions(
    const CallPtr& call, bool check_now,
    std::function<void(absl::StatusOr<v1::Precondition>)> done) {
  const Conditions conditions = ConditionsOf(call->head());
  Plan plan = MakePlan(*call, conditions);
  if (plan.impossible) return done(PreconditionFailed(*call));
  if (!plan.lookup && (!check_now || IsEmpty(plan.precondition))) {
    return done(std::move(plan.precondition));
  }
  call->store().Get(
      call->target.key, /*with_value=*/false, call->request_id,
      [call, conditions, plan, done = std::move(done)](
          const absl::StatusOr<client::GetOutcome>& found) mutable {
        const absl::Status status =
            CheckAgainst(*call, conditions, found, &plan);
        if (!status.ok()) return done(status);
        done(std::move(plan.precondition));
      });
}

absl::Status PreconditionFailed(const Call& call) {
  if (call.head().method == "POST") {
    return absl::AlreadyExistsError(
        "the key exists already: use PUT to replace its value");
  }
  return absl::FailedPreconditionError(
      "the conditions of the request (If-Match, If-None-Match, "
      "If-Unmodified-Since) do not hold for this key: read it again, and "
      "write with the ETag that you get");
}

}  // namespace cairn::gateway
