// Many keys of mixed sizes and a load of reads, overwrites and deletes on them
// that knows at every moment what each key must hold.

#ifndef CAIRN_TESTS_POPULATION_H_
#define CAIRN_TESTS_POPULATION_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace cairn::tests {

// Each worker has keys of its own, and knows what it wrote there last.
class Population {
 public:
  Population(int gateway_port, int keys, int workers);
  ~Population();

  // Puts every key once.
  void Fill();
  // Reads (of three in four operations, each checked byte by byte), overwrites
  // and deletes, on all workers, until Stop().
  void Start();
  void Stop();

  // From now on 503 is a declared answer, and 504 to a read that has waited for
  // the master: it is asked again, and not counted.
  void SetLost(bool lost) { lost_ = lost; }
  // While an nginx is killed: a transfer that it cuts, or a redirect that led
  // to it, is asked for again, once, as a client does.
  void SetDying(bool dying) { dying_ = dying; }

  int64_t operations() const { return operations_; }
  // Answers that must not be: another value than was written last, 404 for one
  // that is there, a value for one that was deleted, any error that was not
  // declared. The first ten, a line each.
  int64_t wrong() const { return wrong_; }
  std::vector<std::string> findings();

  // After Stop(): reads every key, and holds the listing against what is there.
  // Findings count as wrong.
  void Check();

 private:
  // What a key holds: the number of its value, 0 for none. `unsure`: a write
  // had no definite answer, so that the number before it may be there as well.
  struct Key {
    uint64_t number = 0;
    uint64_t before = 0;
    bool unsure = false;
  };

  std::string NameOf(int key) const;
  static std::string ValueOf(int key, uint64_t number);
  void ForAll(void (Population::*visit)(int worker));
  void FillSome(int worker);
  void Work(int worker);
  void CheckSome(int worker);
  void Write(int key, uint64_t number);  // 0: deletes.
  void Read(int key);
  void AddFinding(int key, const std::string& what);

  const int port_;
  const int workers_;
  std::vector<Key> keys_;  // Each belongs to one worker.
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> lost_ = false;
  std::atomic<bool> dying_ = false;
  std::atomic<int64_t> operations_ = 0;
  std::atomic<int64_t> wrong_ = 0;
  base::Mutex mu_;
  std::vector<std::string> findings_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_POPULATION_H_
