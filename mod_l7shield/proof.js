// SPDX-License-Identifier: Apache-2.0
/* Pays for a visit: finds the number that makes SHA-256 of "seed.number" begin with so many
 * zeros, then asks /.well-known/l7shield/verify for a pass. The file runs twice, in the page
 * and in the worker that does the counting, so that the page stays usable meanwhile. Plain
 * arithmetic, since Web Crypto is not there without TLS and slow for so many small hashes. */
"use strict";
(function () {
  const K = new Uint32Array([
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2]);
  const BATCH = 20000;
  const block = new Uint8Array(64);
  const w = new Int32Array(64);

  /* The first 32 bits of SHA-256 of the one block in `block`. */
  function digest() {
    for (let i = 0; i < 16; i++) {
      w[i] = block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 |
             block[4 * i + 3];
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] +
             ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) +
             ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10);
    }
    let a = 0x6a09e667, b = 0xbb67ae85 | 0, c = 0x3c6ef372, d = 0xa54ff53a | 0;
    let e = 0x510e527f, f = 0x9b05688c | 0, g = 0x1f83d9ab, h = 0x5be0cd19;
    for (let i = 0; i < 64; i++) {
      const t = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) +
                (e & f ^ ~e & g) + K[i] + w[i] | 0;
      const u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) +
                (a & b ^ a & c ^ b & c) | 0;
      h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
    }
    return a + 0x6a09e667 >>> 0;
  }

  /* The number among the next `count` that solves it, or -1. */
  function search(seed, bits, from, count) {
    const below = Math.pow(2, 32 - bits);
    for (let number = from; number < from + count; number++) {
      const message = seed + "." + number;
      block.fill(0);
      for (let i = 0; i < message.length; i++) {
        block[i] = message.charCodeAt(i);
      }
      block[message.length] = 0x80;
      block[62] = message.length * 8 >> 8;
      block[63] = message.length * 8 & 255;
      if (digest() < below) {
        return number;
      }
    }
    return -1;
  }

  /* Batch by batch; `tell` hears how many were tried and, in the end, the number. */
  function run(seed, bits, from, again, tell) {
    const found = search(seed, bits, from, BATCH);
    tell({tried: from + BATCH, found: found});
    if (found < 0) {
      again(function () { run(seed, bits, from + BATCH, again, tell); });
    }
  }

  if (typeof document === "undefined") {
    self.onmessage = function (event) {
      const call = [];
      const later = function (next) { call.push(next); };
      run(event.data.seed, event.data.bits, 0, later, self.postMessage.bind(self));
      while (call.length > 0) {
        call.shift()();
      }
    };
    return;
  }

  const source = document.currentScript.src;

  /* Whoever loses every cookie would solve one puzzle after the other for ever. */
  function comesBackTooOften() {
    try {
      const now = Date.now();
      const recent = JSON.parse(sessionStorage.getItem("l7shield") || "[]")
        .filter(function (time) { return now - time < 60000; });
      sessionStorage.setItem("l7shield", JSON.stringify(recent.concat(now)));
      return recent.length >= 3;
    } catch (error) {
      return false;
    }
  }

  function start() {
    const form = document.getElementById("proof");
    const state = document.getElementById("state");
    const bar = document.getElementById("bar");
    const seed = form.elements.seed.value;
    const bits = Number(form.dataset.bits);

    function stop(text) {
      state.textContent = text;
      bar.hidden = true;
      document.getElementById("again").hidden = false;
    }

    function hear(news) {
      bar.value = 1 - Math.exp(-news.tried / Math.pow(2, bits));
      if (news.found >= 0) {
        bar.value = 1;
        form.elements.nonce.value = news.found;
        state.textContent = "Done. The page that you asked for opens now.";
        location.replace(form.getAttribute("action") + "?" +
                         new URLSearchParams(new FormData(form)));
      }
    }

    function without() {
      run(seed, bits, 0, function (next) { setTimeout(next, 0); }, hear);
    }

    if (!navigator.cookieEnabled || comesBackTooOften()) {
      stop("Your browser does not keep this site's cookies. Allow them, then try again.");
      return;
    }
    document.getElementById("working").hidden = false;
    state.textContent = "The check is running.";
    try {
      const worker = new Worker(source);
      worker.onmessage = function (event) { hear(event.data); };
      worker.onerror = function () { worker.terminate(); without(); };
      worker.postMessage({seed: seed, bits: bits});
    } catch (error) {
      without();
    }
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();
