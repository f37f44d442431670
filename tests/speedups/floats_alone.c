/* Floats without Python, in rooms of exactly their size, so that a sanitizer sees each byte too many: against strtod and
   printf. Prints how many rounds there were. */

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t put_float_lines_within(const double *numbers, size_t count, char *room, size_t size);
size_t draw_floats_within(
    uint64_t key0, uint64_t key1, uint64_t offset, size_t count, uint64_t family, double location, double scale,
    double *numbers, size_t size);
size_t draw_float_lines_within(
    uint64_t key0, uint64_t key1, uint64_t offset, size_t count, uint64_t family, double location, double scale,
    char *room, size_t size);

static uint64_t state = 42;

static uint64_t draw(uint64_t below) { /* splitmix64 */
  uint64_t x = state += 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return (x ^ x >> 31) % below;
}

static double draw_bits(void) {
  uint64_t bits = draw(UINT64_MAX);
  if (!draw(4))
    bits &= ~(UINT64_MAX >> draw(64)); /* few digits of two */
  double x;
  memcpy(&x, &bits, sizeof x);
  return isfinite(x) ? x : 0.1 * (double)draw(1000);
}

/* The line reads back as the number, and printf's with as many digits is it too, with one less is another. */
static void judge(double x, const char *line, size_t size) {
  char text[32], printed[40];
  memcpy(text, line, size);
  text[size] = 0;
  double back = strtod(text, NULL);
  assert(!memcmp(&back, &x, sizeof x));
  int digits = 0, zeros = 0, has_begun = 0;
  for (const char *at = text; *at && *at != 'e'; at++)
    if (*at >= '0' && *at <= '9') {
      has_begun |= *at != '0';
      digits += has_begun;
      zeros = *at == '0' ? zeros + 1 : 0;
    }
  digits -= zeros;
  if (x == 0 || digits < 2)
    return;
  snprintf(printed, sizeof printed, "%.*e", digits - 2, x);
  assert(strtod(printed, NULL) != x);
}

static void spell_numbers(void) {
  size_t count = (size_t)draw(draw(2) ? 40 : 700), room = 25 * count;
  double *numbers = malloc(count * sizeof *numbers);
  char *text = malloc(room);
  for (size_t i = 0; i < count; i++)
    numbers[i] = draw_bits();
  size_t size = put_float_lines_within(numbers, count, text, room), at = 0;
  for (size_t i = 0; i < count; i++) {
    size_t length = 0;
    while (text[at + length] != '\n')
      length++;
    judge(numbers[i], text + at, length);
    at += length + 1;
  }
  assert(at == size && size <= room);
  if (count)
    assert(put_float_lines_within(numbers, count, text, room - 1) == SIZE_MAX);
  free(numbers);
  free(text);
}

static void draw_numbers(void) {
  size_t count = (size_t)draw(draw(2) ? 40 : 3000), skipped = count ? (size_t)draw(count) : 0;
  uint64_t key0 = draw(UINT64_MAX), key1 = draw(UINT64_MAX), offset = draw(draw(2) ? 2000 : INT64_MAX - 5000);
  uint64_t family = draw(3);
  double *numbers = malloc(count * sizeof *numbers), *later = malloc((count - skipped) * sizeof *later);
  assert(!draw_floats_within(key0, key1, offset, count, family, -1.5, 0.25, numbers, count));
  assert(!draw_floats_within(key0, key1, offset + skipped, count - skipped, family, -1.5, 0.25, later, count - skipped));
  if (count)
    assert(!memcmp(numbers + skipped, later, (count - skipped) * sizeof *later));
  for (size_t i = 0; i < count; i++)
    assert(isfinite(numbers[i]) && (family == 2 || numbers[i] >= -1.5));
  if (count)
    assert(draw_floats_within(key0, key1, offset, count, family, 0, 1, numbers, count - 1) == SIZE_MAX);
  assert(draw_floats_within(key0, key1, offset, count, 3, 0, 1, numbers, count) == SIZE_MAX);
  size_t room = 25 * count;
  char *drawn = malloc(room), *put = malloc(room);
  size_t size = draw_float_lines_within(key0, key1, offset, count, family, -1.5, 0.25, drawn, room);
  assert(size <= room && size == put_float_lines_within(numbers, count, put, room) && !memcmp(drawn, put, size));
  if (count)
    assert(draw_float_lines_within(key0, key1, offset, count, family, 0, 1, drawn, room - 1) == SIZE_MAX);
  assert(draw_float_lines_within(key0, key1, offset, count, 3, 0, 1, drawn, room) == SIZE_MAX);
  free(drawn);
  free(put);
  free(numbers);
  free(later);
}

int main(void) {
  int round = 0;
  for (; round < 500; round++) {
    spell_numbers();
    draw_numbers();
  }
  printf("%d\n", round);
}
