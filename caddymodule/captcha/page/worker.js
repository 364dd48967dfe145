// Looks for a proof of work: a number so that SHA-256(challenge + "." + number) begins
// with so many zero bits. It is a Web Worker of the captcha page; a shop can use it too:
//   worker.postMessage({challenge, bits}); worker.onmessage = (e) => e.data.answer
"use strict";

// The constants of FIPS 180-4: fractions of the roots of the first primes.
const K = new Uint32Array(64);
const H = new Uint32Array(8);
for (let n = 2, found = 0; found < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
  if (!prime) continue;
  if (found < 8) H[found] = (Math.sqrt(n) % 1) * 0x100000000;
  K[found++] = (Math.cbrt(n) % 1) * 0x100000000;
}

const W = new Uint32Array(64);

// compress takes 64 bytes of b at an offset into the state.
function compress(state, b, at) {
  for (let i = 0; i < 16; i++, at += 4) W[i] = (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15], y = W[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let a = state[0], c = state[1], d = state[2], e = state[3], f = state[4], g = state[5], h = state[6], k = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((f >>> 6) | (f << 26)) ^ ((f >>> 11) | (f << 21)) ^ ((f >>> 25) | (f << 7));
    const t1 = (k + s1 + ((f & g) ^ (~f & h)) + K[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & c) ^ (a & d) ^ (c & d))) | 0;
    k = h; h = g; g = f; f = (e + t1) | 0; e = d; d = c; c = a; a = (t1 + t2) | 0;
  }
  state[0] += a; state[1] += c; state[2] += d; state[3] += e; state[4] += f; state[5] += g; state[6] += h; state[7] += k;
}

function prove(challenge, bits) {
  const prefix = new TextEncoder().encode(challenge + ".");
  // Whole blocks of the prefix are the same for every number.
  const whole = prefix.length - (prefix.length % 64);
  const base = H.slice();
  for (let at = 0; at < whole; at += 64) compress(base, prefix, at);
  const tail = prefix.subarray(whole);
  const block = new Uint8Array(128);
  const state = new Uint32Array(8);
  for (let n = 0; ; n++) {
    const number = String(n);
    let length = tail.length;
    block.fill(0);
    block.set(tail);
    for (let i = 0; i < number.length; i++) block[length++] = number.charCodeAt(i);
    block[length] = 0x80;
    const end = length + 9 <= 64 ? 64 : 128;
    const total = (whole + length) * 8;
    block[end - 4] = total >>> 24; block[end - 3] = total >>> 16; block[end - 2] = total >>> 8; block[end - 1] = total;
    state.set(base);
    compress(state, block, 0);
    if (end === 128) compress(state, block, 64);
    if ((bits === 0 || state[0] >>> Math.max(32 - bits, 0) === 0) && (bits < 32 || state[0] === 0)) return number;
  }
}

self.onmessage = (e) => {
  const { challenge, bits } = e.data;
  self.postMessage({ answer: challenge + "." + prove(challenge, bits) });
};
