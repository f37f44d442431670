/* Words to float64 numbers: what `distributions.py` and `portable.py` do, with the same operations in the same order, each
   rounded separately. Then IEEE 754 leaves no processor or compiler a choice. Plain C11 that knows nothing of Python:
   nothing here allocates, locks or fails. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "clones.h"
#include "floats.h"
#include "words.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* no a * b + c in one step; for GCC it is the default of -std=c11 */
#endif
#ifdef __FAST_MATH__
#error "-ffast-math makes other numbers"
#endif

/* ---- a logarithm and an inverse normal: see `portable.py` for what they are and where they come from ------------------ */

static inline uint64_t as_bits(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline double as_double(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* By Horner's rule, highest power first. Unrolled by hand, or compilers do not vectorise the loops that call it. */
static inline double polynomial(const double c[8], double x) {
  return ((((((c[0] * x + c[1]) * x + c[2]) * x + c[3]) * x + c[4]) * x + c[5]) * x + c[6]) * x + c[7];
}

/* 2 artanh(s) / s - 2, of x = s^2. */
static inline double artanh_series(double x) {
  double first = ((2.0 / 21 * x + 2.0 / 19) * x + 2.0 / 17) * x + 2.0 / 15;
  double then = ((first * x + 2.0 / 13) * x + 2.0 / 11) * x + 2.0 / 9;
  return (((then * x + 2.0 / 7) * x + 2.0 / 5) * x + 2.0 / 3) * x + 0.0;
}

static const uint64_t SQRT_HALF = 0x3FE6A09E667F3BCD /* as bits */, BIAS = (uint64_t)1024 << 52;
static const double LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;

/* Of a positive, normal, finite number. */
static inline double natural_log(double x) {
  uint64_t exponent = as_bits(x) - SQRT_HALF + BIAS; /* of two, in the leading bits; those below are dropped */
  double f = as_double(as_bits(x) - (exponent & 0xFFF0000000000000) + BIAS) - 1.0;
  double k = as_double(exponent >> 52 | 0x4330000000000000) - (0x1p52 + 1024); /* the first is 2^52 + 1024 + k */
  double s = f / (f + 2.0);
  double half_square = f * 0.5 * f;
  double correction = (artanh_series(s * s) + half_square) * s + k * LN2_LOW;
  return k * LN2_HIGH - ((half_square - correction) - f);
}

static const double CENTRE[2][8] = {
  {2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
   13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080},
  {5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867,
   5394.1960214247511077, 687.18700749205790830, 42.313330701600911252, 1.0},
};
static const double TAIL[2][8] = {
  {7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
   3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734},
  {1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
   6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1.0},
};
static const double FAR_TAIL[2][8] = {
  {2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
   2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720},
  {2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
   1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0},
};

/* ---- words to standard numbers ------------------------------------------------------------------------------------ */

enum { BATCH = 512 /* words at a time, which the L1 cache holds */ };

/* ((word >> 12) + 0.5) / 2^52, which is exact, and so is each step: word >> 12 becomes the fraction of 1.something. */
static inline double probability(uint64_t word) { return as_double(word >> 12 | 0x3FF0000000000000) - 1.0 + 0x1p-53; }

/* (double)whole of a number below 2^53, which is exact, as are both sums: few processors convert several at once. */
static inline double as_whole(uint64_t whole) {
  double high = as_double(whole >> 32 | 0x4530000000000000); /* 2^84 + 2^32 times its first bits */
  double low = as_double((uint32_t)whole | 0x4330000000000000); /* 2^52 + the others */
  return high - (0x1p84 + 0x1p52) + low;
}

static inline void make_uniform(const uint64_t *words, size_t count, double *numbers) {
  for (size_t i = 0; i < count; i++)
    numbers[i] = as_whole(words[i] >> 11) * 0x1p-53;
}

static inline void make_exponential(const uint64_t *words, size_t count, double *numbers) {
  for (size_t i = 0; i < count; i++)
    numbers[i] = -natural_log(1.0 - probability(words[i]));
}

/* All as if they were in the centre; then the tails, which three in twenty are in. */
static inline void make_normal(const uint64_t *words, size_t count, double *numbers) {
  double distances[BATCH], lower[BATCH];
  size_t tail[BATCH], tails = 0;
  for (size_t i = 0; i < count; i++) {
    double q = probability(words[i]) - 0.5, r = 0.180625 - q * q;
    numbers[i] = q * polynomial(CENTRE[0], r) / polynomial(CENTRE[1], r);
  }
  for (size_t i = 0; i < count; i++) {
    double p = probability(words[i]);
    tail[tails] = i;
    lower[tails] = p < 0.5 ? p : 1.0 - p;
    tails += __builtin_fabs(p - 0.5) > 0.425;
  }
  for (size_t i = 0; i < tails; i++) {
    double r = __builtin_sqrt(-natural_log(lower[i]));
    lower[i] = r;
    distances[i] = polynomial(TAIL[0], r - 1.6) / polynomial(TAIL[1], r - 1.6);
  }
  for (size_t i = 0; i < tails; i++) {
    double r = lower[i];
    if (r > 5.0)
      distances[i] = polynomial(FAR_TAIL[0], r - 5.0) / polynomial(FAR_TAIL[1], r - 5.0);
    numbers[tail[i]] = __builtin_copysign(distances[i], probability(words[tail[i]]) - 0.5);
  }
}

/* ---- numbers ------------------------------------------------------------------------------------------------------- */

static inline void make(
    const uint64_t *words, size_t count, uint64_t family, double location, double scale, double *numbers) {
  for (size_t made; count; words += made, numbers += made, count -= made) {
    made = count < BATCH ? count : BATCH;
    if (family == UNIFORM)
      make_uniform(words, made, numbers);
    else if (family == EXPONENTIAL)
      make_exponential(words, made, numbers);
    else
      make_normal(words, made, numbers);
    for (size_t i = 0; i < made; i++)
      numbers[i] = location + scale * numbers[i];
  }
}

/* For each of `count` words, write location + scale * the family's standard number to `numbers`, which has room for `size`,
   and return 0. If that is too little, or there is no such family, write nothing and return SIZE_MAX. */
CLONED size_t make_floats_within(
    const uint64_t *words, size_t count, uint64_t family, double location, double scale, double *numbers, size_t size) {
  if (count > size || family > NORMAL)
    return SIZE_MAX;
  make(words, count, family, location, scale, numbers);
  return 0;
}

/* The same for words `offset` to `offset + count - 1` of a stream; SIZE_MAX also if there are none. */
CLONED size_t draw_floats_within(
    uint64_t key0, uint64_t key1, uint64_t offset, size_t count, uint64_t family, double location, double scale,
    double *numbers, size_t size) {
  if (count > size || family > NORMAL || count > UINT64_MAX - offset)
    return SIZE_MAX;
  uint64_t words[BATCH];
  size_t skipped = offset % 4; /* words of the block that begins before `offset` */
  for (size_t made; count; skipped = 0, offset += made, numbers += made, count -= made) {
    made = count < BATCH - skipped ? count : BATCH - skipped;
    make_words(key0, key1, offset / 4, (skipped + made + 3) / 4 * 4, words);
    make(words + skipped, made, family, location, scale, numbers);
  }
  return 0;
}
