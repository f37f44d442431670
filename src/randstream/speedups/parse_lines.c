/* Lines to numbers. A function leaves what it cannot be sure of to its caller: it stops before that line. So nothing here
   may be wrong, but it need not be complete. Plain C11 that knows nothing of Python: nothing here allocates, locks or
   fails. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "powers.h"

static const uint64_t TENS[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* The eight bytes from `at` on, the first one lowest; zeros past `end`. */
static inline uint64_t load_eight(const uint8_t *at, const uint8_t *end) {
  uint64_t bytes = 0;
  if (end - at >= 8)
    memcpy(&bytes, at, 8);
  else
    memcpy(&bytes, at, (size_t)(end - at));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  bytes = __builtin_bswap64(bytes);
#endif
  return bytes;
}

/* Append the digits from `at` on to `*number`; return where they end, or NULL if the number exceeds 64 bits. Eight bytes
   at a time: the digits among them, moved to the upper end, are the last of eight, and products join neighbours, then
   pairs, then fours. */
static inline const uint8_t *read_digits(const uint8_t *at, const uint8_t *end, uint64_t *number) {
  for (;;) {
    uint64_t bytes = load_eight(at, end) ^ 0x3030303030303030;
    /* Upper bit: not a digit. A carry out of such a byte reaches only later ones. */
    uint64_t others = ((bytes + 0x7676767676767676) | bytes) & 0x8080808080808080;
    unsigned count = others ? (unsigned)__builtin_ctzll(others) / 8 : 8;
    if (!count)
      return at;
    uint64_t part = bytes << (64 - 8 * count);
    part = part * 10 + (part >> 8);
    part = ((part & 0x000000FF000000FF) * 0x000F424000000064 + ((part >> 16) & 0x000000FF000000FF) * 0x0000271000000001) >> 32;
    if (__builtin_mul_overflow(*number, TENS[count], number) || __builtin_add_overflow(*number, part, number))
      return NULL;
    at += count;
    if (count < 8)
      return at;
  }
}

/* Parse lines of data[start..end) to at most `room` numbers; return how many. `*stop` is where the first line begins that
   was not taken. The lines are `-?[0-9]+`, the numbers uint64, or with `is_signed` int64. */
size_t parse_integer_lines(
    const uint8_t *data, size_t start, size_t end, int is_signed, uint64_t *numbers, size_t room, size_t *stop) {
  const uint8_t *line = data + start, *last = data + end;
  size_t count = 0;
  for (; count < room && line < last; count++) {
    uint64_t number = 0;
    int is_negative = *line == '-';
    const uint8_t *first = line + is_negative, *at = read_digits(first, last, &number);
    if (!at || at == first || at == last || *at != '\n')
      break;
    if (is_negative ? !is_signed || number > (uint64_t)INT64_MAX + 1 : is_signed && number > INT64_MAX)
      break;
    numbers[count] = is_negative ? 0 - number : number;
    line = at + 1;
  }
  *stop = (size_t)(line - data);
  return count;
}

enum { MOST_POWER = 308 }; /* of ten: a whole number times a higher one is infinite, times one below LEAST_POWER 0 */

/* The bits of the double nearest to digits * 10^power, ties to even; 0 for what is left to the caller: 0 and all that
   is infinite. The power must be rounded down, but up if it is negative, and then never exact.
   Source: D. Lemire, Number parsing at a gigabyte per second, Software: Practice and Experience 51 (2021), 1700-1727;
   that no other way is ever needed: N. Mushtak and D. Lemire, Fast number parsing without fallback (2023). */
static inline uint64_t nearest_double(uint64_t digits, int64_t power) {
  if (!digits || power < LEAST_POWER || power > MOST_POWER)
    return 0;
  int shift = __builtin_clzll(digits);
  digits <<= shift;
  Wide factor = powers[power - LEAST_POWER] + (power < 0);
  Wide product = (Wide)digits * (uint64_t)(factor >> 64);
  if ((product >> 64 & 0x1FF) == 0x1FF) /* the bits after those kept might still carry */
    product += (Wide)digits * (uint64_t)factor >> 64;
  uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
  int top = (int)(high >> 63);
  uint64_t mantissa = high >> (top + 9); /* 53 bits, and one to round by */
  /* floor(power * log2(10)), and the shifts; 1023 is the bias of exponents */
  int64_t exponent = ((217706 * power) >> 16) + 63 + top - shift + 1023;
  if (exponent <= 0) { /* a subnormal double: fewer bits */
    if (exponent < -62)
      return 0;
    mantissa >>= 1 - exponent;
    return (mantissa + (mantissa & 1)) >> 1; /* when it rounds up to the least normal one, these are its bits */
  }
  /* Halfway between two doubles, which needs a product without remainder: only then may the even one be below. */
  if (low <= 1 && power >= -4 && power <= 23 && (mantissa & 3) == 1 && mantissa << (top + 9) == high)
    mantissa &= ~(uint64_t)1;
  mantissa = (mantissa + (mantissa & 1)) >> 1;
  if (mantissa >> 53) {
    mantissa >>= 1;
    exponent++;
  }
  return exponent >= 0x7FF ? 0 : (uint64_t)exponent << 52 | (mantissa & 0xFFFFFFFFFFFFF);
}

/* The same for lines `-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?` and the bits of doubles. */
size_t parse_float_lines(
    const uint8_t *data, size_t start, size_t end, uint64_t *numbers, size_t room, size_t *stop) {
  const uint8_t *line = data + start, *last = data + end;
  size_t count = 0;
  for (; count < room && line < last; count++) {
    uint64_t digits = 0, sign = *line == '-';
    int64_t power = 0;
    const uint8_t *first = line + sign, *at = read_digits(first, last, &digits);
    if (!at || at == first || at == last)
      break;
    if (*at == '.') {
      first = at + 1;
      at = read_digits(first, last, &digits);
      if (!at || at == first || at == last)
        break;
      power = first - at;
    }
    if (*at == 'e') {
      if (last - at < 3 || (at[1] != '+' && at[1] != '-'))
        break;
      int is_negative = at[1] == '-';
      uint64_t exponent = 0;
      first = at + 2;
      at = read_digits(first, last, &exponent);
      if (!at || at == first || at == last || exponent > 9999)
        break;
      power += is_negative ? -(int64_t)exponent : (int64_t)exponent;
    }
    if (*at != '\n')
      break;
    uint64_t bits = nearest_double(digits, power);
    if (!bits && digits)
      break;
    numbers[count] = bits | sign << 63;
    line = at + 1;
  }
  *stop = (size_t)(line - data);
  return count;
}
