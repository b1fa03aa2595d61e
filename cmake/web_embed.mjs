// node cmake/web_embed.mjs DIST OUT: writes OUT/assets.bin, the bytes of every file in DIST, as they are and compressed,
// one after another, and OUT/asset_table.c, which takes them into the program and lists them (src/http/assets.h).
//
// It refuses what the server could not serve as it should: a file that no route answers, and a file that browsers would
// keep for ever although its name does not change with its content.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};
const HASHED = /^\/assets\/.+-[\w-]{8}\.\w+$/;
const WORTH_IT = 0.95; // of the size; a coding that saves less is left out

const [dist, out] = process.argv.slice(2);

function fail(message) {
  console.error(`web_embed: ${message}`);
  process.exit(1);
}

/* In the order of enum http_coding: brotli, gzip, as it is. */
function codings(bytes) {
  const worth = (packed) => (packed.length < WORTH_IT * bytes.length ? packed : null);
  const quality = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
  return [
    { name: '-br', bytes: worth(brotliCompressSync(bytes, { params: quality })) },
    { name: '-gz', bytes: worth(gzipSync(bytes, { level: 9 })) },
    { name: '', bytes },
  ];
}

const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => '/' + relative(dist, join(entry.parentPath, entry.name)).split(sep).join('/'))
  .sort();
if (!files.includes('/index.html')) fail(`${dist} has no index.html`);

const pieces = [];
const rows = [];
let offset = 0;
for (const path of files) {
  const type = TYPES[extname(path)];
  if (!type) fail(`${path} is of a kind that has no content type here; add it to TYPES`);
  if (path !== '/index.html' && !HASHED.test(path))
    fail(`${path} is neither index.html nor assets/NAME-HASH.KIND: add a route to src/http/assets.c that serves it`);
  const plain = readFileSync(join(dist, path));
  const hash = createHash('sha256').update(plain).digest('hex').slice(0, 16);
  const tags = [];
  const bodies = [];
  for (const { name, bytes } of codings(plain)) {
    tags.push(`"\\"${hash}${name}\\""`);
    bodies.push(bytes ? `{asset_bytes + ${offset}, ${bytes.length}}` : '{NULL, 0}');
    if (!bytes) continue;
    pieces.push(bytes);
    offset += bytes.length;
  }
  rows.push(`    {"${path}", "${type}", {${tags.join(', ')}}, {${bodies.join(', ')}}},\n`);
}

const blob = Buffer.concat(pieces);
const blobPath = join(out, 'assets.bin');
const inAssembler = JSON.stringify(JSON.stringify(blobPath)).slice(1, -1); // quoted for it, and again for C
writeFileSync(blobPath, blob);
// The assembler takes the file in as it is: a compiler would chew on a million numbers. Its hash is here so that the
// text, and with it the object, changes with it.
writeFileSync(
  join(out, 'asset_table.c'),
  `/* Written by cmake/web_embed.mjs. assets.bin: ${createHash('sha256').update(blob).digest('hex')} */
#include <stddef.h>

#include "http/assets.h"

#if defined(__APPLE__)
#define SECTION ".section __TEXT,__const\\n"
#define SYMBOL "_asset_bytes"
#else
#define SECTION ".section .rodata\\n"
#define SYMBOL "asset_bytes"
#endif
__asm__(SECTION ".globl " SYMBOL "\\n" SYMBOL ":\\n.incbin ${inAssembler}\\n.byte 0\\n.text\\n");
extern const unsigned char asset_bytes[];

const struct asset asset_table[] = {
${rows.join('')}};
const size_t asset_count = sizeof asset_table / sizeof *asset_table;
`,
);
