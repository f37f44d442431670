/* Float64 numbers to lines: the fewest digits that read back exactly, spelled as orjson spells them. Plain C11 that knows
   nothing of Python: nothing here allocates, locks or fails. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "powers.h"

/* ---- a number's digits --------------------------------------------------------------------------------------------

   A float64 is c * 2^q. A reader of decimals takes for it whatever lies within 2^(q-1) of it, that included if c is even.
   With 10^k <= 2^q < 10^(k+1), that is at least one multiple of 10^k, but of 10^(k+1) at most one. If there is that one,
   its digits are the fewest; else those of the multiple of 10^k nearest to the number, in the middle the even one.

   So the number is divided by 10^(k+1), into `tens` and `fraction`, and the fraction is compared with half a step. All
   that is rounded, the powers of ten above all, changes no comparison: whatever c and q, a multiple of 10^(k+1) is either
   exactly 2^(q-1) away, or that differs by 2^-62.9 of 10^(k+1); and the number is either in the middle of two multiples of
   10^k, or that differs by 2^-64.6 of 10^k. `tests/speedups/test_float_lines.py` proves both for each q.
   Source of these bounds on c, q and k: R. Giulietti, The Schubfach way to render doubles (2020). */

typedef struct {
  uint64_t digits;
  int exponent; /* of ten, for the last digit */
} Decimal;

/* 2^(q-1) / 10^(k+1), a fraction of 128 bits, rounded up. */
typedef struct {
  uint64_t high, low;
  int k;
} Step;

enum { EXPONENTS = 2048, FRACTION_BITS = 74 /* of a quotient */ };

#define ONE ((Wide)1 << FRACTION_BITS)

static Step make_step(int q, int k) {
  Wide power = powers[-(k + 1) - LEAST_POWER];
  Wide half = (power >> (-q - floor_log2_of_power(-(k + 1)))) + 1;
  return (Step){(uint64_t)(half >> 64), (uint64_t)half, k};
}

static Step steps[EXPONENTS]; /* by the exponent's bits; the last, which no number has, is there for safety */

__attribute__((constructor)) static void make_steps(void) {
  make_powers();
  for (int exponent = 0; exponent < EXPONENTS; exponent++) {
    int q = exponent - 1074 - (exponent > 0);
    steps[exponent] = make_step(q, q * 315653 >> 20); /* log10(2) */
  }
}

/* c * 2^q / 10^(k+1), with FRACTION_BITS behind the point. */
static inline Wide divide(uint64_t c, const Step *step) {
  c <<= FRACTION_BITS - 63;
  return (Wide)c * step->high + (uint64_t)((Wide)c * step->low >> 64);
}

/* The last digit, counted up from `up_from` on; what lies there, but for what was rounded, becomes even. */
static uint64_t round_digit(Wide quotient, Wide up_from) {
  Wide rounded = (quotient & (ONE - 1)) * 10 + ONE - up_from + 16;
  uint64_t digit = (uint64_t)(rounded >> FRACTION_BITS);
  return (rounded & (ONE - 1)) <= 32 ? digit & ~(uint64_t)1 : digit;
}

/* Of 2^(q+52): what lies below is taken for it only up to half as far. */
static __attribute__((noinline)) Decimal shortest_of_power(int q) {
  Step step = make_step(q, (q * 315653 - 131008) >> 20); /* log10(3/4 * 2^q) */
  Wide quotient = divide((uint64_t)1 << 52, &step);
  uint64_t tens = (uint64_t)(quotient >> FRACTION_BITS), fraction = (uint64_t)(quotient >> (FRACTION_BITS - 64));
  uint64_t below = step.high / 2, above = step.high;
  Wide furthest = ((Wide)below * 10) << (FRACTION_BITS - 64);
  uint64_t digit = round_digit(quotient, furthest < ONE / 2 ? furthest : ONE / 2);
  if (fraction <= below)
    digit = 0;
  if (fraction + above < above)
    digit = 10;
  return (Decimal){tens * 10 + digit, step.k};
}

/* Of the number with these bits, the sign not among them. */
static inline Decimal shortest(uint64_t bits) {
  uint64_t c = bits & 0xFFFFFFFFFFFFF, exponent = bits >> 52;
  if (!c && exponent > 1)
    return shortest_of_power((int)exponent - 1075);
  c |= (uint64_t)(exponent > 0) << 52;
  const Step *step = &steps[exponent];
  Wide quotient = divide(c, step);
  uint64_t tens = (uint64_t)(quotient >> FRACTION_BITS), fraction = (uint64_t)(quotient >> (FRACTION_BITS - 64));
  Wide product = (Wide)fraction * 10;
  uint64_t rest = (uint64_t)product, middle = (uint64_t)1 << 63, digit = (uint64_t)(product >> 64) + (rest >> 63);
  if (rest - (middle - 16) <= 32)
    digit = round_digit(quotient, ONE / 2);
  uint64_t is_even = ~bits & 1, below = step->high + 2 * is_even, above = below - 1;
  digit = fraction < below ? 0 : digit;
  digit = fraction + above < above ? 10 : digit;
  return (Decimal){tens * 10 + digit, step->k};
}

/* ---- digits to text -----------------------------------------------------------------------------------------------

   Batch by batch, in small loops: a processor works on several numbers of one at once, and compilers make vectors of some. */

enum { BATCH = 256, DIGITS = 17, REST = DIGITS - 1 };

typedef struct {
  int before[BATCH];             /* how many digits are before the point; if negative, minus the zeros behind it */
  char first[BATCH];             /* the first digit */
  char rest[(BATCH + 1) * REST]; /* the others, and what is read with those of the last number */
} Batch;

static const uint64_t SEVENTEEN = 10000000000000000; /* the least number of as many digits */

static void find_digits(const double *numbers, size_t count, uint64_t *digits, int *before) {
  for (size_t i = 0; i < count; i++) {
    uint64_t bits;
    memcpy(&bits, &numbers[i], sizeof bits);
    Decimal decimal = shortest(bits & INT64_MAX);
    if (decimal.digits < SEVENTEEN / 10) { /* zero, which has its point where one has it, and numbers below 2^-1022 */
      if (!decimal.digits)
        decimal.exponent = 2 - DIGITS;
      for (; decimal.digits && decimal.digits < SEVENTEEN / 10; decimal.exponent--)
        decimal.digits *= 10;
    }
    digits[i] = decimal.digits;
    before[i] = decimal.exponent + DIGITS;
  }
}

/* Two times eight digits to text, for each of `count` numbers: into halves, these into halves, and once more. Each factor
   is that of a quotient, rounded up by too little to reach a whole number. */
static void split(const uint32_t *eights, size_t count, char *text) {
  uint16_t fours[4 * BATCH];
  for (size_t i = 0; i < 2 * count; i++) {
    uint32_t high = (uint32_t)((uint64_t)eights[i] * 109951163 >> 40);
    fours[2 * i] = (uint16_t)high;
    fours[2 * i + 1] = (uint16_t)(eights[i] - high * 10000);
  }
  uint8_t twos[8 * BATCH];
  for (size_t i = 0; i < 4 * count; i++) {
    uint16_t high = (uint16_t)((uint32_t)fours[i] * 5243 >> 19);
    twos[2 * i] = (uint8_t)high;
    twos[2 * i + 1] = (uint8_t)(fours[i] - high * 100);
  }
  for (size_t i = 0; i < 8 * count; i++) {
    uint8_t high = (uint8_t)((uint16_t)(twos[i] * 103) >> 10);
    text[2 * i] = (char)('0' + high);
    text[2 * i + 1] = (char)('0' + (uint8_t)(twos[i] - high * 10));
  }
}

static void put_digits(const double *numbers, size_t count, Batch *batch) {
  uint64_t digits[BATCH];
  uint32_t eights[2 * BATCH];
  find_digits(numbers, count, digits, batch->before);
  for (size_t i = 0; i < count; i++) {
    uint64_t is_short = digits[i] < SEVENTEEN, aligned = digits[i] + (digits[i] * 9 & -is_short);
    batch->before[i] -= (int)is_short;
    batch->first[i] = (char)('0' + aligned / SEVENTEEN);
    uint64_t rest = aligned % SEVENTEEN;
    eights[2 * i] = (uint32_t)(rest / 100000000);
    eights[2 * i + 1] = (uint32_t)(rest % 100000000);
  }
  split(eights, count, batch->rest);
}

/* How many of the digits are shown: all up to the last one that is not 0. */
static inline int count_shown(const char *rest) {
  uint64_t last;
  memcpy(&last, rest + REST - 8, 8);
  last ^= 0x3030303030303030;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  last = __builtin_bswap64(last);
#endif
  if (last)
    return DIGITS - __builtin_clzll(last) / 8;
  int shown = DIGITS - 8;
  while (shown > 1 && rest[shown - 2] == '0')
    shown--;
  return shown;
}

enum {
  LONGEST = 25, /* line */
  ROOM = 40     /* that is written to for a line, from its begin on */
};

static __attribute__((noinline)) char *put_scientific(char *at, char first, const char *rest, int before) {
  int shown = count_shown(rest);
  at[0] = first;
  at[1] = '.';
  memcpy(at + 2, rest, REST);
  at += shown > 1 ? shown + 1 : 1;
  *at++ = 'e';
  *at++ = before > 0 ? '+' : '-';
  int exponent = before > 0 ? before - 1 : 1 - before;
  if (exponent >= 100)
    *at++ = (char)('0' + exponent / 100);
  if (exponent >= 10)
    *at++ = (char)('0' + exponent / 10 % 10);
  *at++ = (char)('0' + exponent % 10);
  *at++ = '\n';
  return at;
}

/* Write one line; where it ends. No branch depends on where the point is: the zeros that may be in front, all digits, and
   once more those behind the point. */
static inline char *put_line(char *at, int is_negative, char first, const char *rest, int before) {
  *at = '-';
  at += is_negative;
  if (before < -4 || before > 16)
    return put_scientific(at, first, rest, before);
  int is_small = before < 1, zeros = is_small * (1 - before), point = before + zeros;
  char *digits = at + zeros + is_small;
  memcpy(at, "00000000", 8);
  digits[0] = first;
  memcpy(digits + 1, rest, REST);
  memcpy(at + zeros + point + 1, rest + point - 1, REST);
  at[point] = '.';
  int shown = zeros + count_shown(rest);
  at += (shown > point ? shown : point + 1) + 1;
  *at++ = '\n';
  return at;
}

/* Write `count` finite numbers as lines from the begin of `room` on, which has `size` bytes; how many they take. If the
   room is less than LONGEST for each, nothing is written, and it is SIZE_MAX. */
size_t put_float_lines_within(const double *numbers, size_t count, char *room, size_t size) {
  if (count > size / LONGEST)
    return SIZE_MAX;
  Batch batch;
  char *at = room, *end = room + size;
  for (size_t made; count; numbers += made, count -= made) {
    made = count < BATCH ? count : BATCH;
    put_digits(numbers, made, &batch);
    for (size_t i = 0; i < made; i++) {
      char line[ROOM];
      int is_near_end = end - at < ROOM;
      char *begin = is_near_end ? line : at;
      char *stop = put_line(begin, __builtin_signbit(numbers[i]) != 0, batch.first[i], batch.rest + i * REST, batch.before[i]);
      if (is_near_end)
        memcpy(at, line, (size_t)(stop - line));
      at += stop - begin;
    }
  }
  return (size_t)(at - room);
}
