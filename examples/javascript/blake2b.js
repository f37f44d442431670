// BLAKE2b (RFC 7693), without a key: Node's crypto only makes digests of 64 bytes.
'use strict';
const M64 = 2n ** 64n - 1n;
const IV = ('6a09e667f3bcc908 bb67ae8584caa73b 3c6ef372fe94f82b a54ff53a5f1d36f1 510e527fade682d1 9b05688c2b3e6c1f '
  + '1f83d9abfb41bd6b 5be0cd19137e2179').split(' ').map((word) => BigInt(`0x${word}`));
const SIGMA = ('0123456789abcdef ea489fd61c02b753 b8c052fdae367194 7931dcbe265a40f8 905724afe1bc683d '
  + '2c6a0b834d75fe19 c51fed4a0763928b db7ec13950f4862a 6fe9b308c2d714a5 a2847615fb9e3cd0').split(' ').map((row) => [...row].map((digit) => parseInt(digit, 16)));

function blake2b(text, size) {
  const data = Buffer.from(text), h = [...IV], turn = (x, n) => (x >> n) | ((x << (64n - n)) & M64);
  h[0] ^= 0x01010000n ^ BigInt(size);
  for (let at = 0; at === 0 || at < data.length; at += 128) {
    const isLast = at + 128 >= data.length, block = Buffer.alloc(128), v = [...h, ...IV];
    data.copy(block, 0, at);
    v[12] ^= BigInt(isLast ? data.length : at + 128);
    if (isLast) v[14] ^= M64;
    for (let i = 0; i < 96; i++) { // 12 rounds of 4 columns and 4 diagonals
      const s = SIGMA[(i >> 3) % 10], d = (i >> 2) & 1;
      const [a, b, c, e] = [0, 4, 8, 12].map((row, n) => row + ((i + n * d) & 3));
      for (const [half, r1, r2] of [[0, 32n, 24n], [1, 16n, 63n]]) {
        const word = block.readBigUInt64LE(8 * s[2 * (i & 7) + half]);
        v[a] = (v[a] + v[b] + word) & M64;
        v[e] = turn(v[e] ^ v[a], r1);
        v[c] = (v[c] + v[e]) & M64;
        v[b] = turn(v[b] ^ v[c], r2);
      }
    }
    h.forEach((_, i) => { h[i] ^= v[i] ^ v[i + 8]; });
  }
  return Buffer.from(new BigUint64Array(h).buffer).subarray(0, size);
}
module.exports = blake2b;
