// Types by number, for those of which a file says at run time which one it has.
#pragma once
#include <stdint.h>

template <class... T> struct List { static constexpr int32_t COUNT = sizeof...(T); };

// visit(the type of that number); all of these return the same.
template <class First, class... Rest, class Visit>
static inline auto of_number(List<First, Rest...>, int32_t number, Visit visit) {
  if constexpr (sizeof...(Rest) > 0) {
    if (number > 0) return of_number(List<Rest...>{}, number - 1, visit);
  }
  return visit(First{});
}

// A number that is known when this is compiled, as a value.
template <int N> struct Number { static constexpr int value = N; constexpr operator int() const { return N; } };

// visit(0), visit(1), … visit(N - 1), each as a Number, written out one after the other.
template <int N, int I = 0, class Visit>
__attribute__((always_inline)) static inline void each(Visit visit) {
  if constexpr (I < N) {
    visit(Number<I>{});
    each<N, I + 1>(visit);
  }
}

template <class A, class B> static constexpr bool SAME = false;
template <class A> static constexpr bool SAME<A, A> = true;
