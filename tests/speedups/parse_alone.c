/* The parser without Python, on lines in rooms of exactly their size, so that a sanitizer sees each byte too many:
   against strtod and strtoll, and on bytes of any kind. Prints how many rounds there were. */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t parse_integer_lines(
    const uint8_t *data, size_t start, size_t end, int is_signed, uint64_t *numbers, size_t room, size_t *stop);
size_t parse_float_lines(
    const uint8_t *data, size_t start, size_t end, uint64_t *numbers, size_t room, size_t *stop);

static uint64_t state = 42;

static uint64_t draw(uint64_t below) { /* splitmix64 */
  uint64_t x = state += 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return (x ^ x >> 31) % below;
}

static void parse_double(void) {
  char text[64];
  uint64_t bits = draw(UINT64_MAX), found = 0;
  double number;
  memcpy(&number, &bits, sizeof number);
  int size = snprintf(text, sizeof text, "%.*e\n", (int)draw(18), number);
  uint8_t *line = malloc((size_t)size);
  memcpy(line, text, (size_t)size);
  size_t stop, count = parse_float_lines(line, 0, (size_t)size, &found, 1, &stop);
  double expected = strtod(text, NULL);
  memcpy(&bits, &expected, sizeof bits);
  if (count)
    assert(found == bits && stop == (size_t)size);
  else /* what is left to the caller */
    assert(stop == 0 && (expected == 0 || expected - expected != 0));
  free(line);
}

static void parse_integer(void) {
  char text[64];
  int64_t number = (int64_t)draw(UINT64_MAX) >> draw(64);
  uint64_t found = 0;
  int size = snprintf(text, sizeof text, "%0*" PRId64 "\n", (int)draw(30), number);
  uint8_t *line = malloc((size_t)size);
  memcpy(line, text, (size_t)size);
  size_t stop;
  assert(parse_integer_lines(line, 0, (size_t)size, 1, &found, 1, &stop) == 1 && found == (uint64_t)number);
  assert(parse_integer_lines(line, 0, (size_t)size, 0, &found, 1, &stop) == (number >= 0 && text[0] != '-'));
  free(line);
}

static void parse_anything(void) {
  static const char kind[] = "0123456789.e+-\n\n\n\xff#";
  size_t size = (size_t)draw(60), room = (size_t)draw(12), start = (size_t)draw(size + 1), stop;
  uint8_t *data = malloc(size);
  uint64_t *numbers = malloc(room * sizeof *numbers);
  for (size_t i = 0; i < size; i++)
    data[i] = (uint8_t)kind[draw(draw(4) ? 10 : sizeof kind - 1)];
  for (int way = 0; way < 3; way++) {
    size_t count = way < 2 ? parse_integer_lines(data, start, size, way, numbers, room, &stop)
                           : parse_float_lines(data, start, size, numbers, room, &stop);
    size_t lines = 0;
    for (size_t i = start; i < stop; i++)
      lines += data[i] == '\n';
    assert(count <= room && start <= stop && stop <= size && lines == count);
  }
  free(data);
  free(numbers);
}

int main(void) {
  int round = 0;
  for (; round < 50000; round++) {
    parse_double();
    parse_integer();
    parse_anything();
  }
  printf("%d\n", round);
}
