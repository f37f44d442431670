/* Words to lines of integers, from the last number to the first, each with all 20 digits: the line before overwrites the
   leading zeros. So no branch depends on how long a number is, which no processor could predict. Plain C11 that knows
   nothing of Python: nothing here allocates, locks or fails. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "words.h"

#define TEN(p) p "0" p "1" p "2" p "3" p "4" p "5" p "6" p "7" p "8" p "9"
#define HUNDRED(p) TEN(p "0") TEN(p "1") TEN(p "2") TEN(p "3") TEN(p "4") TEN(p "5") TEN(p "6") TEN(p "7") TEN(p "8") TEN(p "9")
#define THOUSAND(p) \
  HUNDRED(p "0") HUNDRED(p "1") HUNDRED(p "2") HUNDRED(p "3") HUNDRED(p "4") \
  HUNDRED(p "5") HUNDRED(p "6") HUNDRED(p "7") HUNDRED(p "8") HUNDRED(p "9")

/* 0000 to 9999, four characters each. */
static const char QUADS[] =
  THOUSAND("0") THOUSAND("1") THOUSAND("2") THOUSAND("3") THOUSAND("4")
  THOUSAND("5") THOUSAND("6") THOUSAND("7") THOUSAND("8") THOUSAND("9");

/* The least number of n + 1 digits, except 0, which has one too. */
static const uint64_t LEAST[20] = {
  0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000,
  10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
  10000000000000000000u,
};

static inline unsigned count_digits(uint64_t number) {
  unsigned bits = 64 - (unsigned)__builtin_clzll(number | 1);
  unsigned guess = bits * 1233 >> 12; /* times log10(2): right, or one too few */
  return guess + (number >= LEAST[guess]);
}

/* Eight digits, of a number below 10^8. As a fixed-point number, n / 10^4 has the first four before the point; its
   fraction, times 10^4, has the others. 2^40 / 10^4 is rounded up by 0.23, which is too little to change a digit. */
static inline void put_eight(char *at, uint64_t number) {
  uint64_t scaled = number * 109951163;
  uint64_t rest = (scaled & 0xFFFFFFFFFF) * 10000;
  memcpy(at, QUADS + 4 * (scaled >> 40), 4);
  memcpy(at + 4, QUADS + 4 * (rest >> 40), 4);
}

static inline char *put_line(char *end, uint64_t number) {
  *--end = '\n';
  put_eight(end - 8, number % 100000000);
  if (number >= 100000000) { /* in most streams, all numbers or none */
    uint64_t high = number / 100000000, top = high / 100000000;
    put_eight(end - 16, high % 100000000);
    memcpy(end - 20, QUADS + 4 * top, 4);
  }
  return end - count_digits(number);
}

/* Words to numbers, in place: low + floor(word * span / 2^64), a span of 0 being one of 2^64. */
static void scale(uint64_t *words, size_t count, int64_t low, uint64_t span) {
  for (size_t i = 0; i < count; i++) {
    if (span)
      multiply(words[i], span, &words[i]);
    words[i] += (uint64_t)low;
  }
}

static char *put_unsigned_lines(const uint64_t *numbers, size_t count, char *begin) {
  while (count)
    begin = put_line(begin, numbers[--count]);
  return begin;
}

static char *put_signed_lines(const uint64_t *numbers, size_t count, char *begin) {
  while (count) {
    uint64_t number = numbers[--count], sign = 0 - (number >> 63); /* all ones for a negative number */
    begin = put_line(begin, (number ^ sign) - sign);
    begin[-1] = '-';
    begin += (int64_t)sign;
  }
  return begin;
}

enum { BATCH = 512 }; /* words at a time, which the L1 cache holds */

enum { ROOM_A_LINE = 22 }; /* what a line may take: sign, 20 digits, LF */

/* Write numbers `offset` to `offset + count - 1` as lines to the end of `room`, which has `size` bytes; return where in
   it they begin. Number n is low + floor(word n * span / 2^64), a span of 0 being one of 2^64. If the room is less than
   ROOM_A_LINE for each, or there are no such offsets, write nothing and return SIZE_MAX. */
size_t draw_lines_within(
    uint64_t key0, uint64_t key1, uint64_t offset, size_t count, int64_t low, uint64_t span, char *room, size_t size) {
  if (count > size / ROOM_A_LINE || count > UINT64_MAX - offset)
    return SIZE_MAX;
  uint64_t words[BATCH];
  char *begin = room + size;
  for (uint64_t stop = offset + count; stop > offset;) {
    uint64_t first = (stop - 1) / BATCH * BATCH;
    if (first < offset)
      first = offset / 4 * 4;
    size_t made = (size_t)(stop - first), unwanted = first < offset ? (size_t)(offset - first) : 0;
    make_words(key0, key1, first / 4, (made + 3) / 4 * 4, words);
    if (span || low) /* else the words are the numbers */
      scale(words, made, low, span);
    begin = (low < 0 ? put_signed_lines : put_unsigned_lines)(words + unwanted, made - unwanted, begin);
    stop = first;
  }
  return (size_t)(begin - room);
}
