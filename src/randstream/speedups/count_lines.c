/* Counts lines, and checks whether all of them may be numbers. Plain C11 that knows nothing of Python: nothing here
   allocates, locks or fails. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 32, PAGE = 64 * BLOCK /* a byte counts two halves of each */, MAX_LINE = 64 };

/* Vectors that every 64-bit processor has registers for. */
typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef int8_t Marks __attribute__((vector_size(16))); /* -1 where something holds, else 0 */
typedef uint64_t Words __attribute__((vector_size(16)));

static inline Bytes load(const uint8_t *at) {
  Bytes bytes;
  memcpy(&bytes, at, sizeof bytes);
  return bytes;
}

static inline int any(Marks marks) {
  Words words = (Words)marks;
  return (words[0] | words[1]) != 0;
}

static inline int starts_number(uint8_t byte) { return (uint8_t)(byte - '0') < 10 || byte == '-'; }

static inline int is_in_number(uint8_t byte) { return starts_number(byte) || byte == '.' || byte == 'e' || byte == '+'; }

static int has_long_line(const uint8_t *data, size_t size) {
  for (size_t i = 0, begin = 0; i < size; i++)
    if (data[i] == '\n') {
      if (i + 1 - begin > MAX_LINE)
        return 1;
      begin = i + 1;
    }
  return 0;
}

/* Look at `size` bytes, whole blocks and at most a page, and the byte after them; return how many LF there are. `is_plain`:
   allow only digits in lines. A block without LF is a gap, and each line of MAX_LINE bytes or more has one. */
static inline __attribute__((always_inline)) size_t look(
    const uint8_t *at, size_t size, int is_plain, int *is_wrong, int *has_gap) {
  Bytes counts = {0};
  Marks wrong = {0};
  for (const uint8_t *stop = at + size; at < stop; at += BLOCK) {
    Marks ends = {0};
    for (const uint8_t *half = at; half < at + BLOCK; half += sizeof(Bytes)) {
      Bytes byte = load(half), next = load(half + 1);
      Marks is_end = byte == '\n';
      Marks is_number = (byte - '0') < 10;
      Marks starts = (next - '0') < 10;
      if (!is_plain) {
        is_number |= (byte == '-') | (byte == '.') | (byte == 'e') | (byte == '+');
        starts |= next == '-';
      }
      wrong |= ~(is_number | is_end) | (is_end & ~starts);
      counts -= (Bytes)is_end;
      ends |= is_end;
    }
    *has_gap |= !any(ends);
  }
  *is_wrong = any(wrong);
  size_t count = 0;
  for (size_t i = 0; i < sizeof counts; i++)
    count += counts[i];
  return count;
}

/* How many lines data[start..end) has; 0 if they are not number lines alone, the last of them with its LF, or if that is
   not within data[0..size). */
size_t count_lines_within(const uint8_t *data, size_t size_of_data, size_t start, size_t end) {
  if (start >= end || end > size_of_data || data[end - 1] != '\n')
    return 0;
  const uint8_t *at = data + start, *last = data + end - 1;
  int is_plain = 1, is_wrong = !starts_number(*at), has_gap = 0;
  size_t count = 1;
  for (size_t size; last - at >= BLOCK; at += size) {
    size = (size_t)(last - at) < PAGE ? (size_t)(last - at) / BLOCK * BLOCK : PAGE;
    int is_odd = 1;
    size_t lines = is_plain ? look(at, size, 1, &is_odd, &has_gap) : 0;
    if (is_odd) {
      is_plain = 0;
      lines = look(at, size, 0, &is_odd, &has_gap);
    }
    is_wrong |= is_odd;
    count += lines;
  }
  for (; at < last; at++) {
    int is_end = *at == '\n';
    count += (size_t)is_end;
    is_wrong |= is_end ? !starts_number(at[1]) : !is_in_number(*at);
  }
  return is_wrong || (has_gap && has_long_line(data + start, end - start)) ? 0 : count;
}
