/* The columns of the tables of single runs and of depths. */
import { percent, quantity, tokensPerSecond, type Figure } from '../../api/format';
import type { Column } from '../../ui/table';
import type { Sample, Stats, Test } from '../report';
import { cell, definitions, outcomeWord, show } from '../words';

type Format = (x: number | null, reason?: string) => Figure;
const plainNumber: Format = (x, reason) => quantity(x, '', reason);
const rate: Format = (x, reason) => withoutUnit(tokensPerSecond(x, reason));

/* The unit is in the column's name. */
function withoutUnit(figure: Figure): Figure {
  return figure.reason ? figure : { ...figure, unit: '', text: figure.value };
}

function sampleColumn(key: string, label: string, format: Format, definition?: string): Column<Sample> {
  return {
    key,
    label,
    value: (sample) => sample.figure(key).value,
    figure: (sample) => show(sample.figure(key), format),
    numeric: true,
    sortable: true,
    definition,
  };
}

export const runColumns: Column<Sample>[] = [
  {
    key: 'run',
    label: 'Run',
    value: (sample) => sample.index + 1,
    text: (sample) => `Run ${sample.index + 1}`,
    sortable: true,
  },
  sampleColumn('tokens_per_second', 'Answer, tok/s', rate, definitions.tokensPerSecond),
  sampleColumn('decode_tokens_per_second', 'Decode, tok/s', rate, definitions.decode),
  sampleColumn('prefill_tokens_per_second', 'Prefill, tok/s', rate, definitions.prefill),
  sampleColumn('ttft_ms', 'First token, ms', plainNumber, definitions.ttft),
  sampleColumn('response_ms', 'Response, ms', plainNumber, definitions.response),
  sampleColumn('itl_p50_ms', 'Gap p50, ms', plainNumber, definitions.itl),
  sampleColumn('itl_p90_ms', 'Gap p90, ms', plainNumber, definitions.itl),
  sampleColumn('itl_p99_ms', 'Gap p99, ms', plainNumber, definitions.itl),
  sampleColumn('itl_max_ms', 'Gap max, ms', plainNumber, definitions.itl),
  sampleColumn('prompt_tokens', 'Prompt, tokens', plainNumber),
  sampleColumn('generated_tokens', 'Answer, tokens', plainNumber),
  sampleColumn('decode_cpu_cores', 'Busy cores', plainNumber, definitions.cores),
  {
    key: 'outcome',
    label: 'Outcome',
    value: (sample) => sample.outcome,
    text: (sample) => outcomeWord(sample.outcome) + (sample.message ? `: ${sample.message}` : ''),
    sortable: true,
    definition: definitions.outcome,
  },
];

function statsColumn(
  key: string,
  label: string,
  of: (test: Test) => Stats,
  definition?: string,
  scale = 1,
): Column<Test> {
  return {
    key,
    label,
    value: (test) => of(test).median.value,
    figure: (test) => {
      const { median } = of(test);
      return median.value === null
        ? show(median, plainNumber)
        : { value: cell(of(test), scale), unit: '', text: cell(of(test), scale), reason: '' };
    },
    numeric: true,
    sortable: true,
    definition,
  };
}

export const depthColumns: Column<Test>[] = [
  { key: 'label', label: 'Test', value: (test) => test.index, text: (test) => test.label, sortable: true },
  {
    key: 'depth',
    label: 'Context before, tokens',
    value: (test) => (test.kind === 'prefill' ? 0 : test.depth),
    numeric: true,
    sortable: true,
    definition: definitions.depth,
  },
  statsColumn('prefill', 'Prefill, tok/s', (test) => test.stats('prefill_tokens_per_second'), definitions.prefill),
  statsColumn('decode', 'Decode, tok/s', (test) => test.stats('decode_tokens_per_second'), definitions.decode),
  statsColumn('tpot', 'Time per token, ms', (test) => test.stats('tpot_ms'), definitions.tpot),
  statsColumn('gbps', 'Read, GB/s', (test) => test.achievedGbps, definitions.gbps),
  statsColumn('mbu', 'MBU, %', (test) => test.mbu, definitions.mbu, 100),
  {
    key: 'mfu',
    label: 'MFU, %',
    value: (test) => test.mfu.value,
    figure: (test) => withoutUnit(show(test.mfu, percent)),
    numeric: true,
    sortable: true,
    definition: definitions.mfu,
  },
  {
    key: 'grade',
    label: 'Repeats',
    value: (test) => test.stats(test.headline).cv,
    text: (test) => {
      const { cv } = test.stats(test.headline);
      return cv === null ? test.grade : `${test.grade}, ${percent(cv).text}`;
    },
    sortable: true,
    definition: definitions.spread,
  },
];
