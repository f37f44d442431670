/* Lines without Python, in rooms of exactly their size, so that a sanitizer sees each byte too many: against printf, and
   against a judge that looks at one byte after the other. Prints how many rounds there were. */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/randstream/speedups/words.h"

size_t draw_lines_within(
    uint64_t key0, uint64_t key1, uint64_t offset, size_t count, int64_t low, uint64_t span, char *room, size_t size);
size_t count_lines_within(const uint8_t *data, size_t size_of_data, size_t start, size_t end);
size_t put_csv_lines_within(
    const char *lines, size_t size, uint64_t offset, size_t count, char *room, size_t room_size);

enum { ROOM_A_LINE = 22, ROOM_OF_AN_OFFSET = 21, SPARE = 24 };

static uint64_t state = 42;

static uint64_t draw(uint64_t below) { /* splitmix64 */
  uint64_t x = state += 0x9E3779B97F4A7C15;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
  x = (x ^ x >> 27) * 0x94D049BB133111EB;
  return (x ^ x >> 31) % below;
}

static size_t judge(const uint8_t *data, size_t size) {
  size_t count = 0, length = 0;
  for (size_t i = 0; i < size; i++) {
    int is_end = data[i] == '\n';
    const char *allowed = length ? "0123456789.e+-" : "0123456789-";
    if (is_end ? !length || length > 63 : !data[i] || !strchr(allowed, data[i]))
      return 0;
    length = is_end ? 0 : length + 1;
    count += (size_t)is_end;
  }
  return count;
}

/* Of what may end without LF. */
static size_t judge_whole(const uint8_t *data, size_t size) { return data[size - 1] == '\n' ? judge(data, size) : 0; }

static void look_at_lines(void) {
  static const char *kinds[] = {"0123456789", "0123456789.e+-", "0123456789.e+-\n#/:,"};
  const char *kind = kinds[draw(3)];
  size_t size = 1 + (size_t)draw(draw(2) ? 100 : 9000), longest = 1 + (size_t)draw(draw(4) ? 25 : 66), length = 0;
  uint8_t *data = malloc(size);
  for (size_t i = 0; i < size; i++) {
    int is_end = i + 1 == size || length >= longest || (length && !draw(20));
    data[i] = is_end ? '\n' : (uint8_t)(length ? kind[draw(strlen(kind))] : "0123456789-"[draw(11)]);
    length = is_end ? 0 : length + 1;
  }
  if (!draw(4) && size > 1)
    data[draw(size - 1)] = (uint8_t)draw(256);
  size_t start = (size_t)draw(3) ? 0 : (size_t)draw(size);
  assert(count_lines_within(data, size, start, size) == judge(data + start, size - start));
  size_t begin = (size_t)draw(3 * size), end = draw(4) ? (size_t)draw(3 * size) : SIZE_MAX - (size_t)draw(3);
  int is_within = begin < end && end <= size;
  assert(count_lines_within(data, size, begin, end) == (is_within ? judge_whole(data + begin, end - begin) : 0));
  free(data);
}

static void draw_numbers(void) {
  size_t count = (size_t)draw(draw(2) ? 40 : 3000), room = ROOM_A_LINE * count + (size_t)draw(25);
  uint64_t key0 = draw(UINT64_MAX), key1 = draw(UINT64_MAX), offset = draw(draw(2) ? 2000 : INT64_MAX - 5000);
  uint64_t span = draw(2) ? 0 : 1 + draw(1ull << (1 + draw(32)));
  int64_t low = span ? (int64_t)((uint64_t)INT64_MIN + draw(UINT64_MAX - span)) : 0;
  char *text = malloc(room), line[32];
  char *at = text + draw_lines_within(key0, key1, offset, count, low, span, text, room);
  for (uint64_t n = offset; n < offset + count; n++) {
    uint64_t words[4];
    make_words(key0, key1, n / 4, 4, words);
    uint64_t word = words[n % 4];
    uint64_t number = span ? (uint64_t)low + (uint64_t)((unsigned __int128)word * span >> 64) : word;
    int length = low < 0 ? sprintf(line, "%" PRId64 "\n", (int64_t)number) : sprintf(line, "%" PRIu64 "\n", number);
    assert(at + length <= text + room && !memcmp(at, line, (size_t)length));
    at += length;
  }
  assert(at == text + room);
  free(text);
}

/* What does not fit is not begun. */
static void draw_too_many(void) {
  size_t room = (size_t)draw(draw(2) ? 100 : 9000);
  char *text = malloc(room);
  uint64_t many = draw(2) ? room / ROOM_A_LINE + 1 + draw(100) : UINT64_MAX - draw(1ull << draw(63));
  assert(draw_lines_within(1, 2, draw(1000), (size_t)many, -1, draw(2), text, room) == SIZE_MAX);
  assert(draw_lines_within(1, 2, UINT64_MAX - draw(4), 4, 0, 0, text, room) == SIZE_MAX);
  free(text);
}

/* Lines of any length, the last of them perhaps without its LF, and as many as are said or not. */
static void put_offsets(void) {
  size_t size = (size_t)draw(draw(2) ? 60 : 3000), many = 0;
  char *lines = malloc(size), line[32];
  for (size_t i = 0; i < size; i++) {
    lines[i] = draw(12) && (i + 1 < size || !draw(4)) ? "0123456789.e+-"[draw(14)] : '\n';
    many += lines[i] == '\n';
  }
  size_t count = draw(8) ? many : (size_t)draw(50), room = size + count * ROOM_OF_AN_OFFSET + SPARE;
  uint64_t offset = draw(2) ? draw(1200) : draw(2) ? 9999999999999999u - draw(9) : UINT64_MAX - count - draw(2);
  char *text = malloc(room);
  size_t found = put_csv_lines_within(lines, size, offset, count, text, room), at = 0;
  if (count == many && (!size || lines[size - 1] == '\n')) {
    for (size_t i = 0, start = 1; i < size; i++, at++) {
      if (start) {
        int length = sprintf(line, "%" PRIu64 ",", offset++);
        assert(!memcmp(text + at, line, (size_t)length));
        at += (size_t)length;
      }
      assert(text[at] == lines[i]);
      start = lines[i] == '\n';
    }
    assert(at == found);
  } else
    assert(found == SIZE_MAX);
  assert(put_csv_lines_within(lines, size, 0, count, text, room - 1) == SIZE_MAX);
  assert(put_csv_lines_within(lines, size, 0, SIZE_MAX - draw(99), text, room) == SIZE_MAX);
  assert(put_csv_lines_within(lines, SIZE_MAX - draw(99), 0, count, text, room) == SIZE_MAX);
  free(lines);
  free(text);
}

int main(void) {
  int round = 0;
  for (; round < 2000; round++) {
    look_at_lines();
    draw_numbers();
    draw_too_many();
    put_offsets();
  }
  printf("%d\n", round);
}
