/* The powers of ten: each is cut from a big number that is exactly ten times, or a tenth of, the one before. */

#include "powers.h"

Wide powers[GREATEST_POWER - LEAST_POWER + 1];

/* 32 bits each, the least first. 10^342 has 1137 bits; 128 more must remain of the unit that it divides. */
enum { LIMBS = 42 };

static Wide first_bits(const uint32_t *limbs) {
  int top = LIMBS - 1;
  while (!limbs[top])
    top--;
  Wide bits = 0;
  for (int i = 0; i < 4; i++)
    bits = bits << 32 | limbs[top - i];
  int shift = __builtin_clz(limbs[top]);
  return bits << shift | (uint64_t)limbs[top - 4] >> (32 - shift);
}

static void multiply_by_ten(uint32_t *limbs) {
  uint64_t carry = 0;
  for (int i = 0; i < LIMBS; i++) {
    carry += (uint64_t)limbs[i] * 10;
    limbs[i] = (uint32_t)carry;
    carry >>= 32;
  }
}

/* Rounding down what was rounded down loses nothing: floor(floor(unit / a) / b) is floor(unit / (a * b)). */
static void divide_by_ten(uint32_t *limbs) {
  uint64_t rest = 0;
  for (int i = LIMBS - 1; i >= 0; i--) {
    rest = rest << 32 | limbs[i];
    limbs[i] = (uint32_t)(rest / 10);
    rest %= 10;
  }
}

__attribute__((constructor)) void make_powers(void) {
  if (powers[0]) /* the last one made */
    return;
  uint32_t growing[LIMBS] = {[4] = 1}; /* four limbs below the unit, so that any number has 128 bits */
  for (int e = 0; e <= GREATEST_POWER; e++, multiply_by_ten(growing))
    powers[e - LEAST_POWER] = first_bits(growing);
  uint32_t shrinking[LIMBS] = {[LIMBS - 1] = 1};
  for (int e = -1; e >= LEAST_POWER; e--) {
    divide_by_ten(shrinking);
    powers[e - LEAST_POWER] = first_bits(shrinking);
  }
}
