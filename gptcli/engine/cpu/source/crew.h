// How many threads work together when other programs want the processors too.
//
// Threads that share every stage of a forward wait for the slowest, so one that the system has put
// aside holds up all. Where less than half of the time that they have together is work, half as
// many are at least as fast. The numbers are the same with any number of threads.
#pragma once

struct Crew {
  int wanted, now;
  int rest = 0;          // jobs until all are tried again
  int patience = SHORT;  // how many those are the next time
  static constexpr int SHORT = 16, LONG = 512;

  explicit Crew(int wanted) : wanted(wanted), now(wanted) {}

  // After a job: which share of their time its threads waited for each other, beyond the moment
  // that a wait always takes.
  void learn(double waited) {
    if (now > 1 && waited > 0.5) {
      now /= 2;
      rest = patience;
      patience = patience < LONG ? 2 * patience : LONG;
    } else if (now < wanted && --rest <= 0) {
      now = wanted;
    } else if (now == wanted) {
      patience = SHORT;
    }
  }
};
