/* The words that every number is made from: Philox4x64-10. */

#ifndef RANDSTREAM_WORDS_H
#define RANDSTREAM_WORDS_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t multiply(uint64_t a, uint64_t b, uint64_t *high) {
  unsigned __int128 product = (unsigned __int128)a * b;
  *high = (uint64_t)(product >> 64);
  return (uint64_t)product;
}

/* Words 4 * block to 4 * block + count - 1, `count` being a multiple of four, of Philox4x64-10 as in NumPy, which
   counts up before it makes a block. Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC11). */
static inline void make_words(uint64_t key0, uint64_t key1, uint64_t block, size_t count, uint64_t *words) {
  for (uint64_t *end = words + count; words < end; words += 4) {
    uint64_t x0 = ++block, x1 = 0, x2 = 0, x3 = 0, k0 = key0, k1 = key1;
    for (int round = 0; round < 10; round++) {
      uint64_t high0, high2;
      uint64_t low0 = multiply(x0, 0xD2E7470EE14C6C93, &high0), low2 = multiply(x2, 0xCA5A826395121157, &high2);
      x0 = high2 ^ x1 ^ k0;
      x1 = low2;
      x2 = high0 ^ x3 ^ k1;
      x3 = low0;
      k0 += 0x9E3779B97F4A7C15;
      k1 += 0xBB67AE8584CAA73B;
    }
    words[0] = x0;
    words[1] = x1;
    words[2] = x2;
    words[3] = x3;
  }
}

#endif
