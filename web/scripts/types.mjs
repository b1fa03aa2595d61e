/* npm run types -- FILE|URL: writes src/api/types.gen.ts from an OpenAPI description.
 * Without an argument: the one of the server at $LLMIND_URL. */
import { readFile, writeFile } from 'node:fs/promises';
import openapiTypescript, { astToString } from 'openapi-typescript';

const source = process.argv[2] ?? `${process.env.LLMIND_URL ?? 'http://localhost:8000'}/openapi.json`;

async function read(from) {
  if (!/^https?:/.test(from)) return readFile(from, 'utf8');
  const answer = await fetch(from);
  if (!answer.ok) throw new Error(`${from} answered ${answer.status}`);
  return answer.text();
}

const tree = await openapiTypescript(JSON.parse(await read(source)), { alphabetize: true });
const head = '/* Written by `npm run types` from /openapi.json; do not edit. */\n';
await writeFile(new URL('../src/api/types.gen.ts', import.meta.url), head + astToString(tree));
