/* Lines to lines of CSV: puts its offset before each. Plain C11 that knows nothing of Python: nothing here allocates,
   locks or fails. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  DIGITS = 20,        /* of an offset */
  LONGEST = DIGITS + 1, /* what comes in front of a line */
  WORD = 8,           /* bytes of a line that are read and written at once */
  SPARE = 3 * WORD    /* bytes that may be written after the end */
};

/* An offset, all of its digits and a comma; `first` is the first digit that is shown. */
typedef struct {
  char text[DIGITS + SPARE];
  int first;
} Offset;

static Offset spell_offset(uint64_t offset) {
  Offset spelled = {.first = DIGITS};
  memset(spelled.text, '0', DIGITS);
  spelled.text[DIGITS] = ',';
  do {
    spelled.text[--spelled.first] = (char)('0' + offset % 10);
    offset /= 10;
  } while (offset);
  return spelled;
}

static inline void count_up(Offset *offset) {
  int digit = DIGITS - 1;
  for (; offset->text[digit] == '9'; digit--)
    offset->text[digit] = '0';
  offset->text[digit]++;
  if (digit < offset->first)
    offset->first = digit;
}

/* How many bytes of the eight are before an LF; 8: there is none. */
static inline unsigned length_of(uint64_t bytes) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  bytes = __builtin_bswap64(bytes);
#endif
  bytes ^= 0x0A0A0A0A0A0A0A0A;
  uint64_t ends = (bytes - 0x0101010101010101) & ~bytes & 0x8080808080808080; /* the lowest is right */
  return ends ? (unsigned)__builtin_ctzll(ends) / 8 : WORD;
}

/* Write `count` lines, of `size` bytes in all, each after its offset and a comma, to the start of `room`; return how many
   bytes they take. SIZE_MAX, and nothing is written: `room_size` is less than size + count * LONGEST + SPARE, or there are
   no such offsets. SIZE_MAX: there are more or fewer lines. */
size_t put_csv_lines_within(
    const char *lines, size_t size, uint64_t offset, size_t count, char *room, size_t room_size) {
  if (count > UINT64_MAX - offset || room_size < SPARE || size > room_size - SPARE ||
      count > (room_size - SPARE - size) / LONGEST)
    return SIZE_MAX;
  const char *line = lines, *end = lines + size;
  char *at = room;
  Offset spelled = spell_offset(offset);
  for (size_t i = 0; i < count; i++, count_up(&spelled)) {
    memcpy(at, spelled.text + spelled.first, SPARE);
    at += LONGEST - spelled.first;
    unsigned length = WORD;
    for (uint64_t bytes; length == WORD && end - line >= WORD; at += length, line += length) {
      memcpy(&bytes, line, WORD);
      memcpy(at, &bytes, WORD);
      length = length_of(bytes);
    }
    while (length == WORD && line < end && *line != '\n')
      *at++ = *line++;
    if (line == end)
      return SIZE_MAX;
    *at++ = *line++; /* the LF */
  }
  return line == end ? (size_t)(at - room) : SIZE_MAX;
}
