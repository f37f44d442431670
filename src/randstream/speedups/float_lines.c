/* Float64 numbers to lines: the fewest digits that read back exactly, spelled as orjson spells them. Plain C11 that knows
   nothing of Python: nothing here allocates, locks or fails. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "clones.h"
#include "floats.h"
#include "powers.h"

/* ---- a number's digits --------------------------------------------------------------------------------------------

   A float64 is c * 2^q. A reader of decimals reads as this number whatever lies within 2^(q-1) of it, the bounds included
   if c is even. With 10^k <= 2^q < 10^(k+1), at least one multiple of 10^k lies there, but at most one of 10^(k+1). If
   there is one, its digits are the fewest; else those of the multiple of 10^k nearest to the number, in a tie the even one.

   So the number is divided by 10^(k+1), into `tens` and `fraction`, and the fraction is compared with half a step. Rounding,
   above all of the powers of ten, changes no comparison: for every c and q, a multiple of 10^(k+1) is either exactly 2^(q-1)
   away, or differs from that by at least 2^-62.9 of 10^(k+1); and the number is either in the middle of two multiples of
   10^k, or differs from that by at least 2^-64.6 of 10^k. `tests/speedups/test_float_lines.py` proves both for each q.
   Source of these bounds on c, q and k: R. Giulietti, The Schubfach way to render doubles (2020). */

typedef struct {
  uint64_t tens, digit; /* all digits but the last one, and that */
  int exponent;         /* of ten, for the last digit */
} Decimal;

/* 2^(q-1) / 10^(k+1), a fraction of 128 bits, rounded up. */
typedef struct {
  uint64_t high, low;
  int k;
} Step;

enum { EXPONENTS = 2048, FRACTION_BITS = 74 /* of a quotient */ };

#define ONE ((Wide)1 << FRACTION_BITS)
#define RARELY(condition) __builtin_expect(condition, 0)

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

/* c * 2^q / 10^(k+1), with FRACTION_BITS after the point. */
static Wide divide(uint64_t c, const Step *step) {
  c <<= FRACTION_BITS - 63;
  return (Wide)c * step->high + (uint64_t)((Wide)c * step->low >> 64);
}

/* The last digit, rounded up from `up_from` on; what lies there, within rounding errors, becomes even. */
static uint64_t round_digit(Wide quotient, Wide up_from) {
  Wide rounded = (quotient & (ONE - 1)) * 10 + ONE - up_from + 16;
  uint64_t digit = (uint64_t)(rounded >> FRACTION_BITS);
  return (rounded & (ONE - 1)) <= 32 ? digit & ~(uint64_t)1 : digit;
}

static __attribute__((noinline)) uint64_t round_half(uint64_t c, const Step *step) {
  return round_digit(divide(c, step), ONE / 2);
}

/* Of c * 2^q, q being the step's, unless c is 2^52. 64 bits after the point are enough, except in the middle of two digits.
   No branch depends on how many digits there are: one number in ten has fewer than most. */
static inline Decimal shortest_in_step(uint64_t c, const Step *step) {
  Wide product = (Wide)(c << 1) * step->high;
  uint64_t low = (uint64_t)((Wide)(c << 1) * step->low >> 64), fraction = (uint64_t)product + low;
  uint64_t tens = (uint64_t)(product >> 64) + (fraction < low);
  product = (Wide)fraction * 10;
  uint64_t rest = (uint64_t)product, middle = (uint64_t)1 << 63, digit = (uint64_t)(product >> 64) + (rest >> 63);
  if (RARELY(rest - (middle - 16) <= 32))
    digit = round_half(c, step);
  uint64_t is_even = ~c & 1, below = step->high + 2 * is_even, above = below - 1;
  uint64_t is_up = (fraction + above < above) | (digit > 9), is_down = fraction < below;
  return (Decimal){tens + is_up, digit & (is_up - 1) & (is_down - 1), step->k};
}

/* Of 2^(q+52): what lies below is read as this number only up to half as far away. */
static Decimal shortest_of_power(int q) {
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
  return (Decimal){tens + digit / 10, digit % 10, step.k};
}

enum { DIGITS = 17, TENS = DIGITS - 1 };

static const uint64_t SIXTEEN = 1000000000000000; /* the least number of as many digits */

/* Of numbers below 2^-1022, which have fewer digits. Zero has its point where 1 has it. */
static Decimal shortest_of_small(uint64_t c) {
  if (!c)
    return (Decimal){0, 0, 2 - DIGITS};
  Decimal decimal = shortest_in_step(c, &steps[0]);
  uint64_t digits = decimal.tens * 10 + decimal.digit;
  for (; digits < 10 * SIXTEEN; decimal.exponent--)
    digits *= 10;
  return (Decimal){digits / 10, digits % 10, decimal.exponent};
}

static __attribute__((noinline)) Decimal shortest_of_rare(uint64_t c, int exponent) {
  return exponent > 1 ? shortest_of_power(exponent - 1075) : exponent ? shortest_in_step(c, &steps[1]) : shortest_of_small(c);
}

/* Of the number with these bits, the sign not among them: 17 digits, or 16 and a zero in front. */
static inline Decimal shortest(uint64_t bits) {
  uint64_t hidden = (uint64_t)1 << 52, fraction = bits & (hidden - 1), exponent = bits >> 52;
  if (RARELY(!fraction | !exponent))
    return shortest_of_rare(fraction | (exponent ? hidden : 0), (int)exponent);
  return shortest_in_step(fraction | hidden, &steps[exponent]);
}

/* ---- digits to text -----------------------------------------------------------------------------------------------

   Batch by batch, in small loops: a processor works on several numbers at once, and compilers vectorise some loops. */

enum { BATCH = 256 };

typedef struct {
  int16_t before[BATCH];         /* how many digits are before the point; if negative, minus the zeros after it */
  uint8_t skipped[BATCH];        /* zeros in front: one or none */
  char last[BATCH];              /* the last digit */
  char tens[(BATCH + 1) * TENS]; /* the others, and what is read with those of the last number */
} Batch;

/* Two times eight digits to text, for each of `count` numbers: halve them three times. Each factor divides: it is a
   reciprocal rounded up, by too little to reach a whole number. */
static inline void split(const uint32_t *eights, size_t count, char *text) {
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

static inline void put_digits(const double *numbers, size_t count, Batch *batch) {
  uint32_t eights[2 * BATCH];
  for (size_t i = 0; i < count; i++) {
    uint64_t bits;
    memcpy(&bits, &numbers[i], sizeof bits);
    Decimal decimal = shortest(bits & INT64_MAX);
    int skipped = decimal.tens < SIXTEEN;
    batch->before[i] = (int16_t)(decimal.exponent + DIGITS - skipped);
    batch->skipped[i] = (uint8_t)skipped;
    batch->last[i] = (char)('0' + decimal.digit);
    eights[2 * i] = (uint32_t)(decimal.tens / 100000000);
    eights[2 * i + 1] = (uint32_t)(decimal.tens % 100000000);
  }
  split(eights, count, batch->tens);
}

/* The place of the last digit that is not 0, counted from 1; of zero, 1. */
static inline int count_shown(const char *tens, char last) {
  uint64_t nearest;
  memcpy(&nearest, tens + TENS - 8, 8);
  nearest ^= 0x3030303030303030;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  nearest = __builtin_bswap64(nearest);
#endif
  nearest = nearest >> 8 | (uint64_t)(last - '0') << 56;
  if (nearest)
    return DIGITS - __builtin_clzll(nearest) / 8;
  int shown = DIGITS - 8;
  while (shown > 1 && tens[shown - 1] == '0')
    shown--;
  return shown;
}

enum {
  LONGEST = 25,                /* line */
  ROOM = 40,                   /* that is written to for a line, from its start */
  LEAST = -4, GREATEST = TENS, /* of `before`, without an exponent */
};

/* A line with an exponent, or with sixteen digits before the point. */
static __attribute__((noinline)) char *put_rare_line(char *at, const char *tens, char last, int skipped, int before) {
  char digits[DIGITS + 1];
  memcpy(digits, tens, TENS);
  digits[TENS] = last;
  digits[DIGITS] = '0';
  const char *begin = digits + skipped;
  if (before == GREATEST) {
    memcpy(at, begin, GREATEST);
    at[GREATEST] = '.';
    at[GREATEST + 1] = begin[GREATEST];
    at[GREATEST + 2] = '\n';
    return at + GREATEST + 3;
  }
  int shown = count_shown(tens, last) - skipped;
  at[0] = begin[0];
  at[1] = '.';
  memcpy(at + 2, begin + 1, TENS);
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

/* Where things go in a line, by how many digits are before the point. */
typedef struct {
  int8_t first;  /* digit */
  int8_t point;  /* and from which digit on they are surely behind it */
  int8_t behind; /* it, a digit is so far from its place among the digits */
} Layout;

static const Layout layouts[GREATEST - LEAST] = {
  {6, 1, 6}, {5, 1, 5}, {4, 1, 4}, {3, 1, 3}, {2, 1, 2}, {0, 1, 1}, {0, 2, 1}, {0, 3, 1}, {0, 4, 1}, {0, 5, 1},
  {0, 6, 1}, {0, 7, 1}, {0, 8, 1}, {0, 9, 1}, {0, 10, 1}, {0, 11, 1}, {0, 12, 1}, {0, 13, 1}, {0, 14, 1}, {0, 15, 1},
};

/* Write one line; return where it ends. No branch depends on where the point is: write the zeros that may be in front, all
   digits, and again those after the point. */
static inline char *put_line(char *at, int is_negative, const char *tens, char last, int skipped, int before) {
  *at = '-';
  at += is_negative;
  if (RARELY(before < LEAST || before >= GREATEST))
    return put_rare_line(at, tens, last, skipped, before);
  const Layout *layout = &layouts[before - LEAST];
  int point = layout->point, behind = layout->behind;
  const char *digits = tens + skipped;
  memcpy(at, "00000000", 8);
  memcpy(at + layout->first, digits, TENS);
  at[layout->first + TENS - skipped] = last;
  memcpy(at + behind + point, digits + point, TENS);
  at[behind + TENS - skipped] = last;
  at[point] = '.';
  int end = behind + count_shown(tens, last) - skipped;
  at += end > point + 2 ? end : point + 2;
  *at++ = '\n';
  return at;
}

static inline char *put_number(char *at, const double *numbers, const Batch *batch, size_t i) {
  int is_negative = __builtin_signbit(numbers[i]) != 0;
  return put_line(at, is_negative, batch->tens + i * TENS, batch->last[i], batch->skipped[i], batch->before[i]);
}

static inline char *put_batch(char *at, const char *end, const double *numbers, size_t count) {
  Batch batch;
  put_digits(numbers, count, &batch);
  size_t left = (size_t)(end - at), far = left < ROOM ? 0 : (left - ROOM) / LONGEST + 1, i = 0; /* from the end */
  for (; i < count && i < far; i++)
    at = put_number(at, numbers, &batch, i);
  for (; i < count; i++) {
    char line[ROOM];
    size_t length = (size_t)(put_number(line, numbers, &batch, i) - line);
    memcpy(at, line, length);
    at += length;
  }
  return at;
}

/* Write `count` finite numbers as lines to the start of `room`, which has `size` bytes; return how many they take. If the
   room is less than LONGEST for each, write nothing and return SIZE_MAX. */
CLONED size_t put_float_lines_within(const double *numbers, size_t count, char *room, size_t size) {
  if (count > size / LONGEST)
    return SIZE_MAX;
  char *at = room;
  for (size_t put; count; numbers += put, count -= put) {
    put = count < BATCH ? count : BATCH;
    at = put_batch(at, room + size, numbers, put);
  }
  return (size_t)(at - room);
}

/* The same for numbers `offset` to `offset + count - 1` of a stream, made by `floats.c`; SIZE_MAX also if there are none. */
CLONED size_t draw_float_lines_within(
    uint64_t key0, uint64_t key1, uint64_t offset, size_t count, uint64_t family, double location, double scale,
    char *room, size_t size) {
  if (count > size / LONGEST || family > NORMAL || count > UINT64_MAX - offset)
    return SIZE_MAX;
  double numbers[BATCH];
  char *at = room;
  for (size_t put; count; offset += put, count -= put) {
    put = count < BATCH ? count : BATCH;
    draw_floats_within(key0, key1, offset, put, family, location, scale, numbers, BATCH);
    at = put_batch(at, room + size, numbers, put);
  }
  return (size_t)(at - room);
}
