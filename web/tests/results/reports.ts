import { readFileSync } from 'node:fs';
import { readReport } from '../../src/results/read';

export const json = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../tests/data/reports/${name}.json`, import.meta.url), 'utf8'));
export const report = (name: string) => readReport(json(name));
